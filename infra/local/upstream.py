"""The sample upstream: serves the candles of a Parquet file as the Market Data Platform would.

    python -m infra.local.upstream --port 8081
    curl 'http://127.0.0.1:8081/candles?symbol=AAPL&start=2013-02-25'

Nothing in the file is repaired: rows come in their order, missing values as null.

With `--clock` it plays history: of what had not closed at that clock's time, nothing is served or listed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
from numpy.typing import NDArray
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from shared.market.candles import closing_delay_seconds
from shared.platform.clock import ReplayClock

SAMPLE = Path(__file__).with_name("data") / "public_domain_5_symbols_daily.parquet"

_FIELDS = ("open", "high", "low", "close", "volume")
_DATE_LENGTH = len("2000-01-01")
_PARENT_POLL_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Instrument:
    """One symbol's candles, ready to send: `rows` and `prices`, the closes, are JSON objects.

    `timestamp` and `closed_at` are in seconds since 1970.
    """

    symbol: str
    timeframe: str
    timestamp: NDArray[np.int64]
    closed_at: NDArray[np.int64]
    rows: tuple[bytes, ...]
    prices: tuple[bytes, ...]

    def until(self, seconds: float) -> Instrument | None:
        """What had closed by then; None where nothing had."""
        closed = np.flatnonzero(self.closed_at <= seconds)
        if not len(closed):
            return None
        rows, prices = (tuple(column[i] for i in closed) for column in (self.rows, self.prices))
        times = self.timestamp[closed], self.closed_at[closed]
        return Instrument(self.symbol, self.timeframe, *times, rows, prices)

    @property
    def price(self) -> bytes:
        """The newest close."""
        return self.prices[int(self.timestamp.argmax())]

    def candles(self, start: int | None, end: int | None) -> bytes:
        chosen = np.ones(len(self.rows), np.bool_)
        if start is not None:
            chosen &= self.timestamp >= start
        if end is not None:
            chosen &= self.timestamp <= end
        body = b",".join([self.rows[i] for i in np.flatnonzero(chosen)])
        head = json.dumps({"symbol": self.symbol, "timeframe": self.timeframe})[:-1].encode()
        return head + b', "candles": [' + body + b"]}"


class Market:
    """The file's symbols, as they were at the time of `clock`. One is encoded when it is first asked for."""

    def __init__(self, path: Path, clock: ReplayClock | None = None) -> None:
        import pyarrow.parquet as pq

        table = pq.read_table(path, columns=["symbol", "timestamp", *_FIELDS])
        encoded = table.column("symbol").combine_chunks().dictionary_encode()
        self._table = table
        self._place = {symbol: i for i, symbol in enumerate(encoded.dictionary.to_pylist())}
        self._code = encoded.indices.to_numpy()
        self._ready: dict[str, Instrument] = {}
        self._clock = clock

    @property
    def symbols(self) -> list[str]:
        listed = sorted(self._place)
        return listed if self._clock is None else [symbol for symbol in listed if self.instrument(symbol)]

    def instrument(self, symbol: str) -> Instrument | None:
        if symbol not in self._place:
            return None
        if symbol not in self._ready:
            rows = np.flatnonzero(self._code == self._place[symbol])
            self._ready[symbol] = _instrument(symbol, self._table.take(rows).to_pydict())
        ready = self._ready[symbol]
        return ready if self._clock is None else ready.until(self._clock.now().timestamp())


def create_app(path: Path = SAMPLE, clock: ReplayClock | None = None) -> Starlette:
    """The upstream's API over the candles in `path`; with `clock`, over those that had closed by its time."""
    market = Market(path, clock)

    async def symbols(_: Request) -> Response:
        return JSONResponse({"symbols": market.symbols})

    async def candles(request: Request) -> Response:
        return _answer(
            market, request, lambda it: it.candles(_bound(request, "start"), _bound(request, "end"))
        )

    async def latest_price(request: Request) -> Response:
        return _answer(market, request, lambda it: it.price)

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "ok", "symbols": len(market.symbols)})

    return Starlette(
        routes=[
            Route("/symbols", symbols),
            Route("/candles", candles),
            Route("/price/latest", latest_price),
            Route("/health", health),
        ]
    )


def main(arguments: Iterable[str] | None = None) -> None:
    """Serve until interrupted, or until the process `--parent-pid` is gone."""
    options = _options(arguments)
    try:
        with contextlib.suppress(KeyboardInterrupt):
            _serve(options)
    except OSError as error:
        sys.exit(f"The sample upstream can't start: {error}")


def _serve(options: argparse.Namespace) -> None:
    app = create_app(options.data, ReplayClock(options.clock) if options.clock else None)
    config = uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off")
    server = uvicorn.Server(config)
    if options.parent_pid:
        watch = threading.Thread(target=_stop_without, args=(options.parent_pid, server), daemon=True)
        watch.start()
    with socket.create_server((options.host, options.port)) as listener:
        host, port = listener.getsockname()[:2]
        print(f"Sample upstream at http://{host}:{port}", flush=True)  # noqa: T201 - says where it listens
        server.run(sockets=[listener])


def _options(arguments: Iterable[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m infra.local.upstream", description="Serves sample candles."
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8081, help="0 takes a free one")
    parser.add_argument("--data", type=Path, default=SAMPLE, help="a Parquet file of candles")
    parser.add_argument("--clock", type=Path, help="the file of a replay's clock")
    parser.add_argument("--parent-pid", type=int, default=0, help="stop when this process is gone")
    return parser.parse_args(None if arguments is None else list(arguments))


def _stop_without(parent_pid: int, server: uvicorn.Server) -> None:
    is_child = os.getppid() == parent_pid  # a dead parent that nobody has waited for still has its id
    while os.getppid() == parent_pid if is_child else _is_alive(parent_pid):
        time.sleep(_PARENT_POLL_SECONDS)
    server.should_exit = True


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _answer(market: Market, request: Request, body: Callable[[Instrument], bytes]) -> Response:
    symbol = request.query_params.get("symbol")
    if symbol is None:
        return _refusal(400, "Which symbol? Add ?symbol=.")
    instrument = market.instrument(symbol)
    if instrument is None:
        return _refusal(404, f"No symbol {symbol!r}.")
    try:
        return Response(body(instrument), media_type="application/json")
    except ValueError:
        return _refusal(400, "start and end are ISO dates or RFC 3339 times.")


def _refusal(status: int, detail: str) -> Response:
    return JSONResponse({"detail": detail}, status_code=status)


def _bound(request: Request, name: str) -> int | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    is_end_of_day = name == "end" and len(text) == _DATE_LENGTH
    return _seconds(text) + (86_399 if is_end_of_day else 0)


def _seconds(text: str) -> int:
    moment = datetime.fromisoformat(text)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def _instrument(symbol: str, columns: dict[str, list[Any]]) -> Instrument:
    stamps = columns["timestamp"]
    seconds = np.array([_seconds(text) for text in stamps], np.int64)
    values = [[_number(value) for value in columns[field]] for field in _FIELDS]
    rows = tuple(_row(*row) for row in zip(stamps, *values, strict=True))
    timeframe = _timeframe(stamps, seconds)
    closed_at = seconds + closing_delay_seconds(timeframe)
    closes = zip(columns["close"], stamps, strict=True)
    prices = tuple(
        json.dumps({"symbol": symbol, "price": close, "timestamp": stamp}).encode() for close, stamp in closes
    )
    return Instrument(symbol, timeframe, seconds, closed_at, rows, prices)


def _row(stamp: str, *values: str) -> bytes:
    fields = ", ".join(f'"{field}": {value}' for field, value in zip(_FIELDS, values, strict=True))
    return f'{{"timestamp": "{stamp}", {fields}}}'.encode()


def _number(value: float | None) -> str:
    return "null" if value is None or value != value else repr(value)


def _timeframe(stamps: list[str], seconds: NDArray[np.int64]) -> str:
    if len(stamps[0]) == _DATE_LENGTH:
        return "1d"
    forward = [step for step in np.diff(seconds).tolist() if step > 0]
    minutes = int(np.median(forward or [3_600])) // 60
    return f"{minutes // 60}h" if minutes % 60 == 0 else f"{minutes}m"


if __name__ == "__main__":
    main()
