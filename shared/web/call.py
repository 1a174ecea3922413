"""One call: its ids, who made it, and what the log line will say."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.access.identity import ANONYMOUS, Caller, Identity
from shared.access.limits import Standing
from shared.errors import MalformedRequest
from shared.instance import Instance

_FORWARDED = b"x-forwarded-for"
_SINGLE = frozenset({b"authorization", b"x-api-key", b"idempotency-key", b"content-type", b"host", b"origin"})
_MAX_ADDRESS = 45  # of an IPv6 address with an IPv4 tail
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


@dataclass(slots=True)
class Change:
    """What a call changed: how it was and is, as JSON values without secrets, and the caller's reason.
    `entry_id` is its own entry in the audit.
    """

    entry_id: str = ""
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    reason: str | None = None


@dataclass(slots=True)
class Call:
    """What a handler may know of the request beyond its decoded input."""

    function: str
    path: str
    instance: Instance
    request_id: str
    traceparent: str
    ip: str = ""
    """The address that the call came from, as far as the proxies in front can be trusted with it."""
    identity: Identity = ANONYMOUS
    started: float = field(default_factory=time.perf_counter)
    facts: dict[str, Any] = field(default_factory=dict)
    """Goes into the request's log line."""
    change: Change = field(default_factory=Change)
    """What the audit of changes will say."""
    standing: Standing | None = None
    """Where the caller stands in the tightest window of the limits."""
    status: int | None = None
    """The answer's status, where it isn't the route's own."""

    @property
    def trace_id(self) -> str:
        return self.traceparent[3:35]

    @property
    def outgoing_headers(self) -> dict[str, str]:
        """What passes the trace on to whom we call."""
        return {"traceparent": self.traceparent}

    @property
    def caller(self) -> Caller:
        return Caller(self.identity.name, self.function, self.request_id, self.traceparent)

    def elapsed_ms(self) -> float:
        return (time.perf_counter() - self.started) * 1_000


def headers_of(raw: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """By name. What proxies add to in lines of their own is one list (RFC 9110, section 5.3)."""
    found: dict[bytes, bytes] = {}
    for name, value in raw:
        found[name] = value if name != _FORWARDED or name not in found else found[name] + b"," + value
    return found


def require_single(raw: Iterable[tuple[bytes, bytes]]) -> None:
    """
    Raises:
        MalformedRequest: a header that says who calls or what is asked comes twice. Whoever looks at the
            first one would judge another request than whoever looks at the last.
    """
    names = [name for name, _ in raw if name in _SINGLE]
    if len(names) != len(set(names)):
        twice = sorted({name.decode() for name in names if names.count(name) > 1})
        raise MalformedRequest(f"These headers may come once: {', '.join(twice)}.")


def client_address(headers: Mapping[bytes, bytes], peer: tuple[str, int] | None, trusted_proxies: int) -> str:
    """Who called: behind `trusted_proxies` proxies that each append whom they heard it from to
    `X-Forwarded-For`, the entry of the outermost; what stands before it is the caller's own word.
    """
    if trusted_proxies > 0:
        entries = headers.get(_FORWARDED, b"").decode("latin-1").split(",")
        if len(entries) >= trusted_proxies:
            return entries[-trusted_proxies].strip()[:_MAX_ADDRESS]
    return "" if peer is None else peer[0]


def request_id(headers: Mapping[bytes, bytes], new_id: Callable[[], str]) -> str:
    """The caller's `X-Request-ID` where it is well formed, else a fresh one."""
    given = headers.get(b"x-request-id", b"").decode("latin-1")
    return given if _REQUEST_ID.fullmatch(given) else new_id()


def traceparent(headers: Mapping[bytes, bytes]) -> str:
    """A W3C `traceparent`: the caller's trace with a span of ours, or a new trace.

    Source: W3C Trace Context, level 1.
    """
    given = headers.get(b"traceparent", b"").decode("latin-1")
    if _TRACEPARENT.fullmatch(given):
        return f"{given[:36]}{secrets.token_hex(8)}{given[52:]}"
    fresh = secrets.token_hex(24)
    return f"00-{fresh[:32]}-{fresh[32:]}-01"
