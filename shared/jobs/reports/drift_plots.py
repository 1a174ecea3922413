"""The drift report's plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from shared.drift.columns import CategoricalColumn, Column
from shared.jobs.reports.html import counted
from shared.monitoring.history import Point
from shared.training.figures import INK, MUTED, SERIES, Axes, figure

REFERENCE, CURRENT = MUTED, SERIES[1]

_BINS: Final = 40
_TAIL: Final = 0.005
"""Of the reference and of the window, the share at each end that an overlay leaves out: one outlier would
press all else into a line."""

_SMALL: Final = (3.3, 2.1)
_WIDE: Final = (9.6, 3.0)


def against_null(windows: Sequence[Mapping[str, Any]], unit: str) -> str:
    """Each family's statistic over its threshold, per length of window. Beyond 1 the family alarms, if the
    move is large enough.
    """
    names = list(dict.fromkeys(family["name"] for window in windows for family in window["families"]))

    def draw(axes: Axes) -> None:
        width = 0.8 / max(len(names), 1)
        for number, (name, colour) in enumerate(zip(names, cycle(SERIES), strict=False)):
            x = np.arange(len(windows)) + (number - (len(names) - 1) / 2) * width
            axes.bar(x, [_excess(window, name) for window in windows], width * 0.86, color=colour, label=name)
        axes.axhline(1.0, color=INK, linewidth=1.2, linestyle="--", label="alarm line")
        axes.set_xticks(range(len(windows)))
        axes.set_xticklabels([counted(window["length"], unit) for window in windows])
        axes.set_ylabel("statistic / its null's limit")
        axes.set_ylim(bottom=0)
        axes.grid(visible=False, axis="x")
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.2), ncols=len(names) + 1)

    return figure("against-null", "Each statistic against its null, per length of window", _WIDE, draw)


def timeline(points: Sequence[Point], unit: str) -> str:
    """How far each check was from its alarm line, per length of window; `points` oldest first."""
    lengths = sorted({int(length) for point in points for length in point.values["excess"]})

    def draw(axes: Axes) -> None:
        for length, colour in zip(lengths, cycle(SERIES), strict=False):
            excess = [point.values["excess"].get(str(length)) for point in points]
            there = [
                (np.datetime64(p.at[:19]), e) for p, e in zip(points, excess, strict=True) if e is not None
            ]
            if there:
                line = {"color": colour, "linewidth": 1.5, "marker": "o", "markersize": 4}
                axes.plot(*zip(*there, strict=True), label=counted(length, unit), **line)
        axes.axhline(1.0, color=INK, linewidth=1.2, linestyle="--", label="alarm line")
        axes.set_ylabel("statistic / its null's limit")
        axes.set_ylim(bottom=0)
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.2), ncols=len(lengths) + 1)

    return figure("timeline", "How far each check was from its alarm line", _WIDE, draw)


def overlay(name: str, title: str, column: Column, values: NDArray[np.floating]) -> str | None:
    """The distribution of a column now, over that of the reference; None where either has no finite value.

    Both as the share of rows: of each category, or in bins of equal width, over all but the outermost half
    per cent of each.
    """
    if isinstance(column, CategoricalColumn):
        return _categories(name, title, column, values)
    finite = np.sort(values[np.isfinite(values)].astype(np.float64))
    knots = np.array(column.knots, np.float64)
    if not len(finite) or not len(knots):
        return None
    edges = _edges(knots, finite)
    before = np.diff(_share_below(knots, edges))
    now = np.diff(np.searchsorted(finite, edges, side="left") / len(finite))

    def draw(axes: Axes) -> None:
        axes.stairs(100 * before, edges, fill=True, color=REFERENCE, alpha=0.3)
        axes.stairs(100 * now, edges, color=CURRENT, linewidth=1.6)
        axes.set_ylabel("% of rows")
        axes.set_xlim(edges[0], edges[-1])
        axes.locator_params(axis="x", nbins=5)

    return figure(name, title, _SMALL, draw)


def shares(name: str, title: str, found: Mapping[str, tuple[float | None, float]]) -> str:
    """Bars of shares: of the reference, where it is known, and now. `found` has (reference, now) by name."""

    def draw(axes: Axes) -> None:
        y = np.arange(len(found))[::-1]
        before, now = ([100 * (pair[side] or 0.0) for pair in found.values()] for side in (0, 1))
        axes.barh(y + 0.2, before, height=0.36, color=REFERENCE, alpha=0.5)
        axes.barh(y - 0.2, now, height=0.36, color=CURRENT)
        axes.set_yticks(y)
        axes.set_yticklabels(list(found), parse_math=False)
        axes.set_xlabel("% of rows")
        axes.grid(visible=False, axis="y")

    return figure(name, title, (_SMALL[0], max(_SMALL[1], 0.8 + 0.4 * len(found))), draw)


def _categories(name: str, title: str, column: CategoricalColumn, values: NDArray[np.floating]) -> str | None:
    finite = values[np.isfinite(values)]
    before = np.array([*column.counts, column.other])
    if not len(finite) or not before.sum():
        return None
    now = np.bincount(column.places_of(finite), minlength=len(before))
    names = [*(f"{code:g}" for code in column.categories), "others"]
    pairs = zip((before / before.sum()).tolist(), (now / now.sum()).tolist(), strict=True)
    return shares(name, title, dict(zip(names, pairs, strict=True)))


def _share_below(knots: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of the reference that the knots stand for, the share below each edge: linear between two knots."""
    last = len(knots) - 1
    above = np.searchsorted(knots, edges, side="left")
    right = np.clip(above, 1, last)
    low, high = knots[right - 1], knots[right]
    inside = (edges - low) / np.where(high > low, high - low, 1.0)
    return np.where(above == 0, 0.0, np.where(above > last, 1.0, (right - 1 + inside) / last))


def _edges(knots: NDArray[np.float64], ordered: NDArray[np.float64]) -> NDArray[np.float64]:
    low = min(np.quantile(knots, _TAIL), np.quantile(ordered, _TAIL))
    high = max(np.quantile(knots, 1 - _TAIL), np.quantile(ordered, 1 - _TAIL))
    if high <= low:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, _BINS + 1)
    edges[-1] = np.nextafter(edges[-1], np.inf)  # the last bin has its upper edge
    return edges


def _excess(window: Mapping[str, Any], name: str) -> float:
    for family in window["families"]:
        if family["name"] == name and family["statistic"] is not None and family["threshold"]:
            return float(family["statistic"] / family["threshold"])
    return 0.0
