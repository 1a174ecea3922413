"""Schedules that fire on one state folder, in any process that need not know pytest."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from infra.local.scheduler import Scheduler
from shared.platform.local.documents import SqliteDocuments
from shared.platform.local.events import SqliteEvents
from shared.platform.local.schedules import DocumentSchedules
from shared.platform.ports import Event, Events

START = datetime(2031, 3, 3, 12, 0, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Plan:
    """A schedule as the catalogue has it."""

    purpose: str = "Ticks."
    cron: str = "* * * * *"
    timezone: str = "Etc/UTC"
    topic: str = "ticks"
    data: Mapping[str, Any] = field(default_factory=dict)


class Clock:
    """Stands until it is turned."""

    def __init__(self, now: datetime = START) -> None:
        self.time = now

    def now(self) -> datetime:
        return self.time


def events_in(state: Path) -> SqliteEvents:
    return SqliteEvents(state / "events.sqlite3", {"ticks": ("counter",), "other": ("counter",)})


def schedules_in(state: Path, clock: Clock, events: Events | None = None) -> DocumentSchedules:
    documents = SqliteDocuments(state / "documents.sqlite3")
    return DocumentSchedules(documents, events or events_in(state), clock.now, lambda: "by-hand")


def published(state: Path) -> list[str]:
    """The ids of all events, once for each time they were published."""
    claimed = events_in(state).claim("counter", 1_000_000, 3600.0, START + timedelta(days=10_000))
    return [delivery.event.id for delivery in claimed]


class LastWords:
    """Publishes, and has its process killed just before or just after."""

    def __init__(self, events: Events, is_after: bool) -> None:
        self._events = events
        self._is_after = is_after

    def publish(self, topic: str, events: Sequence[Event]) -> None:
        if self._is_after:
            self._events.publish(topic, events)
        os.kill(os.getpid(), signal.SIGKILL)


def fire_and_die(_report: Connection, state: Path, now: datetime, is_after: bool) -> None:
    """Fires what is due, as far as it gets."""
    clock = Clock(now)
    _report.send("about to")
    Scheduler(schedules_in(state, clock, LastWords(events_in(state), is_after)), clock.now).turn()


def tick_on(report: Connection, state: Path, first: int) -> None:
    """A twin that starts at minute `first`, for which minutes pass quickly; reports those that are over."""
    clock = Clock(START + first * MINUTE)
    schedules = schedules_in(state, clock)
    scheduler = Scheduler(schedules, clock.now)
    schedules.set_up({"tick": Plan()})
    for minute in range(first, first + 100_000):
        clock.time = START + minute * MINUTE
        while scheduler.turn() == 0:
            pass
        report.send(minute)
