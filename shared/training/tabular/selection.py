"""How much the best of several results owes to having been chosen for it.

Source: Tsamardinos, Greasidou, Borboudakis, Bootstrapping the out-of-sample predictions for efficient and
accurate cross-validation, Machine Learning 107 (2018). Scores out of fold are resampled by rows: the best
candidate of a resample is judged on the rows that the resample left out. Nothing is fitted again.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from shared.evaluation.bootstrap import Estimate
from shared.evaluation.metrics import Statistic, Weights
from shared.problems.spec import LOWER_IS_BETTER


def optimism(metric: str, statistics: Sequence[Statistic], weights: Weights, winner: int) -> float:
    """By how much the winner's `metric` is too good on average, at least 0.

    `statistics` are of the candidates, `weights` (resamples, blocks) says how often each resample draws each
    block of rows. What the metric itself gains on a resample is taken off by the winner's own difference.
    """
    if len(statistics) == 1:
        return 0.0
    sign = -1.0 if metric in LOWER_IS_BETTER else 1.0
    inside = sign * np.array([of(weights) for of in statistics])
    with np.errstate(invalid="ignore", divide="ignore"):
        outside = sign * np.array([of((weights == 0).astype(np.float64)) for of in statistics])
    defined = np.isfinite(inside).all(axis=0) & np.isfinite(outside).all(axis=0)
    if not defined.any():
        return 0.0
    gained = (inside - outside)[:, defined]
    best = inside[:, defined].argmax(axis=0)
    return max(0.0, float((gained[best, np.arange(gained.shape[1])] - gained[winner]).mean()))


def taken_off(found: Estimate, optimism: float, metric: str) -> Estimate:
    """An estimate of `metric`, and both ends of its interval, less the optimism."""
    return found.less(-optimism if metric in LOWER_IS_BETTER else optimism)
