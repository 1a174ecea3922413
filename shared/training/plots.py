"""Plots that the training reports of every kind of problem have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shared.training.figures import MUTED, SERIES, Axes, figure

_CURVE_POINTS: Final = 200
_BINS: Final = 10
_TOP_FEATURES: Final = 20

Scores = NDArray[np.float64]


def roc(y: NDArray[np.int8], score: Scores, name: str, axes_words: tuple[str, str]) -> str:
    """Share of the positive rows found against share of the others taken for positive.

    `axes_words` are what stands on the axes.
    """

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle="--", label="chance")
        axes.plot(*_roc_curve(y, score), color=SERIES[0], linewidth=1.6, label=name)
        axes.set(xlabel=axes_words[0], ylabel=axes_words[1])
        axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
        axes.legend(loc="lower right")

    return figure("roc", "ROC curves", (4.6, 4.2), draw)


def calibration(y: NDArray[np.int8], score: Scores, name: str, positive: str) -> str:
    """Observed share of `positive` in ten equally full bins of the predicted probability."""

    def draw(axes: Axes) -> None:
        bins = np.array_split(np.argsort(score, kind="stable"), _BINS)
        said = [float(score[rows].mean()) for rows in bins if len(rows)]
        seen = [float(y[rows].mean()) for rows in bins if len(rows)]
        low, high = min(said + seen), max(said + seen)
        axes.plot([low, high], [low, high], color=MUTED, linewidth=1, linestyle="--", label="perfect")
        axes.plot(said, seen, color=SERIES[0], linewidth=1.6, marker="o", markersize=5, label=name)
        axes.set(xlabel=f"predicted probability of {positive}", ylabel=f"observed share of {positive}")
        axes.legend(loc="upper left")

    title = f"Calibration: predicted against observed share of {positive}"
    return figure("calibration", title, (4.6, 4.2), draw)


def importances(names: Sequence[str], sensitivity: NDArray[np.float64]) -> str:
    """The features that move the score most when shuffled."""

    def draw(axes: Axes) -> None:
        order = np.argsort(-sensitivity, kind="stable")[:_TOP_FEATURES][::-1]
        axes.barh([names[i] for i in order], 100 * sensitivity[order], color=SERIES[0], height=0.7)
        axes.set_xlabel("mean change, percentage points")
        axes.grid(visible=False, axis="y")

    return figure("importances", "The features that move the score most", (4.6, 4.8), draw)


def _roc_curve(y: NDArray[np.int8], score: Scores) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(false positive rate, true positive rate), thinned to at most 201 points; ties are one step."""
    order = np.argsort(-score, kind="stable")
    ends = np.flatnonzero(np.r_[np.diff(score[order]) != 0, True])
    thin = ends[np.unique(np.linspace(0, len(ends) - 1, _CURVE_POINTS).astype(int))]
    ups = np.cumsum(y[order] == 1)[thin]
    downs = thin + 1 - ups
    return np.r_[0.0, downs / max(downs[-1], 1)], np.r_[0.0, ups / max(ups[-1], 1)]
