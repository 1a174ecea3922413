"""What events of topic `alerts.raised` say: ours, those of releases before, and Cloud Monitoring's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from shared.alerts.raising import Alert, Severity, alert_key
from shared.alerts.record import SEVERITIES
from shared.errors import FieldError, InvalidInput
from shared.platform.ports import Data, Event

MAX_TITLE: Final = 200
MAX_BODY: Final = 4_000
MAX_FACTS: Final = 16_000
MAX_NAME: Final = 200
"""Longer texts are cut, in characters: what goes out has to fit every channel."""

_LEGACY: Final = {"dead_letter": ("function", "reason"), "package_refused": ("model_id", "detail")}
"""Events of release 0.1 named no cause: type -> (which field the cause is, which the body)."""

_INCIDENT_SEVERITIES: Final = {"critical": Severity.CRITICAL, "error": Severity.ERROR}
"""Those of Cloud Monitoring's policies; all others are warnings."""


@dataclass(frozen=True, slots=True)
class Raised:
    """It was seen. `channels`: where it is told, whatever the routes say; None: where they say."""

    alert: Alert
    channels: tuple[str, ...] | None = None

    @property
    def key(self) -> str:
        return self.alert.key


@dataclass(frozen=True, slots=True)
class Recovered:
    """It is over, says who raised it."""

    key: str
    why: str


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """`by` looks after the alert `alert_id`."""

    key: str
    alert_id: str
    by: str
    note: str | None


@dataclass(frozen=True, slots=True)
class Resolved:
    """The alert `alert_id` is over, says a person."""

    key: str
    alert_id: str
    by: str
    why: str


Heard = Raised | Recovered | Acknowledged | Resolved


def heard_of(event: Event) -> Heard:
    """
    Raises:
        InvalidInput: names the field.
    """
    data = event.data
    if isinstance(data.get("incident"), Mapping):
        return _incident(data["incident"])
    if "cause" not in data and data.get("type") in _LEGACY:
        return Raised(_legacy(data))
    key = alert_key(*(one_line(_text(data, field), MAX_NAME) for field in ("type", "cause")))
    match data.get("state"):
        case "active":
            return Raised(_alert(data), _channels(data))
        case "resolved" if "alert_id" in data:
            by, why = one_line(_text(data, "by"), MAX_NAME), shortened(_text(data, "body"), MAX_BODY)
            return Resolved(key, _text(data, "alert_id"), by, why)
        case "resolved":
            return Recovered(key, shortened(_text(data, "body"), MAX_BODY))
        case "acknowledged":
            note = data.get("note")
            kept = None if note is None else shortened(_text(data, "note"), MAX_BODY)
            return Acknowledged(key, _text(data, "alert_id"), one_line(_text(data, "by"), MAX_NAME), kept)
        case other:
            raise _wrong("state", f"active, acknowledged or resolved, found {str(other)[:80]!r}")


def one_line(text: str, limit: int) -> str:
    """`text` on one line, without control characters, cut to `limit` characters."""
    return shortened(" ".join("".join(c if c.isprintable() else " " for c in text).split()), limit)


def shortened(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "\N{HORIZONTAL ELLIPSIS}"


def _alert(data: Data) -> Alert:
    severity = _text(data, "severity")
    if severity not in SEVERITIES:
        raise _wrong("severity", f"one of {', '.join(SEVERITIES)}, found {severity[:80]!r}")
    return Alert(
        type=one_line(_text(data, "type"), MAX_NAME),
        severity=Severity(severity),
        cause=one_line(_text(data, "cause"), MAX_NAME),
        title=one_line(_text(data, "title"), MAX_TITLE),
        body=shortened(_text(data, "body"), MAX_BODY),
        facts=_facts(data.get("facts", {})),
    )


def _channels(data: Data) -> tuple[str, ...] | None:
    """Only tests say where they go."""
    channels = data.get("channels") if data["type"] == "test" else None
    return tuple(map(str, channels)) if isinstance(channels, list) else None


def _legacy(data: Data) -> Alert:
    alert_type = data["type"]
    cause_field, body_field = _LEGACY[alert_type]
    cause = str(data.get(cause_field) or "unknown")
    severity = data.get("severity")
    return Alert(
        type=alert_type,
        severity=Severity(severity) if severity in SEVERITIES else Severity.ERROR,
        cause=one_line(cause, MAX_NAME),
        title=one_line(f"{alert_type.replace('_', ' ').capitalize()}: {cause}", MAX_TITLE),
        body=shortened(str(data.get(body_field) or "No reason was given."), MAX_BODY),
        facts=_facts({n: v for n, v in data.items() if n not in ("type", "severity")}),
    )


def _incident(incident: Mapping[str, Any]) -> Heard:
    """Source: Cloud Monitoring, schema of notifications, version 1.2."""
    cause = one_line(_text(incident, "incident_id"), MAX_NAME)
    summary = shortened(str(incident.get("summary") or "Cloud Monitoring gave no summary."), MAX_BODY)
    if incident.get("state") == "closed":
        return Recovered(alert_key("cloud_monitoring", cause), summary)
    names = ("policy_name", "condition_name", "resource_name", "started_at", "url")
    severity = _INCIDENT_SEVERITIES.get(str(incident.get("severity")).lower(), Severity.WARNING)
    return Raised(
        Alert(
            type="cloud_monitoring",
            severity=severity,
            cause=cause,
            title=one_line(str(incident.get("policy_name") or "An incident of Cloud Monitoring"), MAX_TITLE),
            body=summary,
            facts=_facts({name: incident[name] for name in names if name in incident}),
        )
    )


def _facts(given: Any) -> Mapping[str, Any]:
    if not isinstance(given, Mapping):
        raise _wrong("facts", f"an object, found {type(given).__name__}")
    size = len(json.dumps(given))
    return given if size <= MAX_FACTS else {"left_out": f"{size} characters of facts"}


def _text(data: Mapping[str, Any], field: str) -> str:
    value = data.get(field)
    if not isinstance(value, str) or not value.strip():
        raise _wrong(field, f"text, found {type(value).__name__ if not value else 'nothing in it'}")
    return value


def _wrong(field: str, expected: str) -> InvalidInput:
    return InvalidInput(
        f"An event of alerts.raised needs '{field}' as {expected}.",
        errors=[FieldError(f"/{field}", f"expected {expected}")],
    )


def moment_of(event: Event, now: datetime) -> datetime:
    """When it was seen, in UTC; never later than now, whatever the clock of who saw it said."""
    return min(event.time.astimezone(UTC), now.astimezone(UTC))
