import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from shared.errors import UnknownSymbol, UpstreamInvalid, UpstreamUnavailable
from shared.market.candles import PRICES
from shared.market.findings import Kind
from shared.market.ingest import IngestReport, SymbolIngest, ingest
from shared.market.store import CandleStore
from shared.market.upstream import Upstream
from tests.market.made import DAY, LATER, MONDAY, candles, checked, raw, same
from tests.market.markets import Market, serving


@pytest.fixture
def market() -> Iterator[Market]:
    with serving(Market(candles(100), candles(30, symbol="XYZ", seed=1))) as served:
        yield served


def run(market: Market, store: CandleStore, *symbols: str, **options: Any) -> IngestReport:
    async def go() -> IngestReport:
        upstream = Upstream(
            market.url, timeout_seconds=5, attempts=2, max_bytes=10**6, concurrency=4, backoff_seconds=0.001
        )
        defaults: dict[str, Any] = {
            "timeframe": "1d",
            "calendar": "24/7",
            "start": None,
            "end": None,
            "now": lambda: datetime.fromtimestamp(LATER, UTC),
            "concurrency": 3,
        }
        try:
            return await ingest(upstream, store, symbols, **defaults | options)
        finally:
            await upstream.aclose()

    return asyncio.run(go())


def added(report: IngestReport) -> list[int]:
    return [done.ingested.added for done in report.symbols if done.ingested is not None]


def test_first_all_then_only_what_is_new(market: Market, store: CandleStore) -> None:
    whole = candles(100)
    market.put(whole[:90])
    assert added(run(market, store, "ABC")) == [90]
    market.put(whole)
    assert added(run(market, store, "ABC")) == [10]
    assert added(run(market, store, "ABC")) == [0]
    assert [query.get("start") for query in market.asked] == [None, "2020-04-04", "2020-04-14"]
    assert same(store.read("ABC", "1d").candles, whole)


def test_each_symbol_succeeds_or_fails_alone(market: Market, store: CandleStore) -> None:
    market.put(raw(5, symbol="BAD", open=[-1] * 5))
    heard: list[SymbolIngest] = []
    report = run(market, store, "ABC", "NOPE", "BAD", "../x", "XYZ", "ABC", on_done=heard.append)
    assert [done.symbol for done in report.symbols] == ["ABC", "NOPE", "BAD", "../x", "XYZ"]
    assert [type(done.error).__name__ for done in report.symbols] == [
        "NoneType",
        "UnknownSymbol",
        "UpstreamInvalid",
        "InvalidInput",
        "NoneType",
    ]
    assert (report.succeeded, report.failed, report.added) == (2, 3, 130)
    assert sorted(done.symbol for done in heard) == sorted(done.symbol for done in report.symbols)
    assert store.symbols("1d") == ("ABC", "XYZ")
    assert "non_positive_price (5)" in str(report.symbols[2].error)


def test_findings_come_with_the_symbol(market: Market, store: CandleStore) -> None:
    spoiled = raw(40)
    spoiled.high[[3, 9]] = np.nan
    market.put(spoiled[np.delete(np.arange(40), 20)])
    report = run(market, store, "ABC")
    assert {fault["name"]: fault["count"] for fault in report.symbols[0].findings} == {
        "missing_value": 2,
        "gap": 3,
    }


def test_a_rewritten_past_is_fetched_and_stored_anew(market: Market, store: CandleStore) -> None:
    run(market, store, "ABC")
    whole = candles(110)
    adjusted = replace(whole, **{name: getattr(whole, name) / 2 for name in PRICES})
    market.put(adjusted)
    report = run(market, store, "ABC")
    assert [query.get("start") for query in market.asked] == [None, "2020-04-14", None]
    assert report.symbols[0].ingested is not None
    assert report.symbols[0].ingested.history_changed
    assert same(store.read("ABC", "1d").candles, adjusted)
    entry = store.entry("ABC", "1d")
    assert entry is not None
    assert entry.findings == {Kind.HISTORY_CHANGED: (MONDAY + 99 * DAY,)}


def test_an_upstream_that_forgets_destroys_nothing(market: Market, store: CandleStore) -> None:
    run(market, store, "ABC")
    for left in (candles(0), candles(60)):
        market.put(left)
        report = run(market, store, "ABC")
        assert isinstance(report.symbols[0].error, UpstreamInvalid)
    assert same(store.read("ABC", "1d").candles, candles(100))


def test_an_earlier_start_fetches_what_is_older(market: Market, store: CandleStore) -> None:
    run(market, store, "ABC", start=MONDAY + 60 * DAY)
    assert added(run(market, store, "ABC", start=MONDAY + 40 * DAY)) == [20]
    assert added(run(market, store, "ABC", start=MONDAY + 40 * DAY)) == [0]
    assert added(run(market, store, "ABC", start=MONDAY + 50 * DAY)) == [0]
    assert added(run(market, store, "ABC")) == [40]
    assert same(store.read("ABC", "1d").candles, candles(100))


def test_an_end_that_is_stored_asks_nothing(market: Market, store: CandleStore) -> None:
    assert added(run(market, store, "ABC", end=MONDAY + 49 * DAY)) == [50]
    asked = len(market.asked)
    assert added(run(market, store, "ABC", end=MONDAY + 30 * DAY)) == [0]
    assert len(market.asked) == asked
    assert added(run(market, store, "ABC", end=MONDAY + 59 * DAY)) == [10]


def test_an_open_candle_waits_until_it_has_closed(market: Market, store: CandleStore) -> None:
    def at(day: float) -> Any:
        return lambda: datetime.fromtimestamp(MONDAY + day * DAY, UTC)

    assert added(run(market, store, "ABC", now=at(99.5))) == [99]
    assert added(run(market, store, "ABC", now=at(100.0))) == [1]
    entry = store.entry("ABC", "1d")
    assert entry is not None
    assert entry.findings == {}


def test_an_upstream_that_is_down_fails_each_symbol(market: Market, store: CandleStore) -> None:
    market.fault = 503
    report = run(market, store, "ABC", "XYZ")
    assert all(isinstance(done.error, UpstreamUnavailable) for done in report.symbols)
    market.fault = None
    assert run(market, store, "ABC", "XYZ").succeeded == 2


def test_ingests_at_the_same_time_agree(market: Market, store: CandleStore) -> None:
    async def both() -> list[IngestReport]:
        return await asyncio.gather(*(asyncio.to_thread(run, market, store, "ABC", "XYZ") for _ in range(4)))

    reports = asyncio.run(both())
    assert sum(report.added for report in reports) == 130
    assert same(store.read("ABC", "1d").candles, candles(100))


def test_a_past_rewritten_while_asking_is_noticed(market: Market, store: CandleStore) -> None:
    market.put(candles(90))
    run(market, store, "ABC")
    market.put(candles(100))
    halved = replace(candles(90), **{name: getattr(candles(90), name) / 2 for name in PRICES})
    market.meanwhile = lambda: store.replace("ABC", "1d", checked(halved))
    assert run(market, store, "ABC").succeeded == 1
    assert same(store.read("ABC", "1d").candles, candles(100))


def test_a_symbol_the_upstream_dropped_keeps_its_candles(market: Market, store: CandleStore) -> None:
    run(market, store, "ABC")
    del market.series["ABC"]
    assert isinstance(run(market, store, "ABC").symbols[0].error, UnknownSymbol)
    assert len(store.read("ABC", "1d").candles) == 100
