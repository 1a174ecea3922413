"""One training run from a table to a fitted model and its report: pure, no platform and no network."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from shared.problems.spec import TabularProblem
from shared.training.candidates import Estimator, Variant
from shared.training.findings import Result
from shared.training.fitted import FittedModel
from shared.training.importance import sensitivities
from shared.training.options import TabularOptions
from shared.training.progress import Progress, Stages, silent
from shared.training.tabular.contest import Contest, Task, compete, set_task
from shared.training.tabular.dataset import Dataset, build_dataset
from shared.training.tabular.decision import EVEN, Decision, decide
from shared.training.tabular.findings import TabularFindings, judge, warnings
from shared.training.tabular.report import render
from shared.training.tabular.suspicion import suspected_leak

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TrainingResult(Result[TabularFindings]):
    """`unseen_scores` are of all rows."""

    threshold: float

    @property
    def dataset(self) -> Dataset:
        return self.findings.task.dataset


def train(
    problem: TabularProblem,
    table: pa.Table,
    options: TabularOptions,
    progress: Progress = silent,
    *,
    more: Callable[[Task], tuple[Variant, ...]] = lambda _: (),
    clock: Callable[[], float] = time.perf_counter,
) -> TrainingResult:
    """Validation, contest, gates, final fit on all rows, report.

    `more` gives who competes besides the problem's own variants.

    The same rows in the same order, options and library versions give the same result, bit for bit, but for
    `timings`.

    Raises:
        InvalidInput: the table doesn't fit the problem, or too few rows of a class for the folds.
    """
    stages = Stages(progress, clock)
    with stages.stage("validation", 1, f"{len(table):,} rows, {len(problem.columns)} columns"):
        alone = set_task(problem, options, build_dataset(problem, table))
        task = replace(alone, more=more(alone))
    fits = len(task.variants) * len(task.folds)
    with stages.stage("cross_validation", fits, "fitting the candidates") as step:
        contest = compete(task, step)
    winner = contest.winner.variant
    with stages.stage("final_fit", 1, f"fitting {winner.name} on all rows"):
        decision = _decision(task, contest)
        estimator = task.fit(winner, np.arange(len(task.dataset)))
        fitted = _fitted(task, contest, estimator, decision)
    with stages.stage("report", 1, "writing the report"):
        findings = _findings(task, contest, estimator, decision)
        report_html = render(findings)
    return TrainingResult(
        fitted=fitted,
        findings=findings,
        threshold=EVEN if decision is None else decision.threshold,
        unseen_scores=_unseen_scores(contest, decision),
        report_html=report_html,
        timings=stages.seconds,
    )


def _decision(task: Task, contest: Contest) -> Decision | None:
    """Calibration and threshold of the final model: from every score out of fold there is."""
    if not task.is_binary:
        return None
    raw = contest.winner.raw[..., 1].ravel()
    return decide(raw, np.tile(task.dataset.y, len(task.fold)), task.problem.primary_metric)


def _fitted(task: Task, contest: Contest, estimator: Estimator, decision: Decision | None) -> FittedModel:
    variant = contest.winner.variant
    return FittedModel(
        str(variant.algorithm),
        estimator,
        None if decision is None else decision.calibration,
        task.dataset.columns.names,
        task.dataset.classes,
        variant.parameters,
    )


def _unseen_scores(contest: Contest, decision: Decision | None) -> NDArray[np.float64]:
    """Of one repeat: each row counts once, as it will when it is served."""
    raw: NDArray[np.float64] = contest.winner.raw[0, :, 1]
    return raw if decision is None else decision.apply(raw)


def _findings(
    task: Task, contest: Contest, estimator: Estimator, decision: Decision | None
) -> TabularFindings:
    moved = sensitivities(estimator, task.dataset.x, np.random.default_rng(task.options.random_state))
    leak = suspected_leak(task, contest, moved)
    return TabularFindings(
        task=task,
        contest=contest,
        decision=decision,
        sensitivities=moved,
        gates=judge(task, contest),
        leak=leak,
        warnings=warnings(task, decision, leak),
    )
