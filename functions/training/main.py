"""/admin/train: starts, watches and cancels training runs; topic training.requested starts the job."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field

from shared.platform.ports import Event
from shared.schema import Answer, Body, Query
from shared.training.desk import scheduled_run_id
from shared.training.options import TrainingRequest
from shared.training.run_records import Run
from shared.web import Call, Function
from shared.web.decoding import read_data

function = Function("training", needs=["documents"])


class RunsQuery(Query):
    limit: Annotated[int, Field(ge=1, le=200)] = 20
    cursor: Annotated[str | None, Field(max_length=1000)] = None


class Requested(Body):
    """What the event of a requested run says. One from a schedule names no run: its own id does."""

    run_id: Annotated[str | None, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")] = None
    request: dict[str, Any]


class RunAnswer(Answer):
    """A run: what was asked, how far it is, how it ended. `timings` are seconds per stage. `problem_version`
    is that of the declaration it learns from, null where the problem is built in or nothing was learnt yet.
    """

    run_id: str
    status: str
    request: Mapping[str, Any]
    created_at: str
    started_at: str | None
    heartbeat_at: str | None
    finished_at: str | None
    attempts: int
    problem_version: int | None
    progress: Mapping[str, Any]
    timings: Mapping[str, float]
    cancel_requested: bool
    error: str | None
    result: Mapping[str, Any] | None


class RunList(Answer):
    """Newest first."""

    runs: list[RunAnswer]
    cursor: str | None


def answer(run: Run) -> RunAnswer:
    return RunAnswer(**run.json())


@function.post("/admin/train", status=202)
async def train(call: Call, body: TrainingRequest) -> RunAnswer:
    """Ask for a training run. The answer comes at once; the work goes on in a process of its own."""
    checked = await asyncio.to_thread(body.checked, call.instance.problems)
    run = await asyncio.to_thread(call.instance.training_desk.request, checked)
    call.facts["run_id"] = run.run_id
    call.change.after = {"run_id": run.run_id, "request": dict(run.request)}
    return answer(run)


@function.get("/admin/train/status")
async def runs(call: Call, query: RunsQuery) -> RunList:
    """All runs."""
    page = await asyncio.to_thread(call.instance.training_desk.list, limit=query.limit, cursor=query.cursor)
    return RunList(runs=[answer(run) for run in page.runs], cursor=page.cursor)


@function.get("/admin/train/status/{run_id}")
async def run(call: Call, run_id: str) -> RunAnswer:
    """One run, with its progress."""
    return answer(await asyncio.to_thread(call.instance.training_desk.status, run_id))


@function.post("/admin/train/{run_id}/cancel")
async def cancel(call: Call, run_id: str) -> RunAnswer:
    """Ask a run to stop. What is served doesn't change."""
    return answer(await asyncio.to_thread(call.instance.training_desk.cancel, run_id))


@function.events
async def start(events: Sequence[Event], call: Call) -> None:
    """Start the job of each requested run, once however often the event comes."""
    for event in events:
        asked = read_data(Requested, event.data)
        run_id = asked.run_id or scheduled_run_id(event.id)
        await asyncio.to_thread(call.instance.training_desk.start, run_id, asked.request)


main = function.entry_point()
