"""Views of events that were given up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from rich.console import RenderableType
from rich.text import Text

from shared.cli.views.listing import Column, Listing
from shared.cli.views.parts import of
from shared.cli.views.text import NOTHING, to_the_minute

STATES: Final = {"dead": "red", "replayed": "green"}


def dead_letters(document: Mapping[str, Any], function: str | None) -> Iterable[RenderableType]:
    """Those that died last first; all, or those of one function."""
    if document["dead_letters"]:
        yield Listing(_COLUMNS, map(_row, document["dead_letters"]))
    else:
        yield Text(f"No event{of({'function': function})} was given up.")


_COLUMNS: Final = (
    Column("Letter", style="bold"),
    Column("Died at"),
    Column("State"),
    Column("Function"),
    Column("Topic", rank=1),
    Column("Event", rank=2),
    Column("Tried", justify="right"),
    Column("Reason", least=24),
)


def _row(letter: Mapping[str, Any]) -> tuple[str | Text, ...]:
    return (
        letter["id"],
        to_the_minute(letter["died_at"]),
        _state(letter),
        letter["function"],
        letter["topic"] or NOTHING,
        letter["event_id"],
        str(letter["attempts"]),
        letter["reason"],
    )


def _state(letter: Mapping[str, Any]) -> Text:
    """`dead x2` where it died twice."""
    times = f" x{letter['deaths']}" if letter["deaths"] > 1 else ""
    return Text(letter["state"] + times, style=STATES.get(letter["state"], ""))


def replayed(document: Mapping[str, Any]) -> Iterable[RenderableType]:
    """One line per letter: published again, or why not."""
    for result in document["results"]:
        yield _outcome(result)
    yield Text(f"{document['succeeded']} replayed, {document['failed']} failed.")


def _outcome(result: Mapping[str, Any]) -> Text:
    error = result["error"]
    if error is None:
        return Text.assemble(("✓ ", "green"), (result["id"], "bold"))
    return Text.assemble(("✗ ", "red"), (result["id"], "bold"), f"  {error['title']}: {error['detail']}")
