from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from shared.errors import InvalidInput, NotFound
from shared.platform.local.processes import identity
from shared.platform.ports import Jobs, JobState, JobStatus
from tests.contracts.platforms import ROOT, Place
from tests.contracts.racing import in_processes, race
from tests.contracts.workers import start_job, wait_for

ODD = [
    "--n",
    "1",
    "a b;$(c)",
    "",
    "--",
    "-",
    "*",
    "ü 🙂",
    "two\nlines",
    "'\"\\",
    "{}",
    "a=b",
    "%s",
    "x" * 5000,
]


def ended(jobs: Jobs, execution_id: str) -> JobStatus:
    wait_for(lambda: jobs.status(execution_id).state is not JobState.RUNNING)
    return jobs.status(execution_id)


def noted(job_notes: Path) -> list[dict[str, Any]]:
    file = job_notes / "notes"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def attempts_of(job_notes: Path) -> set[tuple[str, str]]:
    """Task and attempt, as they saw themselves."""
    return {(note["CLOUD_RUN_TASK_INDEX"], note["CLOUD_RUN_TASK_ATTEMPT"]) for note in noted(job_notes)}


def sleeper(job_notes: Path) -> int:
    """The process id of the job `sleep`, once it runs."""
    file = job_notes / "sleeper"
    wait_for(file.exists)
    return int(file.read_text())


def test_a_job_runs_with_its_arguments(job_notes: Path, jobs: Jobs) -> None:
    jobs.start("note", ODD, execution_id="run-1")
    assert ended(jobs, "run-1") == JobStatus(JobState.SUCCEEDED)
    (note,) = noted(job_notes)
    assert note.pop("CLOUD_RUN_JOB").endswith("note")
    assert note.pop("CLOUD_RUN_EXECUTION")
    assert note == {
        "arguments": ODD,
        "cwd": str(ROOT),
        "MLENGINE_EXECUTION": "run-1",
        "CLOUD_RUN_TASK_INDEX": "0",
        "CLOUD_RUN_TASK_COUNT": "1",
        "CLOUD_RUN_TASK_ATTEMPT": "0",
        "MLENGINE_TASK_RETRIES": "3",
    }


def test_a_job_runs_without_arguments(job_notes: Path, jobs: Jobs) -> None:
    jobs.start("note", [], execution_id="e1")
    ended(jobs, "e1")
    assert [note["arguments"] for note in noted(job_notes)] == [[]]


def test_each_task_sees_its_index(job_notes: Path, jobs: Jobs) -> None:
    jobs.start("note", [], execution_id="e1", task_count=6)
    assert ended(jobs, "e1").state is JobState.SUCCEEDED
    seen = {(note["CLOUD_RUN_TASK_INDEX"], note["CLOUD_RUN_TASK_COUNT"]) for note in noted(job_notes)}
    assert seen == {(f"{i}", "6") for i in range(6)}
    assert len(noted(job_notes)) == 6


def test_an_execution_starts_once(place: Place, job_notes: Path, jobs: Jobs) -> None:
    assert race(8, lambda _: jobs.start("note", [], execution_id="e1")) == [None] * 8
    assert ended(jobs, "e1").state is JobState.SUCCEEDED
    jobs.start("note", [], execution_id="e1")
    place.reopen().jobs.start("note", [], execution_id="e1")
    assert ended(jobs, "e1").state is JobState.SUCCEEDED
    assert len(noted(job_notes)) == 1


def test_an_execution_starts_once_whichever_process_asks(place: Place, job_notes: Path, jobs: Jobs) -> None:
    in_processes(4, start_job, place.name, place.state)
    assert jobs.status("e1").state is JobState.SUCCEEDED
    assert len(noted(job_notes)) == 1


def test_executions_dont_know_of_each_other(job_notes: Path, jobs: Jobs) -> None:
    race(4, lambda i: jobs.start("flaky", ["0" if i else "9"], execution_id=f"e{i}"))
    states = [ended(jobs, f"e{i}").state for i in range(4)]
    assert states == [JobState.FAILED, *[JobState.SUCCEEDED] * 3]


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("3", "Task 0 gave exit code 3"),
        ("raise", "Task 0 gave exit code 1"),
        ("text", "Task 0 gave exit code 1"),
        ("kill", "Task 0 was ended by signal 9"),
        ("fail-second", "Task 1 gave exit code 1"),
    ],
)
def test_a_failed_job_says_why(jobs: Jobs, how: str, why: str) -> None:
    task_count = 2 if how == "fail-second" else 1
    jobs.start("end", [how], execution_id="e1", task_count=task_count)
    status = ended(jobs, "e1")
    assert status.state is JobState.FAILED
    assert status.detail.startswith(f"{why}")
    assert f"after 4 attempts; 1 of {task_count} failed; see " in status.detail


@pytest.mark.parametrize("how", ["well", "0"])
def test_a_job_that_ends_well_succeeds(jobs: Jobs, how: str) -> None:
    jobs.start("end", [how], execution_id="e1")
    assert ended(jobs, "e1").state is JobState.SUCCEEDED


def test_a_task_that_fails_is_run_again(job_notes: Path, jobs: Jobs) -> None:
    jobs.start("flaky", ["0", "2", "3"], execution_id="e1", task_count=3)
    assert ended(jobs, "e1") == JobStatus(JobState.SUCCEEDED)
    tries = {"0": 1, "1": 3, "2": 4}
    assert attempts_of(job_notes) == {(task, f"{i}") for task, count in tries.items() for i in range(count)}
    assert len(noted(job_notes)) == 8


def test_a_task_is_run_again_three_times_only(job_notes: Path, jobs: Jobs) -> None:
    jobs.start("flaky", ["4", "0"], execution_id="e1", task_count=2)
    status = ended(jobs, "e1")
    assert status.state is JobState.FAILED
    assert status.detail.startswith("Task 0 gave exit code 7 after 4 attempts; 1 of 2 failed")
    assert attempts_of(job_notes) == {("0", "0"), ("0", "1"), ("0", "2"), ("0", "3"), ("1", "0")}
    assert len(noted(job_notes)) == 5


@pytest.mark.parametrize("job", ["nothing", "", "../note", "note.py", "sample_jobs.note", "os", "__init__"])
def test_an_unknown_job_isnt_found(jobs: Jobs, job: str) -> None:
    with pytest.raises(NotFound, match=r"There is no job"):
        jobs.start(job, [], execution_id="e1")
    assert jobs.status("e1").state is JobState.UNKNOWN


def test_an_id_that_was_refused_can_be_started(jobs: Jobs) -> None:
    with pytest.raises(NotFound):
        jobs.start("nothing", [], execution_id="e1")
    jobs.start("note", [], execution_id="e1")
    assert ended(jobs, "e1").state is JobState.SUCCEEDED


@pytest.mark.parametrize("execution_id", ["", "a/b", "..", ".a", "@staging", "a b", "x" * 129])
def test_what_is_no_execution_id_is_refused(jobs: Jobs, execution_id: str) -> None:
    with pytest.raises(InvalidInput):
        jobs.start("note", [], execution_id=execution_id)
    assert jobs.status(execution_id).state is JobState.UNKNOWN
    jobs.cancel(execution_id)


@pytest.mark.parametrize("execution_id", ["x" * 128, "a.b_c-D", "0", "__name__"[2:]])
def test_what_is_an_execution_id_is_taken(jobs: Jobs, execution_id: str) -> None:
    jobs.start("note", [], execution_id=execution_id)
    assert ended(jobs, execution_id).state is JobState.SUCCEEDED


@pytest.mark.parametrize("task_count", [0, -1, 10_001])
def test_a_job_has_a_task_at_least_and_not_too_many(jobs: Jobs, task_count: int) -> None:
    with pytest.raises(InvalidInput):
        jobs.start("note", [], execution_id="e1", task_count=task_count)


def test_a_start_doesnt_wait_for_the_job(place: Place, jobs: Jobs) -> None:
    jobs.start("sleep", [], execution_id="e1")
    assert jobs.status("e1") == JobStatus(JobState.RUNNING)
    assert place.reopen().jobs.status("e1").state is JobState.RUNNING
    jobs.cancel("e1")


@pytest.mark.parametrize("arguments", [[], ["stubborn"]])
def test_a_cancelled_job_ends_and_isnt_run_again(job_notes: Path, jobs: Jobs, arguments: list[str]) -> None:
    jobs.start("sleep", arguments, execution_id="e1")
    process_id = sleeper(job_notes)
    jobs.cancel("e1")
    assert ended(jobs, "e1").state is JobState.CANCELLED
    assert identity(process_id) is None
    jobs.start("sleep", arguments, execution_id="e1")
    assert ended(jobs, "e1").state is JobState.CANCELLED
    assert len(noted(job_notes)) == 1


def test_a_job_can_be_cancelled_through_another_instance(place: Place, job_notes: Path, jobs: Jobs) -> None:
    jobs.start("sleep", [], execution_id="e1", task_count=2)
    sleeper(job_notes)
    place.reopen().jobs.cancel("e1")
    assert ended(jobs, "e1").state is JobState.CANCELLED


def test_cancelling_what_has_ended_or_never_was_does_nothing(jobs: Jobs) -> None:
    jobs.start("end", ["3"], execution_id="e1")
    before = ended(jobs, "e1")
    jobs.cancel("e1")
    jobs.cancel("e2")
    assert jobs.status("e1") == before
    assert jobs.status("e2").state is JobState.UNKNOWN
