"""The contest of the candidates: repeated stratified cross-validation, all of them on the same folds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from shared.errors import InvalidInput
from shared.evaluation.bootstrap import Estimate
from shared.problems.spec import TabularProblem, merit
from shared.training.candidates import Estimator, Variant, probabilities, variants
from shared.training.options import TabularOptions
from shared.training.tabular.dataset import Dataset
from shared.training.tabular.decision import cross_fitted
from shared.training.tabular.judge import Answers, Evaluation, Judge, baselines
from shared.training.tabular.selection import optimism

Indices: TypeAlias = NDArray[np.intp]
Fold: TypeAlias = tuple[int, Indices, Indices]
"""(repeat, training rows, test rows)"""

Step = Callable[[int, str], None]


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """What is to be learnt from which rows. `fold` (repeats, n) says in which fold a row is tested."""

    problem: TabularProblem
    options: TabularOptions
    dataset: Dataset
    folds: tuple[Fold, ...]
    fold: Indices
    more: tuple[Variant, ...] = ()
    """Who competes besides the problem's own variants: what a search has found."""

    @property
    def variants(self) -> tuple[Variant, ...]:
        return (*variants(self.problem, self.options.candidates), *self.more)

    @property
    def is_binary(self) -> bool:
        return len(self.dataset.classes) == 2

    def fit(self, variant: Variant, rows: Indices) -> Estimator:
        data = self.dataset
        return variant.fit(data.x[rows], data.y[rows], self.options.random_state, data.columns)

    def judge(self) -> Judge:
        return Judge(
            self.dataset.y,
            len(self.dataset.classes),
            self.fold,
            resamples=self.options.resamples,
            seed=self.options.random_state,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Competitor:
    """A candidate: `raw` probabilities out of fold, and the `answers` that are judged."""

    variant: Variant
    raw: NDArray[np.float64]
    answers: Answers
    evaluation: Evaluation


@dataclass(frozen=True, slots=True, eq=False)
class Contest:
    """All candidates beside the baselines. `optimism` is what the winner's primary metric owes to the choice.

    `gains` are paired: how much better than the majority in accuracy, than the prior in log-loss and Brier.
    """

    judge: Judge
    candidates: tuple[Competitor, ...]
    baselines: tuple[Evaluation, ...]
    winner: Competitor
    optimism: float
    gains: dict[str, Estimate]


def set_task(problem: TabularProblem, options: TabularOptions, dataset: Dataset) -> Task:
    """The folds: each class spread evenly over them, each repeat shuffled anew.

    Raises:
        InvalidInput: a class has fewer rows than there are folds.
    """
    from sklearn.model_selection import RepeatedStratifiedKFold

    counts = np.bincount(dataset.y, minlength=len(dataset.classes))
    few = [f"{name} {n}" for name, n in zip(dataset.classes, counts, strict=True) if n < options.cv_folds]
    if few:
        raise InvalidInput(
            f"Each class needs a row in each of the {options.cv_folds} folds; too few: {', '.join(few)}. "
            "Give more rows or fewer folds."
        )
    splitter = RepeatedStratifiedKFold(
        n_splits=options.cv_folds, n_repeats=options.cv_repeats, random_state=options.random_state
    )
    splits = enumerate(splitter.split(dataset.x, dataset.y))
    folds = tuple((number // options.cv_folds, train, test) for number, (train, test) in splits)
    fold = np.empty((options.cv_repeats, len(dataset)), np.intp)
    for number, (repeat, _, test) in enumerate(folds):
        fold[repeat, test] = number % options.cv_folds
    return Task(problem, options, dataset, folds, fold)


def compete(task: Task, step: Step) -> Contest:
    """Every candidate in every fold; the best primary metric wins, the first named in a tie."""
    judge, metric = task.judge(), task.problem.primary_metric
    candidates = tuple(
        competitor(task, judge, variant, _from(number * len(task.folds), step))
        for number, variant in enumerate(task.variants)
    )
    merits = [merit(one.evaluation.metrics[metric].value, metric) for one in candidates]
    best = int(np.argmax(merits))
    statistics = [judge.statistic(metric, one.answers) for one in candidates]
    majority, prior = baselines(task.dataset.y, len(task.dataset.classes), task.folds)
    ours = candidates[best].answers
    gains = {
        "accuracy": judge.gain("accuracy", ours, majority),
        "log_loss": judge.gain("log_loss", ours, prior),
        "brier": judge.gain("brier", ours, prior),
    }
    return Contest(
        judge,
        candidates,
        (judge.evaluate(majority), judge.evaluate(prior)),
        candidates[best],
        optimism(metric, statistics, judge.weights, best),
        gains,
    )


def _from(done_before: int, step: Step) -> Step:
    return lambda done, words: step(done_before + done, words)


def competitor(task: Task, judge: Judge, variant: Variant, step: Step) -> Competitor:
    """A variant's probabilities of each row in each repeat, by a model of that repeat's other folds."""
    raw = np.empty((*task.fold.shape, len(task.dataset.classes)))
    for number, (repeat, train, test) in enumerate(task.folds, start=1):
        raw[repeat, test] = probabilities(task.fit(variant.for_fold(number - 1), train), task.dataset.x[test])
        step(number, f"{variant.name}: fold {number} of {len(task.folds)}")
    answers = _answers(task, variant.name, raw)
    return Competitor(variant, raw, answers, judge.evaluate(answers))


def _answers(task: Task, name: str, raw: NDArray[np.float64]) -> Answers:
    if not task.is_binary:
        return Answers(name, raw)
    score, threshold = cross_fitted(raw[..., 1], task.dataset.y, task.fold, task.problem.primary_metric)
    return Answers(name, np.stack([1.0 - score, score], axis=-1), threshold)
