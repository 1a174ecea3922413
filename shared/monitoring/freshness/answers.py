"""Freshness as it is answered."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from shared.market.symbols import Symbol
from shared.monitoring.freshness.freshness import FreshnessPage
from shared.schema import Answer, Query


class FreshnessQuery(Query):
    symbol: Annotated[Symbol | None, Field(description="The candles of this symbol alone.")] = None
    all: Annotated[bool, Field(description="All symbols, not only those that are overdue.")] = False
    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    cursor: Annotated[str | None, Field(max_length=1000)] = None


class SubjectAnswer(Answer):
    """One thing that has an age: `candles` of a symbol, a live `model`, the last `drift_check` of one.

    `at` is when it was made, `expected_at` from when on a newer one is missing. `verdict` is fresh, late
    (overdue, or soon too old, within what is borne), stale (beyond that), gone (seems not to be traded any
    more) or missing (never was there).
    """

    subject: str
    kind: str
    at: str | None
    age_seconds: float | None
    expected_at: str | None
    missed_sessions: int | None
    verdict: str
    why: str


class FreshnessAnswer(Answer):
    """Models and checks of drift (on the first page), then symbols, the longest overdue first.

    `verdict` is the worst of all that was asked for; a missing one says that no candles are stored. `cursor`
    asks for more symbols; null at the end.
    """

    verdict: str
    checked_at: str
    timeframe: str
    calendar: str
    subjects: list[SubjectAnswer]
    cursor: str | None


def freshness_answer(page: FreshnessPage) -> FreshnessAnswer:
    return FreshnessAnswer(
        verdict=page.verdict,
        checked_at=page.checked_at,
        timeframe=page.timeframe,
        calendar=page.calendar,
        subjects=[SubjectAnswer(**one.json()) for one in page.subjects],
        cursor=page.cursor,
    )
