"""What a run found out, as values, as JSON for the manifest, and in plain words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from shared.evaluation.bootstrap import Estimate
from shared.market.candles import rfc3339
from shared.problems.spec import Problem
from shared.training.gates import GateResult
from shared.training.market.contest import Contest, HoldOut, Task
from shared.training.market.dataset import Dataset
from shared.training.market.evaluation import Evaluation, Judge
from shared.training.market.lookahead import LookAhead

PROBABILISTIC = ("log_loss", "brier")


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """Everything the report tells. `leak` says why a leak is suspected; empty when none is."""

    task: Task
    look_ahead: LookAhead
    contest: Contest
    hold_out: HoldOut
    gates: tuple[GateResult, ...]
    leak: str
    warnings: tuple[str, ...]

    @property
    def gates_passed(self) -> bool:
        return all(gate.passed for gate in self.gates)

    def metrics(self) -> dict[str, Any]:
        """Metrics with intervals: of all candidates by walk-forward, of the winner on the hold-out."""
        contest, held = self.contest, self.hold_out
        return {
            "primary": self.task.problem.primary_metric,
            "selected": contest.variant.name,
            "walk_forward": {
                **_extent(self.task.dataset, contest.judge),
                "candidates": _by_name(contest.candidates),
                "baselines": _by_name(contest.baselines),
            },
            "hold_out": {
                **_extent(self.task.dataset, held.judge),
                "model": held.model.json(),
                "gains": {
                    metric: held.judge.gain(metric, held.model.score).json()
                    for metric in ("log_loss", "brier")
                },
                "baselines": _by_name(held.baselines),
            },
        }

    def conclusion(self) -> str:
        """What the run showed, in sentences that promise nothing beyond it."""
        held, name = self.hold_out, self.contest.variant.name.replace("_", " ")
        auc, accuracy = held.model.metrics["auc"], held.model.metrics["accuracy"]
        naive = held.baselines[0].metrics["accuracy"]
        return (
            f"On the last {held.judge.sessions} sessions, which no choice had seen, {name} ranked ups "
            f"above downs with an AUC of {in_words(auc)}; 0.5 is chance. It was right {accuracy.value:.1%} "
            f"of the time; always saying up was right {naive.value:.1%}. {_best_rule(held.baselines)} "
            f"{_verdict(self.gates, self.leak)}"
        )


def in_words(estimate: Estimate) -> str:
    """`0.512 [0.503, 0.521]`"""
    return f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"


def suspected_leak(problem: Problem, contest: Contest, hold_out: HoldOut) -> str:
    """Why a leak is suspected: an AUC too good to be true, by any candidate; else nothing."""
    seen = [(f"{c.name} by walk-forward", c.metrics["auc"].value) for c in contest.candidates]
    seen.append((f"{hold_out.model.name} on the hold-out", hold_out.model.metrics["auc"].value))
    name, auc = max(seen, key=lambda pair: pair[1])
    if not auc > problem.leak_auc:
        return ""
    return (
        f"The AUC of {name} is {auc:.3f}, above {problem.leak_auc:g}: on data like these that is a leak "
        "until proven otherwise. The model will not be activated automatically."
    )


def _best_rule(baselines: Sequence[Evaluation]) -> str:
    rules = [baseline for baseline in baselines if "auc" in baseline.metrics]
    best = max(rules, key=lambda rule: rule.metrics["auc"].value)
    name = best.name.replace("_", " ")
    return f"The best rule of thumb, {name}, had an AUC of {in_words(best.metrics['auc'])}."


def _verdict(gates: Sequence[GateResult], leak: str) -> str:
    failed = [gate.name for gate in gates if not gate.passed]
    if leak:
        return "The result is too good to be true: look for a leak before believing it."
    if not failed:
        return "All gates passed: the edge is small but larger than chance explains."
    return f"Not shown: {', '.join(failed)}. That is no ground to act on it."


def _extent(dataset: Dataset, judge: Judge) -> dict[str, Any]:
    stamps = dataset.timestamp[judge.rows]
    return {
        "from": rfc3339(int(stamps.min())),
        "to": rfc3339(int(stamps.max())),
        "rows": len(judge.rows),
        "sessions": judge.sessions,
        "blocks": judge.blocks,
        "rank_ic_within": judge.rank_ic_unit,
    }


def _by_name(evaluations: Sequence[Evaluation]) -> dict[str, Any]:
    return {evaluation.name: evaluation.json() for evaluation in evaluations}
