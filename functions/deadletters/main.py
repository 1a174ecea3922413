"""/admin/deadletters: the events that were given up, and their way back; topic dead.letters brings them."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Literal

from pydantic import Field

from shared.errors import FieldError, InvalidInput
from shared.monitoring.deadletters import DeadLetter, Replayed, State
from shared.platform.ports import Event
from shared.schema import Answer, Body, Query
from shared.web import Call, Function, Problem, problem_of

function = Function("deadletters", needs=["documents"])

REPLAY_LIMIT = 200

Name = Annotated[str, Field(max_length=80)]
Id = Annotated[str, Field(min_length=1, max_length=80)]


class DeadLettersQuery(Query):
    state: Literal["dead", "replayed", "all"] = "dead"
    function: Name | None = None
    limit: Annotated[int, Field(ge=1, le=500)] = 50
    cursor: Annotated[str | None, Field(max_length=1000)] = None


class ReplayBody(Body):
    """Either `ids`, or `all`: then those that died last, of one function where it is named."""

    ids: Annotated[tuple[Id, ...], Field(max_length=REPLAY_LIMIT)] = ()
    all: bool = False
    function: Name | None = None


class DeathAnswer(Answer):
    """One time that the event was given up."""

    at: str
    attempts: int
    reason: str


class DeadLetterAnswer(Answer):
    """An event that was given up. Without a topic it can't be replayed. `history` has its last deaths."""

    id: str
    state: str
    function: str
    topic: str | None
    event_id: str
    event_source: str
    event_type: str
    attempts: int
    reason: str
    died_at: str
    deaths: int
    history: list[DeathAnswer]
    replayed_at: str | None


class DeadLetterList(Answer):
    """Those that died last first. `cursor` asks for what follows; null at the end."""

    dead_letters: list[DeadLetterAnswer]
    cursor: str | None


class ReplayedLetter(Answer):
    """What became of one letter. Without `error` its event was published again."""

    id: str
    error: Problem | None


class ReplayAnswer(Answer):
    """`more`: there are others that are dead, and weren't tried."""

    results: list[ReplayedLetter]
    succeeded: int
    failed: int
    more: bool
    request_id: str


def answer(letter: DeadLetter) -> DeadLetterAnswer:
    return DeadLetterAnswer(**asdict(letter))


def check(body: ReplayBody) -> None:
    """
    Raises:
        InvalidInput
    """
    if bool(body.ids) is body.all:
        found = "both" if body.all else "neither"
        why = f"either ids or all, found {found}"
        raise InvalidInput(f"Say what to replay: {why}.", errors=[FieldError("/ids", why)])
    if body.function is not None and not body.all:
        raise InvalidInput("'function' goes with 'all'.", errors=[FieldError("/function", "goes with all")])


def replayed(result: Replayed, call: Call) -> ReplayedLetter:
    return ReplayedLetter(id=result.id, error=result.error and problem_of(result.error, call))


@function.get("/admin/deadletters")
async def dead_letters(call: Call, query: DeadLettersQuery) -> DeadLetterList:
    """The events that were given up, with the reason."""
    page = await asyncio.to_thread(
        call.instance.dead_letters.list,
        state=None if query.state == "all" else State(query.state),
        function=query.function,
        limit=query.limit,
        cursor=query.cursor,
    )
    return DeadLetterList(dead_letters=[answer(letter) for letter in page.letters], cursor=page.cursor)


@function.post("/admin/deadletters/replay")
async def replay(call: Call, body: ReplayBody) -> ReplayAnswer:
    """Publish events again that were given up. Each succeeds or fails alone."""
    check(body)
    letters = call.instance.dead_letters
    if body.all:
        done, more = await asyncio.to_thread(letters.replay_all, function=body.function, limit=REPLAY_LIMIT)
    else:
        done, more = await asyncio.to_thread(letters.replay, body.ids), False
    failed = sum(result.error is not None for result in done)
    call.facts.update(replayed=len(done) - failed, failed=failed)
    return ReplayAnswer(
        results=[replayed(result, call) for result in done],
        succeeded=len(done) - failed,
        failed=failed,
        more=more,
        request_id=call.request_id,
    )


@function.events
async def collect(events: Sequence[Event], call: Call) -> None:
    """Keep the dead letters and raise an alert for each; one that comes again changes nothing."""
    await asyncio.to_thread(call.instance.dead_letters.collect, events)


main = function.entry_point()
