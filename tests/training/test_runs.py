from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shared.errors import AlreadyExists, Conflict, NotFound
from shared.platform.local.documents import SqliteDocuments
from shared.platform.ports import JobState, JobStatus
from shared.training.run_records import RunProgress, RunStatus
from shared.training.runs import Runs

REQUEST = {"problem": "market_signal"}


class Clock:
    def __init__(self) -> None:
        self.time = datetime(2024, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.time += timedelta(seconds=1)
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def runs(tmp_path: Path, clock: Clock) -> Runs:
    return Runs(SqliteDocuments(tmp_path / "documents.sqlite3"), clock)


def _finish(runs: Runs, status: RunStatus = RunStatus.SUCCEEDED, worker: str = "w1") -> None:
    runs.finish("r1", worker, status, timings={"features": 1.5}, result={"version_id": "m-v1"})


ENDINGS: list[Callable[[Runs], object]] = [
    lambda runs: _finish(runs),
    lambda runs: _finish(runs, RunStatus.REJECTED),
    lambda runs: runs.finish("r1", "w1", RunStatus.FAILED, timings={}, error="why"),
    lambda runs: runs.finish("r1", "w1", RunStatus.CANCELLED, timings={}),
]


def test_run_goes_from_queued_to_running_to_its_end(runs: Runs) -> None:
    assert runs.create("r1", REQUEST).status is RunStatus.QUEUED
    assert runs.start("r1", "w1").status is RunStatus.RUNNING
    beaten = runs.beat("r1", "w1", RunProgress("features", 1, 2, "half"), {"features": 0.5})
    assert beaten.progress.message == "half"
    _finish(runs)
    run = runs.get("r1")
    assert run.status is RunStatus.SUCCEEDED
    assert run.result == {"version_id": "m-v1"}
    assert run.timings == {"features": 1.5}
    assert run.created_at < (run.started_at or "") < (run.heartbeat_at or "") < (run.finished_at or "")
    assert run.seq == 3


def test_creating_again_gives_the_run_that_is_there(runs: Runs) -> None:
    runs.create("r1", REQUEST)
    runs.start("r1", "w1")
    assert runs.create("r1", REQUEST).status is RunStatus.RUNNING
    with pytest.raises(AlreadyExists):
        runs.create("r1", {"problem": "another"})


@pytest.mark.parametrize("end", ENDINGS)
def test_what_has_ended_never_changes(runs: Runs, end: Callable[[Runs], object]) -> None:
    runs.create("r1", REQUEST)
    runs.start("r1", "w1")
    end(runs)
    ended = runs.get("r1")
    assert runs.start("r1", "w2") == ended
    assert runs.request_cancel("r1") == ended
    assert runs.reconcile("r1", JobStatus(JobState.FAILED, "gone")) == ended
    with pytest.raises(Conflict, match="has ended"):
        runs.beat("r1", "w1", RunProgress(), {})
    with pytest.raises(Conflict, match="has ended"):
        _finish(runs)
    assert runs.get("r1") == ended


def test_queued_run_is_cancelled_at_once(runs: Runs) -> None:
    runs.create("r1", REQUEST)
    assert runs.request_cancel("r1").status is RunStatus.CANCELLED
    assert runs.start("r1", "w1").status is RunStatus.CANCELLED


def test_running_run_is_told_to_stop_by_its_next_beat(runs: Runs) -> None:
    runs.create("r1", REQUEST)
    runs.start("r1", "w1")
    assert runs.request_cancel("r1").status is RunStatus.RUNNING
    assert runs.beat("r1", "w1", RunProgress(), {}).cancel_requested


def test_second_attempt_takes_the_run_from_the_first(runs: Runs) -> None:
    runs.create("r1", REQUEST)
    runs.start("r1", "w1")
    assert runs.start("r1", "w2").attempts == 2
    with pytest.raises(Conflict, match="taken over"):
        runs.beat("r1", "w1", RunProgress(), {})
    with pytest.raises(Conflict, match="taken over"):
        _finish(runs, worker="w1")
    _finish(runs, worker="w2")


def test_run_whose_process_is_gone_is_failed_with_what_is_known(runs: Runs) -> None:
    runs.create("r1", REQUEST)
    runs.start("r1", "w1")
    assert runs.reconcile("r1", JobStatus(JobState.RUNNING)).status is RunStatus.RUNNING
    gone = runs.reconcile("r1", JobStatus(JobState.FAILED, "Task 0 was ended by SIGKILL."))
    assert gone.status is RunStatus.FAILED
    assert "SIGKILL" in (gone.error or "")


def test_run_whose_process_is_gone_after_a_cancellation_is_cancelled(runs: Runs) -> None:
    runs.create("r1", REQUEST)
    runs.start("r1", "w1")
    runs.request_cancel("r1")
    assert runs.reconcile("r1", JobStatus(JobState.FAILED)).status is RunStatus.CANCELLED


def test_run_that_no_platform_knows_is_given_a_minute(runs: Runs, clock: Clock) -> None:
    runs.create("r1", REQUEST)
    assert runs.reconcile("r1", JobStatus(JobState.UNKNOWN)).status is RunStatus.QUEUED
    clock.time += timedelta(seconds=61)
    assert runs.reconcile("r1", JobStatus(JobState.UNKNOWN)).status is RunStatus.FAILED


def test_unknown_run_is_not_found(runs: Runs) -> None:
    with pytest.raises(NotFound, match="'r9'"):
        runs.get("r9")
    with pytest.raises(NotFound, match="'r9'"):
        runs.start("r9", "w1")


def test_list_is_newest_first_and_paged(runs: Runs) -> None:
    for number in range(5):
        runs.create(f"r{number}", REQUEST)
    runs.start("r3", "w1")
    first = runs.list(limit=3)
    rest = runs.list(limit=3, cursor=first.cursor)
    assert [run.run_id for run in (*first.runs, *rest.runs)] == ["r4", "r3", "r2", "r1", "r0"]
    assert rest.cursor is None
    assert [run.run_id for run in runs.list(status=RunStatus.RUNNING).runs] == ["r3"]


def test_of_many_endings_at_once_one_holds(runs: Runs) -> None:
    runs.create("r1", REQUEST)
    runs.start("r1", "w1")

    def end(number: int) -> bool:
        try:
            runs.finish("r1", "w1", RunStatus.FAILED, timings={}, error=str(number))
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(end, range(24)))
    assert won.count(True) == 1
    assert runs.get("r1").error == str(won.index(True))


def test_a_run_says_which_declaration_it_learns_from(runs: Runs) -> None:
    runs.create("r1", {})
    runs.start("r1", "w1")
    assert runs.learns_from("r1", "w1", None).problem_version is None
    assert runs.learns_from("r1", "w1", 3).json()["problem_version"] == 3
    with pytest.raises(Conflict, match="taken over"):
        runs.learns_from("r1", "w2", 4)
    assert runs.get("r1").problem_version == 3


def test_readers_see_no_internal_fields(runs: Runs) -> None:
    runs.create("r1", REQUEST)
    shown = runs.start("r1", "w1").json()
    assert shown["status"] == "running"
    assert not {"worker", "seq"} & shown.keys()
