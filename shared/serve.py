"""Serves one function, on HOST and PORT: the process that runs where the function is deployed.

    FUNCTION_SOURCE=functions/predict/main.py PORT=8080 python -m shared.serve

functions-framework loads the function in its ASGI mode; uvicorn serves it with uvloop and httptools.
"""

from __future__ import annotations

import gc
import os

GRACE_SECONDS = 8
"""For requests under way when the process is told to stop; Cloud Run kills it after ten."""

COLLECT_AFTER = 20_000
"""New objects before garbage is looked for: requests leave little, and looking takes 4 % of their time."""


def main() -> None:
    gc.disable()  # a start makes next to no garbage, and looking for it takes a tenth of its time
    import functions_framework.aio
    import uvicorn

    from shared.config import settings

    target = os.environ.get("FUNCTION_TARGET", "main")
    app = functions_framework.aio.create_asgi_app(target)
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER)
    gc.enable()
    uvicorn.run(
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


if __name__ == "__main__":
    main()
