"""Raising alerts: whoever sees something says so on the topic `alerts.raised`, and goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from shared.platform.ports import Event, Events, NewId, Now

TOPIC: Final = "alerts.raised"


class Severity(StrEnum):
    """How much it matters: `info` can wait, `warning` is looked at today, `error` now, `critical` wakes."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """What was seen. `type` is a word of the catalogue of alerts, `cause` what it was seen at ("AAPL",
    "market-signal"): together they are the cause that is told once, however often it is seen.

    `body` says what was found, what was expected and what to do; `facts` are JSON values.
    """

    type: str
    severity: Severity
    cause: str
    title: str
    body: str
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """What repeats and recovery find it by."""
        return alert_key(self.type, self.cause)


def alert_key(type: str, cause: str) -> str:
    return f"{type}:{cause}"


class AlertBell:
    """Publishes alerts; durable on return. Nothing here knows who hears them."""

    def __init__(self, events: Events, now: Now, new_id: NewId, source: str) -> None:
        """`source` says who rings, as a URI reference: "//mlengine/watch"."""
        self._events = events
        self._now = now
        self._new_id = new_id
        self._source = source

    def ring(self, alert: Alert, *, id: str | None = None) -> None:
        """Tell of `alert`. With the same `id` it is the same event, however often it is published."""
        self._publish([self.raised(alert, id=id)])

    def resolve(self, type: str, cause: str, why: str) -> None:
        """Say that what was seen is over. Where nothing was active, that is nothing."""
        data = {"state": "resolved", "type": type, "cause": cause, "key": alert_key(type, cause), "body": why}
        self._publish([Event(self._new_id(), self._source, TOPIC, self._now(), data)])

    def raised(self, alert: Alert, *, id: str | None = None) -> Event:
        """The event that tells of `alert`, for those who publish several at once."""
        data = {
            "state": "active",
            "type": alert.type,
            "severity": str(alert.severity),
            "cause": alert.cause,
            "key": alert.key,
            "title": alert.title,
            "body": alert.body,
            "facts": dict(alert.facts),
        }
        return Event(id or self._new_id(), self._source, TOPIC, self._now(), data)

    def _publish(self, events: Sequence[Event]) -> None:
        self._events.publish(TOPIC, events)
