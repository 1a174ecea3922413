"""Views of what was found about candles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any, Final

from rich.console import RenderableType
from rich.text import Text

from shared.cli.views.listing import Column, Listing
from shared.cli.views.parts import heading, of
from shared.cli.views.text import NOTHING, number, sparkline

BINS: Final = 24
BAR_WIDTH: Final = 20
VERDICTS: Final = {"ok": "green", "rising": "red", "not_judged": "dim"}
_POLICIES: Final = {"reject": "rejected", "flag": "kept", "accept": "fine"}

Entry = Mapping[str, Any]


def quality(document: Entry, filters: Mapping[str, str | None]) -> Iterable[RenderableType]:
    """The verdict, a line for each kind with its course over time, the worst symbols, and examples."""
    yield Text.assemble(
        _verdict(document["verdict"]),
        f"  {document['timeframe']} candles from {document['start']} to {document['end']}",
    )
    if not document["kinds"]:
        yield Text(f"Nothing{of(filters)} was found about these candles.")
        return
    first, last = document["start"], document["end"]
    yield Listing(_KINDS, (_kind(one, first, last) for one in document["kinds"]))
    for one in document["kinds"]:
        if one["verdict"] == "rising":
            yield Text.assemble((one["kind"], "red"), f"  {one['why']}. Most at {', '.join(one['worst'])}.")
    yield heading("Symbols with most")
    yield Listing(_SYMBOLS, _symbols(document["worst"]))
    if document["is_cut"]:
        yield Text("More symbols have findings than were looked at.", style="yellow")
    yield heading("Newest")
    yield Listing(_EXAMPLES, map(_example, document["examples"]))


_KINDS: Final = (
    Column("Finding", style="bold"),
    Column("Verdict"),
    Column("Found", justify="right"),
    Column("Symbols", justify="right"),
    Column("Over time", rank=1),
    Column("5 sessions", justify="right"),
    Column("Usual", justify="right"),
    Column("Limit", justify="right", rank=1),
    Column("Candle", rank=2),
)
_SYMBOLS: Final = (
    Column("Symbol", style="bold"),
    Column("Found", justify="right"),
    Column("", rank=1),
    Column("Kinds", least=16),
)
_EXAMPLES: Final = (
    Column("Session"),
    Column("Symbol", style="bold"),
    Column("Finding"),
    Column("Candles", justify="right"),
)


def _kind(one: Entry, first: str, last: str) -> tuple[str | Text, ...]:
    rate = one["rate"]
    rates = (rate["recent"], rate["expected"], rate["limit"]) if rate else (None,) * 3
    return (
        one["kind"],
        _verdict(one["verdict"]),
        f"{one['count']:,}",
        f"{one['symbols']:,}",
        sparkline(_course(one["sessions"], first, last)),
        *(number(value, 3) for value in rates),
        _POLICIES.get(one["policy"], one["policy"]),
    )


def _course(sessions: Sequence[Entry], first: str, last: str) -> list[float]:
    """The counts in equally long parts of the time from `first` to `last`."""
    start = date.fromisoformat(first)
    days = (date.fromisoformat(last) - start).days + 1
    bins = [0.0] * min(BINS, days)
    for one in sessions:
        place = (date.fromisoformat(one["session"]) - start).days * len(bins) // days
        bins[place] += one["count"]
    return bins


def _symbols(worst: Sequence[Entry]) -> Iterable[tuple[str | Text, ...]]:
    most = max((one["count"] for one in worst), default=1)
    for one in worst:
        filled = max(1, round(one["count"] / most * BAR_WIDTH))
        yield one["symbol"], f"{one['count']:,}", "█" * filled, ", ".join(one["kinds"]) or NOTHING


def _example(one: Entry) -> tuple[str | Text, ...]:
    return one["session"], one["symbol"], one["kind"], f"{one['count']:,}"


def _verdict(word: str) -> Text:
    return Text(word.replace("_", " "), style=VERDICTS.get(word, ""))
