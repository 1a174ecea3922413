"""Views of what a training run measured: metrics beside baselines, candidates, gates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from shared.cli.views.listing import Column, Listing
from shared.cli.views.parts import dim, heading, passed
from shared.cli.views.text import NOTHING, counted, interval_plot, place_on, when

TITLES: Final[Mapping[str, tuple[str, int]]] = {
    "auc": ("AUC", 3),
    "accuracy": ("Accuracy", 3),
    "f1": ("F1", 3),
    "log_loss": ("Log-loss", 4),
    "brier": ("Brier", 4),
    "rank_ic": ("Rank IC", 3),
}
"""What people call the metrics, and how many decimals mean something."""

CHANCE: Final = 0.5
_PLOT_WIDTH: Final = 25
_ALWAYS_SHOWN: Final = 3

Metrics = Mapping[str, Any]


def hold_out(metrics: Metrics) -> Iterable[RenderableType]:
    """The chosen model on sessions that no choice had seen, beside the naive baselines."""
    held = metrics.get("hold_out")
    if not held:
        return
    yield heading(f"{metrics['selected']} on the hold-out")
    yield dim(_extent(held))
    yield _beside_baselines(held)


def _beside_baselines(part: Metrics) -> Listing:
    naive = [
        Column(name.replace("_", " "), style="dim", least=9, rank=place // _ALWAYS_SHOWN)
        for place, name in enumerate(part["baselines"])
    ]
    return Listing((Column("", style="bold"), Column("Model"), *naive), _metric_rows(part))


def _metric_rows(part: Metrics) -> Iterable[list[str]]:
    for name, (title, digits) in TITLES.items():
        if name in part["model"]:
            naive = (value_of(baseline.get(name), digits) for baseline in part["baselines"].values())
            yield [title, interval(part["model"][name], digits), *naive]
    for name, gain in part.get("gains", {}).items():
        title, digits = TITLES[name]
        yield [f"{title} gain", interval(gain, digits), *("" for _ in part["baselines"])]


def walk_forward(metrics: Metrics) -> Iterable[RenderableType]:
    """The candidates' AUC side by side, with their intervals on one axis."""
    walked = metrics.get("walk_forward")
    if not walked:
        return
    yield heading("Candidates by walk-forward")
    yield dim(_extent(walked))
    yield _side_by_side(walked, metrics["selected"])


def _side_by_side(part: Metrics, selected: str) -> Listing:
    found = {name: candidate["auc"] for name, candidate in part["candidates"].items()}
    bounds = _bounds(found.values())
    best_first = sorted(found.items(), key=lambda item: -(item[1]["value"] or 0.0))
    rows = (
        (_candidate(name, is_chosen=name == selected), interval(auc, 3), _plot(auc, bounds))
        for name, auc in best_first
    )
    return Listing((Column(""), Column("AUC"), Column(_axis(bounds), rank=1)), rows)


def cross_validation(metrics: Metrics) -> Iterable[RenderableType]:
    """A tabular problem's chosen model on rows that its fits had not seen, and all candidates."""
    found = metrics.get("cross_validation")
    if not found:
        return
    yield heading(f"{metrics['selected']} out of fold")
    often = f"{counted(found['repeats'], 'times')} {found['folds']}-fold cross-validation"
    yield dim(f"{counted(found['rows'], 'rows')}, {often}")
    yield _beside_baselines(found)
    yield heading("Candidates by cross-validation")
    yield _side_by_side(found, metrics["selected"])


def _candidate(name: str, *, is_chosen: bool) -> Text:
    return Text(f"→ {name}", style="bold") if is_chosen else Text(f"  {name}")


def gates(results: Iterable[Mapping[str, Any]]) -> Iterable[RenderableType]:
    """Each gate with its verdict in words."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for gate in results:
        grid.add_row(passed(gate["passed"]), gate["name"], gate["why"])
    yield heading("Gates")
    yield grid


def _extent(part: Metrics) -> str:
    period = f"{when(part['from'])} to {when(part['to'])}"
    counts = ", ".join(counted(part[unit], unit) for unit in ("rows", "sessions", "blocks"))
    return f"{period}: {counts} of time"


def interval(estimate: Mapping[str, Any], digits: int) -> str:
    """`0.512 [0.503, 0.521]`"""
    if estimate["value"] is None:
        return NOTHING
    value, low, high = (_plain(estimate[name], digits) for name in ("value", "low", "high"))
    return f"{value} [{low}, {high}]"


def value_of(estimate: Mapping[str, Any] | None, digits: int) -> str:
    return NOTHING if estimate is None else _plain(estimate["value"], digits)


def _plain(value: float | None, digits: int) -> str:
    return NOTHING if value is None else f"{value:.{digits}f}"


def _bounds(estimates: Iterable[Mapping[str, Any]]) -> tuple[float, float]:
    """An axis that holds all intervals, and chance."""
    ends = [CHANCE, *(v for e in estimates for v in (e["low"], e["value"], e["high"]) if v is not None)]
    return min(ends), max(ends)


def _axis(bounds: tuple[float, float]) -> Text:
    """The axis' ends, over the plots."""
    low, high = f"{bounds[0]:.3f}", f"{bounds[1]:.3f}"
    return Text(low + high.rjust(_PLOT_WIDTH - len(low)))


def _plot(estimate: Mapping[str, Any], bounds: tuple[float, float]) -> Text:
    low, value, high = estimate["low"], estimate["value"], estimate["high"]
    if low is None or value is None or high is None:
        return Text(NOTHING)
    row = list(interval_plot(low, value, high, bounds, _PLOT_WIDTH))
    chance = place_on(CHANCE, bounds, _PLOT_WIDTH)
    if row[chance] == " ":
        row[chance] = "┊"
    return Text("".join(row), style="green" if low > CHANCE else "yellow")
