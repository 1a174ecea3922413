"""Ingest: bring the store up to the upstream, each symbol on its own, asking only for what is new."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from shared.errors import EngineError
from shared.market.calendar import Calendar, CalendarName, calendar_named
from shared.market.refresh import Refreshed, refresh
from shared.market.store import CandleStore, Ingested
from shared.market.symbols import check_symbol
from shared.market.upstream import Upstream
from shared.platform.ports import Now


@dataclass(frozen=True, slots=True)
class SymbolIngest:
    """What became of one symbol: `ingested` with the answer's findings, or `error`."""

    symbol: str
    ingested: Ingested | None = None
    findings: tuple[Mapping[str, Any], ...] = ()
    error: EngineError | None = None


@dataclass(frozen=True, slots=True)
class IngestReport:
    """One entry per symbol, in the order asked for."""

    symbols: tuple[SymbolIngest, ...]

    @property
    def succeeded(self) -> int:
        return sum(done.error is None for done in self.symbols)

    @property
    def failed(self) -> int:
        return len(self.symbols) - self.succeeded

    @property
    def added(self) -> int:
        """Candles stored that weren't before."""
        return sum(done.ingested.added for done in self.symbols if done.ingested is not None)


@dataclass(frozen=True, slots=True)
class _Ingest:
    upstream: Upstream
    store: CandleStore
    timeframe: str
    calendar: Calendar
    start: int | None
    end: int | None
    now: Now
    headers: Mapping[str, str] | None

    async def attempt(self, symbol: str) -> SymbolIngest:
        try:
            return await self._run(check_symbol(symbol, pointer="/symbols"))
        except EngineError as error:
            return SymbolIngest(symbol, error=error)

    async def _run(self, symbol: str) -> SymbolIngest:
        entry = await asyncio.to_thread(self.store.entry, symbol, self.timeframe)
        tail = await asyncio.to_thread(self.store.tail, symbol, self.timeframe)
        if entry is None or tail is None:
            return await self._all(symbol, None)
        last = int(tail.candles.timestamp[-1])
        if not _covers(entry.since, self.start):
            return await self._all(symbol, last)
        if self.end is not None and self.end <= last:
            return SymbolIngest(symbol, Ingested(0, entry.rows, entry.first, entry.last, entry.breaks))
        refreshed = await refresh(
            self.upstream, symbol, tail.candles, ends_after=last, start=entry.since, **self._asking()
        )
        if refreshed.is_whole:
            return await self._replaced(symbol, refreshed, entry.since)
        ingested = await asyncio.to_thread(
            self.store.ingest, symbol, self.timeframe, refreshed.checked, since=last
        )
        if ingested.history_changed:  # by somebody else, between our reading and writing
            return await self._all(symbol, last)
        return SymbolIngest(symbol, ingested, tuple(refreshed.checked.summary()))

    async def _all(self, symbol: str, last: int | None) -> SymbolIngest:
        """Asks for everything from `start`; `last` is the last candle stored."""
        ends_after = last if self.end is None else None
        refreshed = await refresh(
            self.upstream, symbol, None, ends_after=ends_after, start=self.start, **self._asking()
        )
        return await self._replaced(symbol, refreshed, self.start)

    async def _replaced(self, symbol: str, refreshed: Refreshed, since: int | None) -> SymbolIngest:
        ingested = await asyncio.to_thread(
            self.store.replace, symbol, self.timeframe, refreshed.checked, since=since
        )
        return SymbolIngest(symbol, ingested, tuple(refreshed.checked.summary()))

    def _asking(self) -> dict[str, Any]:
        now_seconds = self.now().timestamp()
        return {
            "timeframe": self.timeframe,
            "calendar": self.calendar,
            "now_seconds": now_seconds,
            "end": self.end,
            "headers": self.headers,
        }


async def ingest(
    upstream: Upstream,
    store: CandleStore,
    symbols: Iterable[str],
    *,
    timeframe: str,
    calendar: CalendarName,
    start: int | None,
    end: int | None,
    now: Now,
    concurrency: int,
    on_done: Callable[[SymbolIngest], None] | None = None,
    headers: Mapping[str, str] | None = None,
) -> IngestReport:
    """Ingests each symbol once, `concurrency` at a time; one that fails does so alone.

    `start` and `end` are in seconds since 1970, both included. `on_done` hears of each symbol as it
    ends, for progress.
    """
    run = _Ingest(upstream, store, timeframe, calendar_named(calendar), start, end, now, headers)
    wanted = tuple(dict.fromkeys(symbols))
    pending = iter(wanted)
    done: dict[str, SymbolIngest] = {}

    async def work(pending: Iterator[str]) -> None:
        for symbol in pending:
            done[symbol] = await run.attempt(symbol)
            if on_done is not None:
                on_done(done[symbol])

    async with asyncio.TaskGroup() as workers:
        for _ in range(min(concurrency, len(wanted))):
            workers.create_task(work(pending))
    return IngestReport(tuple(done[symbol] for symbol in wanted))


def _covers(since: int | None, start: int | None) -> bool:
    """Whether what was asked for from `since` includes all from `start`."""
    return since is None or (start is not None and since <= start)
