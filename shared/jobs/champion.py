"""The challenger beside the model that is live: a run that doesn't beat it changes nothing that is served."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np

from shared.errors import PackageRefused
from shared.problems import Problem
from shared.problems.spec import LOWER_IS_BETTER, Algorithm
from shared.registry import Active, Manifest, Package, Registry
from shared.training.candidates import Variant
from shared.training.market import run as market
from shared.training.market.evaluation import Indices
from shared.training.progress import Progress
from shared.training.tabular import run as tabular
from shared.training.tabular.comparison import compare
from shared.training.tabular.contest import Competitor, Contest, Step, Task, competitor

MIN_SESSIONS: Final = 20


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the challenger may take the champion's place, and why. `metrics` are the champion's."""

    is_better: bool
    why: str
    champion: str | None = None
    metrics: dict[str, Any] | None = None

    def json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


def beside_market(result: market.TrainingResult, registry: Registry) -> Verdict:
    """Compare both, by the problem's primary metric, on the hold-out's sessions after the champion's training
    window: neither has seen those. A draw leaves the champion.

    With fewer than 20 such sessions nothing fair can be said, and passing its own gates is enough.
    """
    found = _champion(result.findings.task.problem, registry)
    if isinstance(found, Verdict):
        return found
    active, package = found
    if not _comparable(package, result):
        why = "the live model learnt from other features or another horizon: a human must compare them"
        return Verdict(False, why, active.version_id)
    rows = _unseen_by_both(package, result)
    sessions = len(np.unique(result.dataset.timestamp[rows]))
    if sessions < MIN_SESSIONS:
        why = f"only {sessions} sessions that neither has seen, {MIN_SESSIONS} are needed to compare"
        return Verdict(True, why, active.version_id)
    return _compare(result, active, package, rows)


def beside_tabular(result: tabular.TrainingResult, registry: Registry, progress: Progress) -> Verdict:
    """Compare both recipes, by the problem's primary metric, in the same folds.

    The live model may have been fitted on any of these rows, so its own answers on them prove nothing. Its
    recipe, the algorithm with its parameters, is fitted again in each fold, and is judged as every candidate
    is. On the data that the champion learnt from its recipe is the champion: only a difference that chance
    doesn't explain (see `compare`) takes its place. On other data the recipe stands for the champion brought
    up to date: a challenger that isn't worse has learnt from the newer rows, and takes its place.
    """
    found = _champion(result.findings.task.problem, registry)
    if isinstance(found, Verdict):
        return found
    active, package = found
    manifest = package.manifest
    if (manifest.feature_set_hash, manifest.classes) != (result.dataset.columns.hash, result.fitted.classes):
        why = "the live model has other columns or classes: a human must compare them"
        return Verdict(False, why, active.version_id)
    if registry.get(active.version_id).run_id is None or manifest.algorithm not in set(Algorithm):
        why = "the live model wasn't trained here, so its recipe isn't known: a human must compare them"
        return Verdict(False, why, active.version_id)
    return _compare_recipes(result, active, manifest, progress)


def _compare_recipes(
    result: tabular.TrainingResult, active: Active, manifest: Manifest, progress: Progress
) -> Verdict:
    task, contest = result.findings.task, result.findings.contest
    metric, fits = task.problem.primary_metric, len(task.folds)
    theirs = _again(task, contest, manifest, lambda done, words: progress("champion", done, fits, words))
    ours, its = (
        contest.judge.per_fold(metric, one.answers) * (-1.0 if metric in LOWER_IS_BETTER else 1.0)
        for one in (contest.winner, theirs)
    )
    rivals = sum(one is not theirs for one in contest.candidates)
    compared = compare(ours, its, task.options.cv_folds, best_of=max(1, rivals))
    is_same_data = manifest.dataset_fingerprint == result.dataset.fingerprint
    is_better = compared.is_significant if is_same_data else compared.difference >= 0.0
    mine, other = (one.evaluation.metrics[metric].value for one in (contest.winner, theirs))
    of = "the rows that it learnt from" if is_same_data else "other rows than it learnt from"
    why = (
        f"{metric} {mine:.4f}, the recipe of {active.version_id} {other:.4f} in the same folds, on {of}; "
        f"p = {compared.p:.2g} by the corrected resampled t-test, as the best of {rivals}"
    )
    return Verdict(is_better, why, active.version_id, theirs.evaluation.json())


def _again(task: Task, contest: Contest, manifest: Manifest, step: Step) -> Competitor:
    """The champion's recipe in the task's folds; what competed already isn't fitted again."""
    variant = Variant("champion", Algorithm(manifest.algorithm), dict(manifest.hyper_parameters))
    for one in contest.candidates:
        if (one.variant.algorithm, one.variant.parameters) == (variant.algorithm, variant.parameters):
            return one
    return competitor(task, contest.judge, variant, step)


def _champion(problem: Problem, registry: Registry) -> tuple[Active, Package] | Verdict:
    """The live version with its package; a verdict where there is nothing to compare with."""
    active = registry.active(problem.model_name)
    if active is None:
        return Verdict(True, "nothing is live yet")
    try:
        package = registry.open_package(active.version_id)
        package.verified_scorer()
        return active, package
    except PackageRefused as error:
        why = f"the live model's package doesn't verify, so a human must decide: {error}"
        return Verdict(False, why, active.version_id)


def _comparable(package: Package, result: market.TrainingResult) -> bool:
    manifest, dataset = package.manifest, result.dataset
    return (manifest.feature_set_hash, manifest.horizon) == (dataset.feature_set_hash, dataset.horizon)


def _unseen_by_both(package: Package, result: market.TrainingResult) -> Indices:
    """Hold-out rows after the last row that the champion was fitted on, and the candles of its label."""
    window, horizon = package.manifest.window, result.dataset.horizon
    if window is None:
        return result.hold_out_rows[:0]
    end = int(datetime.fromisoformat(window.end).timestamp())
    stamps = np.unique(result.dataset.timestamp)
    later = stamps[stamps > end][horizon:]
    return result.hold_out_rows[np.isin(result.dataset.timestamp[result.hold_out_rows], later)]


def _compare(result: market.TrainingResult, active: Active, package: Package, rows: Indices) -> Verdict:
    task, metric = result.findings.task, result.findings.task.problem.primary_metric
    judge = task.judge([(task.development, rows)])
    theirs = package.verified_scorer().score(result.dataset.x[rows])[:, 1].astype(np.float64)
    ours = result.findings.hold_out.model.score[np.isin(result.hold_out_rows, rows)]
    champion, challenger = judge.evaluate(active.version_id, theirs), judge.evaluate("challenger", ours)
    mine, its = challenger.metrics[metric].value, champion.metrics[metric].value
    is_better = mine < its if metric in LOWER_IS_BETTER else mine > its
    why = f"{metric} on {judge.sessions} sessions unseen by both: {mine:.4f}, {active.version_id} {its:.4f}"
    return Verdict(is_better, why, active.version_id, champion.json())
