"""How often a caller may call: several windows, by what is called and by whom.

The library `limits` counts, in this process's memory or in Redis. In memory a limit holds per instance: where
N instances serve, a caller may reach N times as much. The front door's limits come before, and are exact.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from shared.access.addresses import network_of
from shared.access.identity import ADMIN, Identity
from shared.access.roles import EVENTS_ROUTE, Role
from shared.errors import TooManyRequests
from shared.logs import LOGGER

if TYPE_CHECKING:
    from limits import RateLimitItem
    from limits.strategies import RateLimiter

HOURLY_SHARE: Final = 0.5
"""Of what the short windows of an hour would add up to: bursts are welcome, a whole hour of them isn't."""

MAX_POSTPONED: Final = 1_000
_HOUR_SECONDS: Final = 3_600
_COMPLAIN_EVERY_SECONDS: Final = 60.0
_LEFT_ALONE_SECONDS: Final = 5.0
"""So long nobody asks a Redis that didn't answer: else every call would wait for it in vain."""


class Kind(StrEnum):
    """What routes are limited together."""

    PREDICT = "predict"
    READ = "read"
    CHANGE = "change"
    LOGIN = "login"
    REFUSED = "refused"
    """Calls whose credentials were wrong, per address."""


SHARES: Final[Mapping[Kind, float]] = MappingProxyType(
    {Kind.PREDICT: 1.0, Kind.READ: 0.5, Kind.CHANGE: 0.1, Kind.LOGIN: 0.05, Kind.REFUSED: 0.1}
)
"""Of RATE_LIMIT_REQUESTS, per window and caller."""

FACTORS: Final[Mapping[Role, float]] = MappingProxyType(
    {Role.PUBLIC: 0.5, Role.VIEWER: 1.0, Role.PREDICTOR: 1.0, Role.OPERATOR: 5.0, Role.ADMIN: 10.0}
)
"""How many times as much a role may."""

_UNLIMITED: Final = frozenset(
    {
        "GET /health",
        "GET /ready",
        "GET /v2/health/live",
        "GET /v2/health/ready",
        "GET /ping",
        "POST /ping",
        EVENTS_ROUTE,
    }
)
_PREDICTING: Final = ("/predict", ":predict", "/infer", "/invocations")
"""How the paths end by which the ecosystem's protocols ask for predictions."""

_LOGIN: Final = frozenset({"POST /auth/login", "POST /auth/refresh", "POST /auth/register"})


@cache
def kind_of(route: str, *, changes: bool) -> Kind | None:
    """Which limit `route` counts for; None for probes and the delivery of events."""
    if route in _UNLIMITED:
        return None
    if route in _LOGIN:
        return Kind.LOGIN
    path = route.partition(" ")[2]
    if path.startswith("/predict") and not path.startswith(("/predictions", "/predict/jobs")):
        return Kind.PREDICT
    if path.endswith(_PREDICTING):
        return Kind.PREDICT
    return Kind.CHANGE if changes else Kind.READ


@dataclass(frozen=True, slots=True)
class Window:
    """At most `requests` in `seconds`. What `name` says is what the headers say."""

    name: str
    requests: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a caller stands after a call: what is left in the tightest window, and when there is more."""

    windows: Sequence[Window]
    tightest: Window
    remaining: int
    reset_seconds: int
    allowed: bool

    def headers(self) -> Sequence[tuple[bytes, bytes]]:
        """`RateLimit` and `RateLimit-Policy`, as draft-ietf-httpapi-ratelimit-headers says."""
        policy = ", ".join(f'"{one.name}";q={one.requests};w={one.seconds}' for one in self.windows)
        state = f'"{self.tightest.name}";r={self.remaining};t={self.reset_seconds}'
        return ((b"ratelimit-policy", policy.encode()), (b"ratelimit", state.encode()))

    def require(self) -> None:
        """
        Raises:
            TooManyRequests
        """
        if not self.allowed:
            one = self.tightest
            raise TooManyRequests(
                f"At most {one.requests} requests in {one.seconds} seconds ({one.name}). "
                f"Ask again in {self.reset_seconds} s.",
                retry_after_seconds=self.reset_seconds,
            )


class Limits:
    """Counts calls. In memory nothing blocks, and the first calls of a process don't wait for the library:
    they are counted as soon as it is there.
    """

    def __init__(self, *, requests: int, window_seconds: int, redis_url: str | None) -> None:
        """`requests` per `window_seconds` is what a predictor may predict, and what SHARES and FACTORS go by;
        0: no limits.
        """
        self._requests = requests
        self._seconds = window_seconds
        self._redis_url = redis_url
        self._lock = threading.Lock()
        self._postponed: list[tuple[Kind, Role, str, int, str | None]] = []
        self._counter: RateLimiter | None = None
        self._spare: RateLimiter | None = None
        self._windows: dict[tuple[Kind, Role], tuple[tuple[Window, RateLimitItem], ...]] = {}
        self._complained_at = float("-inf")
        self._left_alone_until = float("-inf")

    @property
    def is_on(self) -> bool:
        return self._requests > 0

    @property
    def is_loaded(self) -> bool:
        return self._counter is not None

    @property
    def blocks(self) -> bool:
        """Whether a count is a call over the network: it belongs into a thread then."""
        return self._redis_url is not None

    def load(self) -> None:
        """Load the library and count what was postponed. Blocks for tens of milliseconds, once."""
        with self._lock:
            if self._counter is not None:
                return
            from limits.storage import storage_from_string
            from limits.strategies import SlidingWindowCounterRateLimiter

            from shared.access.limits_memory import memory_storage

            self._spare = SlidingWindowCounterRateLimiter(memory_storage())
            self._counter = (
                SlidingWindowCounterRateLimiter(storage_from_string(self._redis_url, socket_timeout=1))
                if self._redis_url is not None
                else self._spare
            )
            postponed, self._postponed = self._postponed, []
        for asked in postponed:
            self.count(*asked)

    def postpone(self, kind: Kind, role: Role, subject: str, cost: int = 1, owner: str | None = None) -> None:
        """Count a call once the library is loaded."""
        with self._lock:
            if len(self._postponed) < MAX_POSTPONED:
                self._postponed.append((kind, role, subject, cost, owner))

    def count(
        self, kind: Kind, role: Role, subject: str, cost: int = 1, owner: str | None = None
    ) -> Standing:
        """Count a call, unless one of its windows is full: where it then stands. Loads the library first.

        The longest window counts for `owner`, where there is one: many keys don't make many callers.
        """
        return self._standing(kind, role, (subject, owner or subject), cost, counted=True)

    def look(self, kind: Kind, role: Role, subject: str) -> Standing:
        """Where a caller stands, without counting."""
        return self._standing(kind, role, (subject, subject), 1, counted=False)

    def windows(self, kind: Kind, role: Role) -> Sequence[Window]:
        """The windows of a kind of routes for a role."""
        per_window = max(1, round(self._requests * SHARES[kind] * FACTORS[role]))
        per_hour = max(per_window, round(per_window * _HOUR_SECONDS / self._seconds * HOURLY_SHARE))
        short = Window(str(kind), per_window, self._seconds)
        if self._seconds >= _HOUR_SECONDS:
            return (short,)
        return (short, Window(f"{kind}-hour", per_hour, _HOUR_SECONDS))

    def _standing(
        self, kind: Kind, role: Role, subjects: tuple[str, str], cost: int, *, counted: bool
    ) -> Standing:
        if self._counter is None:
            self.load()
        counter, spare = self._counter, self._spare
        assert counter is not None  # noqa: S101 - loaded above
        assert spare is not None  # noqa: S101 - as well
        if time.monotonic() < self._left_alone_until:
            counter = spare
        try:
            return self._of(counter, kind, role, subjects, cost, counted=counted)
        except Exception as error:
            if self._redis_url is None or not _is_of_storage(error):
                raise
            self._left_alone_until = time.monotonic() + _LEFT_ALONE_SECONDS
            self._complain(error)
            return self._of(spare, kind, role, subjects, cost, counted=counted)

    def _of(
        self,
        counter: RateLimiter,
        kind: Kind,
        role: Role,
        subjects: tuple[str, str],
        cost: int,
        *,
        counted: bool,
    ) -> Standing:
        items = self._items(kind, role)
        subject, owner = subjects
        asked = [(window, item, subject) for window, item in items[:-1]]
        asked += [(window, item, owner) for window, item in items[-1:]]
        ask = counter.hit if counted else counter.test
        full = next((one for one in asked if not ask(one[1], one[2], cost=cost)), None)
        window, item, whose = full or asked[0]
        stats = counter.get_window_stats(item, whose)
        reset = max(1, round(stats.reset_time - time.time()))
        windows = tuple(window for window, _ in items)
        return Standing(windows, window, max(0, stats.remaining), reset, full is None)

    def _items(self, kind: Kind, role: Role) -> Sequence[tuple[Window, RateLimitItem]]:
        known = self._windows.get((kind, role))
        if known is None:
            from limits import RateLimitItemPerSecond

            known = tuple(
                (one, RateLimitItemPerSecond(one.requests, one.seconds, namespace=f"mlengine:{one.name}"))
                for one in self.windows(kind, role)
            )
            self._windows[(kind, role)] = known
        return known

    def _complain(self, error: Exception) -> None:
        now = time.monotonic()
        if now - self._complained_at >= _COMPLAIN_EVERY_SECONDS:
            self._complained_at = now
            facts = {"why": type(error).__name__}
            LOGGER.error("Redis doesn't count: limits hold per instance", extra={"facts": facts})


def subject_of(identity: Identity, ip: str) -> str:
    """Whose calls are counted together: those of a key, of a user, or of an address."""
    named = identity.key_id or identity.user_id
    return named or (identity.name if identity.role is Role.ADMIN else network_of(ip))


def owner_of(identity: Identity) -> str | None:
    """Whose calls are counted together over the longest window: those of a user and of all their keys. The
    keys of the operator who set the platform up serve many, and are counted one by one.
    """
    return None if identity.user_id == ADMIN.name else identity.user_id


def _is_of_storage(error: Exception) -> bool:
    from limits.errors import StorageError
    from redis.exceptions import RedisError

    return isinstance(error, StorageError | RedisError)
