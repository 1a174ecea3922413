"""What an event does to the alert of its cause. Times decide, not the order in which events come."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from shared.alerts.hearing import Acknowledged, Heard, Raised, Recovered, Resolved
from shared.alerts.raising import Severity
from shared.alerts.record import SEVERITIES, AlertRecord, Kind, State, record_of
from shared.alerts.routes import Routes
from shared.platform.names import key
from shared.platform.ports import Create, Data, Document, Replace, Write
from shared.platform.times import utc

COLLECTION: Final = "alerts"
CAUSES: Final = "alert-causes"


@dataclass(frozen=True, slots=True)
class Cause:
    """The last alert of a cause, and until when the cause is known to be over."""

    alert_id: str | None = None
    over_at: str | None = None
    why: str = ""

    def json(self, key: str) -> dict[str, Any]:
        return {"key": key, "alert_id": self.alert_id, "over_at": self.over_at, "why": self.why}


@dataclass(frozen=True, slots=True)
class Found:
    """What is kept of a cause: the pointer and its alert, each with the document it was read from."""

    key: str
    pointer: Document | None
    document: Document | None

    @property
    def cause(self) -> Cause:
        if self.pointer is None:
            return Cause()
        return Cause(**{name: self.pointer.data[name] for name in Cause.__slots__})

    @property
    def alert(self) -> AlertRecord | None:
        return None if self.document is None else record_of(self.document.data)

    def point(self, cause: Cause) -> Write:
        return _write(CAUSES, key(self.key), cause.json(self.key), self.pointer)

    def keep(self, alert: AlertRecord) -> Write:
        is_it = self.document is not None and self.document.id == alert.id
        return _write(COLLECTION, alert.id, alert.json(), self.document if is_it else None)


@dataclass(frozen=True, slots=True)
class Change:
    """What an event does: `told` of `alert`, on `channels`, for the reason `kind`; None: nobody is told."""

    writes: Sequence[Write] = ()
    kind: Kind | None = None
    alert: AlertRecord | None = None
    channels: tuple[str, ...] = ()

    @property
    def outgoing(self) -> dict[str, Any] | None:
        if self.kind is None or self.alert is None or not self.channels:
            return None
        return {"kind": str(self.kind), "channels": list(self.channels), "alert": self.alert.json()}


@dataclass(frozen=True, slots=True)
class Rules:
    """`acknowledging`: the channels that hear when somebody looks after an alert. `remind_after`: how long
    after it was told last an active alert that is seen again is told again; None: never.
    """

    routes: Routes
    acknowledging: Collection[str]
    remind_after: timedelta | None

    def change(self, heard: Heard, found: Found, seen_at: datetime, now: datetime, event_key: str) -> Change:
        """What follows from an event that tells of `seen_at`, in UTC. An alert that it opens has an id made
        of `event_key`: the same however often this is tried.
        """
        moment = utc(seen_at)
        match heard:
            case Raised():
                return self._raised(heard, found, moment, now, event_key)
            case Recovered():
                return self._recovered(heard, found, moment)
            case Acknowledged():
                return self._acknowledged(heard, found, now)
            case Resolved():
                return self._resolved(heard, found, moment)

    def _raised(self, heard: Raised, found: Found, moment: str, now: datetime, event_key: str) -> Change:
        alert, cause = found.alert, found.cause
        if alert is not None and alert.state.is_open:
            return self._repeated(heard, found, alert, moment, now)
        if alert is not None and alert.resolved_at is not None and moment <= alert.resolved_at:
            return Change([found.keep(_seen_again(alert, heard, moment))])  # it came late
        channels = self._channels(heard, heard.alert.severity)
        fresh = _opened(heard, moment, key(found.key, event_key), channels)
        pointing = found.point(replace(cause, alert_id=fresh.id))
        if cause.over_at is not None and moment <= cause.over_at:
            over = replace(fresh, state=State.RESOLVED, resolved_at=cause.over_at, why=cause.why)
            return Change([pointing, found.keep(over)], Kind.RESOLVED, over, channels)
        told = replace(fresh, notified_at=utc(now))
        return Change([pointing, found.keep(told)], Kind.NEW, told, channels)

    def _repeated(
        self, heard: Raised, found: Found, alert: AlertRecord, moment: str, now: datetime
    ) -> Change:
        again = _seen_again(alert, heard, moment)
        kind = self._kind_of_repeat(alert, again, now)
        if kind is None:
            return Change([found.keep(again)])
        channels = self._channels(heard, again.severity)
        told = replace(
            again,
            state=State.ACTIVE,  # who looked after it did so when it was less
            channels=_joined(alert.channels, channels),
            notified_at=utc(now),
        )
        return Change([found.keep(told)], kind, told, channels)

    def _kind_of_repeat(self, before: AlertRecord, after: AlertRecord, now: datetime) -> Kind | None:
        if after.severity != before.severity:
            return Kind.ESCALATED
        if self.remind_after is None or after.state is State.ACKNOWLEDGED or after.notified_at is None:
            return None
        told_at = datetime.fromisoformat(after.notified_at)
        return Kind.REMINDER if now - told_at >= self.remind_after else None

    def _recovered(self, heard: Recovered, found: Found, moment: str) -> Change:
        cause, alert = found.cause, found.alert
        if cause.over_at is not None and moment <= cause.over_at:
            return Change()
        writes = [found.point(replace(cause, over_at=moment, why=heard.why))]
        if alert is None or not alert.state.is_open or moment < alert.last_seen:
            return Change(writes)
        over = replace(alert, state=State.RESOLVED, resolved_at=moment, why=heard.why)
        return Change([*writes, found.keep(over)], Kind.RESOLVED, over, alert.channels)

    def _acknowledged(self, heard: Acknowledged, found: Found, now: datetime) -> Change:
        alert = found.alert
        if alert is None or alert.id != heard.alert_id or alert.state is not State.ACTIVE:
            return Change()
        seen_to = replace(
            alert,
            state=State.ACKNOWLEDGED,
            acknowledged_by=heard.by,
            acknowledged_at=utc(now),
            note=heard.note,
        )
        channels = tuple(name for name in alert.channels if name in self.acknowledging)
        return Change([found.keep(seen_to)], Kind.ACKNOWLEDGED, seen_to, channels)

    def _resolved(self, heard: Resolved, found: Found, moment: str) -> Change:
        alert = found.alert
        if alert is None or alert.id != heard.alert_id or not alert.state.is_open:
            return Change()
        at = max(moment, alert.last_seen)
        over = replace(alert, state=State.RESOLVED, resolved_by=heard.by, resolved_at=at, why=heard.why)
        cause = replace(found.cause, over_at=max(at, found.cause.over_at or at), why=heard.why)
        return Change([found.point(cause), found.keep(over)], Kind.RESOLVED, over, alert.channels)

    def _channels(self, heard: Raised, severity: Severity) -> tuple[str, ...]:
        if heard.channels is not None:
            return heard.channels
        return self.routes.channels(heard.alert.type, severity)


def _opened(heard: Raised, moment: str, id: str, channels: tuple[str, ...]) -> AlertRecord:
    alert = heard.alert
    return AlertRecord(
        id=id,
        key=alert.key,
        type=alert.type,
        cause=alert.cause,
        severity=alert.severity,
        title=alert.title,
        body=alert.body,
        facts=alert.facts,
        state=State.ACTIVE,
        first_seen=moment,
        last_seen=moment,
        count=1,
        channels=channels,
    )


def _seen_again(alert: AlertRecord, heard: Raised, moment: str) -> AlertRecord:
    """Whatever the order in which events come, it gives the same."""
    seen = heard.alert
    counted = replace(
        alert,
        count=alert.count + 1,
        severity=max(alert.severity, seen.severity, key=SEVERITIES.index),
        first_seen=min(alert.first_seen, moment),
        last_seen=max(alert.last_seen, moment),
    )
    if moment < alert.last_seen:
        return counted
    return replace(counted, title=seen.title, body=seen.body, facts=seen.facts)


def _joined(first: tuple[str, ...], second: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*first, *second)))


def _write(collection: str, id: str, data: Data, found: Document | None) -> Write:
    if found is None:
        return Create(collection, id, data)
    return Replace(collection, id, data, found.revision)
