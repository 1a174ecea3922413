"""What has an age: the candles of a symbol, a live model, the checks of a model for drift."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from shared.platform.times import utc

LATE_SHARE: Final = 0.8
"""Of a largest age: from then on something is late, though not stale yet."""


class Verdict(StrEnum):
    """From good to bad. Gone: the symbol isn't traded any more, as it seems. Missing: it never was there.
    Late: overdue, or soon too old, within what is borne; stale: beyond that.
    """

    FRESH = "fresh"
    GONE = "gone"
    MISSING = "missing"
    LATE = "late"
    STALE = "stale"

    @property
    def badness(self) -> int:
        return list(Verdict).index(self)


class SubjectKind(StrEnum):
    CANDLES = "candles"
    MODEL = "model"
    DRIFT_CHECK = "drift_check"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """`at` is when it was made (a candle: closed), `expected_at` from when on a newer one is missing.
    Times are RFC 3339 text in UTC.
    """

    subject: str
    kind: SubjectKind
    at: str | None
    age_seconds: float | None
    expected_at: str | None
    missed_sessions: int | None
    verdict: Verdict
    why: str

    def json(self) -> dict[str, Any]:
        return asdict(self)


def aged(
    subject: str, kind: SubjectKind, made_at: datetime, now: datetime, limit: timedelta, word: str
) -> Subject:
    """What may get as old as `limit`. `word` says what was done to it at `made_at`: "trained"."""
    age = now - made_at
    return Subject(
        subject=subject,
        kind=kind,
        at=utc(made_at),
        age_seconds=age.total_seconds(),
        expected_at=utc(made_at + limit),
        missed_sessions=None,
        verdict=verdict_of(age, limit),
        why=f"{word} {span(age)} ago, at most {span(limit)} are borne",
    )


def verdict_of(age: timedelta, limit: timedelta) -> Verdict:
    if age > limit:
        return Verdict.STALE
    return Verdict.LATE if age > LATE_SHARE * limit else Verdict.FRESH


def span(time: timedelta) -> str:
    """For people: whole hours up to four days, then whole days."""
    hours = time.total_seconds() / 3600
    return f"{hours:.0f} hours" if hours < 96 else f"{hours / 24:.0f} days"
