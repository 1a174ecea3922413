"""Where reports are asked for, listed and read. The work is done by the job `report`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from shared.errors import Conflict, FieldError, InvalidInput, NotFound
from shared.monitoring.reports.periods import check_period, last_week
from shared.monitoring.reports.records import PAGE, Report, ReportFile, ReportKind, ReportRequest
from shared.monitoring.reports.reports import ReportPage, Reports
from shared.platform.ports import Event, Events, Jobs, NewId, Now

TOPIC: Final = "reports.requested"
JOB: Final = "report"
SOURCE: Final = "//mlengine/reports"


@dataclass(frozen=True, slots=True)
class ReportDesk:
    """A request becomes an event before it is answered, and a job when the event is delivered.

    The report's id is the event's and the execution's: however often either is repeated, one job runs.
    """

    reports: Reports
    events: Events
    jobs: Jobs
    now: Now
    new_id: NewId

    def request(self, request: ReportRequest, *, report_id: str | None = None) -> Report:
        """A queued report; durable on return. With the same `report_id` it is the same report.

        The event goes first: so there is no report that waits for an event which was never sent.

        Raises:
            InvalidInput: not a week, or one that hasn't begun.
            AlreadyExists: the id belongs to another request.
        """
        now = self.now()
        pinned = _pinned(request, now)
        chosen = report_id or self.new_id()
        given = {name: value for name, value in pinned.to_data().items() if value is not None}
        self.events.publish(TOPIC, [Event(chosen, SOURCE, TOPIC, now, {"report_id": chosen, **given})])
        return self.reports.create(chosen, pinned)

    def start(self, report_id: str, request: ReportRequest, at: datetime) -> Report:
        """Start the job of a report that was requested at a time; nothing happens when it was started before.

        Raises:
            InvalidInput: not a week, or one that hadn't begun.
            AlreadyExists: the id belongs to another request.
        """
        report = self.reports.create(report_id, _pinned(request, at))
        if not report.status.has_ended:
            self.jobs.start(JOB, ["--report", report_id], execution_id=report_id)
        return report

    def status(self, report_id: str) -> Report:
        """The report; one whose job is gone is ended here.

        Raises:
            NotFound
        """
        return self._looked_after(self.reports.get(report_id))

    def list(self, *, kind: ReportKind | None, limit: int, cursor: str | None) -> ReportPage:
        """The newest reports first."""
        page = self.reports.list(kind=kind, limit=limit, cursor=cursor)
        return ReportPage(tuple(map(self._looked_after, page.reports)), page.cursor)

    def file(self, report_id: str, name: str = PAGE) -> tuple[ReportFile, bytes]:
        """A file of a report, and what it holds.

        Raises:
            NotFound: no such report, or it has no such file.
            Conflict: it isn't made yet, or couldn't be made.
        """
        report = self.status(report_id)
        file = next((file for file in report.files if file.name == name), None)
        if file is not None:
            return file, self.reports.content(file)
        if not report.files:
            why = f": {report.error}" if report.error else ""
            raise Conflict(f"The report {report_id!r} can't be read: it is {report.status}{why}.")
        names = ", ".join(file.name for file in report.files)
        raise NotFound(f"The report {report_id!r} has no file {name!r}; it has {names}.")

    def _looked_after(self, report: Report) -> Report:
        if report.status.has_ended:
            return report
        return self.reports.reconcile(report, self.jobs.status(report.report_id))


def _pinned(request: ReportRequest, at: datetime) -> ReportRequest:
    """With its week named, so that all attempts report on the same one.

    Raises:
        InvalidInput: what doesn't go with its kind, not a week, or one that hasn't begun.
    """
    if request.kind is ReportKind.DRIFT:
        if request.check_id is None or request.period is not None:
            raise _wrong("/check_id", "a drift report names its check, and nothing else")
        return request
    if request.check_id is not None:
        raise _wrong("/check_id", "goes with the kind drift")
    period = request.period or last_week(at)
    check_period(period, at)
    return ReportRequest(kind=request.kind, period=period)


def _wrong(pointer: str, why: str) -> InvalidInput:
    return InvalidInput(f"The report can't be made: {why}.", errors=[FieldError(pointer, why)])
