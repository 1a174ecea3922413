"""Views of reports."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from rich.console import RenderableType
from rich.text import Text

from shared.cli.views.listing import Column, Listing
from shared.cli.views.parts import facts, heading, of, status
from shared.cli.views.text import number, seconds_between, span, to_the_minute, when

_COLUMNS: Final = (
    Column("Report", style="bold"),
    Column("Kind"),
    Column("Status"),
    Column("Created", rank=1),
    Column("About", least=16),
)
_FILE_COLUMNS: Final = (
    Column("File", style="bold"),
    Column("Bytes", justify="right"),
    Column("SHA-256", rank=1),
)


def reports(document: Mapping[str, Any], kind: str | None) -> Iterable[RenderableType]:
    """All reports, or those of one kind, the newest first."""
    if document["reports"]:
        yield Listing(_COLUMNS, map(_row, document["reports"]))
    else:
        yield Text(f"No reports{of({'kind': kind})} yet.")


def report(document: Mapping[str, Any]) -> Iterable[RenderableType]:
    """One report: its conclusion, its files, and what it is without."""
    yield Text.assemble((document["report_id"], "bold"), "  ", status(document["status"]))
    took = span(seconds_between(document["started_at"], document["finished_at"]))
    yield facts(
        (
            ("about", document["title"] or _asked(document)),
            ("created", when(document["created_at"])),
            ("took", took if document["finished_at"] else ""),
            ("attempts", document["attempts"]),
        )
    )
    if document["summary"]:
        yield Text(document["summary"])
    if document["files"]:
        yield heading("Files")
        rows = ((file["name"], number(file["size_bytes"]), file["sha256"]) for file in document["files"])
        yield Listing(_FILE_COLUMNS, rows)
    for note in document["notes"]:
        yield Text(f"- {note}", style="dim")
    if document["error"]:
        yield Text.assemble(("The report couldn't be made: ", "bold red"), document["error"])


def _row(one: Mapping[str, Any]) -> tuple[str | Text, ...]:
    return (
        one["report_id"],
        one["kind"],
        status(one["status"]),
        to_the_minute(one["created_at"]),
        one["error"] or one["summary"] or _asked(one),
    )


def _asked(one: Mapping[str, Any]) -> str:
    return f"week {one['period']}" if one["kind"] == "weekly" else f"drift check {one['check_id']}"
