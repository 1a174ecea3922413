"""What the training report of a market's problem tells, the same for the same findings."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final

from shared.market.candles import rfc3339
from shared.training import page, plots
from shared.training.market import plots as market_plots
from shared.training.market.evaluation import Judge
from shared.training.market.findings import MarketFindings

_TITLES: Final = {
    "auc": "AUC",
    "accuracy": "Accuracy",
    "f1": "F1 (up)",
    "log_loss": "Log-loss",
    "brier": "Brier",
    "rank_ic": "Rank IC",
}
_ROC_WORDS: Final = ("share of downs said to go up", "share of ups said to go up")


def render(findings: MarketFindings) -> str:
    """The report's HTML."""
    problem, options = findings.task.problem, findings.task.options
    return page.report(
        title=f"{problem.title} ({options.horizon} ahead)" if options.horizon > 1 else problem.title,
        badges=_badges(findings),
        conclusion=findings.conclusion(),
        warnings=findings.warnings,
        sections=_sections(findings),
        facts=_facts(findings),
    )


def _badges(findings: MarketFindings) -> Iterable[str]:
    yield page.gates_badge(findings.gates)
    yield page.leak_badge(findings.leak)
    yield page.badge("look-ahead test passed", findings.look_ahead.passed)
    yield page.plain_badge(findings.contest.variant.name)


def _sections(findings: MarketFindings) -> Iterable[str]:
    held, contest = findings.hold_out, findings.contest
    yield page.section(
        "Unseen sessions",
        _hold_out_words(findings),
        page.metrics_table([held.model], held.baselines, held.model.name, _TITLES),
    )
    yield page.section(
        "Gates",
        "What must hold on the unseen sessions before a model goes live without a human's word.",
        page.gates_table(findings.gates),
    )
    yield page.section(
        "Candidates",
        _walk_forward_words(findings),
        page.metrics_table(contest.candidates, contest.baselines, contest.winner.name, _TITLES),
    )
    yield page.section(
        "Fold by fold",
        "AUC of each candidate in each test block, with its 95 % interval. Blocks differ more than "
        "candidates do: a mean hides that.",
        market_plots.folds(contest.candidates),
    )
    yield page.side_by_side(_plots(findings))
    yield page.section("Look-ahead test", _look_ahead_words(findings))


def _plots(findings: MarketFindings) -> Iterable[str]:
    held = findings.hold_out
    score, y = held.model.score, held.judge.y
    yield page.section(
        "Ranking", "ROC curve on the unseen sessions.", plots.roc(y, score, held.model.name, _ROC_WORDS)
    )
    yield page.section(
        "Calibration",
        "Does a predicted probability come true as often as it says?",
        plots.calibration(y, score, "hold-out", "ups"),
    )
    yield page.section(
        "Scores",
        "Two classes that can be told apart would give two different shapes.",
        market_plots.histogram(y, score),
    )
    yield page.section(
        "What the model leans on",
        "How far the probability moves when one feature is shuffled. It shows use, not worth.",
        plots.importances(findings.task.dataset.feature_names, held.sensitivities),
    )


def _hold_out_words(findings: MarketFindings) -> str:
    judge = findings.hold_out.judge
    calibrated = "not calibrated" if findings.contest.calibration is None else "calibrated"
    return (
        f"{_extent(findings, judge)}. {findings.contest.variant.name} was fitted and {calibrated} on the "
        "sessions before, and scored here once. Intervals: 95 %, resampling "
        f"{judge.blocks} blocks of time {findings.task.options.resamples} times."
    )


def _walk_forward_words(findings: MarketFindings) -> str:
    contest = findings.contest
    return (
        f"Walk-forward: {len(findings.task.folds)} test blocks, {_extent(findings, contest.judge)}, each "
        "predicted by models of the sessions before it, purged and embargoed. Scores are raw. The best "
        f"{_TITLES[findings.task.problem.primary_metric]} wins: {contest.variant.name}."
    )


def _look_ahead_words(findings: MarketFindings) -> str:
    test = findings.look_ahead
    return (
        f"At {test.cuts} random moments the candles after it were removed, and then replaced by others, in "
        f"{test.series} series: {test.values_compared:,} values of features and labels before the cut kept "
        "every bit."
    )


def _extent(findings: MarketFindings, judge: Judge) -> str:
    stamps = findings.task.dataset.timestamp[judge.rows]
    period = f"from {_date(stamps.min())} to {_date(stamps.max())}"
    return f"{judge.sessions:,} sessions {period}, {len(judge.rows):,} rows"


def _date(stamp: int) -> str:
    return rfc3339(int(stamp)).removesuffix("T00:00:00Z")


def _facts(findings: MarketFindings) -> dict[str, str]:
    dataset, options = findings.task.dataset, findings.task.options
    count = len(dataset.feature_names)
    period = f"{_date(dataset.timestamp[0])} to {_date(dataset.timestamp[-1])}, timeframe {dataset.timeframe}"
    dropped = ", ".join(f"{n:,} {reason.replace('_', ' ')}" for reason, n in dataset.dropped.items())
    return {
        "Rows": f"{len(dataset):,} of {len(dataset.symbols):,} symbols, {period}",
        "Candles without a row": dropped,
        "Share of ups": f"{dataset.y.mean():.4f}",
        "Features": f"{dataset.feature_set}, {count} features, hash {dataset.feature_set_hash}",
        "Data fingerprint": dataset.fingerprint,
        "Parameters": json.dumps(findings.contest.variant.parameters),
        "Options": json.dumps({k: v for k, v in options.json().items() if v != []}),
    }
