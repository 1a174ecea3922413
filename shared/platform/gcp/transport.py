"""google-auth's calls over httpx: its own transport would bring another HTTP library into every start."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx
from google.auth import transport
from google.auth.exceptions import TransportError


class _Response(transport.Response):
    def __init__(self, response: httpx.Response) -> None:
        self._response = response

    @property
    def status(self) -> int:
        return self._response.status_code

    @property
    def headers(self) -> Mapping[str, str]:
        return self._response.headers

    @property
    def data(self) -> bytes:
        return self._response.content


class HttpxRequest(transport.Request):
    """What `Credentials.refresh` calls."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **_: Any,
    ) -> transport.Response:
        """
        Raises:
            TransportError: no answer.
        """
        try:
            answer = self._client.request(method, url, content=body, headers=headers, timeout=timeout)
        except httpx.TransportError as error:
            raise TransportError(error) from error  # type: ignore[no-untyped-call]  # google-auth is partly typed
        return _Response(answer)
