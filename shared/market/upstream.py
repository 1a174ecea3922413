"""The client of the Market Data Platform: symbols, candles and prices.

Every call ends within its budget with an answer that fits the schema, or with one error that names the fault
and says whether to retry.
"""

from __future__ import annotations

import difflib
import time
from collections.abc import Callable, Mapping

from shared.errors import DependencyError, EngineError, UnknownSymbol, UpstreamRejected
from shared.market.answers import Price, read_candles, read_price, read_symbols
from shared.market.breaker import Breaker
from shared.market.candles import RawCandles, rfc3339
from shared.market.symbols import check_symbol, is_symbol
from shared.market.transport import Limits, Transport, upstream_name

_LISTING_SECONDS = 60.0
_NEAR_MATCHES = 3


class Upstream:
    """One upstream. Connections are reused within an event loop; `aclose` ends the running loop's.

    Any call may raise `UpstreamRejected`, `UpstreamInvalid` or `UpstreamUnavailable`. `headers` go out with
    the call (`traceparent`).
    """

    def __init__(
        self,
        base_url: str,
        *,
        timeout_seconds: float,
        attempts: int,
        max_bytes: int,
        concurrency: int,
        budget_seconds: float | None = None,
        backoff_seconds: float = 0.2,
        breaker_failures: int = 5,
        breaker_seconds: float = 15.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        limits = Limits(
            timeout_seconds=timeout_seconds,
            budget_seconds=2 * timeout_seconds if budget_seconds is None else budget_seconds,
            attempts=attempts,
            backoff_seconds=backoff_seconds,
            max_bytes=max_bytes,
            concurrency=concurrency,
        )
        breaker = Breaker(
            upstream_name(base_url),
            failures=breaker_failures,
            open_seconds=breaker_seconds,
            monotonic=monotonic,
        )
        self._transport = Transport(base_url, limits, breaker, monotonic=monotonic)
        self._monotonic = monotonic
        self._listing: tuple[str, ...] = ()
        self._listed_at = float("-inf")

    async def symbols(self, *, headers: Mapping[str, str] | None = None) -> tuple[str, ...]:
        """Every symbol the upstream lists, once, in its order; names that can't be asked for are left out."""
        body = await self._transport.get("/symbols", {}, headers)
        if body is None:
            raise UpstreamRejected(
                f"{self._transport.name} has no /symbols; check that MARKET_DATA_URL is the API's base."
            )
        self._listing = tuple(dict.fromkeys(filter(is_symbol, read_symbols(body))))
        self._listed_at = self._monotonic()
        return self._listing

    async def candles(
        self,
        symbol: str,
        *,
        timeframe: str = "1d",
        start: int | None = None,
        end: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> RawCandles:
        """The candles stamped from `start` to `end`, both included, in seconds since 1970; all without them.

        What the upstream answers beyond that is left out. `timeframe` is the one it serves.

        Raises:
            InvalidInput: `symbol` can't name an instrument.
            UnknownSymbol: the upstream doesn't know it; the message names near matches.
        """
        params = {"symbol": check_symbol(symbol)}
        params |= {"start": _stamp(start, timeframe)} if start is not None else {}
        params |= {"end": _stamp(end, timeframe)} if end is not None else {}
        body = await self._transport.get("/candles", params, headers)
        if body is None:
            raise await self._unknown(symbol, headers)
        return _between(read_candles(body, symbol=symbol, timeframe=timeframe), start, end)

    async def latest_price(self, symbol: str, *, headers: Mapping[str, str] | None = None) -> Price:
        """The last trade of `symbol`.

        Raises:
            InvalidInput: `symbol` can't name an instrument.
            UnknownSymbol: the upstream doesn't know it; the message names near matches.
        """
        body = await self._transport.get("/price/latest", {"symbol": check_symbol(symbol)}, headers)
        if body is None:
            raise await self._unknown(symbol, headers)
        return read_price(body, symbol=symbol)

    async def aclose(self) -> None:
        await self._transport.aclose()

    async def _unknown(self, symbol: str, headers: Mapping[str, str] | None) -> EngineError:
        try:
            fresh = self._monotonic() - self._listed_at < _LISTING_SECONDS
            listing = self._listing if fresh else await self.symbols(headers=headers)
        except DependencyError:
            listing = ()
        if symbol in listing:
            return UpstreamRejected(
                f"{self._transport.name} lists {symbol} but answers 404 for it; retrying won't help."
            )
        near = _near(symbol, listing)
        hint = f" Near matches: {', '.join(near)}." if near else ""
        return UnknownSymbol(f"The upstream knows no symbol {symbol!r}.{hint}")


def _near(symbol: str, listing: tuple[str, ...]) -> list[str]:
    """Listed symbols that differ from `symbol` by little, whatever the case."""
    alike = {s.upper(): s for s in listing if abs(len(s) - len(symbol)) <= 2}
    matches = difflib.get_close_matches(symbol.upper(), alike, n=_NEAR_MATCHES, cutoff=0.5)
    return [alike[match] for match in matches]


def _stamp(seconds: int, timeframe: str) -> str:
    text = rfc3339(seconds)
    return text[:10] if timeframe.endswith("d") else text


def _between(raw: RawCandles, start: int | None, end: int | None) -> RawCandles:
    if start is not None:
        raw = raw[raw.timestamp >= start]
    if end is not None:
        raw = raw[raw.timestamp <= end]
    return raw
