from __future__ import annotations

import asyncio
import io
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from infra.catalogue import Catalogue, Schedule, read_catalogue
from infra.local.embedded import fired_schedules
from infra.local.gateway import Gateway
from infra.local.parts import Running
from infra.local.scheduler import LONGEST_WAIT_SECONDS, Scheduler
from shared.errors import PlatformUnavailable
from shared.instance import Instance
from shared.logs import configure_logs
from shared.platform.local.documents import SqliteDocuments
from shared.platform.local.events import SqliteEvents
from shared.platform.local.schedules import LEASE, DocumentSchedules
from shared.platform.ports import Event, Write
from shared.platform.scheduling import fires
from tests.contracts.racing import kill_while_busy, race
from tests.contracts.workers import wait_for
from tests.infra.firing import (
    MINUTE,
    START,
    Clock,
    Plan,
    events_in,
    fire_and_die,
    published,
    schedules_in,
    tick_on,
)

# The catalogue's


def test_the_model_is_retrained_on_sundays_and_candles_are_ingested_after_new_york_has_closed() -> None:
    schedules = read_catalogue().schedules
    retrain, ingest = schedules["retrain"], schedules["ingest"]
    for at in islice(fires(retrain.cron, retrain.timezone, START), 60):
        assert (at.isoweekday(), at.hour, at.minute) == (7, 2, 0)
    for at in islice(fires(ingest.cron, ingest.timezone, START), 300):
        there = at.astimezone(ZoneInfo("America/New_York"))
        assert there.isoweekday() <= 5
        assert there.hour in (19, 20)  # it closes at four, and the last prices take a while


def schedule(**changes: object) -> dict[str, object]:
    known = {"purpose": "p", "cron": "0 2 * * 0", "timezone": "Etc/UTC", "topic": "training.requested"}
    return {**known, "data": {}, **changes}


@pytest.mark.parametrize(
    "wrong",
    [
        {"cron": "0 2 * *"},
        {"timezone": "Mars/Olympus"},
        {"topic": "training.wanted"},
        {"data": []},
        {"data": None},
        {"until": "2030"},
    ],
)
def test_a_wrong_schedule_is_refused(wrong: dict[str, object]) -> None:
    Schedule.model_validate(schedule())
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        Schedule.model_validate(schedule(**wrong))


@pytest.mark.parametrize("name", ["", "Retrain", "a b", "a/b", "1st", "x" * 64])
def test_a_wrong_name_is_refused(name: str) -> None:
    Catalogue.model_validate({"functions": {}, "schedules": {"retrain-2": schedule()}})
    with pytest.raises(ValidationError):
        Catalogue.model_validate({"functions": {}, "schedules": {name: schedule()}})


# The twin's scheduler


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def schedules(tmp_path: Path, clock: Clock) -> DocumentSchedules:
    made = schedules_in(tmp_path, clock)
    made.set_up({"tick": Plan(data={"n": 1})})
    return made


@pytest.fixture
def run(clock: Clock) -> Iterator[Callable[[DocumentSchedules], Scheduler]]:
    """Starts schedulers, and stops them at the end."""
    started: list[Scheduler] = []

    def run(schedules: DocumentSchedules) -> Scheduler:
        started.append(Scheduler(schedules, clock.now))
        started[-1].start()
        return started[-1]

    yield run
    for scheduler in started:
        scheduler.stop()


def named(minute: int, name: str = "tick") -> str:
    return f"{name}-{START + minute * MINUTE:%Y%m%dT%H%M%SZ}"


def test_an_event_is_named_by_its_schedule_and_time(
    schedules: DocumentSchedules, clock: Clock, tmp_path: Path
) -> None:
    clock.time = START + MINUTE + timedelta(seconds=7)
    assert 0 <= Scheduler(schedules, clock.now).turn() <= LONGEST_WAIT_SECONDS
    (delivery,) = events_in(tmp_path).claim("counter", 10, 60.0, START)
    wanted = Event("tick-20310303T120100Z", "//mlengine/schedules", "ticks", START + MINUTE, {"n": 1})
    assert delivery.event == wanted


def test_a_turned_clock_fires_as_it_is_turned(
    schedules: DocumentSchedules,
    clock: Clock,
    run: Callable[[DocumentSchedules], Scheduler],
    tmp_path: Path,
) -> None:
    scheduler = run(schedules)
    seen: list[str] = []
    for minute in range(1, 6):
        clock.time = START + minute * MINUTE
        scheduler.wake()
        wait_for(lambda minute=minute: schedules.list()[0].last_fired_at == clock.time)  # type: ignore[misc]  # a lambda's defaults can't be annotated
        seen.append(named(minute))
    assert sorted(published(tmp_path)) == seen


def test_it_notices_by_itself_what_was_resumed(
    schedules: DocumentSchedules, run: Callable[[DocumentSchedules], Scheduler], clock: Clock, tmp_path: Path
) -> None:
    schedules.pause("tick")
    clock.time = START + MINUTE
    run(schedules)
    schedules.resume("tick")
    clock.time = START + 2 * MINUTE
    wait_for(lambda: schedules.list()[0].last_fired_at is not None)
    assert published(tmp_path) == [named(2)]


def test_stopping_ends_the_wait(schedules: DocumentSchedules, clock: Clock) -> None:
    for _ in range(50):
        scheduler = Scheduler(schedules, clock.now)
        scheduler.start()
        begun = time.monotonic()
        scheduler.stop()
        assert time.monotonic() - begun < LONGEST_WAIT_SECONDS / 2
    assert not [thread for thread in threading.enumerate() if thread.name == "scheduler"]


class Flaky:
    """Events of which some can't be published just now."""

    def __init__(self, state: Path) -> None:
        self._events = events_in(state)
        self.is_down = {"other"}

    def publish(self, topic: str, events: Sequence[Event]) -> None:
        if topic in self.is_down:
            raise PlatformUnavailable("not today")
        self._events.publish(topic, events)


def test_one_that_fails_holds_up_no_other_and_is_tried_again(clock: Clock, tmp_path: Path) -> None:
    lines = io.StringIO()
    configure_logs("INFO", lines)
    events = Flaky(tmp_path)
    schedules = schedules_in(tmp_path, clock, events)
    schedules.set_up({"a": Plan(topic="other"), "b": Plan(), "c": Plan(topic="other"), "d": Plan()})
    scheduler = Scheduler(schedules, clock.now)
    clock.time = START + MINUTE
    assert scheduler.turn() == LONGEST_WAIT_SECONDS
    assert sorted(published(tmp_path)) == [named(1, "b"), named(1, "d")]
    assert lines.getvalue().count("not today") == 2
    scheduler.turn()
    assert lines.getvalue().count("not today") == 2
    events.is_down.clear()
    clock.time += LEASE
    scheduler.turn()
    assert sorted(published(tmp_path)) == [named(1, "a"), named(1, "c")]


def test_what_failed_before_the_next_time_came_is_not_forgotten(clock: Clock, tmp_path: Path) -> None:
    events = Flaky(tmp_path)
    schedules = schedules_in(tmp_path, clock, events)
    schedules.set_up({"a": Plan(topic="other")})
    scheduler = Scheduler(schedules, clock.now)
    for minute in range(1, 31):
        clock.time = START + minute * MINUTE
        scheduler.turn()
    events.is_down.clear()
    clock.time += LEASE
    while scheduler.turn() == 0:
        pass
    assert published(tmp_path) == [named(1, "a"), named(30, "a")]


class FullDisk(SqliteDocuments):
    """Documents that can be read, and not written."""

    def commit(self, writes: Sequence[Write]) -> Sequence[str]:
        raise PlatformUnavailable("disk full")


def test_where_nothing_can_be_written_it_does_not_try_without_pause(
    schedules: DocumentSchedules, clock: Clock, tmp_path: Path
) -> None:
    clock.time = START + MINUTE
    documents = FullDisk(tmp_path / "documents.sqlite3")
    stuck = DocumentSchedules(documents, events_in(tmp_path), clock.now, lambda: "by-hand")
    assert Scheduler(stuck, clock.now).turn() == LONGEST_WAIT_SECONDS
    assert published(tmp_path) == []
    Scheduler(schedules, clock.now).turn()
    assert published(tmp_path) == [named(1)]


def test_once_woken_it_sleeps_again(
    schedules: DocumentSchedules, run: Callable[[DocumentSchedules], Scheduler]
) -> None:
    scheduler = run(schedules)
    scheduler.wake()
    wait_for(lambda: not scheduler._woken.is_set())


class Meddling:
    """While it publishes, somebody pauses the schedule, and resumes it minutes later."""

    def __init__(self, state: Path, clock: Clock) -> None:
        self._events = events_in(state)
        self._others = schedules_in(state, clock)
        self._clock = clock

    def publish(self, topic: str, events: Sequence[Event]) -> None:
        self._others.pause("tick")
        self._clock.time += 3 * MINUTE
        self._others.resume("tick")
        self._events.publish(topic, events)


def test_what_passed_while_it_was_paused_stays_so_whenever_that_was(
    schedules: DocumentSchedules, clock: Clock, tmp_path: Path
) -> None:
    clock.time = START + MINUTE
    Scheduler(schedules_in(tmp_path, clock, Meddling(tmp_path, clock)), clock.now).turn()
    Scheduler(schedules, clock.now).turn()
    assert published(tmp_path) == [named(1)]


def test_two_schedulers_at_once_fire_each_time_once(tmp_path: Path) -> None:
    """200 times of two schedules, each looked at by two schedulers at the same moment."""
    clock = Clock()
    pair = [schedules_in(tmp_path, clock) for _ in range(2)]
    pair[0].set_up({"a": Plan(), "b": Plan()})
    schedulers = [Scheduler(schedules, clock.now) for schedules in pair]
    for minute in range(1, 201):
        clock.time = START + minute * MINUTE
        race(2, lambda i: schedulers[i].turn())
        for scheduler in schedulers:
            assert scheduler.turn() > 0
    found = published(tmp_path)
    assert len(found) == len(set(found)) == 400
    assert set(found) == {named(minute, name) for minute in range(1, 201) for name in "ab"}


def test_two_running_schedulers_fire_each_time_once(
    run: Callable[[DocumentSchedules], Scheduler], tmp_path: Path, clock: Clock
) -> None:
    pair = [schedules_in(tmp_path, clock) for _ in range(2)]
    pair[0].set_up({"tick": Plan()})
    schedulers = [run(schedules) for schedules in pair]
    for minute in range(1, 41):
        clock.time = START + minute * MINUTE
        for scheduler in schedulers:
            scheduler.wake()
        wait_for(lambda: pair[0].list()[0].last_fired_at == clock.time)
    assert sorted(published(tmp_path)) == [named(minute) for minute in range(1, 41)]


@pytest.mark.parametrize("is_after", [False, True])
def test_a_time_whose_scheduler_was_killed_fires_all_the_same_as_the_same_event(
    schedules: DocumentSchedules, clock: Clock, tmp_path: Path, is_after: bool
) -> None:
    clock.time = START + MINUTE
    kill_while_busy(fire_and_die, tmp_path, clock.time, is_after, after_seconds=30)
    before = published(tmp_path)
    assert before == ([named(1)] if is_after else [])
    scheduler = Scheduler(schedules, clock.now)
    scheduler.turn()
    assert published(tmp_path) == []  # it could still be at work
    clock.time += LEASE
    scheduler.turn()
    scheduler.turn()
    assert published(tmp_path) == [named(1)]
    assert schedules.list()[0].last_fired_at == clock.time


def test_the_next_twin_fires_at_once_what_the_killed_one_had_begun(
    schedules: DocumentSchedules, clock: Clock, tmp_path: Path
) -> None:
    clock.time = START + MINUTE
    kill_while_busy(fire_and_die, tmp_path, clock.time, False, after_seconds=30)
    schedules.set_up({"tick": Plan(data={"n": 1})})
    Scheduler(schedules, clock.now).turn()
    assert published(tmp_path) == [named(1)]


def test_what_was_begun_is_dropped_when_it_is_paused_and_resumed(
    schedules: DocumentSchedules, clock: Clock, tmp_path: Path
) -> None:
    clock.time = START + MINUTE
    kill_while_busy(fire_and_die, tmp_path, clock.time, False, after_seconds=30)
    schedules.pause("tick")
    clock.time += LEASE
    Scheduler(schedules, clock.now).turn()
    schedules.resume("tick")
    Scheduler(schedules, clock.now).turn()
    assert published(tmp_path) == []


def test_a_scheduler_that_is_killed_again_and_again_misses_no_time(tmp_path: Path) -> None:
    rng = random.Random(11)
    last = 0
    for _ in range(25):
        reports = kill_while_busy(tick_on, tmp_path, last + 1, after_seconds=rng.random() / 40)
        last = reports[-1]
    assert last >= 25
    times = Counter(published(tmp_path))
    assert {named(minute) for minute in range(2, last + 1)} <= times.keys()
    assert times.keys() <= {named(minute) for minute in range(1, last + 2)}
    assert sum(times.values()) - len(times) <= 25


def test_the_twin_sets_up_the_catalogues_schedules_and_fires_them(instance: Instance, clock: Clock) -> None:
    parts = instance.platform
    schedules = DocumentSchedules(parts.documents, parts.events, clock.now, parts.new_id)
    platform = replace(parts, schedules=schedules, now=clock.now)
    catalogue = Catalogue(functions={}, schedules=read_catalogue().schedules)
    running = Running(
        Instance(instance.settings, platform), catalogue, Gateway(catalogue), asyncio.new_event_loop(), "key"
    )
    part = fired_schedules(running)
    assert [state.name for state in schedules.list()] == sorted(catalogue.schedules)
    part.start()
    clock.time = datetime(2031, 3, 9, 2, 0, tzinfo=UTC)
    wait_for(lambda: {s.name: s for s in schedules.list()}["retrain"].last_fired_at is not None)
    part.stop()
    assert isinstance(parts.events, SqliteEvents)
    (delivery,) = parts.events.claim("training", 10, 60.0, clock.time)
    assert delivery.event.id == "retrain-20310309T020000Z"
    assert parts.events.depths()["fetch"].pending == 0
