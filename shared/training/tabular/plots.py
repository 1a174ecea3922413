"""The plots that only a tabular problem's training report has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shared.training.figures import INK, MUTED, SERIES, Axes, figure

_MOST_WRITTEN: Final = 12
"""Classes whose confusions can still be read as numbers."""


def precision_recall(y: NDArray[np.int8], score: NDArray[np.float64], share: float) -> str:
    """How many of those that are found are right, against how many are found."""

    def draw(axes: Axes) -> None:
        from sklearn.metrics import precision_recall_curve

        precision, recall, _ = precision_recall_curve(y, score, drop_intermediate=True)
        axes.axhline(share, color=MUTED, linewidth=1, linestyle="--", label="chance")
        axes.plot(recall, precision, color=SERIES[0], linewidth=1.6, label="out of fold")
        axes.set(xlabel="share found (recall)", ylabel="share right (precision)")
        axes.set(xlim=(0, 1), ylim=(0, 1.02))
        axes.legend(loc="lower left")

    return figure("precision-recall", "Precision against recall", (4.6, 4.2), draw)


def confusion(counts: NDArray[np.float64], classes: Sequence[str]) -> str:
    """Rows by true class (down) and said class (across), on average over the repeats; of many classes the
    colours alone.
    """

    def draw(axes: Axes) -> None:
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        is_written = len(classes) <= _MOST_WRITTEN
        for (true, said), count in np.ndenumerate(counts):
            colour = SERIES[2] if true == said else SERIES[1]
            if not count and not is_written:
                continue
            axes.add_patch(_square(said, true, colour, float(shares[true, said])))
            if is_written:
                words = f"{count:,.0f}\n{shares[true, said]:.0%}"
                axes.text(said, true, words, ha="center", va="center", color=INK, fontsize=9)
        places = range(len(classes))
        axes.set_xticks(places, classes, rotation=0 if len(classes) < 5 else 45 if is_written else 90)
        axes.set_yticks(places, classes)
        axes.set(xlabel="said", ylabel="true", xlim=(-0.5, len(classes) - 0.5))
        axes.set_ylim(len(classes) - 0.5, -0.5)
        axes.grid(visible=False)

    return figure("confusion", "Confusion matrix", (4.6, 4.2), draw)


def _square(x: int, y: int, colour: str, share: float) -> object:
    from matplotlib.patches import Rectangle

    return Rectangle((x - 0.48, y - 0.48), 0.96, 0.96, color=colour, alpha=0.08 + 0.5 * share, linewidth=0)
