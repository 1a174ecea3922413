"""Serves one function, on HOST and PORT: the process that runs where the function is deployed.

    FUNCTION_SOURCE=functions/predict/main.py PORT=8080 python -m shared.serve

functions-framework loads the function in its ASGI mode; uvicorn serves it with uvloop and httptools.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
import sys
from typing import Any

GRACE_SECONDS = 7
"""For requests under way when the process is told to stop; Cloud Run kills it after ten."""

FAREWELL_SECONDS = 2
"""For telling what was measured and not told yet, after that."""

NOT_STARTED = 3

COLLECT_AFTER = 20_000
"""New objects before garbage is looked for: requests leave little, and looking takes 4 % of their time."""


def main() -> int:
    """Serve until told to stop; gives the exit code."""
    gc.disable()  # a start makes next to no garbage, and looking for it takes a tenth of its time
    import functions_framework.aio
    import uvicorn

    from shared.config import settings
    from shared.web.routing import of_one_line

    class Server(uvicorn.Server):
        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            await super().shutdown(sockets)
            await _say_farewell()

    target = os.environ.get("FUNCTION_TARGET", "main")
    function = functions_framework.aio.create_asgi_app(target)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await function(of_one_line(scope), receive, send)

    gc.freeze()
    gc.set_threshold(COLLECT_AFTER)
    gc.enable()
    config = uvicorn.Config(
        app,
        host=settings().host,
        port=settings().port,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="off",
        access_log=False,  # the function writes a line of its own
        proxy_headers=False,  # nobody asks for the caller's address
        log_level="warning",
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    server = Server(config)
    with contextlib.suppress(KeyboardInterrupt):
        server.run()
    return 0 if server.started else NOT_STARTED


async def _say_farewell() -> None:
    """The processor is given once more now, and then never again."""
    from shared.instance import current_instance

    telling = asyncio.create_task(asyncio.to_thread(current_instance().measurements.publish))
    await asyncio.wait({telling}, timeout=FAREWELL_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
