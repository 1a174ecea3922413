"""Counts, in this process, how long requests take. Costs each request about a microsecond."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple, TypeVar

from shared.access.roles import EVENTS_ROUTE
from shared.monitoring.latency.histogram import Histogram

K = TypeVar("K")

SLOT_SECONDS: Final = 300
"""Requests are told of by the five minutes in which they were answered."""

PROBES: Final = frozenset({"GET /health", "GET /ready", "GET /metrics"})
"""Routes that machines ask, whatever users do."""

KEEPER: Final = "monitoring"
"""The function that takes the measurements."""

MAX_SERIES: Final = 500
"""Beyond these the models aren't told apart any more: so that what is kept stays small whatever is asked."""


class Series(NamedTuple):
    """What requests are told apart by. `route` is a pattern, never a path; "" where none matched."""

    function: str
    route: str
    status: int
    model_id: str | None


class Counted(NamedTuple):
    """What was counted since the last time: by slot (seconds since 1970, divided by `SLOT_SECONDS`)."""

    requests: Mapping[tuple[int, Series], Histogram]
    cold_starts: Mapping[tuple[int, str], Histogram]


class Recorder:
    """Counts requests and cold starts. Safe from many threads."""

    def __init__(self, wall: Callable[[], float]) -> None:
        """`wall` gives the seconds since 1970."""
        self._wall = wall
        self._lock = threading.Lock()
        # looked up by plain tuples, which equal the named ones and are made in a fifth of the time
        self._requests: dict[tuple[int, tuple[str, str, int, str | None]], Histogram] = {}
        self._cold_starts: dict[tuple[int, str], Histogram] = {}
        self._told_requests: dict[Series, Histogram] = {}
        self._told_cold_starts: dict[str, Histogram] = {}
        self.has_news = False
        """Whether anything was counted that is worth an event of its own. Probes aren't, nor is the taking
        of measurements, which would go on for ever by itself.
        """

    def record(self, function: str, route: str, status: int, model_id: str | None, seconds: float) -> None:
        """Count one request: see `Series`."""
        key = (int(self._wall()) // SLOT_SECONDS, (function, route, status, model_id))
        with self._lock:
            histogram = self._requests.get(key)
            if histogram is None:
                histogram = self._begun(*key)
            histogram.record(seconds)
        if not self.has_news:
            self.has_news = not is_quiet(function, route)

    def record_cold_start(self, function: str, seconds: float) -> None:
        """Count a start that a request waited for. It is told with the next news."""
        with self._lock:
            key = (int(self._wall()) // SLOT_SECONDS, function)
            self._cold_starts.setdefault(key, Histogram()).record(seconds)

    def drain(self) -> Counted:
        """What was counted since the last time, which is forgotten here but for the totals."""
        with self._lock:
            requests = {(slot, Series(*found)): one for (slot, found), one in self._requests.items()}
            counted = Counted(requests, self._cold_starts)
            self._requests, self._cold_starts = {}, {}
            self.has_news = False
            _add(self._told_requests, ((series, one) for (_, series), one in counted.requests.items()))
            _add(self._told_cold_starts, ((name, one) for (_, name), one in counted.cold_starts.items()))
        return counted

    def totals(self) -> tuple[dict[Series, Histogram], dict[str, Histogram]]:
        """All requests, and the cold starts by function, since this process has started."""
        requests: dict[Series, Histogram] = {}
        cold_starts: dict[str, Histogram] = {}
        with self._lock:
            _add(requests, self._told_requests.items())
            _add(requests, ((Series(*found), one) for (_, found), one in self._requests.items()))
            _add(cold_starts, self._told_cold_starts.items())
            _add(cold_starts, ((name, one) for (_, name), one in self._cold_starts.items()))
        return requests, cold_starts

    def _begun(self, slot: int, found: tuple[str, str, int, str | None]) -> Histogram:
        is_full = len(self._requests) >= MAX_SERIES
        series = Series(*found[:3], None) if is_full else Series(*found)
        return self._requests.setdefault((slot, series), Histogram())


def is_quiet(function: str, route: str) -> bool:
    """Whether requests of this route come by themselves, and are no reason to tell anybody."""
    return route in PROBES or (function == KEEPER and route == EVENTS_ROUTE)


def _add(into: dict[K, Histogram], more: Iterable[tuple[K, Histogram]]) -> None:
    for key, histogram in more:
        into.setdefault(key, Histogram()).add(histogram)
