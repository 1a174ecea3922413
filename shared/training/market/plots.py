"""The plots that only a market's training report has."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle

import numpy as np
from numpy.typing import NDArray

from shared.training.figures import INK, MUTED, SERIES, Axes, figure
from shared.training.market.evaluation import Evaluation, Scores


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
