"""Runs the monitors: each alone, so that one that fails doesn't stop the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from shared.alerts.raising import Severity
from shared.errors import EngineError
from shared.logs import LOGGER
from shared.monitoring.history import History
from shared.monitoring.watching.causes import Causes, Decision
from shared.monitoring.watching.readings import Level, Look, Monitor, Reading
from shared.platform.times import utc

FAILED: Final = "monitor_failed"
ITSELF: Final = "watch"
"""The monitor of the monitors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorReport:
    """What became of one monitor. `level` is the worst of its readings; `error` says why it couldn't look."""

    monitor: str
    level: Level
    readings: tuple[Reading, ...]
    decision: Decision
    error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchReport:
    """One run. `at` is RFC 3339 text in UTC."""

    run_id: str
    at: str
    monitors: tuple[MonitorReport, ...]

    @property
    def failed(self) -> Sequence[str]:
        return [one.monitor for one in self.monitors if one.error is not None]


class Watcher:
    """Lets every monitor look, keeps what it saw, and has alerts rung and resolved."""

    def __init__(self, monitors: Sequence[Monitor], history: History, causes: Causes) -> None:
        self._monitors = monitors
        self._history = history
        self._causes = causes

    def run(self, run_id: str, at: datetime) -> WatchReport:
        """One look of all monitors at the time `at`; with the same `run_id` it is the same run, once settled.

        Raises:
            PlatformUnavailable: what was seen couldn't be kept or told; the same run can be tried again.
        """
        reports, refusals = [], list[EngineError]()
        for monitor in self._monitors:
            try:
                reports.append(self._watched(monitor, run_id, at))
            except EngineError as error:  # of keeping or telling, after the look
                refusals.append(error)
        readings = [_reading_of(report) for report in reports]
        self._causes.settle(ITSELF, readings, run_id=run_id, at=utc(at))
        if refusals:
            raise refusals[0]
        return WatchReport(run_id=run_id, at=utc(at), monitors=tuple(reports))

    def _watched(self, monitor: Monitor, run_id: str, at: datetime) -> MonitorReport:
        try:
            look = monitor.look()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told, and the others look
            return self._failed(monitor, error)
        return self._settled(monitor, look, run_id, at)

    def _settled(self, monitor: Monitor, look: Look, run_id: str, at: datetime) -> MonitorReport:
        for sight in look.sights:
            self._history.add(sight.kind, sight.subject, at, sight.values, run_id)
        decision = self._causes.settle(monitor.name, look.readings, run_id=run_id, at=utc(at))
        return MonitorReport(
            monitor=monitor.name,
            level=_worst(look.readings),
            readings=tuple(look.readings),
            decision=decision,
            error=None,
        )

    def _failed(self, monitor: Monitor, error: Exception) -> MonitorReport:
        why = error.detail if isinstance(error, EngineError) else f"{type(error).__name__}: {error}"
        facts = {"monitor": monitor.name, "why": why}
        LOGGER.error("monitor failed", exc_info=error, extra={"facts": facts})
        return MonitorReport(
            monitor=monitor.name, level=Level.UNKNOWN, readings=(), decision=Decision(), error=why
        )


def _reading_of(report: MonitorReport) -> Reading:
    """Of the monitor itself."""
    body = f"The monitor {report.monitor} looked, and failed of nothing."
    if report.error is not None:
        body = f"The monitor {report.monitor} couldn't look, so nobody watches that: {report.error}"
    return Reading(
        type=FAILED,
        cause=report.monitor,
        level=Level.CLEAR if report.error is None else Level.OVER,
        title=f"The monitor {report.monitor} fails",
        body=body,
        severity=Severity.ERROR,
        facts={"monitor": report.monitor, "why": report.error},
    )


def _worst(readings: Sequence[Reading]) -> Level:
    order = [Level.CLEAR, Level.UNKNOWN, Level.EDGE, Level.OVER]
    return max((one.level for one in readings), key=order.index, default=Level.CLEAR)
