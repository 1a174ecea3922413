"""The training report: one HTML file that needs nothing else, the same for the same findings."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Final

from shared.evaluation.bootstrap import Estimate
from shared.evaluation.metrics import METRICS
from shared.market.candles import rfc3339
from shared.training import figures, plots
from shared.training.evaluation import Evaluation, Judge
from shared.training.findings import Findings
from shared.training.gates import GateResult

_TEMPLATE: Final = Path(__file__).with_name("report.html")
_TITLES: Final = {
    "auc": "AUC",
    "accuracy": "Accuracy",
    "f1": "F1 (up)",
    "log_loss": "Log-loss",
    "brier": "Brier",
    "rank_ic": "Rank IC",
}


def render(findings: Findings) -> str:
    """The report's HTML. Holds no time of its own and no random id."""
    page = Template(_TEMPLATE.read_text("utf-8"))
    return page.substitute(_words(findings) | _tables(findings) | _plots(findings))


def _words(findings: Findings) -> dict[str, str]:
    problem, options = findings.task.problem, findings.task.options
    title = f"{problem.title} ({options.horizon} ahead)" if options.horizon > 1 else problem.title
    warnings = "".join(f"<li>{escape(words)}</li>" for words in findings.warnings)
    return {
        "style": figures.style(),
        "title": escape(title),
        "badges": _badges(findings),
        "conclusion": escape(findings.conclusion()),
        "warnings": f'<ul class="warnings">{warnings}</ul>' if warnings else "",
        "hold_out_words": escape(_hold_out_words(findings)),
        "walk_forward_words": escape(_walk_forward_words(findings)),
        "look_ahead_words": escape(_look_ahead_words(findings)),
        "facts": _facts(findings),
    }


def _tables(findings: Findings) -> dict[str, str]:
    held, contest = findings.hold_out, findings.contest
    return {
        "hold_out_table": _metrics_table([held.model], held.baselines, held.model.name),
        "candidates_table": _metrics_table(contest.candidates, contest.baselines, contest.winner.name),
        "gates_table": _gates_table(findings.gates),
    }


def _plots(findings: Findings) -> dict[str, str]:
    held = findings.hold_out
    score, y = held.model.score, held.judge.y
    return {
        "roc_plot": plots.roc(y, [held.model]),
        "calibration_plot": plots.calibration(y, score),
        "folds_plot": plots.folds(findings.contest.candidates),
        "histogram_plot": plots.histogram(y, score),
        "importances_plot": plots.importances(findings.task.dataset.feature_names, held.sensitivities),
    }


def _badges(findings: Findings) -> str:
    passed = sum(gate.passed for gate in findings.gates)
    badges = [
        _badge(f"{passed} of {len(findings.gates)} gates passed", findings.gates_passed),
        _badge("leak suspected" if findings.leak else "no leak suspected", not findings.leak),
        _badge("look-ahead test passed", findings.look_ahead.passed),
    ]
    return "".join(badges) + f'<span class="badge plain">{escape(findings.contest.variant.name)}</span>'


def _badge(words: str, good: bool) -> str:
    return f'<span class="badge {"good" if good else "bad"}">{escape(words)}</span>'


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


def _metrics_table(models: Sequence[Evaluation], naive: Sequence[Evaluation], chosen: str) -> str:
    head = "<tr><th></th>" + "".join(f"<th>{_TITLES[name]}</th>" for name in METRICS) + "</tr>"
    rows = [_metrics_row(m, "chosen" if m.name == chosen else "model") for m in models]
    return f"<table>{head}{''.join(rows)}{''.join(_metrics_row(b, 'naive') for b in naive)}</table>"


def _metrics_row(evaluation: Evaluation, kind: str) -> str:
    cells = "".join(f"<td>{_cell(evaluation.metrics.get(name))}</td>" for name in METRICS)
    return f'<tr class="{kind}"><td>{escape(evaluation.name.replace("_", " "))}</td>{cells}</tr>'


def _cell(estimate: Estimate | None) -> str:
    if estimate is None or math.isnan(estimate.value):
        return "–"  # noqa: RUF001 - an en dash is meant
    interval = "" if math.isnan(estimate.low) else f"<small>{estimate.low:.4f} to {estimate.high:.4f}</small>"
    return f"{estimate.value:.4f}{interval}"


def _gates_table(gates: Iterable[GateResult]) -> str:
    head = '<tr><th>Gate</th><th></th><th class="words">Why</th></tr>'
    rows = (
        f"<tr><td>{escape(gate.name.replace('_', ' '))}</td>"
        f"<td>{_badge('passed' if gate.passed else 'failed', gate.passed)}</td>"
        f'<td class="words">{escape(gate.why)}</td></tr>'
        for gate in gates
    )
    return f"<table>{head}{''.join(rows)}</table>"


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
    return "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in facts.items())
