"""Views of freshness, and of a look of all monitors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from rich.console import RenderableType
from rich.text import Text

from shared.cli.views.listing import Column, Listing
from shared.cli.views.parts import dim
from shared.cli.views.text import NOTHING, seconds_between, span, when

BAR_WIDTH: Final = 16
VERDICTS: Final = {"fresh": "green", "gone": "dim", "missing": "yellow", "late": "yellow", "stale": "red"}
LEVELS: Final = {"clear": "green", "edge": "yellow", "over": "red", "unknown": "dim"}
_KINDS: Final = {"candles": "candles", "model": "model", "drift_check": "drift check"}

Entry = Mapping[str, Any]


def freshness(document: Entry) -> Iterable[RenderableType]:
    """The verdict on all, then a line for each subject with a bar: of symbols how many sessions each missed,
    beside the worst, of models and checks how much of their largest age has passed.
    """
    yield Text.assemble(
        _coloured(document["verdict"], VERDICTS),
        f"  {document['timeframe']} candles of {document['calendar']}, ",
        f"as of {when(document['checked_at'])}",
    )
    subjects: Sequence[Entry] = document["subjects"]
    if subjects:
        most = max((one["missed_sessions"] or 0 for one in subjects), default=0)
        yield Listing(_SUBJECTS, (_subject(one, most) for one in subjects))
    elif document["verdict"] == "missing":
        yield Text("No candles are stored.")
    else:
        yield Text("Nothing is overdue.")


def watch(document: Entry) -> Iterable[RenderableType]:
    """A line for each monitor, then what each cause that isn't clear looks like."""
    yield Listing(_MONITORS, map(_monitor, document["monitors"]))
    for monitor in document["monitors"]:
        if monitor["error"]:
            yield Text.assemble(("✗ ", "red"), (monitor["monitor"], "bold"), f"  {monitor['error']}")
        for reading in monitor["readings"]:
            if reading["level"] in ("over", "edge"):
                style = LEVELS[reading["level"]]
                yield Text.assemble((f"{reading['type']}:{reading['cause']}", style), f"  {reading['body']}")
    yield dim(f"run {document['run_id']}, {when(document['at'])}")


_SUBJECTS: Final = (
    Column("Subject", style="bold"),
    Column("Kind"),
    Column("Verdict"),
    Column("Age", justify="right"),
    Column("Missed", justify="right"),
    Column("", rank=1),
    Column("Expected", rank=2),
    Column("Why", least=24),
)
_MONITORS: Final = (
    Column("Monitor", style="bold"),
    Column("Level"),
    Column("Watched", justify="right"),
    Column("Rung", least=8),
    Column("Resolved", least=8),
    Column("Held", least=8, rank=1),
)


def _subject(one: Entry, most: int) -> tuple[str | Text, ...]:
    missed = one["missed_sessions"]
    kind: str = one["kind"]
    return (
        one["subject"],
        _KINDS.get(kind, kind),
        _coloured(one["verdict"], VERDICTS),
        span(one["age_seconds"]),
        NOTHING if missed is None else f"{missed:,}",
        _bar(_share(one, most), VERDICTS.get(one["verdict"], "")),
        when(one["expected_at"]),
        one["why"],
    )


def _share(one: Entry, most: int) -> float:
    """How much of the bar is full."""
    if one["missed_sessions"] is not None:
        return one["missed_sessions"] / most if most else 0.0
    limit = seconds_between(one["at"], one["expected_at"])
    return one["age_seconds"] / limit if limit else 0.0


def _bar(share: float, style: str) -> Text:
    filled = min(BAR_WIDTH, round(share * BAR_WIDTH))
    return Text.assemble(("█" * filled, style), ("░" * (BAR_WIDTH - filled), "dim"))


def _monitor(one: Entry) -> tuple[str | Text, ...]:
    level = Text("fails", style="red") if one["error"] else _coloured(one["level"], LEVELS)
    told = (", ".join(one[name]) or NOTHING for name in ("rung", "resolved", "held"))
    return (one["monitor"], level, str(len(one["readings"])), *told)


def _coloured(word: str, styles: Mapping[str, str]) -> Text:
    return Text(word, style=styles.get(word, ""))
