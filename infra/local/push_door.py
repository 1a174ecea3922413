"""Takes Pub/Sub's pushes on a port of their own, and hands them to the functions with the key they need.

The emulator's pushes carry no identity, as its topics ask for none: whoever reaches its port can publish,
and whoever reaches this one can deliver. Both listen on the loopback address only.
"""

from __future__ import annotations

from collections.abc import Mapping

from infra.local.gateway import App, Message, Receive, Send

_PREFIX = "/push/"


class PushDoor:
    """An ASGI application: `POST /push/<function>` is that function's `POST /`."""

    def __init__(self, functions: Mapping[str, App], api_key: str) -> None:
        self._functions = functions
        self._key = (b"x-api-key", api_key.encode())

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        name = str(scope["path"]).removeprefix(_PREFIX)
        function = self._functions.get(name)
        if function is None or scope["method"] != "POST":
            await send({"type": "http.response.start", "status": 404, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return
        headers = [*scope["headers"], self._key]
        await function({**scope, "path": "/", "raw_path": b"/", "headers": headers}, receive, send)


def push_path(function: str) -> str:
    return _PREFIX + function
