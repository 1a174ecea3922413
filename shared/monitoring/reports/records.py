"""What is known of a report, and how its document holds it. Light: no library is imported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Final

from shared.platform.ports import Data

PAGE: Final = "report.html"
"""The file that every report has: the page itself. It needs nothing else, and runs no script."""

FOLDER: Final = "reports"

_HIDDEN: Final = ("seq", "heard_at", "request")
"""Of a report, what its readers aren't shown, or not as it is kept."""

MEDIA_TYPES: Final[Mapping[str, str]] = {
    ".html": "text/html; charset=utf-8",
    ".json": "application/json",
    ".pdf": "application/pdf",
    ".txt": "text/plain; charset=utf-8",
}


class ReportKind(StrEnum):
    """`drift`: one drift check, looked at closely. `weekly`: what a week brought."""

    DRIFT = "drift"
    WEEKLY = "weekly"


class ReportStatus(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def has_ended(self) -> bool:
        return self not in (ReportStatus.QUEUED, ReportStatus.RUNNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRequest:
    """What to report on: of kind `drift` the check's id, of kind `weekly` the week, as "2026-W07"."""

    kind: ReportKind
    check_id: str | None = None
    period: str | None = None

    def to_data(self) -> dict[str, Any]:
        return {**asdict(self), "kind": str(self.kind)}

    @staticmethod
    def from_data(data: Mapping[str, Any]) -> ReportRequest:
        return ReportRequest(**{**data, "kind": ReportKind(data["kind"])})


@dataclass(frozen=True, slots=True)
class ReportFile:
    """One file of a report, a blob that is written once."""

    name: str
    blob: str
    sha256: str
    size_bytes: int

    @property
    def media_type(self) -> str:
        return MEDIA_TYPES[self.name[self.name.rindex(".") :]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A report as it is recorded. Times are RFC 3339 text in UTC. `summary` is its conclusion in a sentence.

    `heard_at` is when its last attempt began by the machine's clock, which isn't that of a replay.

    `notes` say what it is without, and why: a part that couldn't be made never stops the others.
    """

    report_id: str
    status: ReportStatus
    request: ReportRequest
    created_at: str
    title: str = ""
    summary: str = ""
    started_at: str | None = None
    heard_at: str | None = None
    finished_at: str | None = None
    attempts: int = 0
    files: tuple[ReportFile, ...] = ()
    notes: tuple[str, ...] = ()
    error: str | None = None
    seq: int = 0

    def json(self) -> dict[str, Any]:
        """The report for its readers."""
        request = self.request.to_data()
        shown = {key: value for key, value in report_data(self).items() if key not in _HIDDEN}
        return {**shown, **request}


@dataclass(frozen=True, slots=True)
class Made:
    """What a finished report is: its title and conclusion, its files, and what it is without."""

    title: str
    summary: str
    files: tuple[ReportFile, ...]
    notes: tuple[str, ...] = field(default=())


def report_data(report: Report) -> dict[str, Any]:
    """As its document holds it."""
    return {
        **asdict(report),
        "status": str(report.status),
        "request": report.request.to_data(),
        "files": [asdict(file) for file in report.files],
        "notes": list(report.notes),
    }


def report_of(data: Data) -> Report:
    """Out of its document."""
    changed = {
        "status": ReportStatus(data["status"]),
        "request": ReportRequest.from_data(data["request"]),
        "files": tuple(ReportFile(**file) for file in data["files"]),
        "notes": tuple(data["notes"]),
    }
    return Report(**{**data, **changed})
