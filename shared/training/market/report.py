"""The training report: one HTML file that needs nothing else, the same for the same findings."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path
from string import Template
from typing import Final

from shared.market.candles import rfc3339
from shared.training import figures, page, plots
from shared.training.market import plots as market_plots
from shared.training.market.evaluation import Judge
from shared.training.market.findings import Findings

_TEMPLATE: Final = Path(__file__).with_name("report.html")
_TITLES: Final = {
    "auc": "AUC",
    "accuracy": "Accuracy",
    "f1": "F1 (up)",
    "log_loss": "Log-loss",
    "brier": "Brier",
    "rank_ic": "Rank IC",
}
_ROC_WORDS: Final = ("share of downs said to go up", "share of ups said to go up")


def render(findings: Findings) -> str:
    """The report's HTML. Holds no time of its own and no random id."""
    template = Template(_TEMPLATE.read_text("utf-8"))
    return template.substitute(_words(findings) | _tables(findings) | _plots(findings))


def _words(findings: Findings) -> dict[str, str]:
    problem, options = findings.task.problem, findings.task.options
    title = f"{problem.title} ({options.horizon} ahead)" if options.horizon > 1 else problem.title
    return {
        "style": figures.style(),
        "title": escape(title),
        "badges": _badges(findings),
        "conclusion": escape(findings.conclusion()),
        "warnings": page.warnings_list(findings.warnings),
        "hold_out_words": escape(_hold_out_words(findings)),
        "walk_forward_words": escape(_walk_forward_words(findings)),
        "look_ahead_words": escape(_look_ahead_words(findings)),
        "facts": _facts(findings),
    }


def _tables(findings: Findings) -> dict[str, str]:
    held, contest = findings.hold_out, findings.contest
    return {
        "hold_out_table": page.metrics_table([held.model], held.baselines, held.model.name, _TITLES),
        "candidates_table": page.metrics_table(
            contest.candidates, contest.baselines, contest.winner.name, _TITLES
        ),
        "gates_table": page.gates_table(findings.gates),
    }


def _plots(findings: Findings) -> dict[str, str]:
    held = findings.hold_out
    score, y = held.model.score, held.judge.y
    return {
        "roc_plot": plots.roc(y, score, held.model.name, _ROC_WORDS),
        "calibration_plot": plots.calibration(y, score, "hold-out", "ups"),
        "folds_plot": market_plots.folds(findings.contest.candidates),
        "histogram_plot": market_plots.histogram(y, score),
        "importances_plot": plots.importances(findings.task.dataset.feature_names, held.sensitivities),
    }


def _badges(findings: Findings) -> str:
    badges = [
        page.gates_badge(findings.gates),
        page.leak_badge(findings.leak),
        page.badge("look-ahead test passed", findings.look_ahead.passed),
    ]
    return "".join(badges) + f'<span class="badge plain">{escape(findings.contest.variant.name)}</span>'


def _hold_out_words(findings: Findings) -> str:
    judge = findings.hold_out.judge
    calibrated = "not calibrated" if findings.contest.calibration is None else "calibrated"
    return (
        f"{_extent(findings, judge)}. {findings.contest.variant.name} was fitted and {calibrated} on the "
        "sessions before, and scored here once. Intervals: 95 %, resampling "
        f"{judge.blocks} blocks of time {findings.task.options.resamples} times."
    )


def _walk_forward_words(findings: Findings) -> str:
    contest = findings.contest
    return (
        f"Walk-forward: {len(findings.task.folds)} test blocks, {_extent(findings, contest.judge)}, each "
        "predicted by models of the sessions before it, purged and embargoed. Scores are raw. The best "
        f"{_TITLES[findings.task.problem.primary_metric]} wins: {contest.variant.name}."
    )


def _look_ahead_words(findings: Findings) -> str:
    test = findings.look_ahead
    return (
        f"At {test.cuts} random moments the candles after it were removed, and then replaced by others, in "
        f"{test.series} series: {test.values_compared:,} values of features and labels before the cut kept "
        "every bit."
    )


def _extent(findings: Findings, judge: Judge) -> str:
    stamps = findings.task.dataset.timestamp[judge.rows]
    period = f"from {_date(stamps.min())} to {_date(stamps.max())}"
    return f"{judge.sessions:,} sessions {period}, {len(judge.rows):,} rows"


def _date(stamp: int) -> str:
    return rfc3339(int(stamp)).removesuffix("T00:00:00Z")


def _facts(findings: Findings) -> str:
    dataset, options = findings.task.dataset, findings.task.options
    count = len(dataset.feature_names)
    period = f"{_date(dataset.timestamp[0])} to {_date(dataset.timestamp[-1])}, timeframe {dataset.timeframe}"
    dropped = ", ".join(f"{n:,} {reason.replace('_', ' ')}" for reason, n in dataset.dropped.items())
    facts = {
        "Rows": f"{len(dataset):,} of {len(dataset.symbols):,} symbols, {period}",
        "Candles without a row": dropped,
        "Share of ups": f"{dataset.y.mean():.4f}",
        "Features": f"{dataset.feature_set}, {count} features, hash {dataset.feature_set_hash}",
        "Data fingerprint": dataset.fingerprint,
        "Parameters": json.dumps(findings.contest.variant.parameters),
        "Options": json.dumps({k: v for k, v in options.json().items() if v != []}),
    }
    return page.facts_list(facts)
