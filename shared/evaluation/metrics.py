"""Metrics of scores on rows, each with a bootstrap interval over blocks of rows.

A block is what belongs together: a stretch of time, or one row with every answer about it. Every metric is a
function of sums per block, so a resample is a weighted sum of blocks: all
metrics are exact, and a thousand resamples of 285,000 rows cost less than one fit. One `Evaluator`
keeps one set of resamples: what it estimates is paired, and differences have their own interval.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shared.evaluation.bootstrap import Estimate, estimate, resampling_weights
from shared.evaluation.rank import MIN_GROUP_ROWS, group_ranks, group_spearman, pairs
from shared.evaluation.reliability import Reliability, reliability

METRICS: Final = ("auc", "accuracy", "f1", "log_loss", "brier", "rank_ic")
WITHOUT_RETURNS: Final = METRICS[:-1]
"""What can be measured of rows that nothing was earned with."""

_MIN_PROBABILITY: Final = 1e-15

Scores = NDArray[np.float64]
Values = NDArray[np.float64] | NDArray[np.bool_]

Threshold = float | NDArray[np.float64]
"""The score from which on class 1 is said: one for all rows, or one per row."""

Weights = NDArray[np.float64]
"""(resamples, blocks): how often each block counts."""

Statistic = Callable[[Weights], NDArray[np.float64]]
"""The metric's value under each row of weights."""


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Labelled rows. `block` numbers each row's block, `session` the time stamp of rows in time order.

    Rows without returns have no rank IC. `model` numbers the model that answered each row, where there are
    several: the AUC holds answers of one against each other only.
    """

    y: NDArray[np.int8]
    forward_return: NDArray[np.float64] | None
    session: NDArray[np.intp] | None
    block: NDArray[np.intp]
    model: NDArray[np.intp] | None = None

    def __len__(self) -> int:
        return len(self.y)


class Evaluator:
    """Estimates metrics of any number of scores on the same rows, with the same resamples."""

    def __init__(self, rows: Rows, *, threshold: float, resamples: int, rng: np.random.Generator) -> None:
        self.rows = rows
        self.threshold = threshold
        self.blocks = int(rows.block.max()) + 1
        self.weights = resampling_weights(self.blocks, resamples, rng)
        self._ranking = None if rows.forward_return is None else _Ranking.of(rows, rows.forward_return)

    @property
    def rank_ic_unit(self) -> str | None:
        """What the rank IC ranks within; None for rows without returns."""
        return None if self._ranking is None else self._ranking.unit

    def estimate(
        self, score: Scores, metrics: Collection[str] = METRICS, *, threshold: Threshold | None = None
    ) -> dict[str, Estimate]:
        """The metrics of `score`, the probability of class 1 per row (for AUC and rank IC: any score).

        `threshold` is the evaluator's unless given.
        """
        found = {}
        for name in METRICS:
            if name in metrics:
                of = self.statistic(name, score, threshold)
                found[name] = estimate(self._point(of), of(self.weights))
        return found

    def gain(self, metric: str, score: Scores, baseline: Scores) -> Estimate:
        """How much lower `metric` (log_loss or brier) is than the baseline's, on the same resamples."""
        ours, theirs = self.statistic(metric, score), self.statistic(metric, baseline)
        point = self._point(theirs) - self._point(ours)
        return estimate(point, theirs(self.weights) - ours(self.weights))

    def reliability(self, score: Scores) -> Reliability:
        """How `score`, probabilities of class 1, is calibrated; on the same resamples."""
        return reliability(self.rows.y, score, self.rows.block, self.weights)

    def _point(self, statistic: Statistic) -> float:
        return float(statistic(np.ones((1, self.blocks)))[0])

    def statistic(self, metric: str, score: Scores, threshold: Threshold | None = None) -> Statistic:
        """The metric as a function of the blocks' weights."""
        cut = self.threshold if threshold is None else threshold
        builders: Mapping[str, Callable[[], Statistic]] = {
            "auc": lambda: self._auc(score),
            "accuracy": lambda: self._mean((score >= cut) == (self.rows.y == 1)),
            "f1": lambda: self._f1(score >= cut),
            "log_loss": lambda: self._log_loss(score),
            "brier": lambda: self._mean((score - self.rows.y) ** 2),
            "rank_ic": lambda: self._rank_ic(score),
        }
        return builders[metric]()

    def _sums(self, values: Values) -> NDArray[np.float64]:
        sums = np.bincount(self.rows.block, values.astype(np.float64), minlength=self.blocks)
        return sums.astype(np.float64)

    def _mean(self, values: Values) -> Statistic:
        total, count = self._sums(values), self._sums(np.ones(len(self.rows), np.bool_))
        return lambda w: (w @ total) / (w @ count)

    def _log_loss(self, score: Scores) -> Statistic:
        p = np.where(self.rows.y == 1, score, 1.0 - score)
        return self._mean(-np.log(np.maximum(p, _MIN_PROBABILITY)))

    def _f1(self, said: NDArray[np.bool_]) -> Statistic:
        true = self.rows.y == 1
        hits, wrong = self._sums(said & true), self._sums(said ^ true)
        return lambda w: ratio(2.0 * (w @ hits), 2.0 * (w @ hits) + w @ wrong)

    def _auc(self, score: Scores) -> Statistic:
        won, there = pairs(score, self.rows.y, self.rows.block, self.blocks, self.rows.model)
        return lambda w: ratio(((w @ won) * w).sum(axis=1), ((w @ there) * w).sum(axis=1))

    def _rank_ic(self, score: Scores) -> Statistic:
        if self._ranking is None:
            raise ValueError("rows without returns have no rank IC")
        return self._ranking.statistic(score, self.blocks)


@dataclass(frozen=True, slots=True, eq=False)
class _Ranking:
    """The groups that the rank IC correlates within, and the ranks of the returns there."""

    group: NDArray[np.intp]
    unit: str
    block_of_group: NDArray[np.intp]
    return_ranks: NDArray[np.float64]

    @staticmethod
    def of(rows: Rows, returns: NDArray[np.float64]) -> _Ranking:
        group, unit = _rank_groups(rows)
        block_of_group = np.zeros(int(group.max()) + 1, np.intp)
        block_of_group[group] = rows.block
        return _Ranking(group, unit, block_of_group, group_ranks(returns, group))

    def statistic(self, score: Scores, blocks: int) -> Statistic:
        correlation = group_spearman(group_ranks(score, self.group), self.return_ranks, self.group)
        defined = np.isfinite(correlation)
        of = self.block_of_group[defined]
        total = np.bincount(of, correlation[defined], minlength=blocks)
        count = np.bincount(of, minlength=blocks)
        return lambda w: ratio(w @ total, w @ count)


def ratio(numerator: NDArray[np.float64], denominator: NDArray[np.float64]) -> NDArray[np.float64]:
    """Quotient; NaN where there is nothing to divide by."""
    undefined = np.full(len(numerator), np.nan)
    return np.asarray(np.divide(numerator, denominator, out=undefined, where=denominator > 0))


def _rank_groups(rows: Rows) -> tuple[NDArray[np.intp], str]:
    """What the rank IC correlates within: a session's symbols, or with few symbols a whole block.

    With fewer than five symbols on a typical session there is nothing to rank on one day; the score is
    then ranked against the return over all rows of a block of time, which also rewards timing.
    """
    if rows.session is not None and np.median(np.bincount(rows.session)) >= MIN_GROUP_ROWS:
        return rows.session, "session"
    return rows.block, "block"
