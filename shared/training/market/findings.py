"""What a run found out, as values, as JSON for the manifest, and in plain words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from shared.market.candles import rfc3339
from shared.problems.spec import Problem
from shared.training.findings import Findings, by_name, in_words, leak_in
from shared.training.market.contest import Contest, HoldOut, Task
from shared.training.market.dataset import Dataset
from shared.training.market.evaluation import Evaluation, Judge
from shared.training.market.lookahead import LookAhead

PROBABILISTIC = ("log_loss", "brier")


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class MarketFindings(Findings):
    """Of candles: by walk-forward, and on the hold-out."""

    task: Task
    look_ahead: LookAhead
    contest: Contest
    hold_out: HoldOut

    def metrics(self) -> dict[str, Any]:
        """Metrics with intervals: of all candidates by walk-forward, of the winner on the hold-out."""
        contest, held = self.contest, self.hold_out
        return {
            "primary": self.task.problem.primary_metric,
            "selected": contest.variant.name,
            "walk_forward": {
                **_extent(self.task.dataset, contest.judge),
                "candidates": by_name(contest.candidates),
                "baselines": by_name(contest.baselines),
            },
            "hold_out": {
                **_extent(self.task.dataset, held.judge),
                "model": held.model.json(),
                "gains": {
                    metric: held.judge.gain(metric, held.model.score).json()
                    for metric in ("log_loss", "brier")
                },
                "baselines": by_name(held.baselines),
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
            f"{self.verdict('All gates passed: the edge is small but larger than chance explains.')}"
        )


def suspected_leak(problem: Problem, contest: Contest, hold_out: HoldOut) -> str:
    """Why a leak is suspected: an AUC too good to be true, by any candidate; else nothing."""
    seen = [(f"{c.name} by walk-forward", c.metrics["auc"].value) for c in contest.candidates]
    seen.append((f"{hold_out.model.name} on the hold-out", hold_out.model.metrics["auc"].value))
    name, auc = max(seen, key=lambda pair: pair[1])
    return leak_in(name, auc, problem.leak_auc)


def _best_rule(baselines: Sequence[Evaluation]) -> str:
    rules = [baseline for baseline in baselines if "auc" in baseline.metrics]
    best = max(rules, key=lambda rule: rule.metrics["auc"].value)
    name = best.name.replace("_", " ")
    return f"The best rule of thumb, {name}, had an AUC of {in_words(best.metrics['auc'])}."


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
