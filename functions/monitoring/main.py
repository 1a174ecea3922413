"""GET /monitoring/... and GET /predictions/...: what is watched, and the audit of what was answered."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field
from starlette.responses import Response

from shared.errors import NotFound
from shared.market.findings import Kind
from shared.market.symbols import Symbol
from shared.monitoring.audit import told
from shared.monitoring.drift.answers import DriftAnswer, drift_answer
from shared.monitoring.freshness.answers import FreshnessAnswer, FreshnessQuery, freshness_answer
from shared.monitoring.history import HistoryKind
from shared.monitoring.latency.answers import LatencyAnswer, LatencyQuery, latency_answer
from shared.monitoring.latency.measured import Measured
from shared.monitoring.metrics.exposition import CONTENT_TYPE, exposition
from shared.monitoring.quality.answers import QualityAnswer, quality_answer
from shared.platform.ports import Event
from shared.schema import Answer, Query
from shared.web import Call, Function
from shared.web.decoding import read_data
from shared.web.moments import Moment
from shared.web.visible import may_use, require_model

function = Function("monitoring", needs=["documents"])


class RecentQuery(Query):
    symbol: Symbol | None = None
    model_id: Annotated[str | None, Field(max_length=80)] = None
    limit: Annotated[int, Field(ge=1, le=500)] = 50
    cursor: Annotated[str | None, Field(max_length=1000)] = None


class PredictionList(Answer):
    """Newest first. `cursor` asks for what follows; null at the end."""

    predictions: list[dict[str, Any]]
    cursor: str | None


class PredictionLineage(Answer):
    """Where a prediction comes from. `promotion` is the change by which a version was live when it was made;
    `was_live` says whether that was the one that predicted. `notes` says what is missing or doesn't agree.
    """

    model: dict[str, Any] | None
    training: dict[str, Any] | None
    run: dict[str, Any] | None
    promotion: dict[str, Any] | None
    was_live: bool | None
    record: dict[str, Any]
    notes: list[str]


class StoredPrediction(Answer):
    """A prediction with what it was made of, and its outcome: null before it is settled."""

    prediction: dict[str, Any]
    lineage: PredictionLineage
    outcome: dict[str, Any] | None


class PerformanceQuery(Query):
    model: Annotated[
        str, Field(pattern=r"^[a-z][a-z0-9-]{0,79}$", description="A model name or a version id.")
    ] = "market-signal"
    window: Annotated[
        str, Field(max_length=8, description="How far back: a number of days, like 30d, or all.")
    ] = "90d"


class LivePerformance(Answer):
    """How a version did on what it predicted. Of predictions about the same candle the first one counts.

    Each metric is its value with a 95 % interval by block bootstrap over time. `verdict` is drift where the
    interval of `primary` lies wholly on the worse side of `validation`, the one of the hold-out.
    """

    model_id: str
    window: str
    start: str | None
    measured_at: str
    verdict: str
    why: str
    primary: str
    validation: dict[str, Any] | None
    predictions: int
    waiting: int
    unsettleable: int
    is_truncated: bool
    rows: int
    sessions: int
    blocks: int
    first: str | None
    last: str | None
    rank_ic_within: str | None
    metrics: dict[str, Any]
    baselines: dict[str, Any]
    gains: dict[str, Any]
    calibration: dict[str, Any] | None


class DriftQuery(Query):
    model: Annotated[
        str, Field(pattern=r"^[a-z][a-z0-9-]{0,79}$", description="A model name or a version id.")
    ] = "market-signal"
    window: Annotated[
        int | None,
        Field(ge=1, description="How many sessions, or rows. Without it: the one that tells most."),
    ] = None


class HistoryQuery(Query):
    model: Annotated[
        str | None,
        Field(max_length=80, description="What the points are about: a model, a symbol, a function."),
    ] = None
    kind: HistoryKind | None = None
    start: Moment | None = None
    end: Moment | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    cursor: Annotated[str | None, Field(max_length=1000)] = None


class QualityQuery(Query):
    symbol: Symbol | None = None
    kind: Annotated[Kind | None, Field(description="One kind of finding.")] = None
    start: Moment | None = None
    end: Moment | None = None


class HistoryPoint(Answer):
    """What was found about `subject` at a time. What `values` holds depends on the kind."""

    kind: str
    subject: str
    at: str
    values: dict[str, Any]


class HistoryList(Answer):
    """Newest first. `cursor` asks for what follows; null at the end."""

    points: list[HistoryPoint]
    cursor: str | None


@function.get("/monitoring/drift")
async def drift(call: Call, query: DriftQuery) -> DriftAnswer:
    """The newest check of a model's drift."""
    await require_model(call, query.model)
    newest = await asyncio.to_thread(call.instance.drift_checks.newest, query.model)
    if newest is None:
        raise NotFound(
            f"No drift of '{query.model}' was looked for yet: ask for a check with 'mlengine drift check' "
            "(POST /admin/drift)."
        )
    return drift_answer(newest, query.window)


@function.get("/monitoring/history")
async def history(call: Call, query: HistoryQuery) -> HistoryList:
    """What was watched, point by point, for plots."""
    page = await asyncio.to_thread(
        call.instance.history.page,
        kind=query.kind,
        subject=query.model,
        start=query.start,
        end=query.end,
        limit=query.limit,
        cursor=query.cursor,
    )
    return HistoryList(points=[HistoryPoint(**point.json()) for point in page.points], cursor=page.cursor)


@function.get("/monitoring/latency")
async def latency(call: Call, query: LatencyQuery) -> LatencyAnswer:
    """How long requests take: p50, p95 and p99 over all instances, by function, route and model."""
    found = await asyncio.to_thread(
        call.instance.latencies.report, query.window, function=query.function, model_id=query.model
    )
    return latency_answer(found)


@function.get("/monitoring/freshness")
async def freshness(call: Call, query: FreshnessQuery) -> FreshnessAnswer:
    """How old candles, live models and checks for drift are, and may be; the symbols that are overdue."""
    fresh = call.instance.freshness
    if query.symbol is not None:
        return freshness_answer(await asyncio.to_thread(fresh.of_symbol, query.symbol))
    page = await asyncio.to_thread(fresh.page, is_all=query.all, limit=query.limit, cursor=query.cursor)
    return freshness_answer(page)


@function.get("/monitoring/quality")
async def quality(call: Call, query: QualityQuery) -> QualityAnswer:
    """What ingest has found about candles, by kind and session, and whether it is getting more."""
    report = await asyncio.to_thread(
        call.instance.quality.report, symbol=query.symbol, kind=query.kind, start=query.start, end=query.end
    )
    return quality_answer(report)


@function.get("/metrics")
async def metrics(call: Call) -> Response:
    """Metrics for Prometheus: the requests of this instance, and gauges of the whole platform."""
    gauges = await asyncio.to_thread(call.instance.gauges.read)
    return Response(exposition(call.instance.measurements, gauges), media_type=CONTENT_TYPE)


@function.events
async def merge(events: Sequence[Event], call: Call) -> None:
    """Take in what instances have measured; what comes again changes nothing."""
    measured = [(event, read_data(Measured, event.data)) for event in events]
    await asyncio.to_thread(call.instance.latencies.merge, measured)


@function.get("/predictions/recent")
async def recent(call: Call, query: RecentQuery) -> PredictionList:
    """The newest predictions, of one symbol or one model where asked."""
    page = await asyncio.to_thread(
        call.instance.audit.recent,
        symbol=query.symbol,
        model_id=query.model_id,
        limit=query.limit,
        cursor=query.cursor,
    )
    shown = [dict(d.data) for d in page.documents if await may_use(call, d.data.get("model_id", ""))]
    return PredictionList(predictions=shown, cursor=page.cursor)


@function.get("/predictions/{prediction_id}")
async def prediction(call: Call, prediction_id: str) -> StoredPrediction:
    """One prediction with its features and ids, as the audit keeps it, its lineage and its outcome."""
    record = await call.instance.audit.wait_for_record(prediction_id)
    await require_model(call, record.get("model_id", ""))
    lineage = await asyncio.to_thread(call.instance.lineage.of, record)
    outcome = await asyncio.to_thread(call.instance.outcomes.get, prediction_id)
    return StoredPrediction(
        prediction=told(record),
        lineage=PredictionLineage(**lineage),
        outcome=None if outcome is None else dict(outcome),
    )


@function.get("/monitoring/performance")
async def performance(call: Call, query: PerformanceQuery) -> LivePerformance:
    """What settled predictions of a version were worth, beside naive rules and beside its validation."""
    await require_model(call, query.model)
    report = await asyncio.to_thread(call.instance.performance.report, query.model, query.window)
    return LivePerformance(**report.json())


main = function.entry_point()
