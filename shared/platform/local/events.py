"""Events in one SQLite table: a row for each subscription that has yet to handle an event."""

from __future__ import annotations

import json
import random
import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from shared.errors import NotFound
from shared.platform.encoding import to_json
from shared.platform.local.sqlite import Database
from shared.platform.messages import MAX_ATTRIBUTE_BYTES, checked_data
from shared.platform.ports import Event
from shared.platform.topics import (
    DEAD_LETTER_ATTEMPTS,
    DEAD_LETTER_REASON,
    DEAD_LETTER_SUBSCRIPTION,
    DEAD_LETTERS,
    gives_up,
)

# AUTOINCREMENT: an id is never used twice, so a late `ack` can't remove another event.
_SCHEMA = """
CREATE TABLE deliveries (
    id INTEGER PRIMARY KEY AUTOINCREMENT, subscription TEXT NOT NULL, event TEXT NOT NULL,
    due REAL NOT NULL DEFAULT 0, attempts INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX deliveries_by_due ON deliveries (subscription, due);
"""
_PUBLISH = "INSERT INTO deliveries (subscription, event) VALUES (?, ?)"
_DUE = (
    "SELECT id, event, attempts + 1 FROM deliveries "
    "WHERE subscription = ? AND due <= ? ORDER BY due, id LIMIT ?"
)
_LEASE = "UPDATE deliveries SET due = ?, attempts = ? WHERE id = ?"
_ACK = "DELETE FROM deliveries WHERE id = ?"
_FAILED = "SELECT subscription, event, attempts FROM deliveries WHERE id = ?"
_DELAY = "UPDATE deliveries SET due = ? WHERE id = ?"
_COUNT = "SELECT count(*) FROM deliveries WHERE subscription = ?"
_OLD_DEAD_LETTERS = "SELECT subscription, event, attempts, reason FROM dead_letters ORDER BY id"

_NO_ANSWER = "the handler never answered"
_MAX_DOUBLINGS = 60


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """The n-th failure waits between half and all of `first_seconds * 2 ** (n - 1)`, capped."""

    max_attempts: int = 5
    first_seconds: float = 1.0
    longest_seconds: float = 60.0

    def delay_seconds(self, attempts: int, jitter: float) -> float:
        """`jitter` is in [0, 1)."""
        full = min(self.longest_seconds, self.first_seconds * 2.0 ** min(attempts - 1, _MAX_DOUBLINGS))
        return full * (1 + jitter) / 2


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event to handle, for the `attempt`-th time; `id` is what `ack` and `fail` take."""

    id: int
    event: Event
    attempt: int


@dataclass(frozen=True, slots=True)
class Depth:
    """How many events wait, claimed ones included."""

    pending: int


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
        self._database = Database(path, schema=_SCHEMA, version=2, upgrades={1: self._deliver_dead_letters})
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
        self._wake()

    def claim(self, subscription: str, limit: int, lease_seconds: float, now: datetime) -> Sequence[Delivery]:
        """At most `limit` events that are due, oldest first; others can't have them during the lease.

        An event whose handlers never answered, as often as is allowed, becomes a dead letter here.
        """
        present = now.timestamp()
        with self._database.read() as connection:
            if not connection.execute(_DUE, (subscription, present, 1)).fetchall():
                return []
        claimed = []
        with self._database.write(durable=False) as connection:
            for row_id, text, attempt in connection.execute(_DUE, (subscription, present, limit)).fetchall():
                if self._is_last(subscription, attempt - 1):
                    self._give_up(connection, subscription, text, attempt - 1, _NO_ANSWER)
                    connection.execute(_ACK, (row_id,))
                else:
                    connection.execute(_LEASE, (present + lease_seconds, attempt, row_id))
                    claimed.append(Delivery(row_id, _decode(text), attempt))
        return claimed

    def ack(self, ids: Sequence[int]) -> None:
        """These are handled. Also counts when the lease has ended meanwhile."""
        with self._database.write(durable=False) as connection:
            connection.executemany(_ACK, [(row_id,) for row_id in ids])

    def fail(self, id: int, reason: str, now: datetime) -> None:
        """Handling failed: again later, or a dead letter after the last attempt."""
        with self._database.write(durable=False) as connection:
            row = connection.execute(_FAILED, (id,)).fetchone()
            if row is None:  # handled after all, by whoever had it next
                return
            subscription, text, attempts = row
            if self._is_last(subscription, attempts):
                self._give_up(connection, subscription, text, attempts, reason)
                connection.execute(_ACK, (id,))
            else:
                delay_seconds = self._retry.delay_seconds(attempts, self._jitter())
                connection.execute(_DELAY, (now.timestamp() + delay_seconds, id))

    def depths(self) -> Mapping[str, Depth]:
        """Of every subscription."""
        names = sorted({name for names in self._subscriptions.values() for name in names})
        with self._database.read() as connection:
            return {name: Depth(*connection.execute(_COUNT, (name,)).fetchone()) for name in names}

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

    def _wake(self) -> None:
        for watch in self._watches:
            watch.wake()

    def _is_last(self, subscription: str, attempts: int) -> bool:
        return attempts >= self._retry.max_attempts and gives_up(self._subscriptions, subscription)

    def _give_up(
        self, connection: sqlite3.Connection, subscription: str, text: str, attempts: int, reason: str
    ) -> None:
        """Deliver the event to those who take dead letters. They see it as they see another process's."""
        letter = _dead_letter(text, subscription, attempts, reason)
        connection.executemany(_PUBLISH, [(taker, letter) for taker in self._subscriptions[DEAD_LETTERS]])

    def _deliver_dead_letters(self, connection: sqlite3.Connection) -> None:
        """From version 1, which kept dead letters in a table of their own."""
        for subscription, text, attempts, reason in connection.execute(_OLD_DEAD_LETTERS).fetchall():
            if gives_up(self._subscriptions, subscription):
                self._give_up(connection, subscription, text, attempts, reason)
            else:
                connection.execute(_PUBLISH, (subscription, text))
        connection.execute("DROP TABLE dead_letters")


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


def _encode(event: Event) -> str:
    data = checked_data(event)
    fields = {
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "time": event.time.isoformat(),
        "attributes": event.attributes,
    }
    return f'{to_json(fields, what=f"The event {event.id}")[:-1]},"data":{data}}}'


def _decode(text: str) -> Event:
    fields = json.loads(text)
    return Event(**{**fields, "time": datetime.fromisoformat(fields["time"])})


def _dead_letter(text: str, subscription: str, attempts: int, reason: str) -> str:
    """The event's text, with what is known of its end."""
    fields = json.loads(text)
    fields["attributes"] |= {
        DEAD_LETTER_SUBSCRIPTION: subscription,
        DEAD_LETTER_ATTEMPTS: str(attempts),
        DEAD_LETTER_REASON: _shortened(reason),
    }
    return to_json(fields, what=f"The event {fields['id']}")


def _shortened(reason: str) -> str:
    """As much as an attribute holds."""
    return reason.encode(errors="replace")[:MAX_ATTRIBUTE_BYTES].decode(errors="ignore")
