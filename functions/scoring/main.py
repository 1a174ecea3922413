"""/predict/jobs: scores many symbols as a job, watched and cancelled; topic scoring.requested starts it."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import Field

from shared.errors import FieldError, InvalidInput
from shared.platform.executions import execution_id_of
from shared.platform.ports import Event
from shared.schema import Answer, Body, Query
from shared.serving.scoring_records import MAX_TASKS, Progress, Scoring, ScoringRequest, ScoringTask
from shared.web import Call, Function
from shared.web.decoding import read_data
from shared.web.moments import Moment

function = Function("scoring", needs=["documents"])

Text = Annotated[str, Field(pattern=r"^[ -~]{1,64}$")]
"""What may be a symbol, right or wrong: a wrong one fails alone, later."""


class ScoringBody(Body):
    """Without symbols: all that are stored. Without start and end: the newest candle of each."""

    symbols: Annotated[tuple[Text, ...] | None, Field(min_length=1, max_length=5000)] = None
    model: Annotated[str, Field(max_length=80, description="A model name or a version id.")] = "market-signal"
    start: Moment | None = None
    end: Moment | None = None
    tasks: Annotated[int, Field(ge=1, le=MAX_TASKS, description="How many work side by side.")] = 1

    def request(self) -> ScoringRequest:
        """
        Raises:
            InvalidInput: it ends before it starts.
        """
        if self.start is not None and self.end is not None and self.end < self.start:
            found = "must not be before the start"
            raise InvalidInput(f"The end {found}.", errors=[FieldError("/end", found)])
        return ScoringRequest(
            symbols=self.symbols or (),
            model=self.model,
            start=rfc3339(self.start),
            end=rfc3339(self.end),
            tasks=self.tasks,
        )


class Requested(ScoringBody):
    """What the event of a requested scoring says. A schedule's event has no id of a scoring."""

    scoring_id: Annotated[str | None, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")] = None


class ScoringsQuery(Query):
    limit: Annotated[int, Field(ge=1, le=200)] = 20
    cursor: Annotated[str | None, Field(max_length=1000)] = None


class ScoringState(Answer):
    """What was asked, and how it ended. The model is pinned: `model_id` is the version that scores."""

    scoring_id: str
    status: str
    request: Mapping[str, Any]
    model_id: str
    created_at: str
    started_at: str | None
    finished_at: str | None
    cancel_requested: bool
    error: str | None


class ScoringProgress(Answer):
    """Over all tasks that have begun. Of `symbols`, `scored` have scores and `failed` have none."""

    tasks: int
    tasks_begun: int
    tasks_ended: int
    symbols: int
    scored: int
    failed: int
    rows: int


class ScorePart(Answer):
    """A Parquet file of scores in the store of blobs."""

    name: str
    sha256: str
    rows: int
    symbols: int


class ScoringTaskAnswer(Answer):
    """One task. `errors` are its first failed symbols, the blob `errors_file` has all."""

    index: int
    status: str
    attempts: int
    started_at: str
    heartbeat_at: str
    finished_at: str | None
    symbols: int
    scored: int
    failed: int
    rows: int
    parts: list[ScorePart]
    errors: list[Mapping[str, Any]]
    errors_file: str | None
    error: str | None


class ScoringAnswer(ScoringState):
    """A scoring with its tasks; `tasks` that haven't begun aren't there."""

    progress: ScoringProgress
    tasks: list[ScoringTaskAnswer]


class ScoringList(Answer):
    """Newest first."""

    scorings: list[ScoringState]
    cursor: str | None


def rfc3339(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def answer(found: tuple[Scoring, Sequence[ScoringTask]]) -> ScoringAnswer:
    scoring, tasks = found
    progress = ScoringProgress(**Progress.of(scoring, tasks).json())
    shown = [ScoringTaskAnswer(**task.json()) for task in tasks]
    return ScoringAnswer(**scoring.json(), progress=progress, tasks=shown)


@function.post("/predict/jobs", status=202)
async def score(call: Call, body: ScoringBody) -> ScoringState:
    """Ask for scores of many symbols, or of many candles. The answer comes at once; a job does the work."""
    call.identity.require_model(body.model)
    scoring = await asyncio.to_thread(call.instance.scoring_desk.request, body.request())
    call.facts["scoring_id"] = scoring.scoring_id
    return ScoringState(**scoring.json())


@function.get("/predict/jobs")
async def scorings(call: Call, query: ScoringsQuery) -> ScoringList:
    """All scorings."""
    page = await asyncio.to_thread(call.instance.scoring_desk.list, limit=query.limit, cursor=query.cursor)
    scorings = [one for one in page.scorings if call.identity.may_use(one.request.model)]
    return ScoringList(scorings=[ScoringState(**one.json()) for one in scorings], cursor=page.cursor)


@function.get("/predict/jobs/{scoring_id}")
async def scoring(call: Call, scoring_id: str) -> ScoringAnswer:
    """One scoring: how far it is, its parts, and the symbols that failed."""
    found = await asyncio.to_thread(call.instance.scoring_desk.status, scoring_id)
    call.identity.require_model(found[0].request.model)
    return answer(found)


@function.post("/predict/jobs/{scoring_id}/cancel")
async def cancel(call: Call, scoring_id: str) -> ScoringAnswer:
    """Ask a scoring to stop. The parts that are written stay."""
    scoring, _ = await asyncio.to_thread(call.instance.scoring_desk.status, scoring_id)
    call.identity.require_model(scoring.request.model)
    return answer(await asyncio.to_thread(call.instance.scoring_desk.cancel, scoring_id))


@function.events
async def start(events: Sequence[Event], call: Call) -> None:
    """Start the job of each requested scoring, once however often the event comes."""
    for event in events:
        asked = read_data(Requested, event.data)
        scoring_id = asked.scoring_id or execution_id_of(event)
        await asyncio.to_thread(call.instance.scoring_desk.start, scoring_id, asked.request())


main = function.entry_point()
