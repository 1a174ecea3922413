"""Reports people look at: which there are, what became of each, and its files. A job makes them."""

from shared.monitoring.reports.desk import ReportDesk
from shared.monitoring.reports.records import (
    Report,
    ReportFile,
    ReportKind,
    ReportRequest,
    ReportStatus,
)
from shared.monitoring.reports.reports import ReportPage, Reports

__all__ = [
    "Report",
    "ReportDesk",
    "ReportFile",
    "ReportKind",
    "ReportPage",
    "ReportRequest",
    "ReportStatus",
    "Reports",
]
