"""Judging scores on rows that no fitted model has seen: pooled, per fold, and beside the baselines."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from shared.evaluation.baselines import BASELINES, BaselineRows
from shared.evaluation.bootstrap import Estimate, block_codes, block_seconds
from shared.evaluation.metrics import METRICS, Evaluator, Rows
from shared.training.market.dataset import Dataset

Indices: TypeAlias = NDArray[np.intp]
Fold: TypeAlias = tuple[Indices, Indices]
Scores: TypeAlias = NDArray[np.float64]
Metrics: TypeAlias = dict[str, Estimate]


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """A score per row with its metrics over all rows, and within each fold."""

    name: str
    score: Scores
    metrics: Metrics
    folds: tuple[Metrics, ...]

    def json(self) -> dict[str, Any]:
        return {
            **{name: estimate.json() for name, estimate in self.metrics.items()},
            "folds": [{name: e.json()["value"] for name, e in fold.items()} for fold in self.folds],
        }


class Judge:
    """Estimates metrics on the test rows of `folds`, for any number of scores on those rows.

    All estimates use the same resamples of time, so they can be compared with each other.
    """

    def __init__(
        self, dataset: Dataset, folds: Sequence[Fold], *, threshold: float, resamples: int, seed: int
    ) -> None:
        self.rows = np.concatenate([test for _, test in folds])
        self.fold = np.repeat(np.arange(len(folds)), [len(test) for _, test in folds])
        self.y = dataset.y[self.rows]
        self._threshold, self._resamples, self._seed = threshold, resamples, seed
        self._pooled = self._evaluator(dataset, self.rows)
        self._by_fold = [self._evaluator(dataset, test) for _, test in folds]
        rates = [float(dataset.y[train].mean()) for train, _ in folds]
        self._base_rate = np.asarray(rates)[self.fold]
        self._past_return = dataset.past_return[self.rows]
        self.sessions = len(np.unique(dataset.timestamp[self.rows]))

    @property
    def blocks(self) -> int:
        return self._pooled.blocks

    @property
    def rank_ic_unit(self) -> str | None:
        return self._pooled.rank_ic_unit

    def evaluate(self, name: str, score: Scores, metrics: Collection[str] = METRICS) -> Evaluation:
        by_fold = (
            judge.estimate(score[self.fold == number], metrics) for number, judge in enumerate(self._by_fold)
        )
        return Evaluation(name, score, self._pooled.estimate(score, metrics), tuple(by_fold))

    def baselines(self) -> tuple[Evaluation, ...]:
        given = BaselineRows(self._past_return, self._base_rate)
        return tuple(self.evaluate(b.name, b.score(given), b.metrics) for b in BASELINES)

    def gain(self, metric: str, score: Scores) -> Estimate:
        """How much lower log_loss or brier is than that of the training part's base rate; paired."""
        return self._pooled.gain(metric, score, self._base_rate)

    def _evaluator(self, dataset: Dataset, rows: Indices) -> Evaluator:
        stamp = dataset.timestamp[rows]
        length = block_seconds(dataset.timeframe, dataset.horizon)
        _, session = np.unique(stamp, return_inverse=True)
        labelled = Rows(dataset.y[rows], dataset.forward_return[rows], session, block_codes(stamp, length))
        return Evaluator(
            labelled,
            threshold=self._threshold,
            resamples=self._resamples,
            rng=np.random.default_rng(self._seed),
        )
