"""`python -m tests.benchmarks.access_once <path?query> [key]`: one first prediction of a fresh process.

Prints, as soon as it is answered, the packages that were loaded by then, as a JSON list.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import MutableMapping
from typing import Any

import functions_framework.aio

from infra.catalogue import source_of


async def ask(target: str, key: str) -> None:
    app = functions_framework.aio.create_asgi_app("main", str(source_of("predict")), "http")
    path, _, query = target.partition("?")

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": b""}

    async def send(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            assert message["status"] == 200, message
            loaded = sorted({name.partition(".")[0] for name in sys.modules})
            sys.stdout.write(json.dumps(loaded) + "\n")
            sys.stdout.flush()

    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(b"x-api-key", key.encode())] if key else [],
        "client": ("192.0.2.1", 4711),
    }
    await app(scope, receive, send)


if __name__ == "__main__":
    asyncio.run(ask(*sys.argv[1:3]))
