"""Latency as it is asked for and answered."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from shared.monitoring.latency.histogram import RELATIVE_ERROR
from shared.monitoring.latency.latencies import Window
from shared.monitoring.latency.report import Figures, FunctionFigures, LatencyReport
from shared.schema import Answer, Query


class LatencyQuery(Query):
    function: Annotated[str | None, Field(max_length=63)] = None
    model: Annotated[
        str | None, Field(max_length=80, description="A version id: only what it has answered.")
    ] = None
    window: Annotated[Window, Field(description="How far back to look.")] = Window.HOUR


class LatencyFigures(Answer):
    """How long requests took in the function, whatever their status. `errors` are those that failed by our
    fault (5xx). Without requests the quantiles are null.
    """

    count: int
    errors: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


class RouteLatency(LatencyFigures):
    """Those of one route; "" stands for paths that there aren't."""

    route: str


class ModelLatency(LatencyFigures):
    """Those that one version of a model has answered."""

    model_id: str


class ColdStartFigures(Answer):
    """From the start of an instance until its first answer."""

    count: int
    p50_ms: float | None
    p95_ms: float | None


class FunctionLatency(LatencyFigures):
    """Those of all instances of a function, without the probes (`/health`, `/ready`, `/metrics`)."""

    function: str
    routes: list[RouteLatency]
    models: list[ModelLatency]
    cold_starts: ColdStartFigures


class LatencyAnswer(Answer):
    """The functions that answered anything from `since` until `until`. Quantiles are within
    `relative_error` of the exact ones. What was answered in the last minute may not be in it yet.
    """

    window: str
    since: str
    until: str
    relative_error: float
    functions: list[FunctionLatency]


def latency_answer(report: LatencyReport) -> LatencyAnswer:
    return LatencyAnswer(
        window=report.window,
        since=report.since,
        until=report.until,
        relative_error=RELATIVE_ERROR,
        functions=[_function(one) for one in report.functions],
    )


def _function(found: FunctionFigures) -> FunctionLatency:
    cold = found.cold_starts
    return FunctionLatency(
        function=found.function,
        routes=[RouteLatency(route=one.route, **_fields(one.figures)) for one in found.routes],
        models=[ModelLatency(model_id=one.model_id, **_fields(one.figures)) for one in found.models],
        cold_starts=ColdStartFigures(count=cold.count, p50_ms=cold.p50_ms, p95_ms=cold.p95_ms),
        **_fields(found.figures),
    )


def _fields(figures: Figures) -> dict[str, int | float | None]:
    return {name: getattr(figures, name) for name in Figures.__slots__}
