"""HTTP to an address that was checked, whatever its name resolves to by now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any, Final

import httpcore
import httpx

from shared.alerts.posting import MAX_ANSWER_BYTES, Answer
from shared.alerts.targets import Target

WIRE_ERRORS: Final = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.UnsupportedProtocol,
    OSError,
)


class _Pinned(httpcore.AsyncNetworkBackend):
    """Connects to the first of these addresses that answers. TLS still asks for the host's certificate."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self._addresses = addresses
        self._backend = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,  # noqa: ARG002 - its addresses are known
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        failure: Exception = httpcore.ConnectError("there is no address")
        for address in self._addresses:
            try:
                return await self._backend.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def connect_unix_socket(
        self,
        path: str,  # noqa: ARG002 - none is wanted
        timeout: float | None = None,  # noqa: ARG002
        socket_options: Iterable[Any] | None = None,  # noqa: ARG002
    ) -> httpcore.AsyncNetworkStream:
        raise httpcore.UnsupportedProtocol("no channel is a socket of this machine")

    async def sleep(self, seconds: float) -> None:
        await self._backend.sleep(seconds)


async def send(target: Target, addresses: Sequence[str], body: bytes, headers: Mapping[str, str]) -> Answer:
    """POST JSON to `target` at one of `addresses`; who calls bounds the time. No proxy is asked: it would
    resolve the name itself.

    Raises:
        one of `WIRE_ERRORS`.
    """
    scheme = b"https" if target.is_https else b"http"
    url = httpcore.URL(
        scheme=scheme, host=target.host.encode(), port=target.port, target=target.path.encode()
    )
    sent = {"content-type": "application/json", "user-agent": "mlengine", **headers}
    backend = _Pinned(addresses)
    context = httpx.create_ssl_context() if target.is_https else None
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(
            httpcore.AsyncConnectionPool(ssl_context=context, network_backend=backend)
        )
        posted = pool.stream(
            "POST",
            url,
            headers=[(name.encode(), value.encode()) for name, value in sent.items()],
            content=body,
        )
        try:
            response = await stack.enter_async_context(posted)
        except AttributeError as error:  # of a socket that is gone (anyio 4.16 on uvloop)
            raise httpcore.ConnectError("the connection was reset as soon as it stood") from error
        return Answer(response.status, _retry_after(response), await _beginning(response))


async def _beginning(response: httpcore.Response) -> str:
    content = b""
    async for part in response.aiter_stream():
        content += part
        if len(content) >= MAX_ANSWER_BYTES:
            break
    return content[:MAX_ANSWER_BYTES].decode(errors="replace")


def _retry_after(response: httpcore.Response) -> float | None:
    """Only in seconds: a channel that names a date isn't worth waiting for here."""
    value = next((value for name, value in response.headers if name.lower() == b"retry-after"), b"")
    return float(value) if value.isdigit() else None
