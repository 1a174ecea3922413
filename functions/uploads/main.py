"""/models/upload[s]: takes users' own models in; topic uploads.requested starts the job that converts."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Self

from pydantic import Field, SecretStr, ValidationError

from shared.platform.ports import Event
from shared.schema import Body, Query
from shared.uploads import Format, Upload, UploadRequest, UploadStatus
from shared.uploads.answers import UploadAnswer, UploadList, UploadUrlAnswer
from shared.uploads.formats import MAX_BYTES, MAX_DIRECT_BYTES
from shared.uploads.sniffing import check_file_name
from shared.web import Call, Function
from shared.web.decoding import read_data
from shared.web.multipart import MEDIA_TYPE, read_parts
from shared.web.problem import invalid

function = Function("uploads", needs=["documents"])

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class PageQuery(Query):
    limit: Annotated[int, Field(ge=1, le=200)] = 20
    cursor: Annotated[str | None, Field(max_length=1000)] = None


class ContentQuery(Query):
    token: Annotated[SecretStr, Field(max_length=100)]


class UploadForm(Body):
    """A form of two parts: what is said of the model, as JSON, and its file."""

    media_types: ClassVar[tuple[str, ...]] = (MEDIA_TYPE,)
    limit_bytes: ClassVar[int] = MAX_DIRECT_BYTES + 1_000_000

    metadata: UploadRequest
    file: bytes

    @classmethod
    def decode(cls, content: bytes, headers: Mapping[bytes, bytes]) -> Self:
        parts = read_parts(content, headers, wanted=("metadata", "file"))
        check_file_name(parts["file"].file_name)
        try:
            metadata = UploadRequest.from_json(parts["metadata"].content)
        except ValidationError as error:
            known = UploadRequest.model_fields
            raise invalid(error, in_query=False, known=known, what="part 'metadata'") from error
        return cls(metadata=metadata, file=parts["file"].content)


class BeginBody(Body):
    """What `POST /models/upload` takes, and what is said beforehand of the file that will be put."""

    metadata: UploadRequest
    size_bytes: Annotated[int, Field(ge=1, le=MAX_BYTES)]
    sha256: Sha256


class ContentBody(Body):
    """The file, as it is."""

    media_types: ClassVar[tuple[str, ...]] = ("application/octet-stream",)
    limit_bytes: ClassVar[int] = MAX_BYTES

    content: bytes

    @classmethod
    def decode(cls, content: bytes, headers: Mapping[bytes, bytes]) -> Self:  # noqa: ARG003 - others need them
        return cls(content=content)


class Requested(Body):
    """What the event of an upload says."""

    upload_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
    name: Annotated[str, Field(max_length=63)]
    format: Annotated[Format, Field(strict=False)]
    size_bytes: Annotated[int, Field(ge=1, le=MAX_BYTES)]
    sha256: Sha256
    owner: str | None
    created_by: str
    created_at: str


@function.post("/models/upload", status=202)
async def upload(call: Call, body: UploadForm) -> UploadAnswer:
    """Upload a model of up to 30 MB that was trained elsewhere.

    It is ONNX, LightGBM's text, XGBoost's JSON or UBJ, or skops. What can't be one is refused at once; a job
    converts the rest, and compares it with the examples.
    """
    taken = await asyncio.to_thread(call.instance.upload_desk.take, body.metadata, body.file, call.identity)
    call.facts["upload_id"] = taken.upload_id
    return UploadAnswer.of(taken)


@function.post("/models/uploads", status=202, holds_secret=True)
async def begin(call: Call, body: BeginBody) -> UploadUrlAnswer:
    """Begin the upload of a larger file: the answer says where to put it."""
    begun = await asyncio.to_thread(
        call.instance.upload_desk.begin,
        body.metadata,
        size_bytes=body.size_bytes,
        sha256=body.sha256,
        by=call.identity,
    )
    call.facts["upload_id"] = begun.upload.upload_id
    return UploadUrlAnswer.begun(begun)


async def is_awaited(call: Call, upload_id: str, query: ContentQuery) -> None:
    """Nobody's 200 MB are read but those of whoever holds the URL."""
    token = query.token.get_secret_value()
    await asyncio.to_thread(call.instance.upload_desk.awaited, upload_id, token)


@function.put("/models/uploads/{upload_id}/content", guard=is_awaited)
async def receive(call: Call, upload_id: str, query: ContentQuery, body: ContentBody) -> UploadAnswer:
    """Put the file of an upload that was begun, where the platform's store takes none itself."""
    token = query.token.get_secret_value()
    received = await asyncio.to_thread(call.instance.upload_desk.receive, upload_id, token, body.content)
    return UploadAnswer.of(received)


@function.post("/models/uploads/{upload_id}/complete", status=202)
async def complete(call: Call, upload_id: str) -> UploadAnswer:
    """Say that the file has been put: it is converted then."""
    return UploadAnswer.of(
        await asyncio.to_thread(call.instance.upload_desk.complete, upload_id, call.identity)
    )


@function.get("/models/uploads")
async def uploads(call: Call, query: PageQuery) -> UploadList:
    """One's own uploads; all of them for operators."""
    page = await asyncio.to_thread(
        call.instance.upload_desk.list, call.identity, limit=query.limit, cursor=query.cursor
    )
    return UploadList(uploads=[UploadAnswer.of(one) for one in page.uploads], cursor=page.cursor)


@function.get("/models/uploads/{upload_id}")
async def upload_status(call: Call, upload_id: str) -> UploadAnswer:
    """One upload: how far it is, what it has become, or why it was refused."""
    return UploadAnswer.of(
        await asyncio.to_thread(call.instance.upload_desk.status, upload_id, call.identity)
    )


@function.events
async def start(events: Sequence[Event], call: Call) -> None:
    """Start the conversion of each upload, once however often the event comes."""
    for event in events:
        asked = read_data(Requested, event.data)
        facts = {name: getattr(asked, name) for name in Requested.model_fields}
        announced = Upload(**facts, status=UploadStatus.QUEUED)
        await asyncio.to_thread(call.instance.upload_desk.start, announced)


main = function.entry_point()
