from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest

from shared.errors import AlreadyExists, NotFound, PlatformUnavailable
from shared.platform.local.documents import SqliteDocuments
from shared.platform.ports import Event, JobState, JobStatus
from shared.training.desk import JOB, SEARCH, TOPIC, TrainingDesk
from shared.training.run_records import RunProgress, RunStatus
from shared.training.runs import Runs
from shared.training.search.records import SearchProgress, SearchRecords

REQUEST = {"problem": "market_signal"}


class SentEvents:
    def __init__(self) -> None:
        self.sent: list[Event] = []
        self.is_down = False

    def publish(self, topic: str, events: Sequence[Event]) -> None:
        assert topic == TOPIC
        if self.is_down:
            raise PlatformUnavailable("no events today")
        self.sent += events


class StartedJobs:
    """Knows what was started, and is told how it goes."""

    def __init__(self) -> None:
        self.started: list[tuple[str, Sequence[str]]] = []
        self.states: dict[str, JobState] = {}

    def start(self, job: str, arguments: Sequence[str], *, execution_id: str, task_count: int = 1) -> None:
        if execution_id not in self.states:
            self.started.append((job, arguments))
            self.states[execution_id] = JobState.RUNNING

    def status(self, execution_id: str) -> JobStatus:
        state = self.states.get(execution_id, JobState.UNKNOWN)
        return JobStatus(state, f"it is {state}")

    def cancel(self, execution_id: str) -> None:
        if self.states.get(execution_id) is JobState.RUNNING:
            self.states[execution_id] = JobState.CANCELLED


class Setting:
    def __init__(self, home: Path) -> None:
        self.time = datetime(2024, 1, 1, tzinfo=UTC)
        self.events = SentEvents()
        self.jobs = StartedJobs()
        numbers = count(1)
        documents = SqliteDocuments(home / "documents.sqlite3")
        self.runs, self.searches = Runs(documents, self.now), SearchRecords(documents)
        self.desk = TrainingDesk(
            self.runs,
            self.events,
            self.jobs,
            self.searches,
            self.now,
            lambda: f"r{next(numbers)}",
        )

    def now(self) -> datetime:
        self.time += timedelta(seconds=1)
        return self.time

    def deliver(self) -> None:
        """What the function does with the events that were sent."""
        for event in self.events.sent:
            self.desk.start(event.data["run_id"], event.data["request"])


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    return Setting(tmp_path)


def test_a_request_is_a_queued_run_and_an_event_and_starts_nothing_yet(setting: Setting) -> None:
    run = setting.desk.request(REQUEST)
    assert (run.run_id, run.status, run.request) == ("r1", RunStatus.QUEUED, REQUEST)
    (event,) = setting.events.sent
    assert (event.id, event.type, event.data) == ("r1", TOPIC, {"run_id": "r1", "request": REQUEST})
    assert setting.jobs.started == []


def test_the_job_starts_once_however_often_the_event_comes(setting: Setting) -> None:
    setting.desk.request(REQUEST)
    for _ in range(3):
        setting.deliver()
    assert setting.jobs.started == [(JOB, ["--run", "r1"])]


def test_an_event_that_overtakes_the_record_of_its_run_starts_it_too(setting: Setting) -> None:
    setting.desk.start("r9", REQUEST)
    assert setting.desk.status("r9").request == REQUEST
    assert setting.jobs.started == [(JOB, ["--run", "r9"])]


def test_an_id_of_another_request_is_refused(setting: Setting) -> None:
    setting.desk.request(REQUEST)
    with pytest.raises(AlreadyExists):
        setting.desk.start("r1", {"problem": "another"})
    assert setting.jobs.started == []


def test_a_request_that_cannot_be_sent_leaves_no_run_behind(setting: Setting) -> None:
    setting.events.is_down = True
    with pytest.raises(PlatformUnavailable):
        setting.desk.request(REQUEST)
    assert setting.desk.list(limit=10, cursor=None).runs == ()


def test_a_queued_run_waits_for_its_event_however_long_that_takes(setting: Setting) -> None:
    setting.desk.request(REQUEST)
    setting.time += timedelta(days=1)
    assert setting.desk.status("r1").status is RunStatus.QUEUED
    setting.deliver()
    assert len(setting.jobs.started) == 1


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (JobState.RUNNING, RunStatus.RUNNING),
        (JobState.FAILED, RunStatus.FAILED),
        (JobState.SUCCEEDED, RunStatus.FAILED),
        (JobState.CANCELLED, RunStatus.CANCELLED),
    ],
)
def test_a_run_whose_process_ended_without_a_word_has_ended(
    setting: Setting, state: JobState, expected: RunStatus
) -> None:
    setting.desk.request(REQUEST)
    setting.deliver()
    setting.runs.start("r1", "worker")
    setting.jobs.states["r1"] = state
    assert setting.desk.status("r1").status is expected
    (listed,) = setting.desk.list(limit=10, cursor=None).runs
    assert listed.status is expected


def test_a_job_that_ended_before_it_took_its_run_has_failed(setting: Setting) -> None:
    setting.desk.request(REQUEST)
    setting.deliver()
    setting.jobs.states["r1"] = JobState.FAILED
    ended = setting.desk.status("r1")
    assert ended.status is RunStatus.FAILED
    assert "it is failed" in (ended.error or "")


def test_what_has_ended_is_not_started_again(setting: Setting) -> None:
    setting.desk.request(REQUEST)
    setting.desk.cancel("r1")
    setting.deliver()
    assert setting.jobs.started == []
    assert setting.desk.status("r1").status is RunStatus.CANCELLED


def test_a_running_run_is_asked_to_stop(setting: Setting) -> None:
    setting.desk.request(REQUEST)
    setting.deliver()
    setting.runs.start("r1", "worker")
    ended = setting.desk.cancel("r1")
    assert (ended.status, ended.cancel_requested) == (RunStatus.CANCELLED, True)


def test_a_run_that_has_ended_stays_as_it_is(setting: Setting) -> None:
    setting.desk.request(REQUEST)
    setting.runs.start("r1", "worker")
    setting.runs.finish("r1", "worker", RunStatus.SUCCEEDED, timings={}, result={"version_id": "m-v1"})
    before = setting.runs.get("r1")
    assert setting.desk.cancel("r1") == before
    assert setting.desk.status("r1") == before


def test_unknown_runs_are_not_found(setting: Setting) -> None:
    with pytest.raises(NotFound):
        setting.desk.status("r1")
    with pytest.raises(NotFound):
        setting.desk.cancel("r1")


SEARCHING = {"problem": "churn", "search": {"trials": 5, "tasks": 3}}


def test_a_run_with_a_search_is_searched_for_first_and_then_trained(setting: Setting) -> None:
    setting.desk.request(SEARCHING)
    setting.deliver()
    setting.deliver()
    assert setting.jobs.started == [(SEARCH, ["--run", "r1"])]
    assert setting.desk.status("r1").status is RunStatus.QUEUED
    setting.searches.finish("r1", "")
    setting.deliver()
    setting.deliver()
    assert setting.jobs.started == [(SEARCH, ["--run", "r1"]), (JOB, ["--run", "r1"])]


def test_a_run_that_is_searched_for_tells_how_far_that_is(setting: Setting) -> None:
    setting.desk.request(SEARCHING)
    setting.deliver()
    for task, best in ((0, 0.75), (1, None)):
        progress = SearchProgress(metric="f1", done=3, total=10, best=best, seconds_left=100.0 + task)
        setting.searches.tell("r1", task, progress)
    run = setting.desk.status("r1")
    assert run.status is RunStatus.RUNNING
    assert run.progress == RunProgress("search", 6, 20, "best f1 0.7500 so far; about 2 min left")
    assert setting.desk.list(limit=5, cursor=None).runs == (run,)
    assert setting.desk.cancel("r1").status is RunStatus.CANCELLED
    assert setting.desk.status("r1").status is RunStatus.CANCELLED


@pytest.mark.parametrize(
    ("state", "expected"),
    [(JobState.FAILED, RunStatus.FAILED), (JobState.CANCELLED, RunStatus.CANCELLED)],
)
def test_a_run_ends_with_its_search(setting: Setting, state: JobState, expected: RunStatus) -> None:
    setting.desk.request(SEARCHING)
    setting.deliver()
    setting.jobs.states["r1.search"] = state
    assert setting.desk.status("r1").status is expected


def test_a_run_whose_search_has_ended_waits_for_the_event_of_that(setting: Setting) -> None:
    setting.desk.request(SEARCHING)
    setting.deliver()
    setting.searches.finish("r1", "")
    setting.jobs.states["r1.search"] = JobState.SUCCEEDED
    assert setting.desk.status("r1").status is RunStatus.QUEUED


def test_cancelling_stops_the_search(setting: Setting) -> None:
    setting.desk.request(SEARCHING)
    setting.deliver()
    assert setting.desk.cancel("r1").status is RunStatus.CANCELLED
    assert setting.jobs.states["r1.search"] is JobState.CANCELLED
    setting.searches.finish("r1", "")
    setting.deliver()
    assert setting.jobs.started == [(SEARCH, ["--run", "r1"])]
