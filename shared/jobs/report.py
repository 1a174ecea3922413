"""The report job: `python -m shared.jobs.report --report REPORT_ID`. Exit codes: see `shared.jobs.task`.

A report is files that are each written once, and a record that names them in the end. An attempt that is
killed leaves whole files or none, and the next one takes them up: a report is never half of one attempt and
half of another, and what has ended stays as it is.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from shared.config import load_settings
from shared.errors import Conflict, DependencyError, EngineError
from shared.instance import Instance
from shared.jobs.task import Exit, Stopped, StopSignals, Task
from shared.logs import LOGGER, configure_logs
from shared.monitoring.reports import Report, ReportKind, ReportStatus
from shared.monitoring.reports.records import Made
from shared.platform.connect import connect


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m shared.jobs.report", description=__doc__)
    parser.add_argument("--report", required=True, metavar="REPORT_ID", help="the report to make")
    report_id = parser.parse_args(arguments).report
    settings = load_settings()
    configure_logs(settings.log_level)
    return ReportJob(Instance(settings, connect(settings)), Task.of(os.environ)).work_on(report_id)


class ReportJob:
    """Makes one report, tells where it belongs that it is there, and says in its record how it ended."""

    def __init__(self, instance: Instance, task: Task) -> None:
        self._instance = instance
        self._task = task
        self._reports = instance.reports

    def work_on(self, report_id: str) -> Exit:
        """Bring the report to its end, or leave it to the next attempt."""
        facts = {"report_id": report_id, **self._task.facts()}
        try:
            report = self._reports.start(report_id)
        except EngineError as error:
            LOGGER.error("the report can't start", extra={"facts": {**facts, "why": str(error)}})
            return Exit.TRY_AGAIN if error.retryable else self._task.settled(Exit.of(error))
        if report.status.has_ended:
            LOGGER.info("the report has ended before", extra={"facts": {**facts, "status": report.status}})
            return Exit.DONE
        with StopSignals() as signals:
            return self._outcome(report, signals, facts)

    def _outcome(self, report: Report, signals: StopSignals, facts: dict[str, Any]) -> Exit:
        """Make it; what became of it, whatever happens."""
        try:
            made = self._make(report, signals.check)
            self._reports.finish(report.report_id, made)
        except Stopped:
            return self._stopped(report, signals, facts)
        except Conflict as error:
            LOGGER.warning("the report was ended by others", extra={"facts": {**facts, "why": str(error)}})
            return Exit.DONE
        except EngineError as error:
            return self._failed(report, signals, facts, Exit.of(error), str(error))
        except Exception as error:  # noqa: BLE001 - the record must say what went wrong, whatever it was
            LOGGER.exception("the report failed", extra={"facts": facts})
            why = f"{type(error).__name__}: {error}"
            return self._failed(report, signals, facts, Exit.OWN_FAULT, why)
        names = [file.name for file in made.files]
        LOGGER.info("the report is made", extra={"facts": {**facts, "files": names, "notes": made.notes}})
        return Exit.DONE

    def _make(self, report: Report, check: Callable[[], None]) -> Made:
        """The report's files; they are told of before its record says that it is made, so that none is
        made and told to nobody. Telling twice is the same as once.
        """
        if report.request.kind is ReportKind.DRIFT:
            from shared.jobs.reports.drift import make_drift

            return make_drift(self._instance, report, check)
        from shared.jobs.reports.weekly import make_weekly

        return make_weekly(self._instance, report, check, is_patient=self._task.may_be_retried)

    def _stopped(self, report: Report, signals: StopSignals, facts: dict[str, Any]) -> Exit:
        """By hand that is the user's wish; else the platform needs the machine, and the work goes on."""
        if self._task.is_by_hand:
            self._reports.end(report.report_id, ReportStatus.CANCELLED)
            return Exit.DONE
        return self._failed(report, signals, facts, Exit.TRY_AGAIN, "The platform stopped it.")

    def _failed(
        self, report: Report, signals: StopSignals, facts: dict[str, Any], exit: Exit, why: str
    ) -> Exit:
        """Record it as failed for good, unless the next attempt may succeed."""
        if exit is Exit.TRY_AGAIN and self._task.may_be_retried:
            LOGGER.warning("the report is handed back", extra={"facts": {**facts, "why": why}})
            signals.pause(self._task.pause_seconds)
            return exit
        try:
            self._reports.end(report.report_id, ReportStatus.FAILED, error=why)
        except DependencyError as error:
            LOGGER.error("the report's end isn't recorded", extra={"facts": {**facts, "why": str(error)}})
            return Exit.TRY_AGAIN
        LOGGER.error("the report can't be made", extra={"facts": {**facts, "why": why}})
        return self._task.settled(exit)


if __name__ == "__main__":
    sys.exit(main())
