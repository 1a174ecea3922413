"""What a run found out, as values, as JSON for the manifest, and in plain words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.evaluation.bootstrap import Estimate
from shared.training.findings import Findings, by_name, in_words
from shared.training.gates import GateResult, judge_gates, quantities
from shared.training.tabular.contest import Contest, Task
from shared.training.tabular.decision import Decision
from shared.training.tabular.selection import taken_off


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TabularFindings(Findings):
    """Of rows, by cross-validation. `decision` is what is served with: None for more than two classes.
    `sensitivities` are per column.
    """

    task: Task
    contest: Contest
    decision: Decision | None
    sensitivities: NDArray[np.float64]

    def metrics(self) -> dict[str, Any]:
        """Metrics with intervals: of all candidates out of fold, of the winner less its optimism."""
        contest, task = self.contest, self.task
        return {
            "primary": task.problem.primary_metric,
            "selected": contest.winner.variant.name,
            "cross_validation": {
                "rows": len(task.dataset),
                "folds": task.options.cv_folds,
                "repeats": task.options.cv_repeats,
                "model": {name: found.json() for name, found in unseen(task, contest).items()},
                "optimism": contest.optimism,
                "gains": {name: gain.json() for name, gain in unseen_gains(task, contest).items()},
                "candidates": by_name([one.evaluation for one in contest.candidates]),
                "baselines": by_name(contest.baselines),
            },
            "data": {**task.dataset.validation.json(), "shares": self.shares()},
        }

    def shares(self) -> dict[str, float]:
        return dict(zip(self.task.dataset.classes, self.task.dataset.shares.tolist(), strict=True))

    def conclusion(self) -> str:
        """What the run showed, in sentences that promise nothing beyond it."""
        found, name = unseen(self.task, self.contest), self.contest.winner.variant.name.replace("_", " ")
        metric = self.task.problem.primary_metric
        majority = self.contest.baselines[0].metrics["accuracy"].value
        others = [other for other in ("auc", "f1") if other != metric]
        told = ", ".join(f"{_word(one)} {in_words(found[one])}" for one in (metric, *others))
        return (
            f"On rows that its fits had not seen, {name} reached {told}. It was right "
            f"{found['accuracy'].value:.1%} of the time; always saying the most frequent class is right "
            f"{majority:.1%}. {self.verdict('All gates passed.')}"
        )


def unseen(task: Task, contest: Contest) -> dict[str, Estimate]:
    """What the winner may be expected to do on new rows like these."""
    metric = task.problem.primary_metric
    found = contest.winner.evaluation.metrics
    return {**found, metric: taken_off(found[metric], contest.optimism, metric)}


def unseen_gains(task: Task, contest: Contest) -> dict[str, Estimate]:
    """How much better than the baselines it may be expected to be; of the metric that it was chosen by, less
    what that has added.
    """
    found, metric = contest.gains, task.problem.primary_metric
    if metric not in found:
        return found
    return {**found, metric: found[metric].less(contest.optimism)}


def judge(task: Task, contest: Contest) -> tuple[GateResult, ...]:
    """The problem's gates, on what may be expected of new rows."""
    gains = {f"{name}_gain": gain for name, gain in unseen_gains(task, contest).items()}
    known = quantities({**unseen(task, contest), **gains})
    return judge_gates(task.problem.gates, {**known, "rows": float(len(task.dataset))})


def warnings(task: Task, decision: Decision | None, leak: str) -> tuple[str, ...]:
    found = task.dataset.validation
    uncalibrated = decision is not None and decision.calibration is None
    candidates = (
        (leak, bool(leak)),
        (f"{found.dropped} of {found.rows} rows can't be used and were left out.", found.dropped > 0),
        (
            f"{found.duplicates} rows repeat another: copies on both sides of a split flatter the result.",
            found.duplicates > 0,
        ),
        ("The scores carry no direction, or rows are few: they are not calibrated.", uncalibrated),
        (
            "Nothing is known of more than two classes' calibration: probabilities are the algorithm's own.",
            not task.is_binary,
        ),
    )
    return tuple(words for words, holds in candidates if holds)


def _word(metric: str) -> str:
    titles = {"auc": "an AUC of", "f1": "an F1 of", "log_loss": "a log-loss of", "brier": "a Brier score of"}
    return titles.get(metric, f"an {metric} of")
