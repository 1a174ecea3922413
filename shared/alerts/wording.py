"""An alert in words, for all channels that people read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from shared.alerts.hearing import one_line, shortened
from shared.alerts.record import Kind, Notification
from shared.alerts.types import TYPES

MAX_FACTS: Final = 12
MAX_FACT: Final = 300

_BEFORE: Final = {
    Kind.NEW: "",
    Kind.ESCALATED: "Now more severe: ",
    Kind.REMINDER: "Still there: ",
    Kind.ACKNOWLEDGED: "Looked after: ",
    Kind.RESOLVED: "Over: ",
}


def headline(notification: Notification) -> str:
    """One line: how severe, what has happened to the alert, and its title."""
    alert = notification.alert
    return f"[{str(alert.severity).upper()}] {_BEFORE[notification.kind]}{alert.title}"


def paragraphs(notification: Notification) -> Sequence[str]:
    """What was found, or why it is over; then what to do, as long as there is something to do."""
    alert = notification.alert
    match notification.kind:
        case Kind.RESOLVED:
            by = f" Resolved by {alert.resolved_by}." if alert.resolved_by else ""
            return [f"{alert.why or 'It recovered.'}{by}"]
        case Kind.ACKNOWLEDGED:
            return [f"{alert.acknowledged_by} looks after it. {alert.note or ''}".strip()]
    known = TYPES.get(alert.type)
    return [alert.body] if known is None else [alert.body, f"What to do: {known.to_do}"]


def facts(notification: Notification) -> Mapping[str, str]:
    """The times, how often it was seen, and the alert's own facts, each as short text."""
    alert = notification.alert
    times = {"first seen": alert.first_seen}
    if alert.count > 1:
        times |= {"last seen": alert.last_seen, "times seen": str(alert.count)}
    if alert.resolved_at is not None:
        times["over at"] = alert.resolved_at
    own = list(alert.facts.items())[:MAX_FACTS]
    return times | {one_line(name, MAX_FACT): shortened(_text(value), MAX_FACT) for name, value in own}


def closing(notification: Notification) -> str:
    """Where to see more of it, and the key to know it again by."""
    alert = notification.alert
    return f"mlengine alerts show {alert.id} - {alert.key} - notification {notification.id}"


def _text(value: Any) -> str:
    return one_line(value, MAX_FACT) if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
