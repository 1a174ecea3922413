"""The twin's front door: routes by the catalogue to the very entry points that deploy.

What the load balancer's URL map does in the cloud. Each function is loaded as functions-framework
loads it, in one process.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any, TypeAlias

import functions_framework.aio

from infra.catalogue import Catalogue, source_of
from infra.local.dispatcher import Push
from shared.errors import NotFound
from shared.instance import current_instance
from shared.platform.clock import CLOCK_HEADER
from shared.web.routing import Routes, bare, of_one_line

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Message, Receive, Send], Awaitable[None]]

TARGET = "main"
DEFAULT_FUNCTION = "docs"
_ANY = "ANY"


class Gateway:
    """An ASGI application. A path belongs to one function, whatever the method."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.functions: dict[str, App] = {name: load(name) for name in catalogue.functions}
        self._paths: Routes[str] = Routes()
        for name, entry in catalogue.functions.items():
            for route in entry.routes:
                self._paths.add(_ANY, route.partition(" ")[2], name)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        scope = of_one_line(scope)
        path = bare(scope["path"])
        if path == "/ready" and scope["method"] in ("GET", "HEAD"):
            await self._ready(send)
        else:
            await self.functions[self._function_of(path)](scope, receive, send)

    def _function_of(self, path: str) -> str:
        try:
            return self._paths.match(_ANY, path)[0]
        except NotFound:
            return DEFAULT_FUNCTION  # answers /health, and 404 to the rest

    async def _ready(self, send: Send) -> None:
        """Ready when every function is."""
        states = {name: await _ask(app, "GET", "/ready") for name, app in self.functions.items()}
        ready = all(status == 200 for status, _ in states.values())
        answers = {name: json.loads(body) for name, (_, body) in states.items()}
        clock = current_instance().replay_clock
        said = {} if clock is None else {"clock": clock}
        missing = {
            f"{name}: {what}": why for name, one in answers.items() for what, why in one["missing"].items()
        }
        whole = {
            "ready": ready,
            "function": "every function",
            "missing": missing,
            **said,
            "functions": answers,
        }
        body = json.dumps(whole).encode()
        headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
        if clock is not None:
            headers.append((CLOCK_HEADER.encode(), clock.encode()))
        await send({"type": "http.response.start", "status": 200 if ready else 503, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def pusher(self, loop: asyncio.AbstractEventLoop) -> Push:
        """Pushes events to functions on `loop`, from other threads."""

        def push(function: str, body: bytes, headers: Sequence[tuple[bytes, bytes]]) -> tuple[int, bytes]:
            asked = _ask(self.functions[function], "POST", "/", body, headers)
            return asyncio.run_coroutine_threadsafe(asked, loop).result()

        return push


def load(name: str) -> App:
    """A function, loaded from its entry point as functions-framework loads it.

    It puts each function's folder on the path of modules, where nothing is to be found but other functions'
    `main`: the path is left as it was.
    """
    path = list(sys.path)
    try:
        app: App = functions_framework.aio.create_asgi_app(TARGET, str(source_of(name)), "http")
    finally:
        sys.path[:] = path
    return app


async def _ask(
    app: App, method: str, path: str, body: bytes = b"", headers: Sequence[tuple[bytes, bytes]] = ()
) -> tuple[int, bytes]:
    """One request to an application in this process."""
    status = 500
    parts: list[bytes] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body}

    async def send(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        else:
            parts.append(message.get("body", b""))

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": list(headers),
        "client": None,
        "server": None,
    }
    await app(scope, receive, send)
    return status, b"".join(parts)
