from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import pytest

from shared.errors import NotFound, PlatformUnavailable, UnknownSymbol, UpstreamInvalid, UpstreamUnavailable
from shared.market.candles import Candles
from shared.market.desk import SOURCE, UPDATED_TOPIC, MarketDesk, ShownPrice
from shared.market.source import CandleSource
from shared.market.store import TAIL_ROWS, CandleStore
from shared.market.upstream import Upstream
from shared.platform.ports import Event
from tests.market.made import DAY, MONDAY, candles, checked, same
from tests.market.markets import Market, serving
from tests.market.scripted import Reply, ScriptedUpstream, as_json

NOW = datetime(2024, 1, 2, tzinfo=UTC)

T = TypeVar("T")


class SentEvents:
    def __init__(self) -> None:
        self.sent: list[Event] = []
        self.is_down = False

    def publish(self, topic: str, events: Sequence[Event]) -> None:
        assert topic == UPDATED_TOPIC
        if self.is_down:
            raise PlatformUnavailable("no events today")
        self.sent += events


class Setting:
    """A desk in front of an upstream and a store."""

    def __init__(self, store: CandleStore) -> None:
        self.store = store
        self.events = SentEvents()

    def run(self, url: str, act: Callable[[MarketDesk], Coroutine[Any, Any, T]]) -> T:
        async def go() -> T:
            upstream = Upstream(url, timeout_seconds=5, attempts=1, max_bytes=10**6, concurrency=4)
            source = CandleSource(
                upstream,
                self.store,
                timeframe="1d",
                cache_seconds=0,
                calendar="24/7",
                now=lambda: NOW,
                monotonic=lambda: 0.0,
            )
            desk = MarketDesk(
                upstream, self.store, source, self.events, "1d", "24/7", 4, lambda: NOW, lambda: "e1"
            )
            try:
                return await act(desk)
            finally:
                await upstream.aclose()

        return asyncio.run(go())

    def keep(self, series: Candles) -> None:
        self.store.ingest(series.symbol, "1d", checked(series))


@pytest.fixture
def setting(store: CandleStore) -> Setting:
    return Setting(store)


@pytest.fixture(scope="module")
def market() -> Iterator[Market]:
    with serving(Market(candles(20), candles(30, seed=1, symbol="ABD"))) as served:
        yield served


def test_what_was_added_is_announced_after_it_is_stored(setting: Setting, market: Market) -> None:
    report = setting.run(market.url, lambda desk: desk.ingest(["ABC", "NOPE"]))
    assert (report.succeeded, report.failed, report.added) == (1, 1, 20)
    (event,) = setting.events.sent
    assert (event.id, event.source, event.type, event.time) == ("e1", SOURCE, UPDATED_TOPIC, NOW)
    assert event.data == {"timeframe": "1d", "added": {"ABC": 20}}
    assert same(setting.store.read("ABC", "1d").candles, candles(20))


def test_without_symbols_all_are_ingested(setting: Setting, market: Market) -> None:
    report = setting.run(market.url, lambda desk: desk.ingest([]))
    assert [done.symbol for done in report.symbols] == ["ABC", "ABD"]
    assert setting.events.sent[0].data["added"] == {"ABC": 20, "ABD": 30}


def test_nothing_new_is_not_announced(setting: Setting, market: Market) -> None:
    for _ in range(2):
        setting.run(market.url, lambda desk: desk.ingest(["ABC"]))
    assert len(setting.events.sent) == 1


def test_candles_stay_stored_though_they_could_not_be_announced(setting: Setting, market: Market) -> None:
    setting.events.is_down = True
    with pytest.raises(PlatformUnavailable):
        setting.run(market.url, lambda desk: desk.ingest(["ABC"]))
    assert same(setting.store.read("ABC", "1d").candles, candles(20))


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [(3, 5, (3, 6)), (None, 5, (0, 6)), (15, None, (15, 20)), (5, 3, (0, 0)), (-5, 99, (0, 20))],
)
def test_stored_candles_are_cut_to_both_ends_included(
    setting: Setting, first: int | None, last: int | None, expected: tuple[int, int]
) -> None:
    setting.keep(candles(20))
    bounds = [None if day is None else MONDAY + day * DAY for day in (first, last)]
    found, stale = setting.run(
        "http://127.0.0.1:9", lambda desk: desk.candles("ABC", start=bounds[0], end=bounds[1], limit=100)
    )
    assert same(found, candles(20)[slice(*expected)])
    assert stale is False


@pytest.mark.parametrize("limit", [1, 7, 20, 5_000])
def test_the_newest_are_as_many_as_asked_for_or_all(setting: Setting, market: Market, limit: int) -> None:
    setting.keep(candles(15))
    stored, _ = setting.run(market.url, lambda desk: desk.candles("ABC", start=MONDAY, end=None, limit=limit))
    assert same(stored, candles(15)[-limit:])
    newest, _ = setting.run(market.url, lambda desk: desk.candles("ABC", start=None, end=None, limit=limit))
    assert same(newest, candles(20)[-limit:])


def test_the_stored_ones_are_shown_as_stale_while_the_upstream_is_away(setting: Setting) -> None:
    setting.keep(candles(15))
    found, stale = setting.run(
        "http://127.0.0.1:9", lambda desk: desk.candles("ABC", start=None, end=None, limit=500)
    )
    assert same(found, candles(15))
    assert stale is True


def test_more_than_the_stored_tail_can_be_had(setting: Setting) -> None:
    setting.keep(candles(TAIL_ROWS + 50))
    with serving(Market(candles(TAIL_ROWS + 60))) as market:
        found, stale = setting.run(
            market.url, lambda desk: desk.candles("ABC", start=None, end=None, limit=TAIL_ROWS + 40)
        )
    assert same(found, candles(TAIL_ROWS + 60)[-TAIL_ROWS - 40 :])
    assert stale is False


def test_candles_that_were_never_stored_are_not_found(setting: Setting) -> None:
    with pytest.raises(NotFound, match="ingest them first"):
        setting.run("http://127.0.0.1:9", lambda desk: desk.candles("ABC", start=0, end=None, limit=1))


def test_the_price_is_the_upstreams_while_it_answers(setting: Setting, server: ScriptedUpstream) -> None:
    setting.keep(candles(20))
    answer = {"symbol": "ABC", "price": 101.5, "timestamp": "2024-01-01T14:30:00Z"}
    server.script("/price/latest", [as_json(answer)])
    found = setting.run(server.url, lambda desk: desk.price("ABC"))
    assert found == ShownPrice("ABC", 101.5, 1_704_119_400, stale=False)


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply(503), UpstreamUnavailable),
        (Reply(200, b"<html>"), UpstreamInvalid),
        (as_json({"symbol": "ABC", "price": -1.0, "timestamp": "2024-01-01"}), UpstreamInvalid),
        (as_json({"symbol": "XYZ", "price": 1.0, "timestamp": "2024-01-01"}), UpstreamInvalid),
    ],
)
def test_the_last_close_stands_in_when_there_is_no_price(
    setting: Setting, server: ScriptedUpstream, reply: Reply, error: type[Exception]
) -> None:
    server.script("/price/latest", [reply])
    with pytest.raises(error):
        setting.run(server.url, lambda desk: desk.price("ABC"))
    setting.keep(candles(20))
    found = setting.run(server.url, lambda desk: desk.price("ABC"))
    assert found == ShownPrice("ABC", float(candles(20).close[-1]), MONDAY + 20 * DAY, stale=True)


def test_a_symbol_that_the_upstream_does_not_know_has_no_price(
    setting: Setting, server: ScriptedUpstream
) -> None:
    setting.keep(candles(20))
    server.script("/symbols", [as_json({"symbols": ["ABD"]})])
    with pytest.raises(UnknownSymbol, match="ABD"):
        setting.run(server.url, lambda desk: desk.price("ABC"))
