"""Figures as inline SVG that takes its colours and fonts from the page around it, and the page's style.

The same numbers give the same text: ids are salted, and no date is written. Readers that can't see are told
what a figure shows by its title.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any, Final

INK, MUTED, GRID = "#0a0b01", "#0a0b02", "#0a0b03"
SERIES = ("#0a0b11", "#0a0b12", "#0a0b13", "#0a0b14", "#0a0b15", "#0a0b16")
SERIES_VARIABLES: Final = tuple(f"var(--series-{i})" for i in range(1, len(SERIES) + 1))
"""The same colours, for what is drawn without matplotlib."""

_VARIABLES: Final = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    GRID: "var(--line)",
    **dict(zip(SERIES, SERIES_VARIABLES, strict=True)),
}
_STYLE: Final[dict[Any, Any]] = {
    "svg.fonttype": "none",
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": GRID,
    "axes.labelcolor": MUTED,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "legend.frameon": False,
    "figure.facecolor": "none",
}

Axes = Any  # matplotlib's own types don't survive its dynamic attributes

_STYLE_SHEET: Final = Path(__file__).with_name("page.css")


def style() -> str:
    """What stands in the `<style>` of a page with figures."""
    return _STYLE_SHEET.read_text("utf-8")


def figure(name: str, title: str, inches: tuple[float, float], draw: Callable[[Axes], None]) -> str:
    """The `<svg>` of what `draw` draws. `name` is no other figure's of the page: letters, digits and `-`."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with rc_context({**_STYLE, "svg.hashsalt": name}):
        made = Figure(figsize=inches, layout="constrained")
        FigureCanvasSVG(made)
        draw(made.add_subplot())
        text = io.StringIO()
        made.savefig(text, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    return _inline(text.getvalue(), name, title)


def _inline(svg: str, name: str, title: str) -> str:
    """The `<svg>` element alone, with the page's colours, and ids that no other figure has."""
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    svg = re.sub(r'(id="|href="#|url\(#)', rf"\g<1>{name}-", svg)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, variable)
    return svg.replace("<svg ", f'<svg role="img" aria-label="{escape(title)}" ', 1).strip()
