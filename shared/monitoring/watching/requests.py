"""Latency and errors as monitors: the figures of the last hour over all instances, against objectives."""

from __future__ import annotations

from shared.alerts.raising import Severity
from shared.monitoring.history import HistoryKind
from shared.monitoring.latency.latencies import Latencies, Window
from shared.monitoring.latency.report import FunctionFigures
from shared.monitoring.watching.readings import Level, Look, Reading, Sight

WATCHED = "predict"
"""The function whose latency has an objective: somebody waits for its answers."""

MIN_REQUESTS = 20
"""With fewer in the hour nothing is said: one slow start would be five per cent of them."""

EDGE_OF_LATENCY, EDGE_OF_ERRORS = 0.8, 0.5
"""Of the objective: only below that an alert ends."""


class LatencyMonitor:
    """`slow`: 95 % of the answers of `predict` took at most so long. Keeps the figures of every function."""

    name = "latency"

    def __init__(self, latencies: Latencies, objective_ms: float) -> None:
        self._latencies = latencies
        self._objective_ms = objective_ms

    def look(self) -> Look:
        functions = self._latencies.report(Window.HOUR).functions
        readings = [self._reading(one) for one in functions if one.function == WATCHED]
        silent = Reading(
            type="slow", cause=WATCHED, level=Level.UNKNOWN, title="", body="There were no requests."
        )
        sights = [Sight(HistoryKind.LATENCY, one.function, _values(one)) for one in functions]
        return Look(readings or [silent], [one for one in sights if one.values["count"]])

    def _reading(self, found: FunctionFigures) -> Reading:
        p95, objective = found.figures.p95_ms, self._objective_ms
        if p95 is None or found.figures.count < MIN_REQUESTS:
            level = Level.UNKNOWN
        elif p95 > objective:
            level = Level.OVER
        else:
            level = Level.EDGE if p95 > EDGE_OF_LATENCY * objective else Level.CLEAR
        took = "nothing" if p95 is None else f"at most {p95:,.0f} ms"
        return Reading(
            type="slow",
            cause=found.function,
            level=level,
            title=f"{found.function} is slower than {objective:,.0f} ms",
            body=(
                f"95 % of {found.figures.count:,} answers of {found.function} in the last hour took {took}; "
                f"the objective is {objective:,.0f} ms."
            ),
            facts={"function": found.function, "objective_ms": objective, **_values(found)},
        )


class ErrorMonitor:
    """`failing`: the share of answers of each function that failed by our fault."""

    name = "errors"

    def __init__(self, latencies: Latencies, objective: float) -> None:
        self._latencies = latencies
        self._objective = objective

    def look(self) -> Look:
        return Look([self._reading(one) for one in self._latencies.report(Window.HOUR).functions])

    def _reading(self, found: FunctionFigures) -> Reading:
        count, errors = found.figures.count, found.figures.errors
        share = errors / count if count else 0.0
        if count < MIN_REQUESTS:
            level = Level.UNKNOWN
        elif share > self._objective:
            level = Level.OVER
        else:
            level = Level.EDGE if share > EDGE_OF_ERRORS * self._objective else Level.CLEAR
        return Reading(
            type="failing",
            cause=found.function,
            level=level,
            severity=Severity.ERROR,
            title=f"{found.function} fails too often",
            body=(
                f"{errors:,} of {count:,} answers of {found.function} in the last hour failed by our fault, "
                f"{share:.1%}; the objective is at most {self._objective:.1%}."
            ),
            facts={"function": found.function, "objective": self._objective, **_values(found)},
        )


def _values(found: FunctionFigures) -> dict[str, float | None]:
    figures = found.figures
    return {
        "count": figures.count,
        "errors": figures.errors,
        "p50_ms": figures.p50_ms,
        "p95_ms": figures.p95_ms,
        "p99_ms": figures.p99_ms,
        "cold_starts": found.cold_starts.count,
    }
