"""GET over HTTP against one upstream: bounded in time, size and number, retried, behind a circuit breaker.

httpx and stamina are imported on the first call: a process that never asks doesn't pay for them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from shared.errors import ConfigurationError, UpstreamInvalid, UpstreamRejected, UpstreamUnavailable
from shared.market.breaker import Breaker

if TYPE_CHECKING:
    import httpx

_RETRIED = frozenset({408, 425, 429})
_NEVER_SERVED = frozenset({501, 505})
_LONGEST_BACKOFF_SECONDS = 5.0
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True, slots=True)
class Limits:
    """`timeout_seconds` is for one attempt, `budget_seconds` for the call with all its attempts and waits."""

    timeout_seconds: float
    budget_seconds: float
    attempts: int
    backoff_seconds: float
    max_bytes: int
    concurrency: int


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    retry_after_seconds: float | None
    body: bytes


@dataclass(frozen=True, slots=True)
class _Session:
    """What belongs to one event loop."""

    client: httpx.AsyncClient
    slots: asyncio.Semaphore


class Transport:
    def __init__(
        self,
        base_url: str,
        limits: Limits,
        breaker: Breaker,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = upstream_name(base_url)
        self._base_url = base_url
        self._limits = limits
        self._breaker = breaker
        self._monotonic = monotonic
        self._sessions: WeakKeyDictionary[asyncio.AbstractEventLoop, _Session] = WeakKeyDictionary()

    async def get(
        self, path: str, params: Mapping[str, str], headers: Mapping[str, str] | None = None
    ) -> bytes | None:
        """The body of a 200; None for a 404.

        Raises:
            UpstreamRejected: another refusal, or a redirect; a retry can't help.
            UpstreamInvalid: a body that is too large or can't be decoded.
            UpstreamUnavailable: no answer, an answer that asks to come back later, or the breaker is open.
        """
        session = self._session()
        async with session.slots:
            try:
                async with asyncio.timeout(self._limits.budget_seconds):
                    answer = await self._persist(session.client, path, params, headers or {})
            except TimeoutError as error:
                raise self._unavailable(f"gave no answer in {self._limits.budget_seconds:g} s") from error
        if answer.status == 404:
            return None
        if answer.status != 200:
            raise self._rejected(answer.status, path)
        return answer.body

    async def aclose(self) -> None:
        """Closes the connections of the running event loop; the next call opens new ones."""
        session = self._sessions.pop(asyncio.get_running_loop(), None)
        if session is not None:
            await session.client.aclose()

    def _session(self) -> _Session:
        loop = asyncio.get_running_loop()
        session = self._sessions.get(loop)
        if session is None:
            session = _Session(self._client(), asyncio.Semaphore(self._limits.concurrency))
            self._sessions[loop] = session
        return session

    def _client(self) -> httpx.AsyncClient:
        import httpx

        parts = urlsplit(self._base_url)
        auth = (parts.username, parts.password or "") if parts.username else None
        return httpx.AsyncClient(
            base_url=parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl(),
            auth=auth,  # taken out of the URL, which httpx logs
            timeout=self._limits.timeout_seconds,
            limits=httpx.Limits(max_connections=self._limits.concurrency, keepalive_expiry=30.0),
            headers={"Accept": "application/json", "User-Agent": "mlengine"},
            trust_env=parts.hostname not in _LOOPBACK,
            verify=parts.scheme == "https",  # loading certificates that nobody asks for takes 20 ms
        )

    async def _persist(
        self, client: httpx.AsyncClient, path: str, params: Mapping[str, str], headers: Mapping[str, str]
    ) -> _Answer:
        import stamina

        deadline = self._monotonic() + self._limits.budget_seconds

        def may_retry(error: Exception) -> bool | float:
            if not isinstance(error, UpstreamUnavailable) or self._breaker.is_open:
                return False
            wait = error.retry_after_seconds
            return True if wait is None else wait if self._monotonic() + wait < deadline else False

        caller = stamina.AsyncRetryingCaller(
            attempts=self._limits.attempts,
            timeout=self._limits.budget_seconds,
            wait_initial=self._limits.backoff_seconds,
            wait_jitter=self._limits.backoff_seconds,
            wait_max=_LONGEST_BACKOFF_SECONDS,
        )
        return await caller(may_retry, self._attempt, client, path, params, headers)

    async def _attempt(
        self, client: httpx.AsyncClient, path: str, params: Mapping[str, str], headers: Mapping[str, str]
    ) -> _Answer:
        with self._breaker.attempt():
            answer = await self._exchange(client, path, params, headers)
            if answer.status >= 500 and answer.status not in _NEVER_SERVED:
                raise self._busy(answer)
        if answer.status in _RETRIED:  # it answers, so this is none of the breaker's business
            raise self._busy(answer)
        return answer

    async def _exchange(
        self, client: httpx.AsyncClient, path: str, params: Mapping[str, str], headers: Mapping[str, str]
    ) -> _Answer:
        import httpx

        try:
            async with (
                asyncio.timeout(self._limits.timeout_seconds),  # httpx only bounds each read
                AsyncExitStack() as stack,
            ):
                stream = client.stream("GET", path, params=dict(params), headers=dict(headers))
                try:
                    response = await stack.enter_async_context(stream)
                except AttributeError as error:  # of a socket that is gone (anyio 4.16 on uvloop)
                    raise httpx.ConnectError("the connection was reset as soon as it stood") from error
                retry_after = _retry_after_seconds(response.headers)
                body = await self._read(response) if response.status_code == 200 else b""
                return _Answer(response.status_code, retry_after, body)
        except (TimeoutError, httpx.TimeoutException) as error:
            raise self._unavailable(f"gave no answer in {self._limits.timeout_seconds:g} s") from error
        except httpx.DecodingError as error:
            raise UpstreamInvalid(
                f"{self.name} answered with a broken encoding; retrying won't help."
            ) from error
        except httpx.TransportError as error:
            raise self._unavailable(f"can't be reached or hung up ({type(error).__name__})") from error

    async def _read(self, response: httpx.Response) -> bytes:
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > self._limits.max_bytes:
                raise UpstreamInvalid(
                    f"{self.name} answered with more than {self._limits.max_bytes} bytes, the limit; "
                    "ask for fewer candles, or raise UPSTREAM_MAX_BYTES."
                )
        return bytes(body)

    def _busy(self, answer: _Answer) -> UpstreamUnavailable:
        return self._unavailable(f"answered {answer.status}", answer.retry_after_seconds)

    def _unavailable(self, fault: str, retry_after_seconds: float | None = None) -> UpstreamUnavailable:
        when = "later" if retry_after_seconds is None else f"in {retry_after_seconds:.0f} s"
        return UpstreamUnavailable(
            f"{self.name} {fault}; retry {when}.", retry_after_seconds=retry_after_seconds
        )

    def _rejected(self, status: int, path: str) -> UpstreamRejected:
        advice = {
            400: "it doesn't understand the call; check that it speaks this API",
            401: "it wants credentials; check MARKET_DATA_URL",
            403: "it doesn't allow the call; check the account's rights",
            451: "it may not serve this for legal reasons",
        }.get(status, "check that it speaks this API")
        if 300 <= status < 400:
            advice = "redirects aren't followed; set MARKET_DATA_URL to the final address"
        return UpstreamRejected(f"{self.name} answered {status} to {path}: {advice}. Retrying won't help.")


def upstream_name(base_url: str) -> str:
    """How errors name the upstream: without user, password, path or query.

    Raises:
        ConfigurationError: not an address the client can use.
    """
    parts = urlsplit(base_url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ConfigurationError("MARKET_DATA_URL must be http(s)://host[:port][/path] without query.")
    port = f":{parts.port}" if parts.port else ""
    return f"The upstream {parts.scheme}://{parts.hostname}{port}"


def _retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """`Retry-After` in seconds: a number, or a date measured from the answer's own `Date`."""
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    moment = _http_date(text)
    if moment is None:
        return None
    asked_at = _http_date(headers.get("Date", "")) or datetime.now(UTC)
    return max(0.0, (moment - asked_at).total_seconds())


def _http_date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
