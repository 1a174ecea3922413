"""Cross-origin requests: from the origins that the settings name, and from no others.

Credentials are headers that scripts set themselves; there are no cookies, so none are allowed for. Source:
the Fetch standard, "HTTP extensions".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from starlette.responses import Response

ANY: Final = "*"
MAX_AGE_SECONDS: Final = 600

_REQUEST_HEADERS: Final = (
    b"authorization, content-type, idempotency-key, traceparent, x-api-key, x-request-id"
)
_SHOWN: Final = b"idempotency-replayed, ratelimit, ratelimit-policy, retry-after, x-request-id"

Headers = Sequence[tuple[bytes, bytes]]


def cors_headers(headers: Mapping[bytes, bytes], allowed: Sequence[str]) -> Headers:
    """What an answer says to the origin that asks. What is cached for one isn't for another."""
    origin = headers.get(b"origin")
    if origin is None or not allowed:
        return ()
    vary = (b"vary", b"origin")
    if not _is_allowed(origin, allowed):
        return (vary,)
    return (vary, (b"access-control-allow-origin", origin), (b"access-control-expose-headers", _SHOWN))


def is_preflight(method: str, headers: Mapping[bytes, bytes]) -> bool:
    """Whether a browser asks if it may ask."""
    return method == "OPTIONS" and b"origin" in headers and b"access-control-request-method" in headers


def preflight(headers: Mapping[bytes, bytes], allowed: Sequence[str], methods: Sequence[str]) -> Response:
    """The answer to a preflight: what may be asked by `methods`; without a word to other origins."""
    response = Response(status_code=204)
    if allowed and _is_allowed(headers[b"origin"], allowed):
        response.raw_headers += [
            (b"access-control-allow-methods", ", ".join(methods).encode()),
            (b"access-control-allow-headers", _REQUEST_HEADERS),
            (b"access-control-max-age", str(MAX_AGE_SECONDS).encode()),
        ]
    return response


def _is_allowed(origin: bytes, allowed: Sequence[str]) -> bool:
    return ANY in allowed or origin.decode("latin-1") in allowed
