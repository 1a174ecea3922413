"""/predict/jobs: scores many symbols or rows as a job, watched and cancelled; scoring.requested starts it."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, ClassVar, Final, Self

from pydantic import Field
from starlette.responses import Response

from shared.errors import FieldError, InvalidInput
from shared.platform.executions import execution_id_of
from shared.platform.ports import Event
from shared.schema import Body, Query
from shared.serving.scoring_answers import (
    InputAnswer,
    InputUrl,
    ScoringAnswer,
    ScoringFileList,
    ScoringList,
    ScoringState,
)
from shared.serving.scoring_files import list_files, read_file
from shared.serving.scoring_inputs import URL_SECONDS, input_url, is_visible, put_input, require_input
from shared.serving.scoring_records import (
    MAX_TASKS,
    RowsRequest,
    Scoring,
    ScoringRequest,
    ScoringTask,
    SymbolsRequest,
    unknown,
)
from shared.web import Call, Function
from shared.web.decoding import read_data
from shared.web.moments import Moment
from shared.web.visible import may_use, require_model

function = Function("scoring", needs=["documents"])

FORMATS: Final = ("text/csv", "application/vnd.apache.parquet")

Text = Annotated[str, Field(pattern=r"^[ -~]{1,64}$")]
"""What may be a symbol, right or wrong: a wrong one fails alone, later."""


class ScoringBody(Body):
    """Without symbols: all that are stored. Without start and end: the newest candle of each.

    With `input` the rows of files are scored, by a tabular model: then there are no symbols and no window.
    """

    symbols: Annotated[tuple[Text, ...] | None, Field(min_length=1, max_length=5000)] = None
    model: Annotated[str, Field(max_length=80, description="A model name or a version id.")] = "market-signal"
    start: Moment | None = None
    end: Moment | None = None
    input: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=1000,
            description="A file below inputs/ that ends in .csv or .parquet, or a folder of such files.",
        ),
    ] = None
    id_columns: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=128)], ...] | None,
        Field(min_length=1, max_length=20, description="Columns of the files that go with the scores."),
    ] = None
    tasks: Annotated[int, Field(ge=1, le=MAX_TASKS, description="How many work side by side.")] = 1

    def request(self) -> ScoringRequest:
        """
        Raises:
            InvalidInput: it ends before it starts, asks for symbols and rows, or for what can't be an input.
        """
        return self._of_symbols() if self.input is None else self._of_rows(self.input)

    def _of_symbols(self) -> SymbolsRequest:
        if self.id_columns is not None:
            raise refused("/id_columns", "goes with an input")
        if self.start is not None and self.end is not None and self.end < self.start:
            raise refused("/end", "must not be before the start")
        return SymbolsRequest(
            symbols=self.symbols or (),
            model=self.model,
            start=rfc3339(self.start),
            end=rfc3339(self.end),
            tasks=self.tasks,
        )

    def _of_rows(self, input: str) -> RowsRequest:
        for name in ("symbols", "start", "end"):
            if getattr(self, name) is not None:
                raise refused(f"/{name}", "doesn't go with an input: that has rows, and no candles")
        if "model" not in self.model_fields_set:
            raise refused("/model", "must be there with an input: the name or version id of a tabular model")
        for place, name in enumerate(self.id_columns or ()):
            if name in (self.id_columns or ())[:place]:
                raise refused(f"/id_columns/{place}", "is there twice")
        require_input(input)
        return RowsRequest(input=input, id_columns=self.id_columns or (), model=self.model, tasks=self.tasks)


class Requested(ScoringBody):
    """What the event of a requested scoring says. A schedule's event has no id of a scoring."""

    scoring_id: Annotated[str | None, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")] = None


class InputBody(Body):
    """A file of rows, as it is."""

    media_types: ClassVar[tuple[str, ...]] = (*FORMATS, "application/octet-stream")
    limit_bytes: ClassVar[int] = 30_000_000  # Cloud Run takes requests of up to 32 MiB

    content: Annotated[bytes, Field(min_length=1)]

    @classmethod
    def decode(cls, content: bytes, headers: Mapping[bytes, bytes]) -> Self:  # noqa: ARG003 - the base's
        return cls(content=content)


class InputQuery(Query):
    name: Annotated[
        str,
        Field(max_length=1000, description="inputs/<name>.csv or .parquet; folders may be between."),
    ]


class UrlBody(Body):
    name: Annotated[str, Field(max_length=1000, description="As that of POST /predict/jobs/inputs.")]
    size_bytes: Annotated[int, Field(ge=1, le=5_000_000_000_000)]


class ScoringsQuery(Query):
    limit: Annotated[int, Field(ge=1, le=200)] = 20
    cursor: Annotated[str | None, Field(max_length=1000)] = None


class FilesQuery(Query):
    cursor: Annotated[str | None, Field(pattern=r"^[0-9]{1,2}$")] = None


def refused(pointer: str, found: str) -> InvalidInput:
    return InvalidInput(f"{pointer[1:].partition('/')[0]} {found}.", errors=[FieldError(pointer, found)])


def rfc3339(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


@function.post("/predict/jobs", status=202)
async def score(call: Call, body: ScoringBody) -> ScoringState:
    """Ask for scores of many symbols, of many candles, or of the rows of files: a job does the work."""
    await require_model(call, body.model)
    scoring = await asyncio.to_thread(call.instance.scoring_desk.request, body.request(), call.identity)
    call.facts["scoring_id"] = scoring.scoring_id
    return ScoringState(**scoring.json())


@function.post("/predict/jobs/inputs", status=201)
async def take(call: Call, query: InputQuery, body: InputBody) -> InputAnswer:
    """Keep a file of rows to be scored, CSV or Parquet. A name is written once; the same file may come again.

    What a user sends is theirs, in a folder of their own: `input` of the answer is what it is called there.
    """
    blobs = call.instance.platform.blobs
    kept = await asyncio.to_thread(put_input, blobs, call.identity, query.name, body.content)
    call.facts.update(input=kept.name, size_bytes=kept.size_bytes)
    return InputAnswer(input=kept.name, size_bytes=kept.size_bytes, sha256=kept.sha256)


@function.post("/predict/jobs/inputs/url", holds_secret=True)
async def url(call: Call, body: UrlBody) -> InputUrl:
    """A signed URL by which a large file gets there without the engine in between."""
    blobs = call.instance.platform.blobs
    name, found = await asyncio.to_thread(input_url, blobs, call.identity, body.name, body.size_bytes)
    call.facts.update(input=name, size_bytes=body.size_bytes)
    return InputUrl(
        input=name,
        url=found.url,
        method=found.method,
        headers=found.headers,
        expires_seconds=URL_SECONDS,
    )


@function.get("/predict/jobs")
async def scorings(call: Call, query: ScoringsQuery) -> ScoringList:
    """All scorings by models that the caller may use, but those of other users' files."""
    page = await asyncio.to_thread(call.instance.scoring_desk.list, limit=query.limit, cursor=query.cursor)
    scorings = [
        one for one in page.scorings if is_theirs(call, one) and await may_use(call, one.request.model)
    ]
    return ScoringList(scorings=[ScoringState(**one.json()) for one in scorings], cursor=page.cursor)


@function.get("/predict/jobs/{scoring_id}")
async def scoring(call: Call, scoring_id: str) -> ScoringAnswer:
    """One scoring: how far it is, its parts, and what failed."""
    return ScoringAnswer.of(*await require_scoring(call, scoring_id))


@function.post("/predict/jobs/{scoring_id}/cancel")
async def cancel(call: Call, scoring_id: str) -> ScoringAnswer:
    """Ask a scoring to stop. The parts that are written stay."""
    await require_scoring(call, scoring_id)
    return ScoringAnswer.of(*await asyncio.to_thread(call.instance.scoring_desk.cancel, scoring_id))


@function.get("/predict/jobs/{scoring_id}/files")
async def files(call: Call, scoring_id: str, query: FilesQuery) -> ScoringFileList:
    """The files of a scoring, also of one that is at work: its scores, and what has none with the reasons."""
    scoring, tasks = await require_scoring(call, scoring_id)
    page = await asyncio.to_thread(list_files, call.instance.platform.blobs, tasks, query.cursor)
    return ScoringFileList.of(scoring, page)


@function.get("/predict/jobs/{scoring_id}/files/{kind}/{name}")
async def file(call: Call, scoring_id: str, kind: str, name: str) -> Response:
    """One file: Parquet where it holds scores, JSON where errors. Of a large one only its place is told."""
    await require_told(call, await asyncio.to_thread(call.instance.scorings.get, scoring_id))
    blobs, settings = call.instance.platform.blobs, call.instance.settings
    media_type, content = await asyncio.to_thread(read_file, blobs, settings, scoring_id, kind, name)
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return Response(content, media_type=media_type, headers=headers)


async def require_scoring(call: Call, scoring_id: str) -> tuple[Scoring, Sequence[ScoringTask]]:
    """
    Raises:
        NotFound: no such scoring, or the caller isn't told of it.
    """
    found = await asyncio.to_thread(call.instance.scoring_desk.status, scoring_id)
    await require_told(call, found[0])
    return found


async def require_told(call: Call, scoring: Scoring) -> None:
    """
    Raises:
        NotFound: the caller isn't told of it.
    """
    if not is_theirs(call, scoring):
        raise unknown(scoring.scoring_id)
    await require_model(call, scoring.request.model)


def is_theirs(call: Call, scoring: Scoring) -> bool:
    """Whether the rows that are scored are the caller's, or everybody's, as candles are."""
    request = scoring.request
    return not isinstance(request, RowsRequest) or is_visible(call.identity, request.input)


@function.events
async def start(events: Sequence[Event], call: Call) -> None:
    """Start the job of each requested scoring, once however often the event comes."""
    for event in events:
        asked = read_data(Requested, event.data)
        scoring_id = asked.scoring_id or execution_id_of(event)
        await asyncio.to_thread(call.instance.scoring_desk.start, scoring_id, asked.request())


main = function.entry_point()
