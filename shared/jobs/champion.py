"""The challenger beside the model that is live: a run that doesn't beat it changes nothing that is served."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np

from shared.problems.spec import LOWER_IS_BETTER
from shared.registry import Active, Package, Registry
from shared.training.evaluation import Indices
from shared.training.run import TrainingResult

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


def against_champion(result: TrainingResult, registry: Registry) -> Verdict:
    """Compare both, by the problem's primary metric, on the hold-out's sessions after the champion's training
    window: neither has seen those. A draw leaves the champion.

    With fewer than 20 such sessions nothing fair can be said, and passing its own gates is enough.

    Raises:
        PackageRefused: the live package doesn't verify.
    """
    active = registry.active(result.findings.task.problem.model_name)
    if active is None:
        return Verdict(True, "nothing is live yet")
    package = registry.open_package(active.version_id)
    if not _comparable(package, result):
        why = "the live model learnt from other features or another horizon: a human must compare them"
        return Verdict(False, why, active.version_id)
    rows = _unseen_by_both(package, result)
    sessions = len(np.unique(result.dataset.timestamp[rows]))
    if sessions < MIN_SESSIONS:
        why = f"only {sessions} sessions that neither has seen, {MIN_SESSIONS} are needed to compare"
        return Verdict(True, why, active.version_id)
    return _compare(result, active, package, rows)


def _comparable(package: Package, result: TrainingResult) -> bool:
    manifest, dataset = package.manifest, result.dataset
    return (manifest.feature_set_hash, manifest.horizon) == (dataset.feature_set_hash, dataset.horizon)


def _unseen_by_both(package: Package, result: TrainingResult) -> Indices:
    """Hold-out rows after the last row that the champion was fitted on, and the candles of its label."""
    window, horizon = package.manifest.window, result.dataset.horizon
    if window is None:
        return result.hold_out_rows[:0]
    end = int(datetime.fromisoformat(window.end).timestamp())
    stamps = np.unique(result.dataset.timestamp)
    later = stamps[stamps > end][horizon:]
    return result.hold_out_rows[np.isin(result.dataset.timestamp[result.hold_out_rows], later)]


def _compare(result: TrainingResult, active: Active, package: Package, rows: Indices) -> Verdict:
    task, metric = result.findings.task, result.findings.task.problem.primary_metric
    judge = task.judge([(task.development, rows)])
    theirs = package.verified_scorer().score(result.dataset.x[rows])[:, 1].astype(np.float64)
    ours = result.findings.hold_out.model.score[np.isin(result.hold_out_rows, rows)]
    champion, challenger = judge.evaluate(active.version_id, theirs), judge.evaluate("challenger", ours)
    mine, its = challenger.metrics[metric].value, champion.metrics[metric].value
    is_better = mine < its if metric in LOWER_IS_BETTER else mine > its
    why = f"{metric} on {judge.sessions} sessions unseen by both: {mine:.4f}, {active.version_id} {its:.4f}"
    return Verdict(is_better, why, active.version_id, champion.json())
