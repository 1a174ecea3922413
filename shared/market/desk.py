"""What the fetch function does: ingest and announce it, and show candles and prices."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from shared.errors import NotEnoughCandles, UpstreamInvalid, UpstreamUnavailable
from shared.market.calendar import CalendarName
from shared.market.candles import Candles
from shared.market.ingest import IngestReport, SymbolIngest, ingest
from shared.market.source import CandleSource, Served
from shared.market.store import CandleStore
from shared.market.upstream import Upstream
from shared.platform.ports import Event, Events, NewId, Now

UPDATED_TOPIC: Final = "candles.updated"
SOURCE: Final = "//mlengine/fetch"


@dataclass(frozen=True, slots=True)
class ShownPrice:
    """The last price known. `stale`: the upstream is away, this is the last stored close."""

    symbol: str
    price: float
    timestamp: int
    stale: bool


@dataclass(frozen=True, slots=True)
class MarketDesk:
    """The market data of one process."""

    upstream: Upstream
    store: CandleStore
    source: CandleSource
    events: Events
    timeframe: str
    calendar: CalendarName
    concurrency: int
    now: Now
    new_id: NewId

    async def ingest(
        self,
        symbols: Sequence[str],
        *,
        start: int | None = None,
        end: int | None = None,
        on_done: Callable[[SymbolIngest], None] = lambda _: None,
        headers: Mapping[str, str] | None = None,
    ) -> IngestReport:
        """Bring the store up to the upstream, for `symbols` or, if empty, for all it lists.

        What was added is announced on `candles.updated`, after it is stored, also when the rest is
        cancelled. `on_done` hears of each symbol as it ends.
        """
        added: dict[str, int] = {}

        def note(done: SymbolIngest) -> None:
            if done.ingested is not None and done.ingested.added:
                added[done.symbol] = done.ingested.added
            on_done(done)

        try:
            return await ingest(
                self.upstream,
                self.store,
                symbols or await self.upstream.symbols(headers=headers),
                timeframe=self.timeframe,
                calendar=self.calendar,
                start=start,
                end=end,
                now=self.now,
                concurrency=self.concurrency,
                on_done=note,
                headers=headers,
            )
        finally:
            if added:
                await asyncio.to_thread(self._announce, added)

    def stored_symbols(self) -> tuple[str, ...]:
        """All symbols with stored candles, in order."""
        return self.store.symbols(self.timeframe)

    async def candles(
        self,
        symbol: str,
        *,
        start: int | None,
        end: int | None,
        limit: int,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[Candles, bool]:
        """The newest `limit` of the stored candles between `start` and `end`, both included; without these,
        of the closed ones that the upstream has. Also whether they are stale.

        Raises:
            NotFound: none are stored; and the errors of `CandleSource.latest`.
        """
        if start is None and end is None:
            served = await self._newest(symbol, limit, headers)
            return served.candles[-limit:], served.stale
        stored = (await asyncio.to_thread(self.store.read, symbol, self.timeframe)).candles
        after = stored.timestamp >= (stored.timestamp[0] if start is None else start)
        before = stored.timestamp <= (stored.timestamp[-1] if end is None else end)
        return stored[after & before][-limit:], False

    async def price(self, symbol: str, *, headers: Mapping[str, str] | None = None) -> ShownPrice:
        """The last trade, or the last stored close while the upstream is away."""
        try:
            price = await self.upstream.latest_price(symbol, headers=headers)
        except (UpstreamUnavailable, UpstreamInvalid):
            tail = await asyncio.to_thread(self.store.tail, symbol, self.timeframe)
            if tail is None:
                raise
            last = tail.candles
            return ShownPrice(symbol, float(last.close[-1]), int(last.closed_at[-1]), stale=True)
        return ShownPrice(symbol, price.price, price.timestamp, stale=False)

    async def _newest(self, symbol: str, count: int, headers: Mapping[str, str] | None) -> Served:
        """At least `count` candles, or all there are."""
        try:
            return await self.source.latest(symbol, count, headers=headers)
        except (NotEnoughCandles, UpstreamUnavailable, UpstreamInvalid):  # fewer are there, or stored
            return await self.source.latest(symbol, 1, headers=headers)

    def _announce(self, added: Mapping[str, int]) -> None:
        facts = {"timeframe": self.timeframe, "added": added}
        self.events.publish(UPDATED_TOPIC, [Event(self.new_id(), SOURCE, UPDATED_TOPIC, self.now(), facts)])
