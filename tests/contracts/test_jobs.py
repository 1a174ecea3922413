from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from shared.errors import InvalidInput, NotFound
from shared.platform.local.processes import identity
from shared.platform.ports import Jobs, JobState, JobStatus
from tests.contracts.platforms import ROOT, Place
from tests.contracts.racing import in_processes, kill_while_busy, race
from tests.contracts.workers import start_job, start_job_and_hang, wait_for


def ended(jobs: Jobs, execution_id: str) -> JobStatus:
    wait_for(lambda: jobs.status(execution_id).state is not JobState.RUNNING)
    return jobs.status(execution_id)


def notes(place: Place) -> list[dict[str, Any]]:
    file = place.state / "notes"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def sleeper(place: Place) -> int:
    """The process id of the job `sleep`, once it runs."""
    file = Path(place.state / "sleeper")
    wait_for(file.exists)
    return int(file.read_text())


def test_a_job_runs_with_its_arguments(place: Place, jobs: Jobs) -> None:
    jobs.start("note", ["--n", "1", "a b;$(c)"], execution_id="run-1")
    assert ended(jobs, "run-1") == JobStatus(JobState.SUCCEEDED)
    assert notes(place) == [
        {
            "arguments": ["--n", "1", "a b;$(c)"],
            "cwd": str(ROOT),
            "CLOUD_RUN_EXECUTION": "run-1",
            "CLOUD_RUN_JOB": "note",
            "CLOUD_RUN_TASK_INDEX": "0",
            "CLOUD_RUN_TASK_COUNT": "1",
            "attempt": "0",
        }
    ]


def test_each_task_sees_its_index(place: Place, jobs: Jobs) -> None:
    jobs.start("note", [], execution_id="e1", task_count=6)
    assert ended(jobs, "e1").state is JobState.SUCCEEDED
    seen = {(note["CLOUD_RUN_TASK_INDEX"], note["CLOUD_RUN_TASK_COUNT"]) for note in notes(place)}
    assert seen == {(f"{i}", "6") for i in range(6)}
    assert len(notes(place)) == 6


def test_an_execution_starts_once(place: Place, jobs: Jobs) -> None:
    assert race(8, lambda _: jobs.start("note", [], execution_id="e1")) == [None] * 8
    assert ended(jobs, "e1").state is JobState.SUCCEEDED
    jobs.start("note", [], execution_id="e1")
    place.reopen().jobs.start("note", [], execution_id="e1")
    assert ended(jobs, "e1").state is JobState.SUCCEEDED
    assert len(notes(place)) == 1


def test_an_execution_starts_once_whichever_process_asks(place: Place, jobs: Jobs) -> None:
    in_processes(4, start_job, place.name, place.state)
    assert jobs.status("e1").state is JobState.SUCCEEDED
    assert len(notes(place)) == 1


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("3", "exit code 3"),
        ("raise", "exit code 1"),
        ("text", "exit code 1"),
        ("kill", "signal 9"),
        ("fail-second", "Task 1"),
    ],
)
def test_a_failed_job_says_why(jobs: Jobs, how: str, why: str) -> None:
    jobs.start("end", [how], execution_id="e1", task_count=2 if how == "fail-second" else 1)
    status = ended(jobs, "e1")
    assert status.state is JobState.FAILED
    assert why in status.detail


@pytest.mark.parametrize("how", ["well", "0"])
def test_a_job_that_ends_well_succeeds(jobs: Jobs, how: str) -> None:
    jobs.start("end", [how], execution_id="e1")
    assert ended(jobs, "e1").state is JobState.SUCCEEDED


@pytest.mark.parametrize("job", ["nothing", "", "../note", "note.py", "sample_jobs.note", "os", "__init__"])
def test_an_unknown_job_isnt_found(jobs: Jobs, job: str) -> None:
    with pytest.raises(NotFound, match="end, note, sleep"):
        jobs.start(job, [], execution_id="e1")
    assert jobs.status("e1").state is JobState.UNKNOWN


@pytest.mark.parametrize("execution_id", ["", "a/b", "..", ".a", "@staging", "a b", "x" * 129])
def test_what_is_no_execution_id_is_refused(jobs: Jobs, execution_id: str) -> None:
    with pytest.raises(InvalidInput):
        jobs.start("note", [], execution_id=execution_id)
    assert jobs.status(execution_id).state is JobState.UNKNOWN


def test_a_job_has_a_task_at_least(jobs: Jobs) -> None:
    with pytest.raises(InvalidInput):
        jobs.start("note", [], execution_id="e1", task_count=0)


def test_a_start_doesnt_wait_for_the_job(place: Place, jobs: Jobs) -> None:
    jobs.start("sleep", [], execution_id="e1")
    assert jobs.status("e1") == JobStatus(JobState.RUNNING)
    assert place.reopen().jobs.status("e1").state is JobState.RUNNING


@pytest.mark.parametrize("arguments", [[], ["stubborn"]])
def test_a_cancelled_job_ends(place: Place, jobs: Jobs, arguments: list[str]) -> None:
    jobs.start("sleep", arguments, execution_id="e1")
    process_id = sleeper(place)
    jobs.cancel("e1")
    assert ended(jobs, "e1").state is JobState.CANCELLED
    assert identity(process_id) is None


def test_a_job_can_be_cancelled_through_another_instance(place: Place, jobs: Jobs) -> None:
    jobs.start("sleep", [], execution_id="e1", task_count=2)
    sleeper(place)
    place.reopen().jobs.cancel("e1")
    assert ended(jobs, "e1").state is JobState.CANCELLED


def test_cancelling_what_has_ended_or_never_was_does_nothing(jobs: Jobs) -> None:
    jobs.start("end", ["3"], execution_id="e1")
    before = ended(jobs, "e1")
    jobs.cancel("e1")
    jobs.cancel("e2")
    assert jobs.status("e1") == before
    assert jobs.status("e2").state is JobState.UNKNOWN


def test_a_job_ends_with_the_process_that_started_it(place: Place, jobs: Jobs) -> None:
    kill_while_busy(start_job_and_hang, place.name, place.state, after_seconds=0.3)
    wait_for(lambda: jobs.status("e1").state is not JobState.RUNNING)
    assert jobs.status("e1").state is JobState.FAILED
    assert "Killed" in jobs.status("e1").detail
    if (place.state / "sleeper").exists():
        wait_for(lambda: identity(sleeper(place)) is None)
    jobs.start("sleep", [], execution_id="e1")
    assert jobs.status("e1").state is JobState.FAILED
