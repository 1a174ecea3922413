"""The contest of the candidates on the development part, and the winner's examination on the hold-out.

The last sessions are the hold-out. Everything that is chosen (the algorithm, its parameters, the
calibration) is chosen by walk-forward on the sessions before it; the hold-out is scored once, by the
winner alone, fitted and calibrated on the development part. Gates look at the hold-out only: the
best of five walk-forward results flatters itself, a result on unseen sessions doesn't.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.errors import InvalidInput, NotEnoughCandles
from shared.problems.spec import MarketProblem, merit
from shared.training.calibration import Calibration, fit_calibration
from shared.training.candidates import Estimator, Variant, positive_score, variants
from shared.training.gates import quantities
from shared.training.importance import sensitivities
from shared.training.market.dataset import Dataset
from shared.training.market.evaluation import Evaluation, Fold, Indices, Judge, Scores
from shared.training.market.splits import PurgedWalkForward
from shared.training.options import MarketOptions

Step = Callable[[int, str], None]


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """What is to be learnt from which rows: the walk-forward's folds lie within `development`."""

    problem: MarketProblem
    options: MarketOptions
    dataset: Dataset
    folds: tuple[Fold, ...]
    development: Indices
    held_out: Indices

    def judge(self, folds: Sequence[Fold]) -> Judge:
        return Judge(
            self.dataset,
            folds,
            threshold=self.problem.threshold,
            resamples=self.options.resamples,
            seed=self.options.random_state,
        )

    @property
    def variants(self) -> tuple[Variant, ...]:
        return variants(self.problem, self.options.candidates)

    def fit(self, variant: Variant, rows: Indices) -> Estimator:
        """Fitted on those rows; a copy is only made where rows are left out."""
        taken = slice(None) if len(rows) == len(self.dataset) else rows
        return variant.fit(self.dataset.x[taken], self.dataset.y[taken], self.options.random_state)


@dataclass(frozen=True, slots=True, eq=False)
class Contest:
    """Every candidate's raw scores out of fold, beside the baselines, and which one won."""

    judge: Judge
    candidates: tuple[Evaluation, ...]
    baselines: tuple[Evaluation, ...]
    variant: Variant
    winner: Evaluation
    calibration: Calibration | None


@dataclass(frozen=True, slots=True, eq=False)
class HoldOut:
    """The winner's calibrated scores on unseen sessions; `quantities` are what gates look at.

    `sensitivities` are per feature: how far the score moves when that feature is shuffled.
    """

    judge: Judge
    model: Evaluation
    raw_score: Scores
    baselines: tuple[Evaluation, ...]
    quantities: dict[str, float]
    sensitivities: NDArray[np.float64]


def set_task(problem: MarketProblem, options: MarketOptions, dataset: Dataset) -> Task:
    """Hold-out and development folds, each purged of labels that reach into what is tested.

    Raises:
        NotEnoughCandles: too few sessions for that many folds and that hold-out.
        InvalidInput: a training part holds one class only.
    """
    held = math.ceil(len(np.unique(dataset.timestamp)) * options.test_size)
    outer = PurgedWalkForward(1, held, purge=dataset.horizon, embargo=problem.embargo)
    inner = PurgedWalkForward(options.cv_folds, purge=dataset.horizon, embargo=problem.embargo)
    try:
        development, held_out = next(outer.split(groups=dataset.groups))
        splits = list(inner.split(groups=dataset.groups[development]))
    except ValueError as error:
        raise NotEnoughCandles(
            f"Too few sessions: {error}. Give more candles, fewer folds or a smaller hold-out."
        ) from error
    folds = tuple((development[train], development[test]) for train, test in splits)
    if any(np.ptp(dataset.y[train]) == 0 for train, _ in folds):
        raise InvalidInput("A training part holds one class only: the closes always go the same way.")
    return Task(problem, options, dataset, folds, development, held_out)


def compete(task: Task, step: Step) -> Contest:
    """Walk-forward of every candidate; the best primary metric wins, the first named in a tie."""
    judge = task.judge(task.folds)
    evaluations = [
        judge.evaluate(variant.name, _out_of_fold(task, variant, number, step))
        for number, variant in enumerate(task.variants)
    ]
    metric = task.problem.primary_metric
    best = max(range(len(evaluations)), key=lambda i: merit(evaluations[i].metrics[metric].value, metric))
    winner = evaluations[best]
    calibration = fit_calibration(winner.score, judge.y)
    return Contest(judge, tuple(evaluations), judge.baselines(), task.variants[best], winner, calibration)


def _out_of_fold(task: Task, variant: Variant, number: int, step: Step) -> Scores:
    """Raw scores of each fold's test rows by a model of its training rows, one fold after the other."""
    scores = []
    for fold, (train, test) in enumerate(task.folds, start=1):
        scores.append(positive_score(task.fit(variant, train), task.dataset.x[test]))
        step(number * len(task.folds) + fold, f"{variant.name}: fold {fold} of {len(task.folds)}")
    return np.concatenate(scores)


def examine(task: Task, contest: Contest) -> HoldOut:
    """The winner fitted on the development part, calibrated on its folds, judged on the hold-out."""
    judge = task.judge([(task.development, task.held_out)])
    pipeline = task.fit(contest.variant, task.development)
    x = task.dataset.x[task.held_out]
    raw = positive_score(pipeline, x)
    score = raw if contest.calibration is None else contest.calibration.apply(raw)
    model = judge.evaluate(contest.variant.name, score)
    moved = sensitivities(pipeline, x, np.random.default_rng(task.options.random_state))
    return HoldOut(judge, model, raw, judge.baselines(), _evidence(judge, model), moved)


def _evidence(judge: Judge, model: Evaluation) -> dict[str, float]:
    """The quantities that gates may name, measured on the judge's rows."""
    gains = {f"{metric}_gain": judge.gain(metric, model.score) for metric in ("log_loss", "brier")}
    return {**quantities({**model.metrics, **gains}), "blocks": float(judge.blocks)}
