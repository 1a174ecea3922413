"""What a monitor gives: a reading for each cause that it watches, and points for the history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from shared.alerts.raising import Alert, Severity, alert_key
from shared.monitoring.history import HistoryKind


class Level(StrEnum):
    """Over: an alert. Clear: none, or the end of one. Edge: neither begins nor ends one, so that a value at
    the limit doesn't ring and resolve by turns. Unknown: it can't be judged, and changes nothing either.
    """

    CLEAR = "clear"
    EDGE = "edge"
    OVER = "over"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What one cause looks like now. `type` is a word of the catalogue of alerts.

    `title` and `body` are what is told when it is over, `body` also when it is so no more: what was found
    and what was expected.
    """

    type: str
    cause: str
    level: Level
    title: str
    body: str
    severity: Severity = Severity.WARNING
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return alert_key(self.type, self.cause)

    @property
    def alert(self) -> Alert:
        return Alert(
            type=self.type,
            severity=self.severity,
            cause=self.cause,
            title=self.title,
            body=self.body,
            facts=self.facts,
        )


@dataclass(frozen=True, slots=True)
class Sight:
    """A point of the history about `subject`."""

    kind: HistoryKind
    subject: str
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Look:
    """All that a monitor sees at once. A cause of an alert that isn't among `readings` any more is clear."""

    readings: Sequence[Reading] = ()
    sights: Sequence[Sight] = ()


class Monitor(Protocol):
    """Looks at one thing. It may fail with any error: that is told, and the others still look."""

    @property
    def name(self) -> str: ...

    def look(self) -> Look: ...
