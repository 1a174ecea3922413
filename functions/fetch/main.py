"""Candles: ingest them from the upstream by call or by topic candles.requested, and show them."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import Field

from shared.market.candles import rfc3339
from shared.market.ingest import SymbolIngest
from shared.market.symbols import Symbol
from shared.platform.ports import Event
from shared.schema import Answer, Body, Query
from shared.web import Call, Function, Problem, problem_of
from shared.web.decoding import read_data
from shared.web.moments import Moment

function = Function("fetch", needs=["documents"])

FIRST_SECOND = int(datetime(1900, 1, 1, tzinfo=UTC).timestamp())
LAST_SECOND = int(datetime(2200, 1, 1, tzinfo=UTC).timestamp())


class FetchBody(Body):
    """Without symbols: all that the upstream lists."""

    symbols: Annotated[tuple[str, ...], Field(max_length=5000)] = ()
    start: Moment | None = None
    end: Moment | None = None


class CandlesQuery(Query):
    symbol: Symbol
    start: Moment | None = None
    end: Moment | None = None
    limit: Annotated[int, Field(ge=1, le=5000, description="The newest of those that match.")] = 500


class SymbolQuery(Query):
    symbol: Symbol


class FetchedSymbol(Answer):
    """`added` candles are new; `rows`, `first` and `last` are of all that are stored. Or `error`."""

    symbol: str
    added: int = 0
    rows: int = 0
    first: str | None = None
    last: str | None = None
    history_changed: bool = False
    findings: tuple[Mapping[str, Any], ...] = ()
    error: Problem | None = None


class Fetched(Answer):
    results: list[FetchedSymbol]
    succeeded: int
    failed: int
    request_id: str


class SymbolList(Answer):
    symbols: list[str]


class Candle(Answer):
    timestamp: str
    open: float
    high: float
    low: float
    close: float
    volume: float


class CandleList(Answer):
    """In time order. `stale`: the upstream is away, these are the last stored ones."""

    symbol: str
    timeframe: str
    stale: bool
    candles: list[Candle]


class LatestPrice(Answer):
    symbol: str
    price: float
    timestamp: str
    stale: bool


def seconds(moment: datetime | None) -> int | None:
    """Seconds since 1970, within the centuries in which there are candles."""
    return None if moment is None else min(max(int(moment.timestamp()), FIRST_SECOND), LAST_SECOND)


def fetched(done: SymbolIngest, call: Call) -> FetchedSymbol:
    if done.ingested is None:
        return FetchedSymbol(symbol=done.symbol, error=done.error and problem_of(done.error, call))
    stored = done.ingested
    return FetchedSymbol(
        symbol=done.symbol,
        added=stored.added,
        rows=stored.rows,
        first=None if stored.first is None else rfc3339(stored.first),
        last=None if stored.last is None else rfc3339(stored.last),
        history_changed=stored.history_changed,
        findings=done.findings,
    )


@function.post("/fetch")
async def fetch(call: Call, body: FetchBody) -> Fetched:
    """Ingest what is new. Each symbol succeeds or fails alone; the same call again adds nothing."""
    report = await call.instance.market_desk.ingest(
        body.symbols, start=seconds(body.start), end=seconds(body.end), headers=call.outgoing_headers
    )
    call.facts.update(symbols=len(report.symbols), added=report.added, failed=report.failed)
    results = [fetched(done, call) for done in report.symbols]
    return Fetched(
        results=results, succeeded=report.succeeded, failed=report.failed, request_id=call.request_id
    )


@function.get("/symbols")
async def symbols(call: Call) -> SymbolList:
    """The symbols that the upstream lists."""
    return SymbolList(symbols=list(await call.instance.upstream.symbols(headers=call.outgoing_headers)))


@function.get("/candles")
async def candles(call: Call, query: CandlesQuery) -> CandleList:
    """The newest closed candles of one symbol, or the stored ones between `start` and `end`."""
    found, stale = await call.instance.market_desk.candles(
        query.symbol,
        start=seconds(query.start),
        end=seconds(query.end),
        limit=query.limit,
        headers=call.outgoing_headers,
    )
    columns = (found.open, found.high, found.low, found.close, found.volume)
    rows = zip(map(rfc3339, found.timestamp.tolist()), *(c.tolist() for c in columns), strict=True)
    shown = [Candle(**dict(zip(Candle.model_fields, row, strict=True))) for row in rows]
    return CandleList(symbol=query.symbol, timeframe=found.timeframe, stale=stale, candles=shown)


@function.get("/price/latest")
async def latest_price(call: Call, query: SymbolQuery) -> LatestPrice:
    """The last price of one symbol."""
    price = await call.instance.market_desk.price(query.symbol, headers=call.outgoing_headers)
    return LatestPrice(
        symbol=price.symbol, price=price.price, timestamp=rfc3339(price.timestamp), stale=price.stale
    )


@function.events
async def requested(events: Sequence[Event], call: Call) -> None:
    """Ingest on request; `data` has the members of POST /fetch, but without symbols: all that are stored.

    It comes again where a retry may help.
    """
    desk = call.instance.market_desk
    for event in events:
        body = read_data(FetchBody, event.data)
        symbols = body.symbols or await asyncio.to_thread(desk.stored_symbols)
        if not symbols:
            continue
        report = await desk.ingest(
            symbols, start=seconds(body.start), end=seconds(body.end), headers=call.outgoing_headers
        )
        for done in report.symbols:
            if done.error is not None and done.error.retryable:
                raise done.error


main = function.entry_point()
