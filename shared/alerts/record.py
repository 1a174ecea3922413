"""An alert as it is kept, and what goes out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from shared.alerts.raising import Severity
from shared.platform.ports import Data, Document

NOTIFY_TOPIC: Final = "notifications.requested"

SEVERITIES: Final = tuple(Severity)
"""From the least to the most severe."""


class State(StrEnum):
    ACTIVE = "active"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"

    @property
    def is_open(self) -> bool:
        return self is not State.RESOLVED


class Kind(StrEnum):
    """Why something goes out: it is new, got more severe, is still there, is looked after, is over."""

    NEW = "new"
    ESCALATED = "escalated"
    REMINDER = "reminder"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRecord:
    """An alert: one cause, from when it was first seen until it is resolved.

    `severity` is the highest that was seen; title, body and facts are those seen last, by the times of the
    events. `channels` were told of it and are told when it is over; `notified_at` is when they were told
    last. Times are RFC 3339 text in UTC.
    """

    id: str
    key: str
    type: str
    cause: str
    severity: Severity
    title: str
    body: str
    facts: Mapping[str, Any]
    state: State
    first_seen: str
    last_seen: str
    count: int
    channels: tuple[str, ...]
    notified_at: str | None = None
    acknowledged_by: str | None = None
    acknowledged_at: str | None = None
    note: str | None = None
    resolved_by: str | None = None
    resolved_at: str | None = None
    why: str | None = None

    def json(self) -> dict[str, Any]:
        """Ready for JSON, with all fields."""
        fields = {name: getattr(self, name) for name in self.__slots__}
        told = {"severity": str(self.severity), "state": str(self.state)}
        return {**fields, **told, "facts": dict(self.facts), "channels": list(self.channels)}


def record_of(data: Data) -> AlertRecord:
    """What `AlertRecord.json` gave."""
    fields = {name: data[name] for name in AlertRecord.__slots__}
    fields |= {"severity": Severity(data["severity"]), "state": State(data["state"])}
    return AlertRecord(**{**fields, "channels": tuple(data["channels"])})


@dataclass(frozen=True, slots=True)
class Notification:
    """One thing to tell on one channel. Its id is the same however often it is delivered.

    `alert` is the alert as it was when this was decided; `wanted_at` is when.
    """

    id: str
    channel: str
    kind: Kind
    wanted_at: str
    alert: AlertRecord

    def json(self) -> dict[str, Any]:
        return {
            "channel": self.channel,
            "kind": str(self.kind),
            "wanted_at": self.wanted_at,
            "alert": self.alert.json(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What became of a notification: `sent`, `failing` with the reason, or `skipped` as no longer true."""

    channel: str
    kind: str
    state: str
    at: str
    attempts: int
    error: str | None


def told_of(document: Document) -> Told:
    return Told(**{name: document.data[name] for name in Told.__slots__})
