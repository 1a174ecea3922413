"""Views of the warehouse."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from rich.console import RenderableType
from rich.text import Text

from shared.cli.views.listing import Column, Listing
from shared.cli.views.text import NOTHING, number

_DIGITS: Final = 6


def rows(document: Mapping[str, Any]) -> Iterable[RenderableType]:
    """The answer to a query."""
    names, found = document["columns"], document["rows"]
    if not found:
        yield Text("No rows.")
        return
    columns = [
        Column(name, justify="right" if _is_number(found, name) else "left", least=min(12, len(name) + 2))
        for name in names
    ]
    yield Listing(columns, ([_cell(row[name]) for name in names] for row in found))


def _is_number(found: Iterable[Mapping[str, Any]], name: str) -> bool:
    values = [row[name] for row in found if row[name] is not None]
    return bool(values) and all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values)


def _cell(value: Any) -> str:
    if value is None:
        return NOTHING
    if isinstance(value, (bool, list, dict)):
        return json.dumps(value)
    return number(value, _DIGITS) if isinstance(value, (int, float)) else str(value)


def questions(document: Mapping[str, Any]) -> Iterable[RenderableType]:
    """The stored questions."""
    columns = (Column("Question", style="bold"), Column("Asks", least=24))
    yield Listing(columns, ((entry["name"], entry["title"]) for entry in document["questions"]))
