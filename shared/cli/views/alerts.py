"""Views of alerts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from shared.cli.views.listing import Column, Listing
from shared.cli.views.parts import of
from shared.cli.views.text import NOTHING, counted, to_the_minute, when

SEVERITIES: Final = {"critical": "bold white on red", "error": "red", "warning": "yellow", "info": "cyan"}
STATES: Final = {"active": "red", "acknowledged": "yellow", "resolved": "green"}
TOLD: Final = {"sent": ("✓ ", "green"), "failing": ("✗ ", "red"), "skipped": ("- ", "dim")}


def alerts(
    document: Mapping[str, Any], state: str, filters: Mapping[str, str | None]
) -> Iterable[RenderableType]:
    """The newest first, of those that were asked for."""
    if document["alerts"]:
        yield Listing(_COLUMNS, map(_row, document["alerts"]))
    else:
        words = of(filters)
        yield Text(f"There is no alert{words}." if state == "all" else f"No alert{words} is {state}.")


_COLUMNS: Final = (
    Column("Alert", style="bold"),
    Column("Severity"),
    Column("State"),
    Column("First seen"),
    Column("Last seen", rank=2),
    Column("Seen", justify="right"),
    Column("Type", rank=1),
    Column("Title", least=24),
)


def _row(alert: Mapping[str, Any]) -> tuple[str | Text, ...]:
    return (
        alert["id"],
        _severity(alert),
        Text(alert["state"], style=STATES.get(alert["state"], "")),
        to_the_minute(alert["first_seen"]),
        to_the_minute(alert["last_seen"]),
        str(alert["count"]),
        alert["type"],
        alert["title"],
    )


def alert(document: Mapping[str, Any]) -> Iterable[RenderableType]:
    """One alert with all that is known of it."""
    yield Text.assemble(_severity(document), " ", (document["title"], "bold"))
    yield Text(document["body"])
    if document["to_do"]:
        yield Text.assemble(("What to do: ", "bold"), document["to_do"])
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in _facts(document):
        table.add_row(name, value)
    yield table
    yield from map(_told, document["told"])


def _facts(document: Mapping[str, Any]) -> Iterable[tuple[str, str | Text]]:
    yield "alert", document["id"]
    yield "state", Text(_state(document), style=STATES.get(document["state"], ""))
    yield "type", f"{document['type']}: {document['meaning'] or NOTHING}"
    yield "cause", document["cause"]
    period = f"from {when(document['first_seen'])} to {when(document['last_seen'])}"
    yield "seen", f"{counted(document['count'], 'times')}, {period}"
    for name, value in document["facts"].items():
        yield name, _fact(value)


def _fact(value: Any) -> str:
    """Text as it is, objects a line each."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return ("\n" if any(isinstance(one, dict) for one in value) else ", ").join(map(_item, value))
    return json.dumps(value, ensure_ascii=False)


def _item(value: Any) -> str:
    """`AAPL: 9 sessions missed`, or `length 5, verdict drift`"""
    if not isinstance(value, dict):
        return _fact(value)
    if value.get("subject") and value.get("why"):
        return f"{value['subject']}: {value['why']}"
    known = ((name, one) for name, one in value.items() if one is not None)
    return ", ".join(f"{name.replace('_', ' ')} {_fact(one)}" for name, one in known)


def _state(document: Mapping[str, Any]) -> str:
    match document["state"]:
        case "acknowledged":
            note = f": {document['note']}" if document["note"] else ""
            since = when(document["acknowledged_at"])
            return f"{document['acknowledged_by']} looks after it since {since}{note}"
        case "resolved":
            by = f" by {document['resolved_by']}" if document["resolved_by"] else ""
            return f"over since {when(document['resolved_at'])}{by}: {document['why']}"
    return str(document["state"])


def _told(told: Mapping[str, Any]) -> Text:
    error = f": {told['error']}" if told["error"] else ""
    said = f"  {told['kind']}, {told['state']} {when(told['at'])}{error}"
    return Text.assemble(TOLD.get(told["state"], ("? ", "")), (told["channel"], "bold"), said)


def acknowledged(document: Mapping[str, Any]) -> Iterable[RenderableType]:
    """An alert that somebody looks after."""
    yield Text.assemble((document["id"], "bold"), f" is looked after by {document['acknowledged_by']}.")


def resolved(document: Mapping[str, Any]) -> Iterable[RenderableType]:
    """An alert that is over."""
    yield Text.assemble((document["id"], "bold"), f" is over: {document['why']}")


def tested(document: Mapping[str, Any]) -> Iterable[RenderableType]:
    """Whether a test was told, channel by channel."""
    if not document["channels"]:
        yield Text("ALERT_ROUTES sends alerts of this severity nowhere.")
    yield from map(_told, document["told"])


def _severity(alert: Mapping[str, Any]) -> Text:
    return Text(alert["severity"], style=SEVERITIES.get(alert["severity"], ""))
