"""How old candles are, by the calendar of their market and the clock."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shared.market.calendar import CalendarName, calendar_named
from shared.market.candles import seconds_since_1970
from shared.market.entry import Entry, Part
from shared.monitoring.freshness import CandleAges, CandleLimits, Subject, SubjectKind, Verdict
from shared.monitoring.freshness.candles import MOST_COUNTED, WORST
from shared.monitoring.freshness.subjects import aged
from shared.platform.local.documents import SqliteDocuments
from shared.platform.ports import MAX_BATCH_WRITES, Put

NOW = datetime(2024, 5, 2, 9, 31, tzinfo=UTC)
"""A Thursday."""

Made = Callable[..., CandleAges]


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def documents(tmp_path: Path) -> SqliteDocuments:
    return SqliteDocuments(tmp_path / "documents.sqlite3")


@pytest.fixture
def made(documents: SqliteDocuments, clock: Clock) -> Made:
    """Ages of symbols whose newest daily candles are of these days."""

    def made(calendar: CalendarName = "XNYS", *, grace_seconds: float = 7200, **last: str) -> CandleAges:
        keep(documents, **last)
        limits = CandleLimits(missed=2, grace_seconds=grace_seconds)
        return CandleAges(
            documents, timeframe="1d", calendar=calendar_named(calendar), limits=limits, now=clock
        )

    return made


def keep(documents: SqliteDocuments, **last: str) -> None:
    writes = []
    for symbol, day in last.items():
        stamp = seconds_since_1970(f"{day}T00:00:00Z")
        part = Part("part", "0" * 64, 1, stamp, stamp)
        entry = Entry(symbol, "1d", 1, None, (part,), {}, ())
        writes.append(Put("candles", f"1d:{symbol}", entry.to_data()))
    for first in range(0, len(writes), MAX_BATCH_WRITES):
        documents.commit(writes[first : first + MAX_BATCH_WRITES])


@pytest.mark.parametrize(
    ("last", "missed", "verdict"),
    [
        ("2024-05-02", 0, Verdict.FRESH),
        ("2024-05-01", 0, Verdict.FRESH),
        ("2024-04-30", 1, Verdict.LATE),
        ("2024-04-29", 2, Verdict.LATE),
        ("2024-04-26", 3, Verdict.STALE),
        ("2024-04-25", 4, Verdict.STALE),
    ],
)
def test_sessions_are_missed_not_days(made: Made, last: str, missed: int, verdict: Verdict) -> None:
    subject = made(AAPL=last).of("AAPL")
    assert (subject.missed_sessions, subject.verdict) == (missed, verdict)


def test_a_weekend_and_a_holiday_make_nothing_late(made: Made, clock: Clock) -> None:
    clock.now = datetime(2024, 5, 28, 1, 59, tzinfo=UTC)  # the Tuesday after Memorial Day
    assert made(AAPL="2024-05-24").of("AAPL").verdict is Verdict.FRESH
    assert made("24/7", AAPL="2024-05-24").of("AAPL").missed_sessions == 2


def test_the_grace_after_a_session_is_waited_for(made: Made, clock: Clock) -> None:
    clock.now = datetime(2024, 5, 2, 1, 59, 59, tzinfo=UTC)
    ages = made(AAPL="2024-04-30")
    assert ages.of("AAPL").verdict is Verdict.FRESH
    assert ages.of("AAPL").expected_at == "2024-05-02T02:00:00Z"
    clock.now += timedelta(seconds=1)
    assert ages.of("AAPL").verdict is Verdict.LATE
    assert ages.verdict() is Verdict.LATE


def test_pages_fit_together_though_the_clock_goes_on(made: Made, clock: Clock) -> None:
    days = {f"S{number}": f"2024-04-{10 + number}" for number in range(9)}
    for calendar in ("XNYS", "24/7"):
        ages = made(calendar, **days, NEW="2024-05-01")
        seen: list[Subject] = []
        cursor = None
        while True:
            page, cursor = ages.page(is_all=False, limit=2, cursor=cursor)
            seen += page
            clock.now += timedelta(seconds=11)
            if cursor is None:
                break
        assert [one.subject for one in seen] == list(days)


def test_late_symbols_are_known_to_the_summary_and_not_counted(made: Made) -> None:
    assert made(A="2024-05-01").summary().is_any_late is False
    found = made(B="2024-04-30").summary()
    assert (found.stale, found.is_any_late, found.worst) == (0, True, ())


def test_those_that_are_gone_are_not_counted_while_somebody_is_up_to_date(made: Made) -> None:
    found = made(NEW="2024-05-01", GONE="2023-05-01", STALE="2024-04-20").summary()
    assert (found.stale, [one.subject for one in found.worst]) == (1, ["STALE"])
    found = made(NEW="2024-04-01").summary()
    assert (found.stale, [one.subject for one in found.worst]) == (3, ["GONE", "NEW", "STALE"])


def test_thousands_of_stale_symbols_are_counted_up_to_a_bound(made: Made) -> None:
    found = made(**{f"S{number}": "2024-04-01" for number in range(MOST_COUNTED + 2)}).summary()
    assert MOST_COUNTED <= found.stale <= MOST_COUNTED + 2
    assert (found.is_cut, len(found.worst)) == (True, WORST)


def test_symbols_whose_candles_were_never_stored_are_not_there(
    made: Made, documents: SqliteDocuments
) -> None:
    ages = made(A="2024-04-01")
    documents.commit([Put("candles", "1d:NONE", Entry("NONE", "1d", 1, None, (), {}, ()).to_data())])
    assert [one.subject for one in ages.page(is_all=True, limit=9, cursor=None)[0]] == ["A"]
    assert ages.summary().stale == 1


@pytest.mark.parametrize(
    ("days", "verdict"),
    [(0, Verdict.FRESH), (28, Verdict.FRESH), (29, Verdict.LATE), (35, Verdict.LATE), (36, Verdict.STALE)],
)
def test_what_ages_is_late_before_it_is_stale(days: int, verdict: Verdict) -> None:
    subject = aged("m", SubjectKind.MODEL, NOW - timedelta(days=days), NOW, timedelta(days=35), "trained")
    assert subject.verdict is verdict
    assert subject.why.endswith("ago, at most 35 days are borne")
