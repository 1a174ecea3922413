"""The training report's plots."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shared.training.evaluation import Evaluation, Scores
from shared.training.figures import INK, MUTED, SERIES, Axes, figure

_CURVE_POINTS: Final = 200
_BINS: Final = 10
_TOP_FEATURES: Final = 20


def roc(y: NDArray[np.int8], evaluations: Sequence[Evaluation]) -> str:
    """Share of ups found against share of downs taken for ups."""

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle="--", label="chance")
        for evaluation, colour in zip(evaluations, cycle(SERIES), strict=False):
            axes.plot(*_roc_curve(y, evaluation.score), color=colour, linewidth=1.6, label=evaluation.name)
        axes.set(xlabel="share of downs said to go up", ylabel="share of ups said to go up")
        axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
        axes.legend(loc="lower right")

    return figure("roc", "ROC curves", (4.6, 4.2), draw)


def calibration(y: NDArray[np.int8], score: Scores) -> str:
    """Observed share of ups in ten equally full bins of the predicted probability."""

    def draw(axes: Axes) -> None:
        bins = np.array_split(np.argsort(score, kind="stable"), _BINS)
        said = [float(score[rows].mean()) for rows in bins if len(rows)]
        seen = [float(y[rows].mean()) for rows in bins if len(rows)]
        low, high = min(said + seen), max(said + seen)
        axes.plot([low, high], [low, high], color=MUTED, linewidth=1, linestyle="--", label="perfect")
        axes.plot(said, seen, color=SERIES[0], linewidth=1.6, marker="o", markersize=5, label="hold-out")
        axes.set(xlabel="predicted probability of up", ylabel="observed share of ups")
        axes.legend(loc="upper left")

    return figure("calibration", "Calibration: predicted against observed share of ups", (4.6, 4.2), draw)


def folds(evaluations: Sequence[Evaluation]) -> str:
    """The AUC of every candidate in every fold, as distance from 0.5, with its interval."""

    def draw(axes: Axes) -> None:
        width = 0.8 / len(evaluations)
        for number, (evaluation, colour) in enumerate(zip(evaluations, cycle(SERIES), strict=False)):
            auc = [fold["auc"] for fold in evaluation.folds]
            x = np.arange(len(auc)) + (number - (len(evaluations) - 1) / 2) * width
            height = [estimate.value - 0.5 for estimate in auc]
            axes.bar(x, height, width * 0.86, bottom=0.5, color=colour, label=evaluation.name)
            axes.vlines(x, [e.low for e in auc], [e.high for e in auc], color=INK, linewidth=0.8, alpha=0.6)
        axes.axhline(0.5, color=MUTED, linewidth=1)
        axes.set_xticks(range(len(evaluations[0].folds)))
        axes.set_xticklabels([f"fold {i + 1}" for i in range(len(evaluations[0].folds))])
        axes.set_ylabel("AUC")
        axes.grid(visible=False, axis="x")
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.18), ncols=len(evaluations))

    return figure("folds", "AUC of each candidate in each fold", (9.6, 3.6), draw)


def histogram(y: NDArray[np.int8], score: Scores) -> str:
    """Distribution of the score over rows that went up and rows that went down."""

    def draw(axes: Axes) -> None:
        edges = np.linspace(score.min() - 1e-9, score.max() + 1e-9, 61)
        for label, name, colour in ((1, "went up", SERIES[0]), (0, "went down", SERIES[1])):
            axes.hist(
                score[y == label],
                edges,
                histtype="stepfilled",
                color=colour,
                alpha=0.35,
                edgecolor=colour,
                label=name,
            )
        axes.set(xlabel="predicted probability of up", ylabel="rows")
        axes.legend()

    return figure("histogram", "Distribution of the scores of ups and of downs", (4.6, 3.6), draw)


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
