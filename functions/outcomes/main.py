"""POST /outcomes: labels of predictions, told by who knows them; topic candles.updated settles by candles."""

import asyncio
from collections.abc import Sequence
from typing import Annotated

from pydantic import ConfigDict, Field

from shared.errors import EngineError
from shared.monitoring.outcomes import Label, Labelled, Settled
from shared.platform.ports import Data, Event
from shared.schema import Answer, Body
from shared.web import Call, Function, Problem, problem_of
from shared.web.decoding import read_data

function = Function("outcomes", needs=["documents"])

Id = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^/]+$")]


class LabelBody(Body):
    """A prediction, and which of its model's classes it should have said."""

    prediction_id: Id
    label: Annotated[str, Field(min_length=1, max_length=200)]


class OutcomesBody(Body):
    outcomes: Annotated[tuple[LabelBody, ...], Field(min_length=1, max_length=500)]


class OutcomeAnswer(Answer):
    """How a prediction was settled. The first settlement stands."""

    state: str
    label: str | None
    settled_at: str
    settled_by: str


class LabelledAnswer(Answer):
    """Either the outcome, or the error that says why there is none."""

    prediction_id: str
    outcome: OutcomeAnswer | None = None
    error: Problem | None = None


class OutcomesAnswer(Answer):
    results: list[LabelledAnswer]
    succeeded: int
    failed: int
    request_id: str


class Updated(Body):
    """What is needed of the news that candles were stored: of how many of each symbol."""

    model_config = ConfigDict(extra="ignore")

    timeframe: Annotated[str, Field(pattern=r"^[1-9][0-9]*[mhd]$")]
    added: dict[str, int]


def labelled(one: Labelled, call: Call) -> LabelledAnswer:
    if isinstance(one.result, EngineError):
        return LabelledAnswer(prediction_id=one.prediction_id, error=problem_of(one.result, call))
    return LabelledAnswer(prediction_id=one.prediction_id, outcome=outcome(one.result))


def outcome(found: Data) -> OutcomeAnswer:
    return OutcomeAnswer(**{name: found[name] for name in OutcomeAnswer.model_fields})


@function.post("/outcomes")
async def label(call: Call, body: OutcomesBody) -> OutcomesAnswer:
    """Tell what predictions of tabular problems should have said.

    Each succeeds or fails alone; the same label again changes nothing.
    """
    labels = [Label(one.prediction_id, one.label) for one in body.outcomes]
    done = await asyncio.to_thread(call.instance.outcomes.label, labels, by=call.identity.name)
    failed = sum(isinstance(one.result, EngineError) for one in done)
    call.facts.update(settled=len(done) - failed, failed=failed)
    return OutcomesAnswer(
        results=[labelled(one, call) for one in done],
        succeeded=len(done) - failed,
        failed=failed,
        request_id=call.request_id,
    )


@function.events
async def settle(events: Sequence[Event], call: Call) -> None:
    """Settle what the new candles settle, and close what has waited too long."""
    outcomes = call.instance.outcomes
    done = Settled()
    for event in events:
        updated = read_data(Updated, event.data)
        done += await asyncio.to_thread(outcomes.settle, updated.timeframe, tuple(updated.added))
    done += await asyncio.to_thread(outcomes.give_up_overdue)
    call.facts.update(settled=done.settled, waiting=done.waiting, given_up=done.given_up)


main = function.entry_point()
