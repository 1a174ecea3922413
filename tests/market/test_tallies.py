"""Findings counted by session, beside the candles they were found at."""

from __future__ import annotations

import numpy as np
import pytest

from shared.market.candles import RawCandles
from shared.market.entry import MOST_STAMPS, Entry
from shared.market.findings import Kind
from shared.market.store import CandleStore
from shared.market.tallies import Tallies, Tally
from shared.platform.local.documents import SqliteDocuments
from tests.market.made import DAY, MONDAY, checked, raw


@pytest.fixture
def tallies(documents: SqliteDocuments) -> Tallies:
    return Tallies(documents)


def spoiled(symbol: str = "ABC", row: int = 50, count: int = 60) -> RawCandles:
    """Two candles without a price, and one whose open lies outside its range."""
    source = raw(count, symbol=symbol)
    source.close[row] = source.high[row + 2] = np.nan
    source.open[row + 4] = source.high[row + 4] * 1.01
    return source


def session(row: int) -> str:
    return str(np.datetime64(MONDAY + row * DAY, "s"))[:10]


def test_what_ingest_finds_is_counted_by_kind_and_session(store: CandleStore, tallies: Tallies) -> None:
    store.ingest("ABC", "1d", checked(spoiled()))
    tally = tallies.of("1d", "ABC")
    assert tally is not None
    assert tally.counts[Kind.MISSING_VALUE] == {session(50): 1, session(52): 1}
    assert tally.counts[Kind.OPEN_CLOSE_OUTSIDE_RANGE] == {session(54): 1}
    assert (tally.last, tally.complete_from) == (session(54), {})


def test_the_same_candles_again_in_any_parts_give_the_same_counts(
    store: CandleStore, tallies: Tallies
) -> None:
    source = spoiled()
    store.ingest("ABC", "1d", checked(source))
    whole = tallies.of("1d", "ABC")
    for part in (source, source[slice(40, 60)], source[slice(0, 53)]):
        store.ingest("ABC", "1d", checked(part))
        assert tallies.of("1d", "ABC") == whole
    for part in (source[slice(0, 51)], source[slice(49, 55)], source[slice(54, 60)]):
        store.ingest("ABD", "1d", checked(part))
    parts = tallies.of("1d", "ABD")
    assert parts is not None
    assert whole is not None
    assert parts.counts == whole.counts


def test_hours_of_a_day_are_one_session(store: CandleStore, tallies: Tallies) -> None:
    source = raw(30, timeframe="1h", step_seconds=3600)
    source.volume[[2, 3, 25]] = 0
    store.ingest("ABC", "1h", checked(source))
    tally = tallies.of("1h", "ABC")
    assert tally is not None
    assert tally.counts[Kind.ZERO_VOLUME] == {session(0): 2, session(1): 1}


def test_without_findings_nothing_is_written(store: CandleStore, tallies: Tallies) -> None:
    store.ingest("ABC", "1d", checked(raw(60)))
    assert tallies.of("1d", "ABC") is None


def test_a_history_that_was_mended_takes_its_findings_along(store: CandleStore, tallies: Tallies) -> None:
    store.ingest("ABC", "1d", checked(spoiled()))
    mended = raw(61, seed=5)
    store.replace("ABC", "1d", checked(mended))
    tally = tallies.of("1d", "ABC")
    assert tally is not None
    assert set(tally.counts) == {Kind.HISTORY_CHANGED}


def test_the_symbols_with_the_newest_findings_come_first(store: CandleStore, tallies: Tallies) -> None:
    for number in range(4):
        store.ingest(f"S{number}", "1d", checked(spoiled(f"S{number}", row=40 + number)))
    store.ingest("H", "1h", checked(raw(9, timeframe="1h", step_seconds=3600, volume=[1, 0] * 4 + [1])))
    found, is_cut = tallies.since("1d", session(46), limit=10)
    assert ([tally.symbol for tally in found], is_cut) == (["S3", "S2"], False)
    found, is_cut = tallies.since("1d", session(0), limit=3)
    assert ([tally.symbol for tally in found], is_cut) == (["S3", "S2", "S1"], True)


def test_where_old_findings_are_forgotten_it_says_from_when_on_they_are_whole() -> None:
    stamps = tuple(MONDAY + row * 3600 for row in range(MOST_STAMPS))
    entry = Entry("ABC", "1h", 1, None, (), {Kind.ZERO_VOLUME: stamps, Kind.GAP: (MONDAY,)}, ())
    tally = Tally.of(entry)
    assert tally.complete_from == {Kind.ZERO_VOLUME: session(0)}
    assert Tally.from_data(tally.to_data()) == tally
