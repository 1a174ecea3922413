"""Freshness as a monitor: stale candles as one cause, each model and its checks of drift as one each."""

from __future__ import annotations

from collections.abc import Iterator

from shared.alerts.raising import Severity
from shared.monitoring.freshness import CandleFreshness, Freshness, Subject, SubjectKind, Verdict
from shared.monitoring.history import HistoryKind
from shared.monitoring.watching.readings import Level, Look, Reading, Sight

_LEVELS = {
    Verdict.FRESH: Level.CLEAR,
    Verdict.GONE: Level.CLEAR,
    Verdict.MISSING: Level.CLEAR,  # what never was isn't stale: a new engine is no cause for alarm
    Verdict.LATE: Level.EDGE,
    Verdict.STALE: Level.OVER,
}
_TYPES = {SubjectKind.MODEL: "stale_model", SubjectKind.DRIFT_CHECK: "stale_drift_check"}


class FreshnessMonitor:
    name = "freshness"

    def __init__(self, freshness: Freshness) -> None:
        self._freshness = freshness

    def look(self) -> Look:
        candles = self._freshness.candles.summary()
        timeframe = self._freshness.candles.timeframe
        aged = (*self._freshness.models(), *self._freshness.drift_checks())
        readings = [_of_candles(candles, timeframe), *map(_of_subject, aged)]
        values = {"newest": candles.newest, "stale": candles.stale, "is_any_late": candles.is_any_late}
        sights = [Sight(HistoryKind.FRESHNESS, timeframe, values), *_sights(aged)]
        return Look(readings, sights)


def _of_candles(found: CandleFreshness, timeframe: str) -> Reading:
    """All symbols are one cause: it is the upstream, or the ingest, that is away."""
    if not found.stale:
        level = Level.EDGE if found.is_any_late else Level.CLEAR
        body = "No symbol has missed more sessions than are borne."
        return Reading(type="stale_candles", cause=timeframe, level=level, title="", body=body)
    count = f"{found.stale:,}{' or more' if found.is_cut else ''}"
    symbols = "symbol has" if found.stale == 1 else "symbols have"
    worst = [f"{one.subject} ({one.missed_sessions:,} missed)" for one in found.worst]
    return Reading(
        type="stale_candles",
        cause=timeframe,
        level=Level.OVER,
        severity=Severity.ERROR,
        title=f"{count} {symbols} stale {timeframe} candles",
        body=f"{count} {symbols} missed more sessions than are borne. Worst: {', '.join(worst)}.",
        facts={
            "timeframe": timeframe,
            "stale": found.stale,
            "is_cut": found.is_cut,
            "newest": found.newest,
            "worst": [one.json() for one in found.worst],
        },
    )


def _of_subject(one: Subject) -> Reading:
    what = "The model" if one.kind is SubjectKind.MODEL else "The last check for drift of"
    return Reading(
        type=_TYPES[one.kind],
        cause=one.subject,
        level=_LEVELS[one.verdict],
        title=f"{what} {one.subject} is too old",
        body=f"{what} {one.subject}: {one.why}.",
        facts=one.json(),
    )


def _sights(aged: tuple[Subject, ...]) -> Iterator[Sight]:
    for one in aged:
        values = {"kind": str(one.kind), "age_seconds": one.age_seconds, "verdict": str(one.verdict)}
        yield Sight(HistoryKind.FRESHNESS, f"{one.kind}:{one.subject}", values)
