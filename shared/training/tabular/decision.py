"""From raw probabilities to what is served: calibration and threshold, both learnt from scores out of fold.

What they are worth is judged on rows that they weren't learnt from: for each fold of each repeat both are
learnt from the scores of that repeat's other folds (cross-fitting). So the F1 that is reported at a tuned
threshold is one that wasn't looked at when the threshold was chosen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shared.problems.spec import Metric
from shared.training.calibration import Calibration, fit_calibration

EVEN: Final = 0.5

Scores = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Decision:
    """What stands between a raw probability of the second class and the class that is said."""

    calibration: Calibration | None
    threshold: float

    def apply(self, raw: Scores) -> Scores:
        return raw if self.calibration is None else self.calibration.apply(raw)


def decide(raw: Scores, y: NDArray[np.integer], metric: Metric) -> Decision:
    """The calibration and the threshold that these scores (n,) of rows with classes `y` (n,) ask for.

    `raw` are scores by models that hadn't seen the row. The threshold is the best for accuracy where that is
    the problem's metric, else for F1.
    """
    calibration = fit_calibration(raw, y.astype(np.int8))
    score = raw if calibration is None else calibration.apply(raw)
    return Decision(calibration, best_threshold(score, y, metric))


def best_threshold(score: Scores, y: NDArray[np.integer], metric: Metric) -> float:
    """The cut between two scores that gives the best metric; of equally good ones that nearest 0.5."""
    order = np.argsort(-score, kind="stable")
    ranked, hits = score[order], np.cumsum(y[order] == 1)
    ends = np.flatnonzero(np.r_[np.diff(ranked) != 0, True])
    said, hits, positive = ends + 1, hits[ends], int((y == 1).sum())
    value = _accuracy(said, hits, positive, len(y)) if metric == "accuracy" else 2 * hits / (said + positive)
    cuts = (ranked[ends] + np.r_[ranked[ends[1:]], 0.0][: len(ends)]) / 2
    best = np.flatnonzero(value >= value.max())
    return float(cuts[best[np.argmin(np.abs(cuts[best] - EVEN))]])


def _accuracy(said: NDArray[np.intp], hits: NDArray[np.intp], positive: int, rows: int) -> Scores:
    return (hits + (rows - positive) - (said - hits)) / rows


def cross_fitted(
    raw: Scores, y: NDArray[np.integer], fold: NDArray[np.intp], metric: Metric
) -> tuple[Scores, Scores]:
    """(calibrated scores, thresholds), both (repeats, n), each by the other folds of its repeat.

    `raw` and `fold`, the number of the fold that a row is tested in, are (repeats, n).
    """
    score, threshold = np.empty_like(raw), np.empty_like(raw)
    for repeat, folds in enumerate(fold):
        for number in np.unique(folds):
            held = folds == number
            found = decide(raw[repeat, ~held], y[~held], metric)
            score[repeat, held] = found.apply(raw[repeat, held])
            threshold[repeat, held] = found.threshold
    return score, threshold
