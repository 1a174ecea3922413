"""The view of a model's live performance."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from rich.console import RenderableType
from rich.text import Text

from shared.cli.views.listing import Column, Listing
from shared.cli.views.metrics import TITLES, interval, value_of
from shared.cli.views.parts import dim, heading
from shared.cli.views.text import NOTHING, counted, interval_plot, place_on, when

VERDICTS: Final[Mapping[str, tuple[str, str]]] = {
    "ok": ("✓ ok", "green"),
    "drift": ("✗ drift", "red"),
    "insufficient_data": ("… insufficient data", "yellow"),
}
_PLOT_WIDTH: Final = 31

Entry = Mapping[str, Any]


def performance(document: Entry) -> Iterable[RenderableType]:
    """The verdict, the metrics beside the naive rules, and the calibration."""
    word, style = VERDICTS.get(document["verdict"], (document["verdict"], ""))
    yield Text.assemble((document["model_id"], "bold"), "  ", (word, style), f"  {document['why']}.")
    yield dim(_extent(document))
    if document["metrics"]:
        yield from _metrics(document)
    if document["calibration"]:
        yield from _calibration(document["calibration"])


def _extent(document: Entry) -> str:
    settled = f"{document['predictions']:,} settled, {document['waiting']:,} waiting"
    if document["unsettleable"]:
        settled += f", {document['unsettleable']:,} unsettleable"
    if not document["rows"]:
        return f"Window {document['window']}: {settled}."
    period = f"{when(document['first'])} to {when(document['last'])}"
    left_out = "; the newest only, there are more" if document["is_truncated"] else ""
    return (
        f"Window {document['window']}, {period}: {settled}; "
        f"{counted(document['rows'], 'different rows')}, {counted(document['sessions'], 'sessions')}, "
        f"{counted(document['blocks'], 'blocks')} of time{left_out}."
    )


def _metrics(document: Entry) -> Iterable[RenderableType]:
    naive = [Column(name.replace("_", " "), style="dim", least=9, rank=1) for name in document["baselines"]]
    columns = (Column("", style="bold"), Column("Live"), Column("Validation"), *naive)
    yield Listing(columns, _rows(document))


def _rows(document: Entry) -> Iterable[Sequence[str]]:
    validation = document["validation"]
    for name, (title, digits) in TITLES.items():
        if name in document["metrics"]:
            held = validation if validation is not None and validation["metric"] == name else None
            naive = (value_of(rule.get(name), digits) for rule in document["baselines"].values())
            yield [
                title,
                interval(document["metrics"][name], digits),
                "" if held is None else interval(held, digits),
                *naive,
            ]
    for name, gain in document["gains"].items():
        title, digits = TITLES[name]
        yield [f"{title} gain", interval(gain, digits), "", *("" for _ in document["baselines"])]


def _calibration(found: Entry) -> Iterable[RenderableType]:
    """What was said (┊) beside how often it happened, with its interval."""
    yield heading("Calibration")
    yield dim(f"Expected calibration error {interval(found['ece'], 4)}")
    bins = found["bins"]
    ends = [v for one in bins for v in (one["said"], *one["happened"].values()) if v is not None]
    bounds = min(ends), max(ends)
    low, high = f"{bounds[0]:.3f}", f"{bounds[1]:.3f}"
    columns = (
        Column("Said", justify="right"),
        Column("Happened"),
        Column("Rows", justify="right"),
        Column(low + high.rjust(_PLOT_WIDTH - len(low)), rank=1),
    )
    yield Listing(columns, (_bin(one, bounds) for one in bins))


def _bin(one: Entry, bounds: tuple[float, float]) -> tuple[str | Text, ...]:
    said = f"{one['said']:.3f}"
    return said, interval(one["happened"], 3), f"{one['rows']:,}", _plot(one, bounds)


def _plot(one: Entry, bounds: tuple[float, float]) -> Text:
    low, value, high = (one["happened"][name] for name in ("low", "value", "high"))
    if low is None or value is None or high is None:
        return Text(NOTHING)
    row = list(interval_plot(low, value, high, bounds, _PLOT_WIDTH))
    row[place_on(one["said"], bounds, _PLOT_WIDTH)] = "┊"
    return Text("".join(row), style="green" if low <= one["said"] <= high else "yellow")
