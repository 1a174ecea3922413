"""What the training report of a tabular problem tells, the same for the same findings."""

from __future__ import annotations

import json
from collections.abc import Iterable
from html import escape
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shared.tabular import Column
from shared.training import page, plots
from shared.training.findings import in_words
from shared.training.tabular import plots as tabular_plots
from shared.training.tabular.findings import TabularFindings, unseen

_TITLES: Final = {"auc": "AUC", "accuracy": "Accuracy", "f1": "F1", "log_loss": "Log-loss", "brier": "Brier"}


def render(findings: TabularFindings) -> str:
    """The report's HTML."""
    return page.report(
        title=findings.task.problem.title,
        badges=_badges(findings),
        conclusion=findings.conclusion(),
        warnings=findings.warnings,
        sections=_sections(findings),
        facts=_facts(findings),
    )


def _badges(findings: TabularFindings) -> Iterable[str]:
    yield page.gates_badge(findings.gates)
    yield page.leak_badge(findings.leak)
    yield page.plain_badge(findings.contest.winner.variant.name)


def _sections(findings: TabularFindings) -> Iterable[str]:
    contest = findings.contest
    evaluations, winner = [one.evaluation for one in contest.candidates], contest.winner.variant.name
    yield page.section(
        "Candidates",
        _candidates_words(findings),
        page.metrics_table(evaluations, contest.baselines, winner, _titles(findings)),
    )
    yield page.section("Gates", _gates_words(findings), page.gates_table(findings.gates))
    yield page.side_by_side(_plots(findings))
    yield page.section("Validation of the data", _validation_words(findings), _validation_table(findings))
    yield page.section(
        "Columns",
        "What the model takes. Missing values are imputed by what the training rows have, within each fold.",
        _columns_table(findings),
    )


def _titles(findings: TabularFindings) -> dict[str, str]:
    if findings.task.is_binary:
        return {**_TITLES, "f1": f"F1 ({findings.task.dataset.classes[1]})"}
    return {**_TITLES, "auc": "AUC (one against rest)", "f1": "Macro F1"}


def _candidates_words(findings: TabularFindings) -> str:
    task, contest = findings.task, findings.contest
    options = task.options
    cut = (
        "Calibration and threshold of a fold are learnt from the scores of the other folds. "
        if task.is_binary
        else "The likeliest class is said; probabilities are not calibrated. "
    )
    return (
        f"{options.cv_repeats} times stratified {options.cv_folds}-fold cross-validation, all candidates on "
        f"the same folds, preprocessing fitted within each. {cut}Metrics pool all repeats; intervals: 95 %, "
        f"resampling rows {options.resamples} times. The best "
        f"{_titles(findings)[task.problem.primary_metric]} wins: {contest.winner.variant.name}."
    )


def _gates_words(findings: TabularFindings) -> str:
    metric = findings.task.problem.primary_metric
    found = unseen(findings.task, findings.contest)[metric]
    return (
        "What must hold before a model goes live without a human's word. Having been chosen as the best of "
        f"{len(findings.contest.candidates)} flatters its {_titles(findings)[metric]} by "
        f"{findings.contest.optimism:.4f} (bootstrap bias correction); without that it is {in_words(found)}."
    )


def _plots(findings: TabularFindings) -> Iterable[str]:
    task, winner = findings.task, findings.contest.winner
    classes = task.dataset.classes
    if task.is_binary:
        y = np.tile(task.dataset.y, len(task.fold))
        score, positive = winner.answers.probabilities[..., 1].ravel(), classes[1]
        words = (f"share of {classes[0]} taken for {positive}", f"share of {positive} found")
        yield page.section(
            "Ranking", "ROC curve, out of fold.", plots.roc(y, score, winner.variant.name, words)
        )
        yield page.section(
            "Found and right",
            "Precision against recall, out of fold.",
            tabular_plots.precision_recall(y, score, float(task.dataset.shares[1])),
        )
        yield page.section(
            "Calibration",
            "Does a predicted probability come true as often as it says?",
            plots.calibration(y, score, "out of fold", positive),
        )
    yield page.section(
        "Confusion", _cut_words(findings), tabular_plots.confusion(_confusion(findings), classes)
    )
    yield page.section(
        "What the model leans on",
        "How far the probability moves when one column is shuffled. It shows use, not worth.",
        plots.importances(task.dataset.columns.names, findings.sensitivities),
    )


def _cut_words(findings: TabularFindings) -> str:
    if findings.decision is None:
        return "The likeliest class, out of fold; mean over the repeats."
    return (
        "Out of fold, each fold at the threshold of the others; mean over the repeats. The model is served "
        f"with {findings.decision.threshold:.3f}."
    )


def _confusion(findings: TabularFindings) -> NDArray[np.float64]:
    """(true, said), on average over the repeats."""
    answers, y = findings.contest.winner.answers, findings.task.dataset.y
    classes = answers.probabilities.shape[-1]
    if answers.thresholds is None:
        said = answers.probabilities.argmax(axis=-1)
    else:
        said = (answers.probabilities[..., 1] >= answers.thresholds).astype(np.intp)
    places = (y.astype(np.intp) * classes + said).ravel()
    counts = np.bincount(places, minlength=classes**2).reshape(classes, classes)
    return np.asarray(counts / len(said))


def _validation_words(findings: TabularFindings) -> str:
    found = findings.task.dataset.validation
    unknown = f" Columns passed over: {', '.join(found.unknown)}." if found.unknown else ""
    return (
        f"{found.rows:,} rows were read, {found.dropped:,} of them left out; {found.duplicates:,} repeat "
        f"another.{unknown}"
    )


def _validation_table(findings: TabularFindings) -> str:
    found = findings.task.dataset.validation.findings
    if not found:
        return "<p>Every row fits the columns.</p>"
    rows = (
        f"<tr><td>{escape(one.column)}</td><td>{one.count:,}</td>"
        f"{_words(one.expected)}{_words(', '.join(one.found))}{_words(one.places)}</tr>"
        for one in found
    )
    head = f"<tr><th>Column</th><th>Rows</th>{_heads('Expected', 'Found', 'First rows, from 0')}</tr>"
    return page.table(head, rows)


def _words(words: str) -> str:
    return f'<td class="words">{escape(words)}</td>'


def _heads(*titles: str) -> str:
    return "".join(f'<th class="words">{escape(title)}</th>' for title in titles)


def _columns_table(findings: TabularFindings) -> str:
    missing, rows = findings.task.dataset.validation.missing, findings.task.dataset.validation.rows
    head = f"<tr><th>Column</th>{_heads('A value is', 'Meaning')}<th>Missing</th></tr>"
    lines = (
        f"<tr><td>{escape(one.name)}</td>{_words(one.expected)}{_words(_meaning(one))}"
        f"<td>{_share(missing.get(one.name), rows)}</td></tr>"
        for one in findings.task.dataset.columns.columns
    )
    return page.table(head, lines)


def _meaning(column: Column) -> str:
    return ", ".join(words for words in (column.description, column.unit) if words)


def _share(missing: int | None, rows: int) -> str:
    return "never" if missing is None else f"{missing:,} ({missing / max(rows, 1):.1%})"


def _facts(findings: TabularFindings) -> dict[str, str]:
    task, dataset = findings.task, findings.task.dataset
    shares = ", ".join(f"{name} {share:.1%}" for name, share in findings.shares().items())
    return {
        "Rows": f"{len(dataset):,}: {shares}",
        "Source": task.problem.source,
        "Columns": f"{len(dataset.columns)}, hash {dataset.columns.hash}",
        "Data fingerprint": dataset.fingerprint,
        "Parameters": json.dumps(findings.contest.winner.variant.parameters),
        "Options": json.dumps({k: v for k, v in task.options.json().items() if v != []}),
    }
