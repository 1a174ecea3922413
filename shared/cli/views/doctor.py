"""The view of a diagnosis."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

SIGNS: Final = {"ok": ("✓", "green"), "warn": ("!", "yellow"), "fail": ("✗", "red")}


def findings(document: Mapping[str, Any]) -> Iterable[RenderableType]:
    """One line per check, with the way to mend it below."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for check in document["checks"]:
        sign, style = SIGNS[check["status"]]
        grid.add_row(Text(sign, style=style), check["name"], check["found"])
        if check["mend"]:
            grid.add_row("", "", Text(f"→ {check['mend']}", style="cyan"))
    yield grid
    yield _verdict([check["status"] for check in document["checks"]])


def _verdict(statuses: list[str]) -> Text:
    failed, warned = statuses.count("fail"), statuses.count("warn")
    if failed:
        return Text(f"\n{failed} to mend, {warned} to look at.", style="red")
    return Text(f"\nNothing is broken; {warned} to look at." if warned else "\nAll is well.", style="green")
