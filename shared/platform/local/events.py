"""Events in one SQLite table: a row for each subscription that has yet to handle an event."""

from __future__ import annotations

import json
import random
import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from shared.errors import NotFound
from shared.platform.local.encoding import to_json
from shared.platform.local.sqlite import Database
from shared.platform.ports import Event

# AUTOINCREMENT: an id is never used twice, so a late `ack` can't remove another event.
_SCHEMA = """
CREATE TABLE deliveries (
    id INTEGER PRIMARY KEY AUTOINCREMENT, subscription TEXT NOT NULL, event TEXT NOT NULL,
    due REAL NOT NULL DEFAULT 0, attempts INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX deliveries_by_due ON deliveries (subscription, due);
CREATE TABLE dead_letters (
    id INTEGER PRIMARY KEY, subscription TEXT NOT NULL, event TEXT NOT NULL,
    attempts INTEGER NOT NULL, reason TEXT NOT NULL, died_at REAL NOT NULL
);
CREATE INDEX dead_letters_by_subscription ON dead_letters (subscription);
"""
_PUBLISH = "INSERT INTO deliveries (subscription, event) VALUES (?, ?)"
_DUE = (
    "SELECT id, event, attempts + 1 FROM deliveries "
    "WHERE subscription = ? AND due <= ? ORDER BY due, id LIMIT ?"
)
_LEASE = "UPDATE deliveries SET due = ?, attempts = ? WHERE id = ?"
_ACK = "DELETE FROM deliveries WHERE id = ?"
_ATTEMPTS = "SELECT attempts FROM deliveries WHERE id = ?"
_DELAY = "UPDATE deliveries SET due = ? WHERE id = ?"
_BURY = "INSERT INTO dead_letters SELECT id, subscription, event, attempts, ?, ? FROM deliveries WHERE id = ?"
_DEAD = (
    "SELECT id, subscription, event, attempts, reason, died_at FROM dead_letters "
    "WHERE subscription = ? ORDER BY id LIMIT ?"
)
_REVIVE = (
    "INSERT INTO deliveries (subscription, event) SELECT subscription, event FROM dead_letters WHERE id = ?"
)
_FORGET = "DELETE FROM dead_letters WHERE id = ?"
_COUNT = (
    "SELECT (SELECT count(*) FROM deliveries WHERE subscription = ?), "
    "(SELECT count(*) FROM dead_letters WHERE subscription = ?)"
)

_NO_ANSWER = "the handler never answered"


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """The n-th failure waits between half and all of `first_seconds * 2 ** (n - 1)`, capped."""

    max_attempts: int = 5
    first_seconds: float = 1.0
    longest_seconds: float = 60.0

    def delay_seconds(self, attempts: int, jitter: float) -> float:
        """`jitter` is in [0, 1)."""
        full = min(self.longest_seconds, self.first_seconds * 2.0 ** (attempts - 1))
        return full * (1 + jitter) / 2


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event to handle, for the `attempt`-th time; `id` is what `ack` and `fail` take."""

    id: int
    event: Event
    attempt: int


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that was given up; `reason` is the last failure's."""

    id: int
    subscription: str
    event: Event
    attempts: int
    reason: str
    died_at: datetime


@dataclass(frozen=True, slots=True)
class Depth:
    """How many events wait (claimed ones included), and how many were given up."""

    pending: int
    dead: int


class SqliteEvents:
    """The Events port on one file, and the side of it that hands events to their handlers.

    A claimed event comes again when its lease ends without `ack`. Only `publish` waits for the disk:
    what a power cut undoes of the rest is delivered once more.
    """

    def __init__(
        self,
        path: Path,
        subscriptions: Mapping[str, Sequence[str]],
        *,
        retry: RetryPolicy = RetryPolicy(),
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """`subscriptions` are by topic; a topic without any drops its events."""
        self._database = Database(path, schema=_SCHEMA, version=1)
        self._subscriptions = subscriptions
        self._retry = retry
        self._jitter = jitter
        self._watches: list[Watch] = []

    def publish(self, topic: str, events: Sequence[Event]) -> None:
        subscriptions = self._subscriptions.get(topic)
        if subscriptions is None:
            raise NotFound(
                f"There is no topic {topic!r}; there are {', '.join(sorted(self._subscriptions))}."
            )
        rows = [(subscription, text) for text in map(_encode, events) for subscription in subscriptions]
        if not rows:
            return
        with self._database.write() as connection:
            connection.executemany(_PUBLISH, rows)
        for watch in self._watches:
            watch.wake()

    def claim(self, subscription: str, limit: int, lease_seconds: float, now: datetime) -> Sequence[Delivery]:
        """At most `limit` events that are due, oldest first; others can't have them during the lease.

        An event whose handlers never answered, as often as is allowed, becomes a dead letter here.
        """
        present = now.timestamp()
        with self._database.read() as connection:
            if not connection.execute(_DUE, (subscription, present, 1)).fetchall():
                return []
        with self._database.write(durable=False) as connection:
            rows = connection.execute(_DUE, (subscription, present, limit)).fetchall()
            for row_id, _event, attempt in rows:
                if attempt > self._retry.max_attempts:
                    _bury(connection, row_id, _NO_ANSWER, present)
                else:
                    connection.execute(_LEASE, (present + lease_seconds, attempt, row_id))
        return [
            Delivery(row_id, _decode(event), attempt)
            for row_id, event, attempt in rows
            if attempt <= self._retry.max_attempts
        ]

    def ack(self, ids: Sequence[int]) -> None:
        """These are handled. Also counts when the lease has ended meanwhile."""
        with self._database.write(durable=False) as connection:
            connection.executemany(_ACK, [(row_id,) for row_id in ids])

    def fail(self, id: int, reason: str, now: datetime) -> None:
        """Handling failed: again later, or a dead letter after the last attempt."""
        present = now.timestamp()
        with self._database.write(durable=False) as connection:
            row = connection.execute(_ATTEMPTS, (id,)).fetchone()
            if row is None:  # handled after all, by whoever had it next
                return
            if row[0] >= self._retry.max_attempts:
                _bury(connection, id, reason, present)
            else:
                delay_seconds = self._retry.delay_seconds(row[0], self._jitter())
                connection.execute(_DELAY, (present + delay_seconds, id))

    def dead_letters(self, subscription: str, limit: int = 100) -> Sequence[DeadLetter]:
        """The events that were given up, oldest first."""
        with self._database.read() as connection:
            rows = connection.execute(_DEAD, (subscription, limit)).fetchall()
        return [
            DeadLetter(row_id, name, _decode(event), attempts, reason, datetime.fromtimestamp(died_at, UTC))
            for row_id, name, event, attempts, reason, died_at in rows
        ]

    def replay(self, ids: Sequence[int]) -> None:
        """Deliver dead letters again, as if they were new."""
        with self._database.write() as connection:
            connection.executemany(_REVIVE, [(row_id,) for row_id in ids])
            connection.executemany(_FORGET, [(row_id,) for row_id in ids])

    def depths(self) -> Mapping[str, Depth]:
        """Of every subscription."""
        names = sorted({name for names in self._subscriptions.values() for name in names})
        with self._database.read() as connection:
            return {name: Depth(*connection.execute(_COUNT, (name, name)).fetchone()) for name in names}

    def watch(self, *, poll_seconds: float = 0.05) -> Watch:
        """Something to wait on between claims; `poll_seconds` is how soon it sees other processes.

        Close it, or use it as a context manager.
        """
        watch = Watch(self._database.connection(), self._watches.remove, poll_seconds)
        self._watches.append(watch)
        return watch

    def close(self) -> None:
        """Close the idle connections. The next call opens again."""
        self._database.close()


class Watch:
    """Sees that events were published: at once from this process, a little later from others.

    For one thread. Nothing is missed between two waits::

        with events.watch() as watch:
            while not stopping:
                watch.wait(1.0)
                handle(events.claim(...))
    """

    def __init__(
        self, connection: sqlite3.Connection, forget: Callable[[Watch], None], poll_seconds: float
    ) -> None:
        self._connection = connection
        self._forget = forget
        self._poll_seconds = poll_seconds
        self._woken = threading.Event()
        self._seen = -1

    def wait(self, timeout_seconds: float) -> bool:
        """Whether anything was published, or `wake` was called, since the last wait ended."""
        polls = max(1, round(timeout_seconds / self._poll_seconds))
        for _ in range(polls):
            if self._changed() or self._woken.wait(timeout_seconds / polls):
                self._woken.clear()
                return True
        return self._changed()

    def wake(self) -> None:
        """End the wait, from any thread."""
        self._woken.set()

    def close(self) -> None:
        self._forget(self)
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _changed(self) -> bool:
        before, self._seen = self._seen, self._connection.execute("PRAGMA data_version").fetchone()[0]
        return self._seen != before


def _bury(connection: sqlite3.Connection, id: int, reason: str, now: float) -> None:
    connection.execute(_BURY, (reason, now, id))
    connection.execute(_ACK, (id,))


def _encode(event: Event) -> str:
    fields = {
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "time": event.time.isoformat(),
        "data": event.data,
        "attributes": event.attributes,
    }
    return to_json(fields, what=f"The event {event.id}")


def _decode(text: str) -> Event:
    fields = json.loads(text)
    return Event(**{**fields, "time": datetime.fromisoformat(fields["time"])})
