"""Metrics of probabilities of more than two classes, each with a block-bootstrap interval."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shared.evaluation.bootstrap import Estimate, estimate
from shared.evaluation.metrics import Statistic, Weights, ratio
from shared.evaluation.rank import pairs

CLASS_METRICS: Final = ("auc", "accuracy", "f1", "log_loss", "brier")

_MIN_PROBABILITY: Final = 1e-15

Probabilities = NDArray[np.float64]


class ClassEvaluator:
    """Estimates metrics of any probabilities (n, classes) of the same labels, with the same resamples.

    `y` (n,) holds positions of classes, `block` (n,) numbers the block of each row, `weights` (resamples,
    blocks) says how often each block counts, `model` which model answered a row (see `Rows`). What is
    predicted is the likeliest class.

    `auc` is the mean over the classes of the AUC of one against the rest. `f1` is the macro F1: the mean over
    the classes; one that is neither predicted nor there has none and is left out. `brier` is Brier's own
    (1950): the squared differences of all classes.
    """

    def __init__(
        self,
        y: NDArray[np.integer],
        classes: int,
        block: NDArray[np.intp],
        weights: Weights,
        model: NDArray[np.intp] | None = None,
    ) -> None:
        self.y, self.classes, self.block, self.weights = y.astype(np.intp), classes, block, weights
        self.blocks, self.model = weights.shape[1], model

    def estimate(
        self, probabilities: Probabilities, metrics: Collection[str] = CLASS_METRICS
    ) -> dict[str, Estimate]:
        found = {}
        for name in CLASS_METRICS:
            if name in metrics:
                of = self.statistic(name, probabilities)
                found[name] = estimate(float(of(np.ones((1, self.blocks)))[0]), of(self.weights))
        return found

    def statistic(self, metric: str, probabilities: Probabilities) -> Statistic:
        """The metric as a function of the blocks' weights."""
        builders: Mapping[str, Callable[[Probabilities], Statistic]] = {
            "auc": self._auc,
            "accuracy": lambda p: self._mean(p.argmax(axis=1) == self.y),
            "f1": self._f1,
            "log_loss": self._log_loss,
            "brier": lambda p: self._mean(((p - np.eye(self.classes)[self.y]) ** 2).sum(axis=1)),
        }
        return builders[metric](probabilities)

    def _sums(self, values: NDArray[np.float64] | NDArray[np.bool_]) -> NDArray[np.float64]:
        return np.bincount(self.block, values, minlength=self.blocks).astype(np.float64)

    def _by_class(self, code: NDArray[np.intp], values: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Rows per block and class."""
        places = (self.block * self.classes + code)[values]
        counts = np.bincount(places, minlength=self.blocks * self.classes)
        return counts.reshape(self.blocks, self.classes).astype(np.float64)

    def _mean(self, values: NDArray[np.float64] | NDArray[np.bool_]) -> Statistic:
        total, count = self._sums(values), self._sums(np.ones(len(self.y)))
        return lambda w: (w @ total) / (w @ count)

    def _log_loss(self, probabilities: Probabilities) -> Statistic:
        true = probabilities[np.arange(len(self.y)), self.y]
        return self._mean(-np.log(np.maximum(true, _MIN_PROBABILITY)))

    def _f1(self, probabilities: Probabilities) -> Statistic:
        said, every = probabilities.argmax(axis=1), np.ones(len(self.y), np.bool_)
        hits = self._by_class(said, said == self.y)
        present = self._by_class(said, every) + self._by_class(self.y, every)
        return lambda w: _macro(2 * (w @ hits), w @ present)

    def _auc(self, probabilities: Probabilities) -> Statistic:
        each = [self._one_against_rest(one, probabilities[:, one]) for one in range(self.classes)]
        return lambda w: np.mean([of(w) for of in each], axis=0)

    def _one_against_rest(self, one: int, score: NDArray[np.float64]) -> Statistic:
        is_one = self.y == one
        won, there = pairs(score, is_one.astype(np.int8), self.block, self.blocks, self.model)
        return lambda w: ratio(((w @ won) * w).sum(axis=1), ((w @ there) * w).sum(axis=1))


def _macro(twice_hits: NDArray[np.float64], present: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean over classes of F1 = 2 hits / (predicted + true), where anything is."""
    is_there = present > 0
    each = np.divide(twice_hits, present, out=np.zeros(present.shape), where=is_there)
    return np.asarray(each.sum(axis=1) / is_there.sum(axis=1))
