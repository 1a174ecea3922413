"""The measurements of all instances, merged: a document per function and interval, and figures from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import partial
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from shared.monitoring.latency.histogram import Histogram
from shared.monitoring.latency.measured import Durations, Measured, Requests
from shared.monitoring.latency.report import LatencyReport, ModelReport, Part, model_report, report_of
from shared.platform.cas import update
from shared.platform.names import key
from shared.platform.ports import MAX_LIMIT, Data, Document, Documents, Event, Filter, Now
from shared.platform.times import utc

COLLECTION: Final = "latency"
MAX_SERIES: Final = 60
"""In one document: beyond these the models aren't told apart, so that it never grows too large."""

MAX_MERGED: Final = 2_000
"""Of the events merged last a document remembers the ids: more than come in an hour of fifty instances."""

_ID_DIGITS: Final = 12


@dataclass(frozen=True, slots=True)
class Span:
    """A length of the intervals that are kept, and how long they are."""

    name: str
    seconds: int
    kept_for: timedelta


FIVE_MINUTES: Final = Span("5m", 300, timedelta(days=2))
HOUR: Final = Span("1h", 3_600, timedelta(days=35))


class Window(StrEnum):
    """How far back to look."""

    FIVE_MINUTES = "5m"
    HOUR = "1h"
    DAY = "1d"

    @property
    def length(self) -> timedelta:
        return _LENGTHS[self][1]


_LENGTHS: Final[Mapping[Window, tuple[Span, timedelta]]] = MappingProxyType(
    {
        Window.FIVE_MINUTES: (FIVE_MINUTES, timedelta(minutes=5)),
        Window.HOUR: (FIVE_MINUTES, timedelta(hours=1)),
        Window.DAY: (HOUR, timedelta(days=1)),
    }
)


class _Interval(NamedTuple):
    """What one document is about. `start` is in seconds since 1970."""

    span: Span
    start: int
    function: str

    @property
    def id(self) -> str:
        return f"{self.span.name}-{_moment(self.start):%Y%m%dT%H%MZ}-{self.function}"

    @property
    def fields(self) -> dict[str, Any]:
        expires_at = _moment(self.start + self.span.seconds) + self.span.kept_for
        return {
            "interval": _sortable(self.span, self.start),
            "function": self.function,
            "expires_at": utc(expires_at),
        }


class _Told(NamedTuple):
    """What one event tells of an interval."""

    event: str
    durations: Durations


class Latencies:
    """The latencies of all functions. Merging is idempotent: a document remembers what went into it."""

    def __init__(self, documents: Documents, now: Now) -> None:
        """`now` is the clock that `Measurements` go by, the machine's own."""
        self._documents = documents
        self._now = now

    def merge(self, events: Sequence[tuple[Event, Measured]]) -> None:
        """Take in what events of topic `measurements.made` hold; durable on return. What is older than it
        would be kept is left out.
        """
        found: dict[_Interval, list[_Told]] = {}
        measured_by = {key(event.source, event.id)[:_ID_DIGITS]: measured for event, measured in events}
        for event_key, measured in measured_by.items():
            for durations in (*measured.requests, *measured.cold_starts):
                for interval in self._intervals(durations):
                    found.setdefault(interval, []).append(_Told(event_key, durations))
        for interval, told in found.items():
            update(self._documents, COLLECTION, interval.id, partial(_merged, interval, told))

    def report(
        self, window: Window, *, function: str | None = None, model_id: str | None = None
    ) -> LatencyReport:
        """The figures of the newest `window`: whole intervals, so that up to one more is in it.

        With `function` of that alone, with `model_id` of the requests that this model answered.
        """
        span, length = _LENGTHS[window]
        now = self._now()
        start = _floor((now - length).timestamp(), span.seconds)
        parts = [part for one in self._read(span, start, now, function) for part in _parts(one.data)]
        return report_of(str(window), _moment(start), now, parts, model_id)

    def of_model(self, model_id: str, window: Window) -> ModelReport:
        """The figures of all requests that this model answered in the newest `window`, in any function."""
        span, length = _LENGTHS[window]
        now = self._now()
        start = _floor((now - length).timestamp(), span.seconds)
        parts = [part for one in self._read(span, start, now, None) for part in _parts(one.data)]
        return model_report(_moment(start), now, parts, model_id)

    def between(self, start: datetime, end: datetime) -> LatencyReport:
        """The figures of the whole hours from `start` to before `end`; hours are kept for 35 days."""
        last = end - timedelta(seconds=1)
        found = self._read(HOUR, _floor(start.timestamp(), HOUR.seconds), last, None)
        parts = [part for one in found for part in _parts(one.data)]
        return report_of("between", start, end, parts, None)

    def _intervals(self, durations: Durations) -> Iterator[_Interval]:
        for span in (FIVE_MINUTES, HOUR):
            start = _floor(durations.at.timestamp(), span.seconds)
            if _moment(start + span.seconds) + span.kept_for > self._now():
                yield _Interval(span, start, durations.function)

    def _read(self, span: Span, start: int, now: datetime, function: str | None) -> Iterator[Document]:
        where = [
            Filter("interval", ">=", _sortable(span, start)),
            Filter("interval", "<=", _sortable(span, int(now.timestamp()))),
        ]
        if function is not None:
            where.append(Filter("function", "==", function))
        cursor = None
        while True:
            page = self._documents.query(COLLECTION, where=where, limit=MAX_LIMIT, cursor=cursor)
            yield from page.documents
            cursor = page.cursor
            if cursor is None:
                return


_Key = tuple[str, str, str | None]


def _merged(interval: _Interval, told: Sequence[_Told], before: Data | None) -> Data | None:
    """The document with what it lacks of `told`, or None where that is nothing."""
    merged: list[str] = [] if before is None else before["merged"].split()
    known = set(merged)
    news = [one for one in told if one.event not in known]
    if not news:
        return None
    series, cold_starts = _opened(before)
    for one in news:
        if isinstance(one.durations, Requests):
            _place(series, one.durations).add(one.durations.histogram)
        else:
            cold_starts.add(one.durations.histogram)
    merged.extend(dict.fromkeys(one.event for one in news))
    return {
        **interval.fields,
        "series": [
            {"route": route, "status": status, "model_id": model_id, **_told(histogram)}
            for (route, status, model_id), histogram in series.items()
        ],
        "cold_starts": _told(cold_starts),
        "merged": " ".join(merged[-MAX_MERGED:]),
    }


def _place(series: dict[_Key, Histogram], requests: Requests) -> Histogram:
    key = (requests.route, f"{requests.status // 100}xx", requests.model_id)
    if key not in series and len(series) >= MAX_SERIES:
        key = (*key[:2], None)
    return series.setdefault(key, Histogram())


def _opened(data: Data | None) -> tuple[dict[_Key, Histogram], Histogram]:
    if data is None:
        return {}, Histogram()
    series = {(one["route"], one["status"], one["model_id"]): _histogram(one) for one in data["series"]}
    return series, _histogram(data["cold_starts"])


def _parts(data: Data) -> Iterator[Part]:
    series, cold_starts = _opened(data)
    for (route, status, model_id), histogram in series.items():
        yield Part(data["function"], route, status, model_id, histogram)
    if cold_starts.count:
        yield Part(data["function"], None, "", None, cold_starts)


def _histogram(fields: Data) -> Histogram:
    return Histogram.of(fields["counts"], fields["sum_us"])


def _told(histogram: Histogram) -> dict[str, Any]:
    return {"counts": histogram.counts_text(), "sum_us": histogram.sum_us}


def _floor(seconds: float, step: int) -> int:
    return int(seconds) // step * step


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _sortable(span: Span, start: int) -> str:
    """What intervals of one length are found by, in the order of their starts."""
    return f"{span.name} {_moment(start):%Y-%m-%dT%H:%M:%SZ}"
