"""Figures of latency, each from one histogram of all that it is about."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, NamedTuple

from shared.monitoring.latency.histogram import Histogram
from shared.monitoring.latency.recorder import PROBES
from shared.platform.times import utc


class Part(NamedTuple):
    """A histogram of requests; of cold starts where there is no `route`. `status` is a class: "2xx"."""

    function: str
    route: str | None
    status: str
    model_id: str | None
    histogram: Histogram


@dataclass(frozen=True, slots=True)
class Figures:
    """How long requests took, whatever their status; `errors` are those that failed by our fault (5xx).
    Without requests the quantiles are None.
    """

    count: int
    errors: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


@dataclass(frozen=True, slots=True)
class ColdStarts:
    """From the start of the process until its first answer."""

    count: int
    p50_ms: float | None
    p95_ms: float | None


@dataclass(frozen=True, slots=True)
class RouteFigures:
    route: str
    figures: Figures


@dataclass(frozen=True, slots=True)
class ModelFigures:
    model_id: str
    figures: Figures


@dataclass(frozen=True, slots=True)
class FunctionFigures:
    """A function's latency: of all its requests but probes', and by route and model."""

    function: str
    figures: Figures
    routes: tuple[RouteFigures, ...]
    models: tuple[ModelFigures, ...]
    cold_starts: ColdStarts


@dataclass(frozen=True, slots=True)
class LatencyReport:
    """The figures of the functions that answered anything from `since` until `until`, by name."""

    window: str
    since: str
    until: str
    functions: tuple[FunctionFigures, ...]

    def json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class ModelReport:
    """The figures of one model from `since` until `until`."""

    since: str
    until: str
    figures: Figures


def model_report(since: datetime, until: datetime, parts: Iterable[Part], model_id: str) -> ModelReport:
    """The figures of the requests among `parts` that this model answered."""
    figures = _figures(part for part in parts if part.route is not None and part.model_id == model_id)
    return ModelReport(utc(since), utc(until), figures)


def report_of(
    window: str, since: datetime, until: datetime, parts: Sequence[Part], model_id: str | None
) -> LatencyReport:
    """The report of what `parts` hold; with `model_id` of that model's requests."""
    asked = [part for part in parts if part.route is None or model_id is None or part.model_id == model_id]
    names = sorted({part.function for part in asked if model_id is None or part.route is not None})
    functions = tuple(_of_function(name, [one for one in asked if one.function == name]) for name in names)
    return LatencyReport(window, utc(since), utc(until), functions)


def _of_function(name: str, parts: Sequence[Part]) -> FunctionFigures:
    requests = [part for part in parts if part.route is not None]
    return FunctionFigures(
        name,
        _figures(part for part in requests if part.route not in PROBES),
        tuple(
            RouteFigures(str(route), _figures(those))
            for route, those in _grouped(requests, lambda part: part.route)
        ),
        tuple(
            ModelFigures(str(model), _figures(those))
            for model, those in _grouped(requests, lambda part: part.model_id)
        ),
        _cold_starts(part.histogram for part in parts if part.route is None),
    )


def _grouped(parts: Sequence[Part], key: Callable[[Part], str | None]) -> Iterable[tuple[str, list[Part]]]:
    found: dict[str, list[Part]] = {}
    for part in parts:
        value = key(part)
        if value is not None:
            found.setdefault(value, []).append(part)
    return sorted(found.items())


def _figures(parts: Iterable[Part]) -> Figures:
    whole, errors = Histogram(), 0
    for part in parts:
        whole.add(part.histogram)
        errors += part.histogram.count if part.status == "5xx" else 0
    p50, p95, p99 = map(_ms, whole.quantiles((0.5, 0.95, 0.99)))
    return Figures(whole.count, errors, p50, p95, p99)


def _cold_starts(histograms: Iterable[Histogram]) -> ColdStarts:
    whole = Histogram()
    for histogram in histograms:
        whole.add(histogram)
    p50, p95 = map(_ms, whole.quantiles((0.5, 0.95)))
    return ColdStarts(whole.count, p50, p95)


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1e3, 4)
