"""Views of drift: the newest check, and how the checks went over time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from rich.console import RenderableType
from rich.text import Text

from shared.cli.views.listing import Column, Listing
from shared.cli.views.parts import dim, facts, heading
from shared.cli.views.text import NOTHING, counted, number, sparkline, to_the_minute, when

MOST_MOVED: Final = 12
_BAR_WIDTH: Final = 20
_NULL_AT: Final = 10
"""The column of a bar where the null's threshold is."""

_VERDICTS: Final = {"ok": "green", "drift": "red", "insufficient_data": "yellow"}

Entry = Mapping[str, Any]


def check(document: Entry) -> Iterable[RenderableType]:
    """Each window's verdict, then the window that is shown: families, and the features that moved most."""
    yield Text.assemble((document["model_id"], "bold"), "  ", verdict(document["overall"]))
    yield facts(_about(document))
    yield Listing(_WINDOWS, (_window(one, document["unit"]) for one in document["windows"]))
    if document["families"]:
        yield heading(f"Over {counted(document['window'], document['unit'])}")
        yield Listing(_FAMILIES, map(_family, document["families"]))
    if document["features"]:
        yield heading("Moved most")
        yield dim("the bar's ┊ is what the training period itself shows")
        columns = [*document["features"][:MOST_MOVED], document["score"]]
        yield Listing(_FEATURES, (_feature(column) for column in columns if column is not None))
    for problem in document["problems"]:
        yield Text.assemble(("no rows ", "yellow"), (problem["source"], "bold"), f"  {problem['detail']}")


def history(document: Entry) -> Iterable[RenderableType]:
    """One line per check, newest first, below a small plot of each window's statistic over its null."""
    points: Sequence[Entry] = document["points"]
    if not points:
        yield Text("No drift was looked for in that time.")
        return
    lengths = sorted({length for point in points for length in point["values"]["excess"]}, key=int)
    yield from _plots(points, lengths)
    titles = (Column("Checked at"), Column("Version", style="bold"), Column("Verdict"))
    columns = (
        *titles,
        *(Column(length, justify="right", rank=1) for length in lengths),
        Column("Moved most", least=16),
    )
    yield Listing(columns, (_point(point, lengths) for point in points))


def verdict(name: str) -> Text:
    return Text(name.replace("_", " "), style=_VERDICTS.get(name, ""))


def _about(document: Entry) -> Iterable[tuple[str, Any]]:
    yield "why", document["why"]
    yield "checked at", when(document["checked_at"])
    yield "trained until", document["trained_until"] and when(document["trained_until"])
    yield "live", None if document["is_live"] else "no: it raises no alert"
    yield "report", document["report_url"]
    if document["without_rows"]:
        yield "without rows", f"{document['without_rows']} of {document['sources']}"


_WINDOWS: Final = (
    Column("Window", style="bold"),
    Column("Verdict"),
    Column("Over its null", justify="right"),
    Column("Rows", justify="right"),
    Column("", rank=1, least=24),
)
_FAMILIES: Final = (
    Column("Family", style="bold"),
    Column("Statistic", justify="right"),
    Column("Null", justify="right"),
    Column("Effect", justify="right"),
    Column("At least", justify="right"),
    Column("Alarms"),
    Column("Beyond", rank=1, least=16),
)
_FEATURES: Final = (
    Column("Feature", style="bold"),
    Column("Over its null"),
    Column("", justify="right"),
    Column("Effect", justify="right"),
    Column("Mean now", justify="right", rank=1),
    Column("At training", justify="right", rank=1),
    Column("Missing", justify="right", rank=1),
    Column("KS", justify="right", rank=2),
    Column("W1", justify="right", rank=2),
    Column("PSI", justify="right", rank=3),
    Column("JS", justify="right", rank=3),
)


def _window(one: Entry, unit: str) -> tuple[str | Text, ...]:
    return (
        counted(one["length"], unit),
        verdict(one["verdict"]),
        _times(one["excess"]),
        f"{one['rows']:,}",
        one["why"] if one["verdict"] == "insufficient_data" else "",
    )


def _family(family: Entry) -> tuple[str | Text, ...]:
    alarms = Text("yes", style="red") if family["alarms"] else Text("no", style="green")
    return (
        family["name"],
        number(family["statistic"], 3),
        number(family["threshold"], 3),
        number(family["effect"], 3),
        number(family["min_effect"], 3),
        alarms,
        ", ".join(family["features"]) or NOTHING,
    )


def _feature(column: Entry) -> tuple[str | Text, ...]:
    distances = (number(column[name], 3) for name in ("ks", "wasserstein", "psi", "jensen_shannon"))
    return (
        column["name"],
        _bar(column["excess"], drifted=column["drifted"]),
        _times(column["excess"]),
        number(column["effect"], 3),
        number(column["mean"]),
        number(column["reference_mean"]),
        f"{column['missing_share']:.1%}",
        *distances,
    )


def _times(excess: float | None) -> str:
    """`1.3x`"""
    return NOTHING if excess is None else f"{excess:.2f}x"


def _bar(excess: float | None, *, drifted: bool) -> Text:
    """A bar that reaches the mark where the statistic is the null's threshold."""
    filled = min(_BAR_WIDTH, round((excess or 0.0) * _NULL_AT))
    row = list("█" * filled + " " * (_BAR_WIDTH - filled))
    if row[_NULL_AT] == " ":
        row[_NULL_AT] = "┊"
    return Text("".join(row), style="red" if drifted else "green")


def _plots(points: Sequence[Entry], lengths: Sequence[str]) -> Iterable[RenderableType]:
    oldest_first = points[::-1]
    unit = points[0]["values"]["unit"]
    rows = []
    for length in lengths:
        values = [point["values"]["excess"].get(length) for point in oldest_first]
        if any(value is not None for value in values):
            rows.append((counted(int(length), unit), sparkline(values)))
    if rows:
        yield dim("statistic over its null, oldest first")
        yield facts(rows)


def _point(point: Entry, lengths: Sequence[str]) -> tuple[str | Text, ...]:
    values = point["values"]
    return (
        to_the_minute(point["at"]),
        values["model_id"],
        verdict(values["verdict"]),
        *(_times(values["excess"].get(length)) for length in lengths),
        ", ".join(values["moved"]) or NOTHING,
    )
