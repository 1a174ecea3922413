"""Who tells which gauges. Ages are in seconds of the platform's clock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from shared.alerts.changes import COLLECTION as ALERTS
from shared.alerts.record import SEVERITIES
from shared.alerts.record import State as AlertState
from shared.market.candles import seconds_since_1970
from shared.monitoring.deadletters import DeadLetters, State
from shared.monitoring.drift.checks import DriftChecks
from shared.monitoring.drift.record import DRIFT, DriftCheck
from shared.monitoring.freshness import Freshness, Verdict
from shared.monitoring.history import History, HistoryKind, Point
from shared.monitoring.latency.latencies import Latencies, Window
from shared.monitoring.latency.report import FunctionFigures
from shared.monitoring.metrics.gauges import Gauge, Sample
from shared.platform.ports import Documents, Filter, Now
from shared.registry import Registry

MAX_COUNTED: Final = 500
MAX_POINTS: Final = 200


def candle_gauges(freshness: Freshness, now: Now) -> Iterator[Gauge]:
    """How old the stored candles are, by the trading calendar."""
    found = freshness.candles.summary()
    yield Gauge(
        "mlengine_stale_symbols",
        "Symbols that have missed more sessions than are borne, by the trading calendar.",
        (Sample(found.stale),),
    )
    if found.newest is not None:
        age = now().timestamp() - seconds_since_1970(found.newest)
        yield Gauge(
            "mlengine_newest_candle_age_seconds",
            "Since the time stamp of the newest candle of all symbols; sessions that are closed included.",
            (Sample(age),),
        )


def model_gauges(freshness: Freshness, registry: Registry) -> Iterator[Gauge]:
    """How old the live models are, and the last checks of them for drift."""
    for noun, what, subjects in (
        ("model", "the live version of a model was trained", freshness.models()),
        ("drift_check", "a live model was last checked for drift", freshness.drift_checks()),
    ):
        yield Gauge(
            f"mlengine_{noun}_age_seconds",
            f"Since {what}.",
            tuple(
                Sample(one.age_seconds, {"subject": one.subject})
                for one in subjects
                if one.age_seconds is not None
            ),
        )
        yield Gauge(
            f"mlengine_{noun}_stale",
            f"Whether it is longer than is borne (1) that {what}, or not (0).",
            tuple(Sample(float(one.verdict is Verdict.STALE), {"subject": one.subject}) for one in subjects),
        )
    live = [active for name in registry.names() if (active := registry.active(name)) is not None]
    yield Gauge(
        "mlengine_model_gates_passed",
        "Whether the live version of a model has passed its gates (1) or not (0).",
        tuple(
            Sample(float(one.gates_passed), {"model": one.name, "model_id": one.version_id}) for one in live
        ),
    )


def latency_gauges(latencies: Latencies) -> Iterator[Gauge]:
    """What all instances have measured in the last minutes, merged."""
    found = latencies.report(Window.FIVE_MINUTES).functions
    yield Gauge(
        "mlengine_window_requests",
        "Requests of all instances in the last 5 to 10 minutes, without probes.",
        tuple(Sample(one.figures.count, _of(one)) for one in found),
    )
    yield Gauge(
        "mlengine_window_errors",
        "Requests of all instances in the last 5 to 10 minutes that failed by our fault (5xx).",
        tuple(Sample(one.figures.errors, _of(one)) for one in found),
    )
    yield Gauge(
        "mlengine_window_request_duration_seconds",
        "Quantiles over the requests of all instances in the last 5 to 10 minutes, within half a per cent.",
        tuple(sample for one in found for sample in _quantiles(one)),
    )
    yield Gauge(
        "mlengine_window_cold_starts",
        "Starts of instances in the last 5 to 10 minutes that a request waited for.",
        tuple(Sample(one.cold_starts.count, _of(one)) for one in found),
    )
    yield Gauge(
        "mlengine_window_cold_start_seconds",
        "95 % of the cold starts of the last 5 to 10 minutes took at most this long, to the first answer.",
        tuple(
            Sample(one.cold_starts.p95_ms / 1e3, _of(one))
            for one in found
            if one.cold_starts.p95_ms is not None
        ),
    )


def drift_gauges(checks: DriftChecks, registry: Registry) -> Iterator[Gauge]:
    """The newest check of each live model."""
    newest = [check for name in registry.names() if (check := checks.newest(name)) is not None]
    yield Gauge(
        "mlengine_drift_detected",
        "Whether the newest check of a live model says that its data has drifted (1) or not (0).",
        tuple(Sample(float(check.verdict == DRIFT), {"model": check.model}) for check in newest),
    )
    for name, meaning in (
        ("statistic", "A family of statistics in the window of a drift check: its standardised maximum."),
        (
            "threshold",
            "What the statistic of a family may be where there is no drift: a quantile of its null.",
        ),
    ):
        samples = tuple(sample for check in newest for sample in _families(check, name))
        yield Gauge(f"mlengine_drift_{name}", meaning, samples)


def performance_gauges(history: History) -> Iterator[Gauge]:
    """The newest point of each model in the history of live performance: all that is a number in it."""
    page = history.page(
        kind=HistoryKind.PERFORMANCE, subject=None, start=None, end=None, limit=MAX_POINTS, cursor=None
    )
    newest: dict[str, Point] = {}
    for point in page.points:
        newest.setdefault(point.subject, point)
    samples = tuple(
        Sample(float(value), {"model": subject, "measure": measure})
        for subject, point in newest.items()
        for measure, value in point.values.items()
        if isinstance(value, int | float)
    )
    yield Gauge("mlengine_performance", "Live performance of a model, from settled predictions.", samples)
    yield Gauge(
        "mlengine_performance_drift",
        "Whether a model's live performance is below that of its validation (1) or not (0).",
        tuple(
            Sample(float(point.values.get("verdict") == DRIFT), {"model": subject})
            for subject, point in newest.items()
        ),
    )


def alert_gauges(documents: Documents) -> Iterator[Gauge]:
    """Alerts that nobody has resolved, by severity; all severities are told, also where there are none."""
    states = [str(state) for state in AlertState if state.is_open]
    page = documents.query(ALERTS, where=[Filter("state", "in", states)], limit=MAX_COUNTED)
    counts = Counter(document.data["severity"] for document in page.documents)
    yield Gauge(
        "mlengine_open_alerts",
        f"Alerts that aren't resolved, counted up to {MAX_COUNTED}.",
        tuple(Sample(counts[severity], {"severity": str(severity)}) for severity in SEVERITIES),
    )


def dead_letter_gauges(letters: DeadLetters) -> Iterator[Gauge]:
    """Events that were given up and wait for somebody."""
    page = letters.list(state=State.DEAD, function=None, limit=MAX_COUNTED, cursor=None)
    yield Gauge(
        "mlengine_dead_letters",
        f"Events that were given up and not replayed, counted up to {MAX_COUNTED}.",
        (Sample(len(page.letters)),),
    )


def _of(found: FunctionFigures) -> dict[str, str]:
    return {"faas_name": found.function}


def _quantiles(found: FunctionFigures) -> Sequence[Sample]:
    figures = found.figures
    told = (("0.5", figures.p50_ms), ("0.95", figures.p95_ms), ("0.99", figures.p99_ms))
    return [Sample(ms / 1e3, {**_of(found), "quantile": share}) for share, ms in told if ms is not None]


def _families(check: DriftCheck, name: str) -> Iterator[Sample]:
    window = check.window()
    for family in window["families"]:
        if family[name] is not None:
            labels = {"model": check.model, "family": family["name"], "length": str(window["length"])}
            yield Sample(family[name], labels)
