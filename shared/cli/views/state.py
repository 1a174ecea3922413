"""What backups, restores and migrations did."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from shared.cli.views.listing import Column, Listing


def saved(document: dict[str, Any]) -> Iterable[RenderableType]:
    yield from _contents(document)
    yield Text(f"Saved in {document['folder']}.", style="green")


def restored(document: dict[str, Any]) -> Iterable[RenderableType]:
    yield from _contents(document)
    yield Text("Restored, and compared item by item: everything is as in the backup.", style="green")


def migrated(document: dict[str, Any]) -> Iterable[RenderableType]:
    columns = [Column("collection"), *(Column(title, justify="right") for title in ("schema", "documents"))]
    columns.append(Column("rewritten", justify="right"))
    rows = [
        (one["collection"], str(one["schema"]), str(one["seen"]), str(one["rewritten"]))
        for one in document["collections"]
    ]
    yield Listing(columns, rows)


def _contents(document: dict[str, Any]) -> Iterable[RenderableType]:
    rows = [(name, str(count)) for name, count in document["documents"].items()]
    rows.append(("blobs", f"{document['blobs']} ({document['blob_bytes'] / 1e6:.1f} MB)"))
    yield Listing([Column("what"), Column("how many", justify="right")], rows)
