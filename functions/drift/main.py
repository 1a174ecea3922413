"""POST /admin/drift: looks for drift in what a model meets; topic drift.requested asks for the same."""

import asyncio
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from shared.monitoring.drift.answers import DriftAnswer, drift_answer
from shared.platform.ports import Event
from shared.schema import Body
from shared.web import Call, Function
from shared.web.decoding import read_data

function = Function("drift", needs=["documents"])

Model = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,79}$", description="A model name or a version id.")]


class DriftBody(Body):
    model: Model = "market-signal"


class Requested(Body):
    """What the event says. Without a model: all that are live."""

    model: Model | None = None


@function.post("/admin/drift")
async def check(call: Call, body: DriftBody) -> DriftAnswer:
    """Compare what a model meets now with what it was trained on."""
    found = await asyncio.to_thread(call.instance.drift_desk.check, body.model)
    call.facts.update(check_id=found.check_id, model_id=found.model_id, verdict=str(found.verdict))
    return drift_answer(found)


@function.events
async def check_requested(events: Sequence[Event], call: Call) -> None:
    """Do the checks that are asked for, each once however often its event comes."""
    for event in events:
        asked = read_data(Requested, event.data)
        checks = await asyncio.to_thread(call.instance.drift_desk.handle, event, asked.model)
        call.facts["verdicts"] = {found.model_id: str(found.verdict) for found in checks}


main = function.entry_point()
