"""Renderables that several views are made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from rich.table import Table
from rich.text import Text

from shared.cli.views.text import NOTHING

SIGNALS: Final[Mapping[str, tuple[str, str]]] = {
    "up": ("▲ up", "green"),
    "down": ("▼ down", "red"),
    "hold": ("= hold", "yellow"),
}
STATUSES: Final[Mapping[str, str]] = {
    "succeeded": "green",
    "rejected": "yellow",
    "refused": "yellow",
    "failed": "red",
    "cancelled": "dim",
    "running": "cyan",
    "queued": "dim",
    "receiving": "dim",
}
UPLOADED: Final = "uploaded"
"""The origin of models that no gate has judged, and the problem of their predictions."""


def facts(pairs: Iterable[tuple[str, Any]]) -> Table:
    """Names and values below each other; what is None or empty is left out."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in pairs:
        if value not in (None, ""):
            grid.add_row(name, value if isinstance(value, Text) else str(value))
    return grid


def signal(name: str) -> Text:
    return Text(*SIGNALS.get(name, (name, "")))


def status(name: str) -> Text:
    return Text(name, style=STATUSES.get(name, ""))


def passed(is_passed: bool | None) -> Text:
    if is_passed is None:
        return Text(NOTHING, style="dim")
    return Text("✓", style="green") if is_passed else Text("✗", style="red")


def heading(text: str) -> Text:
    return Text(f"\n{text}", style="bold")


def dim(text: str) -> Text:
    return Text(text, style="dim")


def of(filters: Mapping[str, str | None]) -> str:
    """` of symbol AAPL and model m-v1`: what was asked for; empty where that was all."""
    given = [f"{name} {value!r}" for name, value in filters.items() if value]
    return f" of {' and '.join(given)}" if given else ""


def failures(entries: Iterable[Mapping[str, Any]]) -> Iterable[Text]:
    """One line per entry of a batch that failed: its symbol, and why."""
    for entry in entries:
        why = entry["error"]
        title = why.get("title", "Failed")
        yield Text.assemble(("✗ ", "red"), (entry["symbol"], "bold"), f"  {title}: {why.get('detail', '')}")
