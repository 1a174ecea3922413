"""Schedules as documents. The twin sets them up and fires them; see `infra.local.scheduler`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, Self

from shared.errors import NotFound, RevisionConflict
from shared.platform.cas import update
from shared.platform.ports import (
    Data,
    Delete,
    Documents,
    Event,
    Events,
    NewId,
    Now,
    Replace,
    Schedule,
    ScheduleState,
)
from shared.platform.scheduling import MADE, MAKE_UP, Planned, check_made, check_schedule, due_fire, next_fire

COLLECTION: Final = "schedules"
SOURCE: Final = "//mlengine/schedules"
LEASE: Final = timedelta(seconds=10)
"""A scheduler that took a time and hasn't settled it by then is taken for gone: another takes over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """A schedule as its document has it.

    Times up to `settled_at` are done with: fired, missed or passed while it was paused. `claimed_at` is
    the time that a scheduler began to fire, which is its own until `claimed_until` on the machine's clock.
    """

    purpose: str
    cron: str
    timezone: str
    topic: str
    data: Data
    paused: bool
    settled_at: datetime
    last_fired_at: datetime | None
    claimed_at: datetime | None
    claimed_until: datetime | None

    @classmethod
    def from_data(cls, data: Data) -> Self:
        times = ("settled_at", "last_fired_at", "claimed_at", "claimed_until")
        read: dict[str, Any] = {name: data[name] for name in cls.__slots__}
        return cls(**read | {name: read[name] and datetime.fromisoformat(read[name]) for name in times})

    def json(self) -> dict[str, Any]:
        values = {name: getattr(self, name) for name in self.__slots__}
        return {k: v.isoformat() if isinstance(v, datetime) else v for k, v in values.items()}

    def due(self, now: datetime) -> datetime | None:
        """The time to fire for now: first of all the one that somebody began with, and didn't end."""
        if self.paused:
            return None
        begun = self.claimed_at
        if begun is not None and max(self.settled_at, now - MAKE_UP) < begun <= now:
            return begun
        return due_fire(self.cron, self.timezone, self.settled_at, now)

    def is_claimed(self, wall: datetime) -> bool:
        """Whether a scheduler that may still live is firing what is due."""
        return self.claimed_until is not None and self.claimed_until > wall

    def next_at(self, now: datetime) -> datetime | None:
        return None if self.paused else next_fire(self.cron, self.timezone, now)

    def state(self, name: str, now: datetime) -> ScheduleState:
        return ScheduleState(
            name=name,
            purpose=self.purpose,
            cron=self.cron,
            timezone=self.timezone,
            topic=self.topic,
            data=self.data,
            paused=self.paused,
            last_fired_at=self.last_fired_at,
            next_fire_at=self.next_at(now),
        )


class DocumentSchedules:
    """The Schedules port on a collection, one document per schedule, and the side of it that fires them.

    A time is claimed by compare-and-swap, published, and then settled. So two schedulers publish it once;
    and when one is killed in between, the next publishes again, as the same event: at least once, never not.
    """

    def __init__(
        self, documents: Documents, events: Events, now: Now, new_id: NewId, *, wall: Now | None = None
    ) -> None:
        """Times are on the clock `now`, what is claimed on `wall`, which is the same one unless given."""
        self._documents = documents
        self._events = events
        self._now = now
        self._wall = wall or now
        self._new_id = new_id

    def set_up(self, schedules: Mapping[str, Planned]) -> None:
        """Have these schedules, and of others only those that were made while the engine ran. What is paused
        stays so; a new cron counts from now.

        What another scheduler had begun when it was killed is due at once.
        """
        now = self._now()
        for name, planned in schedules.items():
            update(self._documents, COLLECTION, name, partial(_planned, planned, now))
        others = [name for name, _, _ in self._entries() if name not in schedules]
        self._documents.commit([Delete(COLLECTION, name) for name in others if not name.startswith(MADE)])

    def list(self) -> Sequence[ScheduleState]:
        now = self._now()
        return sorted((e.state(name, now) for name, e, _ in self._entries()), key=lambda state: state.name)

    def pause(self, name: str) -> None:
        self._change(name, lambda entry: replace(entry, paused=True))

    def resume(self, name: str) -> None:
        def resumed(entry: _Entry) -> _Entry:
            return replace(entry, paused=False, settled_at=self._now()) if entry.paused else entry

        self._change(name, resumed)

    def fire(self, name: str) -> None:
        entry, _ = self._get(name)
        now = self._now()
        self._publish(entry, f"{name}-{self._new_id()}", now)
        self._change(name, lambda entry: replace(entry, last_fired_at=now))

    def put(self, name: str, schedule: Schedule) -> None:
        check_made(name)
        check_schedule(schedule)
        update(self._documents, COLLECTION, name, partial(_planned, schedule, self._now()))

    def delete(self, name: str) -> None:
        check_made(name)
        self._documents.commit([Delete(COLLECTION, name)])

    def due(self) -> Sequence[tuple[str, datetime]]:
        """The names and times that are to be fired now, the earliest first, and that no other scheduler is
        about to.
        """
        now, wall = self._now(), self._wall()
        found = ((name, entry, entry.due(now)) for name, entry, _ in self._entries())
        due = [(name, at) for name, entry, at in found if at is not None and not entry.is_claimed(wall)]
        return sorted(due, key=lambda pair: (pair[1], pair[0]))

    def fire_due(self, name: str, at: datetime) -> None:
        """Publish what `due` gave, unless another scheduler did meanwhile, or somebody paused it."""
        try:
            entry, revision = self._get(name)
            wall = self._wall()
            if entry.due(self._now()) != at or entry.is_claimed(wall):
                return
            claimed = replace(entry, claimed_at=at, claimed_until=wall + LEASE)
            self._documents.commit([Replace(COLLECTION, name, claimed.json(), revision)])
        except (RevisionConflict, NotFound):
            return
        self._publish(entry, f"{name}-{at:%Y%m%dT%H%M%SZ}", at)
        self._settle(name, at)

    def pass_over(self, name: str, at: datetime) -> None:
        """Be done with a time that was due without firing it.

        Raises:
            NotFound: no such schedule.
        """
        self._change(name, lambda entry: _done_with(entry, at))

    def next_at(self) -> datetime | None:
        """When there is something to fire again; None: never, as things are."""
        now, wall = self._now(), self._wall()
        return min((at for _, entry, _ in self._entries() for at in _looks(entry, now, wall)), default=None)

    def _settle(self, name: str, at: datetime) -> None:
        self._change(name, lambda entry: replace(_done_with(entry, at), last_fired_at=self._now()))

    def _publish(self, entry: _Entry, id: str, at: datetime) -> None:
        self._events.publish(entry.topic, [Event(id, SOURCE, entry.topic, at, entry.data)])

    def _change(self, name: str, change: Callable[[_Entry], _Entry]) -> None:
        def changed(data: Data | None) -> Data | None:
            if data is None:
                raise self._unknown(name)
            entry = _Entry.from_data(data)
            after = change(entry)
            return None if after == entry else after.json()

        update(self._documents, COLLECTION, name, changed)

    def _get(self, name: str) -> tuple[_Entry, str]:
        document = self._documents.get(COLLECTION, name)
        if document is None:
            raise self._unknown(name)
        return _Entry.from_data(document.data), document.revision

    def _entries(self) -> Iterator[tuple[str, _Entry, str]]:
        cursor: str | None = None
        while True:
            page = self._documents.query(COLLECTION, cursor=cursor)
            for document in page.documents:
                yield document.id, _Entry.from_data(document.data), document.revision
            if (cursor := page.cursor) is None:
                return

    def _unknown(self, name: str) -> NotFound:
        known = ", ".join(sorted(name for name, _, _ in self._entries()))
        return NotFound(f"There is no schedule {name!r}; there are: {known or 'none'}.")


def _planned(planned: Planned, now: datetime, data: Data | None) -> Data | None:
    """The document of `planned` in place of `data`; None where that says the same."""
    said = {name: getattr(planned, name) for name in ("purpose", "cron", "timezone", "topic", "data")}
    if data is None:
        never: dict[str, Any] = {"last_fired_at": None, "claimed_at": None, "claimed_until": None}
        return _Entry(**said, **never, paused=False, settled_at=now).json()
    before = _Entry.from_data(data)
    after = replace(before, **said, claimed_until=None)
    if (before.cron, before.timezone) != (after.cron, after.timezone):
        after = replace(after, settled_at=now)
    return None if after == before else after.json()


def _done_with(entry: _Entry, at: datetime) -> _Entry:
    return replace(entry, settled_at=max(entry.settled_at, at), claimed_at=None, claimed_until=None)


def _looks(entry: _Entry, now: datetime, wall: datetime) -> Iterator[datetime]:
    """When to look at a schedule again."""
    if (following := entry.next_at(now)) is not None:
        yield following
    if entry.due(now) is not None:
        yield now if entry.claimed_until is None else now + max(entry.claimed_until - wall, timedelta(0))
