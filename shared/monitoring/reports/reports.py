"""Report documents: what became of every report that was asked for. Light: no library is imported.

A report is queued, then running, then ends as succeeded, failed or cancelled; what has ended never changes
again. Every change is a compare-and-swap. Its files are blobs under `reports/<report id>/`, each written
once: an attempt takes up those that an earlier one has left, so that a report is never of two minds.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from shared.errors import AlreadyExists, Conflict, NotFound
from shared.monitoring.reports.records import (
    FOLDER,
    Made,
    Report,
    ReportFile,
    ReportRequest,
    ReportStatus,
    report_data,
    report_of,
)
from shared.platform.cas import update
from shared.platform.ports import (
    Blobs,
    Create,
    Data,
    Documents,
    Filter,
    JobState,
    JobStatus,
    Now,
    Order,
)
from shared.platform.times import utc

COLLECTION: Final = "reports"

LONGEST_SECONDS: Final = 1_800.0
"""A report that began so long ago, and whose job the platform doesn't know, is nobody's any more: the job's
own limit for one attempt."""


@dataclass(frozen=True, slots=True)
class ReportPage:
    reports: tuple[Report, ...]
    cursor: str | None


class Reports:
    """The collection of reports, and the blobs that hold their files."""

    def __init__(self, documents: Documents, blobs: Blobs, now: Now, *, wall: Now) -> None:
        """Whether a report's job has fallen silent is seen on the clock `wall`."""
        self._documents = documents
        self._blobs = blobs
        self._now = now
        self._wall = wall

    def create(self, report_id: str, request: ReportRequest) -> Report:
        """Record a queued report. Asking again with the same id and request gives the one that is there.

        Raises:
            AlreadyExists: the id belongs to another request.
        """
        report = Report(
            report_id=report_id, status=ReportStatus.QUEUED, request=request, created_at=self._time()
        )
        try:
            self._documents.commit([Create(COLLECTION, report_id, report_data(report))])
        except AlreadyExists:
            there = self.get(report_id)
            if there.request != request:
                raise
            return there
        return report

    def find(self, report_id: str) -> Report | None:
        document = self._documents.get(COLLECTION, report_id)
        return None if document is None else report_of(document.data)

    def get(self, report_id: str) -> Report:
        """
        Raises:
            NotFound: no such report.
        """
        return _known(report_id, self.find(report_id))

    def list(self, *, kind: str | None = None, limit: int, cursor: str | None = None) -> ReportPage:
        """Reports, the newest first; of one kind where it is named.

        Raises:
            InvalidInput: not a cursor of this listing.
        """
        order = Order("created_at", descending=True)
        where = [] if kind is None else [Filter("request.kind", "==", kind)]
        page = self._documents.query(COLLECTION, where=where, order_by=[order], limit=limit, cursor=cursor)
        return ReportPage(tuple(report_of(document.data) for document in page.documents), page.cursor)

    def start(self, report_id: str) -> Report:
        """An attempt begins. A report that has ended is given as it is.

        Raises:
            NotFound
        """

        def change(report: Report) -> Report:
            if report.status.has_ended:
                return report
            return replace(
                report,
                status=ReportStatus.RUNNING,
                started_at=self._time(),
                heard_at=utc(self._wall()),
                attempts=report.attempts + 1,
                error=None,
            )

        return self._change(report_id, change)

    def finish(self, report_id: str, made: Made) -> Report:
        """The report is made.

        Raises:
            Conflict: it has ended otherwise meanwhile.
        """

        def change(report: Report) -> Report:
            if report.status is ReportStatus.SUCCEEDED:
                return report
            if report.status.has_ended:
                raise Conflict(f"The report {report_id!r} has ended: it is {report.status}.")
            ended = self._ended(report, ReportStatus.SUCCEEDED)
            return replace(ended, title=made.title, summary=made.summary, files=made.files, notes=made.notes)

        return self._change(report_id, change)

    def end(self, report_id: str, status: ReportStatus, *, error: str | None = None) -> Report:
        """End a report without its files; one that has ended stays as it is."""

        def change(report: Report) -> Report:
            return report if report.status.has_ended else self._ended(report, status, error=error)

        return self._change(report_id, change)

    def reconcile(self, report: Report, job: JobStatus) -> Report:
        """End a report whose job is gone without having said so, by what the job platform knows."""
        if report.status.has_ended or not self._is_gone(report, job.state):
            return report
        if job.state is JobState.CANCELLED:
            return self.end(report.report_id, ReportStatus.CANCELLED)
        why = job.detail or "It has been silent for too long, and the job platform doesn't know it."
        return self.end(report.report_id, ReportStatus.FAILED, error=f"The report's job is gone. {why}")

    def keep(self, report_id: str, name: str, make: Callable[[], bytes]) -> ReportFile:
        """The file `name` of a report: the one that is there, or else what `make` gives."""
        there = self.kept(report_id, name)
        if there is not None:
            return there
        with suppress(AlreadyExists):  # another attempt was quicker: its file is the report's
            self._blobs.put(_blob(report_id, name), make())
        there = self.kept(report_id, name)
        if there is None:
            raise NotFound(f"The file {name} of the report {report_id!r} was written, and is gone again.")
        return there

    def kept(self, report_id: str, name: str) -> ReportFile | None:
        """The file `name` of a report, where an attempt has written it."""
        blob = _blob(report_id, name)
        found = (info for info in self._blobs.list(blob) if info.name == blob)
        return next((ReportFile(name, blob, info.sha256, info.size_bytes) for info in found), None)

    def content(self, file: ReportFile) -> bytes:
        """
        Raises:
            NotFound: its blob was deleted.
            CorruptBlob: it isn't what was written.
        """
        return self._blobs.get(file.blob, sha256=file.sha256)

    def _is_gone(self, report: Report, job: JobState) -> bool:
        if job is not JobState.UNKNOWN:
            return job is not JobState.RUNNING
        if report.heard_at is None:  # its event is under way
            return False
        heard = datetime.fromisoformat(report.heard_at)
        return (self._wall() - heard).total_seconds() > LONGEST_SECONDS

    def _ended(self, report: Report, status: ReportStatus, *, error: str | None = None) -> Report:
        return replace(report, status=status, finished_at=self._time(), error=error)

    def _change(self, report_id: str, change: Callable[[Report], Report]) -> Report:
        """Compare-and-swap; `change` gives the report itself where there is nothing to change."""

        def of_data(data: Data | None) -> Data | None:
            report = _known(report_id, None if data is None else report_of(data))
            changed = change(report)
            return None if changed is report else report_data(replace(changed, seq=report.seq + 1))

        document = update(self._documents, COLLECTION, report_id, of_data)
        return _known(report_id, None if document is None else report_of(document.data))

    def _time(self) -> str:
        return utc(self._now())


def _known(report_id: str, report: Report | None) -> Report:
    if report is None:
        raise NotFound(f"There is no report {report_id!r}.")
    return report


def _blob(report_id: str, name: str) -> str:
    return f"{FOLDER}/{report_id}/{name}"
