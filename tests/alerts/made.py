"""Alerts made for tests, and a place where they are kept."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from shared.alerts.changes import COLLECTION, Rules
from shared.alerts.ledger import AlertLedger
from shared.alerts.raising import TOPIC, Alert, AlertBell, Severity
from shared.alerts.record import NOTIFY_TOPIC, AlertRecord, Kind, Notification, State, record_of
from shared.alerts.routes import parse_routes
from shared.alerts.types import TYPES
from shared.platform.local.documents import SqliteDocuments
from shared.platform.local.events import SqliteEvents
from shared.platform.ports import Documents, Event, Events

START = datetime(2024, 1, 1, tzinfo=UTC)
CHANNELS = ("log", "slack", "email", "pagerduty", "webhook")
SOURCE = "//test"


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def an_alert(severity: Severity = Severity.ERROR, cause: str = "ABC", **given: Any) -> Alert:
    fields: dict[str, Any] = {"type": "drift", "title": "It moved", "body": "By 3 sigma.", "facts": {"n": 1}}
    return Alert(severity=severity, cause=cause, **{**fields, **given})


def a_bell(events: Events, time: datetime = START) -> AlertBell:
    return AlertBell(events, lambda: time, lambda: "unused", SOURCE)


def raised(id: str, time: datetime = START, alert: Alert | None = None) -> Event:
    """The event of an alert that is seen at `time`."""
    return AlertBell(_Nowhere(), lambda: time, lambda: "unused", SOURCE).raised(alert or an_alert(), id=id)


def recovered(id: str, time: datetime, cause: str = "ABC") -> Event:
    kept = _Nowhere()
    AlertBell(kept, lambda: time, lambda: id, SOURCE).resolve("drift", cause, "It is back.")
    return kept.events[0]


class _Nowhere:
    def __init__(self) -> None:
        self.events: list[Event] = []

    def publish(self, topic: str, events: Sequence[Event]) -> None:
        assert topic == TOPIC
        self.events += events


class Ledger:
    """A ledger on a state folder. The clock stands still until it is moved."""

    def __init__(
        self,
        home: Path,
        routes: str = "*=log",
        remind_hours: float | None = 24,
        holding: tuple[str, ...] = (),
    ) -> None:
        self.time = at(1_000)
        self.documents = SqliteDocuments(home / "documents.sqlite3")
        self.events = SqliteEvents(home / "events.sqlite3", {TOPIC: (), NOTIFY_TOPIC: ("notify",)})
        remind_after = None if remind_hours is None else timedelta(hours=remind_hours)
        self.rules = Rules(parse_routes(routes, types=TYPES, channels=CHANNELS), holding, remind_after)
        self.ledger = self.opened(self.documents, self.events)

    def opened(self, documents: Documents, events: Events) -> AlertLedger:
        return AlertLedger(documents, events, self.rules, lambda: self.time)

    def hear(self, *events: Event) -> None:
        for event in events:
            self.ledger.hear(event)

    @property
    def alerts(self) -> list[AlertRecord]:
        """All alerts, those that were first seen first, first."""
        page = self.documents.query(COLLECTION, limit=10_000)
        return sorted((record_of(d.data) for d in page.documents), key=lambda a: (a.first_seen, a.id))

    def outgoing(self) -> list[Notification]:
        """What was published for notify since it was asked last, twice where it was published twice."""
        claimed = self.events.claim("notify", 10_000, 600, self.time)
        self.events.ack([delivery.id for delivery in claimed])
        return [notification_of(delivery.event) for delivery in claimed]


def notification_of(event: Event) -> Notification:
    data = event.data
    alert = record_of(data["alert"])
    return Notification(event.id, data["channel"], Kind(data["kind"]), data["wanted_at"], alert)


def a_record(**given: Any) -> AlertRecord:
    fields: dict[str, Any] = {
        "id": "a" * 20,
        "key": "drift:ABC",
        "type": "drift",
        "cause": "ABC",
        "severity": Severity.ERROR,
        "title": "It moved",
        "body": "By 3 sigma.",
        "facts": {"n": 1},
        "state": State.ACTIVE,
        "first_seen": "2024-01-01T00:00:00.000000Z",
        "last_seen": "2024-01-01T00:00:00.000000Z",
        "count": 1,
        "channels": ("slack",),
    }
    return AlertRecord(**{**fields, **given})


def a_notification(
    kind: Kind = Kind.NEW, channel: str = "slack", id: str = "b" * 20, **given: Any
) -> Notification:
    if kind is Kind.RESOLVED:
        over = {"state": State.RESOLVED, "resolved_at": "2024-01-01T01:00:00.000000Z", "why": "It is back."}
        given = {**over, **given}
    return Notification(id, channel, kind, "2024-01-01T00:00:01.000000Z", a_record(**given))


def an_event(notification: Notification) -> Event:
    return Event(notification.id, "//mlengine/alerts", NOTIFY_TOPIC, START, notification.json())


def run(coroutine: Any) -> Any:
    return asyncio.run(coroutine)


def only(items: Sequence[Any]) -> Any:
    (item,) = items
    return item


def secrets_of(values: Mapping[str, str]) -> Any:
    from shared.errors import NotFound

    class Secrets:
        def get(self, name: str) -> str:
            if name not in values:
                raise NotFound(f"There is no secret {name!r}.")
            return values[name]

    return Secrets()
