import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar

import pytest

from shared.errors import NotEnoughCandles, UnknownSymbol, UpstreamInvalid, UpstreamUnavailable
from shared.market.candles import PRICES, Candles
from shared.market.source import CandleSource, Served
from shared.market.store import CandleStore
from shared.market.upstream import Upstream
from tests.market.made import DAY, LATER, MONDAY, candles, checked, raw, same
from tests.market.markets import Market, serving

T = TypeVar("T")


class Clock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def market() -> Iterator[Market]:
    with serving(Market(candles(700))) as served:
        yield served


@pytest.fixture
def clock() -> Clock:
    return Clock()


class Setting:
    """A source in front of a market and a store."""

    def __init__(self, market: Market, store: CandleStore, clock: Clock) -> None:
        self.market, self.store, self.clock = market, store, clock
        self.now_seconds = LATER

    def run(self, act: Callable[[CandleSource], Awaitable[T]], **options: Any) -> T:
        async def go() -> T:
            upstream = Upstream(
                self.market.url,
                timeout_seconds=5,
                attempts=2,
                max_bytes=10**6,
                concurrency=8,
                backoff_seconds=0.001,
            )
            source = CandleSource(
                upstream,
                self.store,
                timeframe="1d",
                cache_seconds=30,
                calendar="24/7",
                now=lambda: datetime.fromtimestamp(self.now_seconds, UTC),
                monotonic=self.clock,
                **options,
            )
            try:
                return await act(source)
            finally:
                await upstream.aclose()

        return asyncio.run(go())

    def latest(self, needed: int = 100, symbol: str = "ABC") -> Served:
        return self.run(lambda source: source.latest(symbol, needed))

    def keep(self, stored: Candles) -> None:
        self.store.ingest(stored.symbol, "1d", checked(stored))


@pytest.fixture
def setting(market: Market, store: CandleStore, clock: Clock) -> Setting:
    return Setting(market, store, clock)


def test_without_a_store_all_comes_from_the_upstream(setting: Setting) -> None:
    served = setting.latest()
    assert same(served.candles, candles(700))
    assert (served.stale, served.breaks) == (False, ())


def test_only_what_came_after_the_tail_is_asked(setting: Setting) -> None:
    setting.keep(candles(700)[:690])
    served = setting.latest(300)
    assert [query["start"] for query in setting.market.asked] == ["2021-11-25"]
    assert same(served.candles, candles(700)[178:])
    assert not served.stale


def test_only_closed_candles_are_served(setting: Setting) -> None:
    setting.keep(candles(700)[:690])
    setting.now_seconds = MONDAY + 699.5 * DAY
    assert setting.latest().candles.timestamp[-1] == MONDAY + 698 * DAY


@pytest.mark.parametrize("fault", ["down", "garbage", "negative", "forgetful"])
def test_what_is_stored_is_served_stale_when_the_upstream_fails(setting: Setting, fault: str) -> None:
    setting.keep(candles(690))
    setting.market.fault = 503 if fault == "down" else None
    setting.market.garbage = b"<html>" if fault == "garbage" else None
    if fault == "negative":
        setting.market.put(raw(700, low=[-1.0] * 700))
    if fault == "forgetful":
        setting.market.put(candles(300))
    for needed in (300, 600):
        served = setting.latest(needed)
        assert served.stale
        assert len(served.candles) >= needed
        assert served.candles.timestamp[-1] == MONDAY + 689 * DAY


def test_a_failing_upstream_and_nothing_stored_is_its_error(setting: Setting) -> None:
    setting.market.fault = 503
    with pytest.raises(UpstreamUnavailable):
        setting.latest()
    setting.market.fault = None
    setting.market.garbage = b"<html>"
    with pytest.raises(UpstreamInvalid):
        setting.latest()


def test_too_little_stored_is_the_upstreams_error_not_the_callers(setting: Setting) -> None:
    setting.keep(candles(50))
    setting.market.fault = 503
    with pytest.raises(UpstreamUnavailable):
        setting.latest(100)
    assert setting.latest(50).stale


def test_an_unknown_symbol_is_told_with_near_matches(setting: Setting) -> None:
    with pytest.raises(UnknownSymbol, match="ABC"):
        setting.latest(symbol="ABCD")


def test_too_few_candles_says_how_many_there_are_and_are_needed(setting: Setting) -> None:
    setting.market.put(candles(40))
    with pytest.raises(NotEnoughCandles, match=r"ABC has 40 closed 1d candles; 100 are needed"):
        setting.latest(100)


def halved_at(day: int, count: int) -> Candles:
    """Candles with a 2:1 split on `day`."""
    source = candles(count)
    for name in PRICES:
        getattr(source, name)[day:] /= 2
    source.volume[day:] *= 2
    return source


@pytest.mark.parametrize("stored", [0, 100, 201, 250, 300])
def test_only_candles_after_the_last_break_count(setting: Setting, stored: int) -> None:
    whole = halved_at(200, 300)
    setting.market.put(whole)
    if stored:
        setting.keep(whole[:stored])
    served = setting.latest(100)
    assert same(served.candles, whole[200:])
    assert served.breaks == (MONDAY + 200 * DAY,)
    assert ("start" in setting.market.asked[-1]) == (stored >= 100)
    with pytest.raises(NotEnoughCandles, match=r"100 closed 1d candles since .* 2020-07-24"):
        setting.latest(101)


def test_memory_knows_that_nothing_before_a_break_counts(setting: Setting) -> None:
    setting.market.put(halved_at(200, 300))
    setting.keep(halved_at(200, 290))

    async def act(source: CandleSource) -> None:
        with pytest.raises(NotEnoughCandles):
            await source.latest("ABC", 400)
        assert len((await source.latest("ABC", 100)).candles) == 100

    setting.run(act)
    assert [query["start"] for query in setting.market.asked] == ["2020-10-21"]


def test_a_rewritten_past_is_taken_over(setting: Setting) -> None:
    setting.keep(candles(690))
    adjusted = replace(candles(700), **{name: getattr(candles(700), name) / 2 for name in PRICES})
    setting.market.put(adjusted)
    served = setting.latest()
    assert same(served.candles, adjusted)
    assert served.breaks == ()


def test_more_than_the_tail_holds_is_served_too(setting: Setting) -> None:
    setting.keep(candles(690))
    assert len(setting.latest(650).candles) == 700
    with pytest.raises(NotEnoughCandles, match="has 700"):
        setting.latest(701)


def test_memory_answers_until_its_time_is_over(setting: Setting) -> None:
    async def act(source: CandleSource) -> None:
        assert source.cached("ABC", 10) is None
        first = await source.latest("ABC", 10)
        setting.market.put(candles(701))
        assert await source.latest("ABC", 10) is first
        assert source.cached("ABC", 700) is first
        setting.clock.seconds += 29
        assert source.cached("ABC", 10) is first
        setting.clock.seconds += 2
        assert source.cached("ABC", 10) is None
        assert len((await source.latest("ABC", 10)).candles) == 701

    setting.run(act)
    assert len(setting.market.asked) == 2


def test_memory_knows_when_there_are_too_few(setting: Setting) -> None:
    async def act(source: CandleSource) -> None:
        await source.latest("ABC", 10)
        with pytest.raises(NotEnoughCandles, match="has 700"):
            source.cached("ABC", 701)
        with pytest.raises(NotEnoughCandles, match="has 700"):
            await source.latest("ABC", 701)

    setting.run(act)
    assert len(setting.market.asked) == 1


def test_a_caller_who_needs_more_than_is_in_memory_gets_it(setting: Setting) -> None:
    setting.keep(candles(690))

    async def act(source: CandleSource) -> None:
        assert len((await source.latest("ABC", 10)).candles) == 522
        assert len((await source.latest("ABC", 600)).candles) == 700

    setting.run(act)


def test_callers_at_the_same_time_share_one_load(setting: Setting) -> None:
    async def act(source: CandleSource) -> None:
        served = await asyncio.gather(*(source.latest("ABC", needed) for needed in [100] * 40 + [20] * 10))
        assert len({id(one) for one in served}) == 1

    setting.run(act)
    assert len(setting.market.asked) == 1


def test_a_caller_who_needs_more_does_not_share_a_smaller_load(setting: Setting) -> None:
    setting.keep(candles(690))

    async def act(source: CandleSource) -> list[int]:
        served = await asyncio.gather(*(source.latest("ABC", needed) for needed in (10, 600, 20)))
        return [len(one.candles) for one in served]

    assert setting.run(act) == [522, 700, 700]


def test_a_caller_who_leaves_does_not_end_the_others_load(setting: Setting) -> None:
    async def act(source: CandleSource) -> None:
        leaving = asyncio.create_task(source.latest("ABC", 100))
        staying = asyncio.create_task(source.latest("ABC", 100))
        await asyncio.sleep(0)
        leaving.cancel()
        assert len((await staying).candles) == 700
        assert leaving.cancelled()

    setting.run(act)
    assert len(setting.market.asked) == 1


def test_all_callers_hear_of_a_failed_load_and_the_next_one_tries_again(setting: Setting) -> None:
    setting.market.fault = 403

    async def act(source: CandleSource) -> None:
        failed = await asyncio.gather(*(source.latest("ABC", 9) for _ in range(5)), return_exceptions=True)
        assert {type(error).__name__ for error in failed} == {"UpstreamRejected"}
        setting.market.fault = None
        assert len((await source.latest("ABC", 9)).candles) == 700

    setting.run(act)
    assert len(setting.market.asked) == 2


def test_memory_is_bounded(setting: Setting) -> None:
    for number in range(6):
        setting.market.put(candles(30, symbol=f"S{number}"))

    async def act(source: CandleSource) -> list[bool]:
        for number in range(6):
            await source.latest(f"S{number}", 5)
        return [source.cached(f"S{number}", 5) is not None for number in range(6)]

    assert setting.run(act, cache_symbols=3) == [False, False, False, True, True, True]


def test_serving_imports_nothing_heavy_until_it_asks() -> None:
    code = (
        "import sys, shared.market.source\n"
        "heavy = {'pyarrow', 'pandas', 'httpx', 'stamina', 'starlette', 'scipy'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
