"""Views of uploads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from rich.console import RenderableType
from rich.text import Text

from shared.cli.views.listing import Column, Listing
from shared.cli.views.parts import facts, status
from shared.cli.views.text import NOTHING, to_the_minute, when


def uploads(document: Mapping[str, Any]) -> Iterable[RenderableType]:
    """All uploads, the newest first."""
    if document["uploads"]:
        yield Listing(_COLUMNS, map(_row, document["uploads"]))
    else:
        yield Text("No uploads yet.")


_COLUMNS: Final = (
    Column("Upload", style="bold"),
    Column("Status"),
    Column("Model"),
    Column("Format", rank=1),
    Column("Created", rank=1),
    Column("By", rank=2),
)


def _row(entry: Mapping[str, Any]) -> tuple[str | Text, ...]:
    return (
        entry["upload_id"],
        status(entry["status"]),
        entry["version_id"] or entry["name"],
        entry["format"],
        to_the_minute(entry["created_at"]),
        entry["created_by"],
    )


def upload(document: Mapping[str, Any]) -> Iterable[RenderableType]:
    """One upload: what it has become, or why not."""
    became = document["version_id"] or NOTHING
    yield Text.assemble((document["upload_id"], "bold"), "  ", status(document["status"]), f"  {became}")
    yield facts(
        (
            ("model", document["name"]),
            ("format", f"{document['format']}, {document['size_bytes']:,} bytes"),
            ("created", f"{when(document['created_at'])} by {document['created_by']}"),
        )
    )
    for check in document["checks"]:
        yield Text.assemble(("✓ ", "green"), check)
    for reason in document["reasons"]:
        yield Text.assemble(("✗ ", "red"), reason)
