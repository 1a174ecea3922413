"""Whether one recipe is better than another, from both in the same folds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

SIGNIFICANCE: Final = 0.05


@dataclass(frozen=True, slots=True)
class Comparison:
    """`difference` is the mean over the folds, above 0 where the first is better; `p` is one-sided: how
    likely at most so large a difference is where there is none.
    """

    difference: float
    p: float

    @property
    def is_significant(self) -> bool:
        return self.p < SIGNIFICANCE

    def json(self) -> dict[str, Any]:
        return {"difference": self.difference, "p": self.p}


def compare(
    ours: NDArray[np.float64], theirs: NDArray[np.float64], folds: int, *, best_of: int = 1
) -> Comparison:
    """The corrected resampled t-test on a metric (repeats * folds,), higher is better.

    `best_of`: of how many `ours` were taken as the best, on these folds. One of many beats anybody by luck:
    `p` is multiplied by their number (Bonferroni).

    Folds share training rows, so their results aren't independent: the plain t-test of repeated
    cross-validation finds differences where there are none. The variance is enlarged by the ratio of test to
    training rows, 1 / (folds - 1). A bootstrap of rows would judge two fitted models and leave out how much a
    recipe's result varies with the rows it was trained on.

    Source: Nadeau and Bengio, Inference for the Generalization Error, Machine Learning 52 (2003); for
    repeated cross-validation Bouckaert and Frank, PAKDD 2004.
    """
    from scipy.stats import t

    difference = ours - theirs
    difference = difference[np.isfinite(difference)]
    count = len(difference)
    if count < 2:
        return Comparison(0.0, 1.0)
    mean, variance = float(difference.mean()), float(difference.var(ddof=1))
    spread = math.sqrt((1.0 / count + 1.0 / (folds - 1)) * variance)
    if spread == 0.0:
        return Comparison(mean, 0.0 if mean > 0 else 1.0)
    return Comparison(mean, min(1.0, best_of * float(t.sf(mean / spread, count - 1))))
