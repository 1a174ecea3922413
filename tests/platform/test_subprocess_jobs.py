"""What only sub-processes have: they end with the process that started them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shared.errors import NotFound
from shared.platform.local.jobs import SubprocessJobs
from shared.platform.local.processes import identity
from shared.platform.ports import JobState
from tests.contracts.platforms import Place, subprocess_jobs
from tests.contracts.racing import kill_while_busy
from tests.contracts.workers import start_job_and_hang, wait_for
from tests.platform.job_workers import run_a_second_attempt


def attempts_noted(state: Path) -> list[str]:
    return [json.loads(line)["CLOUD_RUN_TASK_ATTEMPT"] for line in (state / "notes").read_text().splitlines()]


def test_a_job_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    kill_while_busy(start_job_and_hang, "local", tmp_path, after_seconds=0.3)
    jobs = Place("local", tmp_path).jobs
    wait_for(lambda: jobs.status("e1").state is not JobState.RUNNING)
    assert jobs.status("e1").state is JobState.FAILED
    assert "Killed" in jobs.status("e1").detail
    sleeper = tmp_path / "sleeper"
    if sleeper.exists():
        wait_for(lambda: identity(int(sleeper.read_text())) is None)
    jobs.start("sleep", [], execution_id="e1")
    assert jobs.status("e1").state is JobState.FAILED


def test_an_unknown_job_names_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="there are: end, flaky, note, sleep"):
        subprocess_jobs(tmp_path).start("nothing", [], execution_id="e1")


def test_what_was_stopped_isnt_run_again(tmp_path: Path) -> None:
    jobs = subprocess_jobs(tmp_path)
    jobs.start("sleep", [], execution_id="e1")
    wait_for((tmp_path / "sleeper").exists)
    jobs.close()
    assert jobs.status("e1").state is JobState.FAILED
    assert attempts_noted(tmp_path) == ["0"]


@pytest.mark.parametrize("max_retries", [0, 1])
def test_how_often_a_task_is_run_again_can_be_set(tmp_path: Path, max_retries: int) -> None:
    jobs = SubprocessJobs(
        tmp_path / "jobs",
        root=Path(__file__).parents[2],
        package="tests.contracts.sample_jobs",
        environment={"SAMPLE_NOTES": str(tmp_path)},
        max_retries=max_retries,
    )
    jobs.start("flaky", ["9"], execution_id="e1")
    wait_for(lambda: jobs.status("e1").state is JobState.FAILED)
    assert attempts_noted(tmp_path) == [f"{attempt}" for attempt in range(max_retries + 1)]


def test_the_code_of_an_earlier_attempt_doesnt_count_after_a_crash(tmp_path: Path) -> None:
    """The first attempt has failed, the second runs when the process that watches over it is killed."""
    kill_while_busy(run_a_second_attempt, tmp_path, after_seconds=0.0)
    jobs = Place("local", tmp_path).jobs
    wait_for(lambda: jobs.status("e1").state is not JobState.RUNNING)
    assert jobs.status("e1").detail.startswith("Killed")
