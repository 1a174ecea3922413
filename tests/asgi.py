"""A synchronous client for ASGI applications in this process: real requests, no port."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import httpx

from infra.local.gateway import load


class AsgiClient:
    """Requests run on one event loop, as in a server. Use as a context manager."""

    def __init__(self, app: Callable[..., Any]) -> None:
        self._runner = asyncio.Runner()
        self._client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://test", timeout=60
        )

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self._runner.run(self._client.request(method, path, **options))

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.request("POST", path, **options)

    def together(self, *paths: str) -> list[httpx.Response]:
        """GET all of them at the same time."""

        async def all_of_them() -> list[httpx.Response]:
            return list(await asyncio.gather(*(self._client.get(path) for path in paths)))

        return self._runner.run(all_of_them())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._runner.run(self._client.aclose())
        self._runner.close()


def deployed(name: str) -> AsgiClient:
    """A function, loaded as the twin's gateway loads it."""
    return AsgiClient(load(name))
