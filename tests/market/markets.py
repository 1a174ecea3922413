"""An upstream whose candles a test may change while it is asked."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from shared.market.candles import Candles, RawCandles
from tests.market.made import as_answer


class Market:
    """Candles by symbol, served over HTTP.

    Instead of them every answer has the status `fault` or the body `garbage`, where set; `meanwhile` is
    done once, before the next answer.
    """

    def __init__(self, *series: RawCandles | Candles) -> None:
        self.series = {candles.symbol: candles for candles in series}
        self.fault: int | None = None
        self.garbage: bytes | None = None
        self.meanwhile: Callable[[], object] | None = None
        self.asked: list[dict[str, str]] = []
        self.url = ""

    def put(self, candles: RawCandles | Candles) -> None:
        self.series[candles.symbol] = candles

    async def candles(self, request: Request) -> Response:
        self.asked.append(dict(request.query_params))
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        if self.fault is not None:
            return JSONResponse({}, self.fault)
        if self.garbage is not None:
            return Response(self.garbage)
        symbol = request.query_params["symbol"]
        if symbol not in self.series:
            return JSONResponse({}, 404)
        answer = as_answer(self.series[symbol])
        start, end = request.query_params.get("start", "0"), request.query_params.get("end", "9")
        answer["candles"] = [row for row in answer["candles"] if start <= row["timestamp"] <= end]
        return JSONResponse(answer)

    async def symbols(self, _: Request) -> Response:
        return JSONResponse({"symbols": list(self.series)})


@contextmanager
def serving(market: Market) -> Iterator[Market]:
    """`market` over HTTP at `market.url`."""
    app = Starlette(routes=[Route("/candles", market.candles), Route("/symbols", market.symbols)])
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the upstream didn't start"
            thread.join(0.005)
        port = server.servers[0].sockets[0].getsockname()[1]
        market.url = f"http://127.0.0.1:{port}"
        yield market
    finally:
        server.should_exit = True
        thread.join(5)
