"""/alerts: what is open, who looks after it, and what was told; topic alerts.raised brings them."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import Field

from shared.alerts.raising import Severity
from shared.alerts.record import AlertRecord
from shared.alerts.types import TYPES
from shared.platform.ports import Event
from shared.schema import Answer, Body, Query
from shared.web import Call, Function

function = Function("alerts", needs=["documents", "alert_routes"])

Words = Annotated[str, Field(min_length=1, max_length=1000)]


class AlertsQuery(Query):
    """`open` is active or acknowledged."""

    state: Literal["open", "active", "acknowledged", "resolved"] | None = None
    severity: Severity | None = None
    type: Annotated[str | None, Field(max_length=200)] = None
    limit: Annotated[int, Field(ge=1, le=500)] = 50
    cursor: Annotated[str | None, Field(max_length=1000)] = None


class AcknowledgeBody(Body):
    note: Words | None = None


class ResolveBody(Body):
    why: Words


class TrialBody(Body):
    """Without a channel it goes where ALERT_ROUTES says."""

    channel: Annotated[str | None, Field(max_length=80)] = None


class AlertAnswer(Answer):
    """An alert. `severity` is the highest seen; `body` and `facts` were seen last; `channels` were told."""

    id: str
    key: str
    type: str
    cause: str
    severity: str
    title: str
    body: str
    facts: Mapping[str, Any]
    state: str
    first_seen: str
    last_seen: str
    count: int
    channels: list[str]
    notified_at: str | None
    acknowledged_by: str | None
    acknowledged_at: str | None
    note: str | None
    resolved_by: str | None
    resolved_at: str | None
    why: str | None


class ToldAnswer(Answer):
    """What became of one notification: `sent`, `failing` with the reason, or `skipped` as no longer true."""

    channel: str
    kind: str
    state: str
    at: str
    attempts: int
    error: str | None


class AlertDetails(AlertAnswer):
    """An alert, what its type means, what to do, and what was told."""

    meaning: str | None
    to_do: str | None
    told: list[ToldAnswer]


class AlertList(Answer):
    """Those that were first seen last first. `cursor` asks for what follows; null at the end."""

    alerts: list[AlertAnswer]
    cursor: str | None


def answer(alert: AlertRecord) -> AlertAnswer:
    return AlertAnswer(**alert.json())


@function.get("/alerts")
async def alerts(call: Call, query: AlertsQuery) -> AlertList:
    """All alerts, or those of a state, a severity, a type."""
    page = await asyncio.to_thread(
        call.instance.alert_desk.list,
        state=query.state,
        severity=query.severity,
        type=query.type,
        limit=query.limit,
        cursor=query.cursor,
    )
    return AlertList(alerts=[answer(alert) for alert in page.alerts], cursor=page.cursor)


@function.get("/alerts/{alert_id}")
async def alert(call: Call, alert_id: str) -> AlertDetails:
    """One alert, and what became of its notifications."""
    desk = call.instance.alert_desk
    found = await asyncio.to_thread(desk.get, alert_id)
    told = await asyncio.to_thread(desk.told, alert_id)
    known = TYPES.get(found.type)
    return AlertDetails(
        **found.json(),
        meaning=known and known.meaning,
        to_do=known and known.to_do,
        told=[ToldAnswer(**asdict(one)) for one in told],
    )


@function.post("/alerts/test", status=202)
async def send_test(call: Call, body: TrialBody) -> AlertAnswer:
    """Raise an alert that is none, to see whether it arrives. It is told as every alert is."""
    raised = await asyncio.to_thread(
        call.instance.alert_desk.test, channel=body.channel, by=call.identity.name
    )
    call.facts["alert_id"] = raised.id
    return answer(raised)


@function.post("/alerts/{alert_id}/acknowledge")
async def acknowledge(call: Call, alert_id: str, body: AcknowledgeBody) -> AlertAnswer:
    """Look after an alert: nobody is reminded of it unless it gets more severe."""
    seen_to = await asyncio.to_thread(
        call.instance.alert_desk.acknowledge, alert_id, by=call.identity.name, note=body.note
    )
    return answer(seen_to)


@function.post("/alerts/{alert_id}/resolve")
async def resolve(call: Call, alert_id: str, body: ResolveBody) -> AlertAnswer:
    """Say that an alert is over, and why. When it is seen again, that is a new one."""
    over = await asyncio.to_thread(
        call.instance.alert_desk.resolve, alert_id, by=call.identity.name, why=body.why
    )
    return answer(over)


@function.events
async def hear(events: Sequence[Event], call: Call) -> None:
    """Apply what was raised or is over, once however often an event comes."""
    for event in events:
        await asyncio.to_thread(call.instance.alert_ledger.hear, event)


main = function.entry_point()
