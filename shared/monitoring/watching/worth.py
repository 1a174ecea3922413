"""What live models are worth, and how clean their candles are, as monitors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from shared.drift.result import Verdict
from shared.evaluation.bootstrap import Estimate
from shared.monitoring.history import History, HistoryKind, Point
from shared.monitoring.performance import Performance, PerformanceReport, Validation
from shared.monitoring.quality import KindFindings, Quality
from shared.monitoring.quality.report import QualityVerdict
from shared.monitoring.watching.readings import Level, Look, Reading, Sight
from shared.platform.ports import Now
from shared.registry import Registry

MEASURED_EVERY: Final = timedelta(hours=20)
"""A measurement reads every outcome of its window, and outcomes come once a session."""

_LEVELS: Final[Mapping[str, Level]] = {
    Verdict.OK: Level.CLEAR,
    Verdict.DRIFT: Level.OVER,
    Verdict.INSUFFICIENT_DATA: Level.UNKNOWN,
}


class PerformanceMonitor:
    """`performance_drift`: a live model's interval lies wholly below that of its validation."""

    name = "performance"

    def __init__(self, performance: Performance, registry: Registry, history: History, now: Now) -> None:
        self._performance = performance
        self._registry = registry
        self._history = history
        self._now = now

    def look(self) -> Look:
        readings, sights = [], []
        for model in self._registry.names():
            active = self._registry.active(model)
            if active is None:
                continue
            values = self._known(model, active.version_id)
            if values is None:
                values = _values(self._performance.report(active.version_id))
                sights.append(Sight(HistoryKind.PERFORMANCE, model, values))
            readings.append(_of_model(model, values))
        return Look(readings, sights)

    def _known(self, model: str, version_id: str) -> Mapping[str, Any] | None:
        """What was measured last, while that is fresh and of the version that is live."""
        page = self._history.page(
            kind=HistoryKind.PERFORMANCE, subject=model, start=None, end=None, limit=1, cursor=None
        )
        newest: Point | None = page.points[0] if page.points else None
        if newest is None or newest.values.get("model_id") != version_id:
            return None
        age = self._now() - datetime.fromisoformat(newest.at)
        return newest.values if age < MEASURED_EVERY else None


def _values(report: PerformanceReport) -> dict[str, Any]:
    """What plots show of it, and what a later look goes by."""
    live, validation = report.live, report.validation
    return {
        "model_id": report.model_id,
        "verdict": str(report.verdict),
        "why": report.why,
        "primary": report.primary,
        "predictions": report.predictions,
        "rows": 0 if report.measured is None else report.measured.rows,
        **told("live", live),
        **told("validation", validation),
    }


def told(name: str, estimate: Estimate | Validation | None) -> Mapping[str, float | None]:
    """An estimate as plots take it: null where it is undefined, as an interval of too few blocks is."""
    if estimate is None:
        return {}
    figures = {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
    return {key: value if math.isfinite(value) else None for key, value in figures.items()}


def _of_model(model: str, values: Mapping[str, Any]) -> Reading:
    return Reading(
        type="performance_drift",
        cause=model,
        level=_LEVELS[values["verdict"]],
        title=f"{values['model_id']} predicts worse than it did on its hold-out",
        body=f"{values['model_id']}: {values['why']}.",
        facts=dict(values),
    )


class QualityMonitor:
    """`candle_findings`: a kind of finding has become more frequent than its own past explains."""

    name = "quality"

    def __init__(self, quality: Quality) -> None:
        self._quality = quality

    def look(self) -> Look:
        report = self._quality.report()
        judged = [one for one in report.kinds if one.verdict is not QualityVerdict.NOT_JUDGED]
        values = {
            "symbols": report.symbols,
            "verdict": str(report.verdict),
            **{one.kind.value: one.rate.recent for one in report.kinds if one.rate is not None},
        }
        readings = [_of_kind(one, report.timeframe) for one in judged]
        return Look(readings, [Sight(HistoryKind.QUALITY, report.timeframe, values)])


def _of_kind(found: KindFindings, timeframe: str) -> Reading:
    name = found.kind.value.replace("_", " ")
    rate = found.rate
    level = Level.CLEAR
    if rate is not None and rate.is_near:
        level = Level.OVER if rate.has_risen else Level.EDGE
    return Reading(
        type="candle_findings",
        cause=f"{timeframe}:{found.kind.value}",
        level=level,
        title=f"More {timeframe} candles with the finding '{name}' than usual",
        body=f"Finding '{name}': {found.why}. Most at: {', '.join(found.worst)}.",
        facts={
            "kind": found.kind.value,
            "policy": str(found.policy),
            "worst": list(found.worst),
            **(
                {}
                if rate is None
                else {"recent": rate.recent, "expected": rate.expected, "limit": rate.limit}
            ),
        },
    )
