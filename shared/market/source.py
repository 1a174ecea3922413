"""Candles for serving: the newest closed ones, quickly, and flagged stale when the upstream is away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from shared.errors import NotEnoughCandles, UpstreamInvalid, UpstreamUnavailable
from shared.market.calendar import CalendarName, calendar_named
from shared.market.candles import Candles, join, rfc3339
from shared.market.findings import Finding
from shared.market.refresh import refresh
from shared.market.splits import after_last_break
from shared.market.store import CandleStore, Stored
from shared.market.symbols import check_symbol
from shared.market.upstream import Upstream
from shared.platform.ports import Now


@dataclass(frozen=True, slots=True, eq=False)
class Served:
    """Closed candles on one price basis, the newest last: all that were loaded, so often more than needed.

    `stale`: the upstream couldn't be used, these are the last ones stored. `breaks`: where prices changed
    their basis; the candles begin at the last of them. `findings` are about the latest answer.
    """

    candles: Candles
    stale: bool
    breaks: tuple[int, ...]
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class _Loaded:
    served: Served
    count: int
    is_all: bool  # there are no older candles on the same price basis
    expires_at: float


@dataclass(frozen=True, slots=True, eq=False)
class _Load:
    needed: int
    task: asyncio.Task[_Loaded]


class CandleSource:
    """Serves from memory for `cache_seconds`, then asks the upstream for what came after the stored tail.

    Callers who want the same symbol at once share one load. For one event loop at a time.
    """

    def __init__(
        self,
        upstream: Upstream,
        store: CandleStore,
        *,
        timeframe: str,
        cache_seconds: float,
        calendar: CalendarName,
        now: Now,
        monotonic: Callable[[], float],
        cache_symbols: int = 1_024,
    ) -> None:
        self._upstream = upstream
        self._store = store
        self._cache_seconds = cache_seconds
        self._timeframe = timeframe
        self._calendar = calendar_named(calendar)
        self._now = now
        self._monotonic = monotonic
        self._cache_symbols = cache_symbols
        self._cache: dict[str, _Loaded] = {}
        self._loads: dict[str, _Load] = {}

    def cached(self, symbol: str, needed: int) -> Served | None:
        """At least `needed` candles if they are in memory and fresh, else None.

        Raises:
            NotEnoughCandles: it is known that there are fewer.
        """
        loaded = self._cache.get(symbol)
        if loaded is None or loaded.expires_at <= self._monotonic():
            return None
        if loaded.count >= needed:
            return loaded.served
        if loaded.is_all:
            raise _too_few(loaded, needed)
        return None

    async def latest(self, symbol: str, needed: int, *, headers: Mapping[str, str] | None = None) -> Served:
        """At least `needed` closed candles up to now, after the last break in prices.

        Raises:
            InvalidInput: `symbol` can't name an instrument.
            UnknownSymbol: the upstream doesn't know it.
            NotEnoughCandles: there are fewer; says how many there are.
            UpstreamRejected: as the upstream's.
            UpstreamInvalid, UpstreamUnavailable: as the upstream's, and too few candles are stored.
        """
        hit = self.cached(symbol, needed)
        if hit is not None:
            return hit
        loaded = await self._shared(check_symbol(symbol), needed, headers)
        if loaded.count < needed:
            raise _too_few(loaded, needed)
        return loaded.served

    async def _shared(self, symbol: str, needed: int, headers: Mapping[str, str] | None) -> _Loaded:
        load = self._loads.get(symbol)
        if load is None or load.needed < needed:
            load = _Load(needed, asyncio.create_task(self._load(symbol, needed, headers)))
            self._loads[symbol] = load
            load.task.add_done_callback(partial(self._ended, symbol, load))
        return await asyncio.shield(load.task)  # a caller who leaves doesn't take the others' load along

    def _ended(self, symbol: str, load: _Load, task: asyncio.Task[_Loaded]) -> None:
        if self._loads.get(symbol) is load:
            del self._loads[symbol]
        if not task.cancelled():
            task.exception()  # seen, even where every caller has left

    async def _load(self, symbol: str, needed: int, headers: Mapping[str, str] | None) -> _Loaded:
        tail = await asyncio.to_thread(self._store.tail, symbol, self._timeframe)
        base = tail if tail is not None and _suffices(tail, needed) else None
        try:
            served, is_all = await self._fresh(symbol, base, tail, headers)
        except (UpstreamUnavailable, UpstreamInvalid):
            stored = base or await self._older(symbol, tail)
            if stored is None or not _suffices(stored, needed):
                raise
            candles = after_last_break(stored.candles, stored.breaks)
            served, is_all = Served(candles, stale=True, breaks=stored.breaks), bool(stored.breaks)
        return self._remember(symbol, served, is_all)

    async def _fresh(
        self, symbol: str, base: Stored | None, tail: Stored | None, headers: Mapping[str, str] | None
    ) -> tuple[Served, bool]:
        """From the upstream: what came after `base`, or all. Also whether nothing older would count."""
        refreshed = await refresh(
            self._upstream,
            symbol,
            None if base is None else base.candles,
            timeframe=self._timeframe,
            calendar=self._calendar,
            now_seconds=self._now().timestamp(),
            ends_after=None if tail is None else int(tail.candles.timestamp[-1]),
            headers=headers,
        )
        candles, breaks = refreshed.checked.candles, refreshed.checked.breaks
        if base is not None and not refreshed.is_whole:
            last = int(base.candles.timestamp[-1])
            candles = join(base.candles, candles[candles.timestamp > last])
            breaks = (*base.breaks, *(stamp for stamp in breaks if stamp > last))
        served = Served(after_last_break(candles, breaks), False, breaks, refreshed.checked.findings)
        return served, refreshed.is_whole or bool(breaks)

    async def _older(self, symbol: str, tail: Stored | None) -> Stored | None:
        """All that is stored, where the tail isn't it."""
        if tail is None or tail.is_whole:
            return tail
        try:
            return await asyncio.to_thread(self._store.read, symbol, self._timeframe)
        except ImportError:  # serving may be installed without pyarrow: the tail is all it can read
            return tail

    def _remember(self, symbol: str, served: Served, is_all: bool) -> _Loaded:
        expires_at = self._monotonic() + self._cache_seconds
        loaded = _Loaded(served, len(served.candles), is_all, expires_at)
        self._cache.pop(symbol, None)
        self._cache[symbol] = loaded
        while len(self._cache) > self._cache_symbols:
            del self._cache[next(iter(self._cache))]
        return loaded


def _suffices(stored: Stored, needed: int) -> bool:
    """Whether nothing older than `stored` is wanted."""
    return bool(stored.breaks) or len(stored.candles) >= needed


def _too_few(loaded: _Loaded, needed: int) -> NotEnoughCandles:
    candles, breaks = loaded.served.candles, loaded.served.breaks
    since = f" since prices changed their basis at {rfc3339(breaks[-1])}" if breaks else ""
    return NotEnoughCandles(
        f"{candles.symbol} has {loaded.count} closed {candles.timeframe} candles{since}; {needed} are needed."
    )
