"""Judging probabilities out of fold, of two classes or more, pooled over all repeats.

A row is answered once in each repeat. Metrics pool all answers (the AUC the pairs of rows that one model
answered); their intervals resample rows, each with all its answers, since answers about one row are not
independent. Of many rows groups of them are drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from shared.evaluation.bootstrap import Estimate, estimate, resampling_weights
from shared.evaluation.classes import ClassEvaluator
from shared.evaluation.metrics import WITHOUT_RETURNS, Evaluator, Rows, Statistic
from shared.problems.spec import LOWER_IS_BETTER

MAX_BLOCKS: Final = 500

METRICS: Final = WITHOUT_RETURNS


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """Probabilities (repeats, n, classes), and for two classes the thresholds (repeats, n) that cut them.

    `measured` are the metrics that mean something for them.
    """

    name: str
    probabilities: NDArray[np.float64]
    thresholds: NDArray[np.float64] | None = None
    measured: tuple[str, ...] = METRICS


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """Metrics over all rows and repeats, and their mean and standard deviation over single test folds."""

    name: str
    metrics: dict[str, Estimate]
    folds: dict[str, tuple[float, float]]

    def json(self) -> dict[str, Any]:
        spread = {name: {"mean": _finite(m), "sd": _finite(sd)} for name, (m, sd) in self.folds.items()}
        return {**{name: estimate.json() for name, estimate in self.metrics.items()}, "folds": spread}


class Judge:
    """Estimates metrics of any number of answers about the same rows, on the same resamples."""

    def __init__(
        self,
        y: NDArray[np.integer],
        classes: int,
        fold: NDArray[np.intp],
        *,
        resamples: int,
        seed: int,
    ) -> None:
        """`y` (n,) holds places of classes; `fold` (repeats, n) the fold that a row is tested in."""
        rng = np.random.default_rng(seed)
        repeats, rows = fold.shape
        self.classes, self.rows, self.repeats = classes, rows, repeats
        self.blocks = min(rows, MAX_BLOCKS)
        self.weights = resampling_weights(self.blocks, resamples, rng)
        block = rng.permutation(rows) % self.blocks
        labels = np.tile(y, repeats)
        of_fold = (fold + np.arange(repeats)[:, None] * (int(fold.max()) + 1)).ravel()
        self._pooled = _measurer(labels, classes, np.tile(block, repeats), of_fold)
        self._by_fold, self.folds = _measurer(labels, classes, of_fold), int(of_fold.max()) + 1

    def evaluate(self, answers: Answers) -> Evaluation:
        metrics, folds = {}, {}
        for name in answers.measured:
            of = self.statistic(name, answers)
            metrics[name] = estimate(self.point(of), of(self.weights))
            each = self.per_fold(name, answers)
            folds[name] = (float(each.mean()), float(each.std(ddof=1)))
        return Evaluation(answers.name, metrics, folds)

    def gain(self, metric: str, ours: Answers, theirs: Answers) -> Estimate:
        """How much better `ours` are than `theirs`, on the same resamples; above 0 is better."""
        mine, its = self.statistic(metric, ours), self.statistic(metric, theirs)
        sign = -1.0 if metric in LOWER_IS_BETTER else 1.0
        return estimate(
            sign * (self.point(mine) - self.point(its)), sign * (mine(self.weights) - its(self.weights))
        )

    def statistic(self, metric: str, answers: Answers) -> Statistic:
        """The metric as a function of the weights of blocks of rows."""
        return self._pooled(metric, answers)

    def point(self, statistic: Statistic) -> float:
        """The metric's value on all rows."""
        return float(statistic(np.ones((1, self.blocks)))[0])

    def per_fold(self, metric: str, answers: Answers) -> NDArray[np.float64]:
        """The metric on each test fold of each repeat alone, (repeats * folds,)."""
        return self._by_fold(metric, answers)(np.eye(self.folds))


def _measurer(
    y: NDArray[np.integer], classes: int, block: NDArray[np.intp], model: NDArray[np.intp] | None = None
) -> Callable[[str, Answers], Statistic]:
    """Statistics by these blocks, whichever number of classes there is."""
    if classes > 2:
        many = ClassEvaluator(y, classes, block, np.ones((1, int(block.max()) + 1)), model)
        return lambda metric, answers: many.statistic(metric, answers.probabilities.reshape(-1, classes))
    rows, nobody = Rows(y.astype(np.int8), None, None, block, model), np.random.default_rng(0)
    two = Evaluator(rows, threshold=0.5, resamples=1, rng=nobody)

    def of_two(metric: str, answers: Answers) -> Statistic:
        cut = None if answers.thresholds is None else answers.thresholds.ravel()
        return two.statistic(metric, answers.probabilities[..., 1].ravel(), cut)

    return of_two


def baselines(
    y: NDArray[np.integer], classes: int, folds: Sequence[tuple[int, NDArray[np.intp], NDArray[np.intp]]]
) -> tuple[Answers, Answers]:
    """What anybody can say without a model: the training part's most frequent class, and its shares.

    `folds` are (repeat, training rows, test rows).
    """
    repeats = 1 + max(repeat for repeat, _, _ in folds)
    majority, prior = np.zeros((repeats, len(y), classes)), np.zeros((repeats, len(y), classes))
    for repeat, train, test in folds:
        shares = np.bincount(y[train], minlength=classes) / len(train)
        majority[repeat, test] = np.eye(classes)[shares.argmax()]
        prior[repeat, test] = shares
    return (
        Answers("majority", majority, measured=("accuracy", "f1")),
        Answers("prior", prior, measured=("log_loss", "brier")),
    )


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
