"""What goes by which clock: in a replay a day of the engine's is a second of the machine's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from infra.local.replay import ClockHand
from shared.config import load_settings
from shared.instance import Instance
from shared.monitoring.failures import KEPT_FOR, DeliveryFailures
from shared.platform.connect import connect
from shared.platform.local.documents import SqliteDocuments
from shared.platform.local.events import SqliteEvents
from shared.platform.local.schedules import LEASE, DocumentSchedules
from shared.platform.ports import Event, JobState, JobStatus
from shared.serving.scoring_records import SymbolsRequest
from shared.serving.scorings import Scorings
from shared.training.run_records import RunProgress, RunStatus
from shared.training.runs import Runs
from tests.infra.firing import Plan

HISTORY = datetime(2008, 9, 15, 12, 0, tzinfo=UTC)
TODAY = datetime(2031, 3, 3, 9, 0, tzinfo=UTC)
UNKNOWN = JobStatus(JobState.UNKNOWN)


class Clocks:
    """Both, each turned by hand."""

    def __init__(self) -> None:
        self.history = HISTORY
        self.machine = TODAY

    def now(self) -> datetime:
        return self.history

    def wall(self) -> datetime:
        return self.machine


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def documents(tmp_path: Path) -> SqliteDocuments:
    return SqliteDocuments(tmp_path / "documents.sqlite3")


def test_a_training_that_beats_lives_however_many_days_the_replay_plays_meanwhile(
    documents: SqliteDocuments, clocks: Clocks
) -> None:
    runs = Runs(documents, clocks.now, wall=clocks.wall)
    runs.create("r", {})
    runs.start("r", "w")
    runs.beat("r", "w", RunProgress("fit"), {})
    clocks.history += timedelta(days=300)
    clocks.machine += timedelta(seconds=59)
    assert runs.reconcile("r", UNKNOWN).status is RunStatus.RUNNING
    clocks.machine += timedelta(seconds=2)
    ended = runs.reconcile("r", UNKNOWN)
    assert ended.status is RunStatus.FAILED
    assert ended.heartbeat_at == "2008-09-15T12:00:00.000000Z"
    assert ended.finished_at == "2009-07-12T12:00:00.000000Z"
    assert "heard_at" not in ended.json()


def test_a_run_of_before_there_were_two_clocks_goes_by_its_heartbeat(
    documents: SqliteDocuments, clocks: Clocks
) -> None:
    runs = Runs(documents, clocks.now, wall=clocks.wall)
    runs.create("r", {})
    clocks.history += timedelta(seconds=59)
    assert runs.reconcile("r", UNKNOWN).status is RunStatus.QUEUED
    clocks.history += timedelta(seconds=2)
    assert runs.reconcile("r", UNKNOWN).status is RunStatus.FAILED


def test_a_scoring_that_beats_lives_however_many_days_the_replay_plays_meanwhile(
    documents: SqliteDocuments, clocks: Clocks
) -> None:
    scorings = Scorings(documents, clocks.now, wall=clocks.wall)
    scorings.create("s", SymbolsRequest(model="market-signal-v1"))
    scorings.start("s")
    task = scorings.claim("s", 0, "w")
    scorings.beat(task)
    clocks.history += timedelta(days=300)
    clocks.machine += timedelta(seconds=59)
    assert not scorings.reconcile("s", UNKNOWN).status.has_ended
    clocks.machine += timedelta(seconds=2)
    assert scorings.reconcile("s", UNKNOWN).status.has_ended
    assert "heard_at" not in task.json()


class Stuck:
    """Events that can't be published."""

    def publish(self, topic: str, events: object) -> None:
        raise RuntimeError("killed here")


def test_a_time_that_a_scheduler_has_claimed_is_its_own_for_seconds_of_the_machine(
    documents: SqliteDocuments, clocks: Clocks, tmp_path: Path
) -> None:
    def schedules(events: SqliteEvents | Stuck) -> DocumentSchedules:
        return DocumentSchedules(documents, events, clocks.now, lambda: "id", wall=clocks.wall)

    events = SqliteEvents(tmp_path / "events.sqlite3", {"ticks": ("counter",)})
    first, second = schedules(Stuck()), schedules(events)
    first.set_up({"tick": Plan(cron="0 * * * *")})
    clocks.history += timedelta(hours=1)
    ((name, at),) = first.due()
    with pytest.raises(RuntimeError):
        first.fire_due(name, at)
    clocks.history += timedelta(minutes=30)
    assert second.due() == []
    assert second.next_at() == clocks.history + LEASE
    clocks.machine += LEASE
    assert second.due() == [(name, at)]
    second.fire_due(name, at)
    assert second.due() == []
    assert [delivery.event.time for delivery in events.claim("counter", 9, 60, clocks.wall())] == [at]


def test_a_time_that_is_passed_over_is_never_fired(
    documents: SqliteDocuments, clocks: Clocks, tmp_path: Path
) -> None:
    events = SqliteEvents(tmp_path / "events.sqlite3", {"ticks": ("counter",)})
    schedules = DocumentSchedules(documents, events, clocks.now, lambda: "id", wall=clocks.wall)
    schedules.set_up({"a": Plan(cron="30 * * * *"), "b": Plan(cron="0 * * * *")})
    clocks.history += timedelta(hours=1)
    due = schedules.due()
    assert [name for name, _ in due] == ["a", "b"]  # the earlier one first
    schedules.pass_over(*due[0])
    assert schedules.due() == due[1:]
    assert events.depths()["counter"].pending == 0


def test_the_note_of_a_failed_delivery_is_kept_for_days_of_the_machine(tmp_path: Path) -> None:
    hand = ClockHand(tmp_path)
    hand.begin(HISTORY)
    settings = load_settings(mlengine_home=tmp_path)
    instance = Instance(settings, connect(settings))
    event = Event("e", "//test", "ticks", HISTORY, {})
    instance.delivery_failures.note("counter", event, "no")
    hand.advance(HISTORY + 3 * KEPT_FOR, 0.0)
    assert instance.delivery_failures.reason("counter", event) == "no"
    late = DeliveryFailures(instance.platform.documents, lambda: instance.platform.wall() + KEPT_FOR)
    assert late.reason("counter", event) is None
