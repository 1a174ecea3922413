"""The sections of a weekly summary on what was asked: predictions, their worth, latency, cost."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from shared.config import PlatformName
from shared.drift import Verdict
from shared.evaluation.bootstrap import Estimate
from shared.jobs.reports.document import Bars, Section, State, Table
from shared.jobs.reports.html import NOTHING, counted, number
from shared.jobs.reports.week import DAYS, Source
from shared.monitoring.latency.report import FunctionFigures
from shared.monitoring.performance import PerformanceReport

COSTS: Final = Path(__file__).with_name("costs.json")
"""What the cost model says, per region: `python -m infra.cost.units` writes it."""

_DAYS_A_MONTH: Final = 365 / 12


def predictions(source: Source) -> Section:
    """How many were answered: per day, model, and signal or label."""
    found = source.predictions
    if not found.total:
        return Section(title="Predictions", headline="No predictions this week.", state=State.EMPTY)
    least = "At least " if found.is_cut else ""
    cut = (f"Only the newest {found.total:,} of the week were counted.",) if found.is_cut else ()
    days = tuple((f"{day:%a %d %b}", float(found.days.get(str(day), 0))) for day in source.week.days)
    return Section(
        title="Predictions",
        headline=f"{least}{counted(found.total, 'predictions')} by {counted(len(found.models), 'models')}.",
        said=cut,
        bars=(Bars("Predictions per day", days),),
        tables=(
            Table("By model", ("Model", "Predictions", "Share"), _shares(found.models)),
            Table("By answer", ("Signal or label", "Predictions", "Share"), _shares(found.signals)),
        ),
    )


def performance(source: Source) -> Section:
    """What the settled predictions of each live model were worth, beside naive rules and the validation."""
    instance = source.instance
    reports = [instance.performance.report(name) for name in sorted(instance.registry.names())]
    measured = [report for report in reports if report.measured is not None]
    if not measured:
        said = "No model is live." if not reports else "No prediction of a live model has been settled yet."
        return Section(title="Performance", headline=said, state=State.EMPTY)
    worse = [report.model_id for report in measured if report.verdict is Verdict.DRIFT]
    fine = [report.model_id for report in measured if report.verdict is Verdict.OK]
    if worse:
        headline = f"{', '.join(worse)} predicts worse than it did when it was validated."
    elif fine:
        headline = f"{', '.join(fine)} predicts as it did when it was validated."
    else:
        headline = "Too few predictions are settled to judge any model."
    return Section(
        title="Performance",
        headline=headline,
        needs_attention=bool(worse),
        said=tuple(f"{report.model_id}, over {report.window}: {report.why}." for report in reports),
        tables=tuple(map(_metrics, measured)),
    )


def latency(source: Source) -> Section:
    """How fast each function answered, and how many answers failed by our fault."""
    week = source.week
    report = source.instance.latencies.between(week.begin, min(week.end, week.now))
    found = [function for function in report.functions if function.figures.count]
    if not found:
        return Section(title="Latency and errors", headline="No requests were measured.", state=State.EMPTY)
    errors, count = (sum(getattr(one.figures, name) for one in found) for name in ("errors", "count"))
    failed = f"{errors:,} failed by our fault" if errors else "none failed by our fault"
    return Section(
        title="Latency and errors",
        headline=f"Of {counted(count, 'requests')} {failed}.",
        needs_attention=errors > source.instance.settings.error_ratio_objective * count,
        said=("Milliseconds, over all instances, by histograms of 1 % relative error.",),
        tables=(
            Table(
                "By function",
                ("Function", "Requests", "Errors", "p50", "p95", "p99", "Cold starts", "p50 cold"),
                tuple(map(_figures, sorted(found, key=lambda one: -one.figures.count))),
            ),
        ),
    )


def cost(source: Source) -> Section:
    """An estimate: the table of prices, times the predictions that were counted."""
    table = json.loads(COSTS.read_text("utf-8"))
    settings, total = source.instance.settings, source.predictions.total
    unit = table["regions"].get(settings.google_cloud_region)
    if unit is None:
        said = f"The price table has no prices of {settings.google_cloud_region}."
        return Section(title="Cost", headline=said, state=State.EMPTY)
    idle = unit["idle_dollars_a_month"] * DAYS / _DAYS_A_MONTH
    used = unit["million_predictions_dollars"] * total / 1e6
    is_here = settings.platform is PlatformName.LOCAL
    where = "It runs on this machine; on Google Cloud it would cost about" if is_here else "About"
    rows = (("Being there, for a week", "", f"{idle:,.4f}"), ("Predictions", f"{total:,}", f"{used:,.4f}"))
    return Section(
        title="Cost",
        headline=f"{where} {idle + used:,.2f} dollars, by estimate.",
        said=(
            f"An estimate by the prices of {settings.google_cloud_region}, nothing free; no bill.",
            "Each prediction is priced as if it was asked for alone; training isn't in it.",
            "'mlengine cost --details' has all prices and assumptions.",
        ),
        tables=(Table("Dollars", ("What", "Amount", "Dollars"), rows),),
    )


def _metrics(report: PerformanceReport) -> Table:
    """The model's metrics and those of the naive rules, with their intervals."""
    if report.measured is None:
        return Table(report.model_id, ("",), ())
    names = list(report.measured.metrics)
    known = report.validation
    rows = [(report.model_id, *(_estimate(report.measured.metrics[name]) for name in names))]
    rows += [
        (rule.replace("_", " "), *(_estimate(found.get(name)) for name in names))
        for rule, found in report.measured.baselines.items()
    ]
    if known is not None:
        told = f"{known.value:.4f} [{known.low:.4f}, {known.high:.4f}]"
        rows.append(("at validation", *(told if name == known.metric else NOTHING for name in names)))
    caption = f"{report.model_id}: {report.measured.rows:,} settled rows, with 95 % intervals"
    return Table(caption, ("", *(name.replace("_", " ") for name in names)), tuple(rows))


def _estimate(estimate: Estimate | None) -> str:
    if estimate is None or math.isnan(estimate.value):
        return NOTHING
    return f"{estimate.value:.4f} [{estimate.low:.4f}, {estimate.high:.4f}]"


def _figures(found: FunctionFigures) -> tuple[str, ...]:
    f, cold = found.figures, found.cold_starts
    times = map(number, (f.p50_ms, f.p95_ms, f.p99_ms))
    return (found.function, f"{f.count:,}", f"{f.errors:,}", *times, f"{cold.count:,}", number(cold.p50_ms))


def _shares(counts: Mapping[str, int]) -> tuple[tuple[str, ...], ...]:
    total = sum(counts.values())
    ordered = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    return tuple((name, f"{count:,}", f"{100 * count / total:.1f} %") for name, count in ordered)
