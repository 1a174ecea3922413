"""Google's APIs over REST: for the few calls of the hot path, where a gRPC client would double the start.

httpx and stamina are imported at the first call.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from shared.errors import ConfigurationError, PlatformUnavailable
from shared.platform.gcp.project import Project

if TYPE_CHECKING:
    import httpx

_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_REFUSED = frozenset({401, 403})
ATTEMPTS = 5
_FIRST_WAIT_SECONDS = 0.05
_LONGEST_WAIT_SECONDS = 2.0
MAX_CONNECTIONS = 32


class _Passing(Exception):
    """Something that may be gone at the next attempt."""


class GoogleRest:
    """Calls with the instance's identity; retried within the project's time for one call."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self._lock = threading.Lock()

    def call(
        self,
        method: str,
        url: str,
        *,
        json: Any = None,
        params: Mapping[str, str] | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """The answer, whose status is none of 401, 403, 408, 425, 429 and 5xx.

        The call is repeated where it may have been lost: it must be one that may be made twice.

        Raises:
            PlatformUnavailable: no useful answer in time.
            ConfigurationError: this identity isn't known there, or may not do that.
        """
        import stamina

        attempts = stamina.retry_context(
            on=_Passing,
            attempts=ATTEMPTS,
            timeout=self.project.timeout_seconds,
            wait_initial=_FIRST_WAIT_SECONDS,
            wait_max=_LONGEST_WAIT_SECONDS,
            wait_jitter=_FIRST_WAIT_SECONDS,
        )
        try:
            for attempt in attempts:
                with attempt:
                    response = self._attempt(method, url, json, params, content, headers or {})
        except _Passing as error:
            raise PlatformUnavailable(
                f"{method} {_host(url)} failed {attempt.num} times, at last with {error}"
            ) from error
        if response.status_code in _REFUSED:
            raise ConfigurationError(
                f"{method} {_host(url)} was refused ({response.status_code}: {service_message(response)}). "
                "Check the roles of this function's service account."
            )
        return response

    def close(self) -> None:
        """Close the idle connections."""
        self._client.close()

    def _attempt(
        self,
        method: str,
        url: str,
        json: Any,
        params: Mapping[str, str] | None,
        content: bytes | None,
        headers: Mapping[str, str],
    ) -> httpx.Response:
        import httpx

        signed = {**headers, "authorization": self._authorization()}
        try:
            response = self._client.request(
                method, url, json=json, params=params, content=content, headers=signed
            )
        except httpx.TransportError as error:
            raise _Passing(f"{type(error).__name__}: {error}") from error
        if response.status_code in _PASSING:
            raise _Passing(f"{response.status_code}: {service_message(response)}")
        return response

    @cached_property
    def _client(self) -> httpx.Client:
        import httpx

        return httpx.Client(
            timeout=self.project.timeout_seconds / 2,  # a call that is stuck leaves time for another
            limits=httpx.Limits(max_connections=MAX_CONNECTIONS, keepalive_expiry=60.0),
            headers={"user-agent": "mlengine"},
            trust_env=not self.project.is_emulated,
        )

    def _authorization(self) -> str:
        if self.project.is_emulated:
            return "Bearer owner"  # what the emulators take for an administrator
        with self._lock:
            try:
                return f"Bearer {self._tokens()}"
            except PlatformUnavailable as error:
                raise _Passing(error.detail) from error

    @cached_property
    def _tokens(self) -> Callable[[], str]:
        from shared.platform.gcp.tokens import tokens

        return tokens(self._client)


def service_message(response: httpx.Response) -> str:
    """What the service says, in one line."""
    try:
        return str(response.json()["error"]["message"])[:300]
    except (ValueError, KeyError, TypeError):
        return " ".join(response.text[:300].split())


def _host(url: str) -> str:
    return url.partition("://")[2].partition("/")[0]
