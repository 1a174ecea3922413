"""/admin/audit: who changed what, when and from where; to be read, exported, and cleared with a reason."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import Field
from starlette.responses import Response, StreamingResponse

from shared.access.admin_audit import Entry
from shared.platform.times import utc
from shared.schema import Answer, Query
from shared.web import Call, Function
from shared.web.moments import Moment

function = Function("admin", needs=["documents"])

PAGE = 500


class AuditQuery(Query):
    who: Annotated[str | None, Field(max_length=320)] = None
    route: Annotated[str | None, Field(max_length=200, examples=["POST /models/activate/{id}"])] = None
    start: Moment | None = None
    end: Moment | None = None
    limit: Annotated[int, Field(ge=1, le=500)] = 50
    cursor: Annotated[str | None, Field(max_length=1000)] = None


class ExportQuery(Query):
    format: Literal["ndjson"] = "ndjson"


class ClearQuery(Query):
    reason: Annotated[str, Field(min_length=5, max_length=500, description="Why; it is kept.")]


class EntryAnswer(Answer):
    """A change. Without a `status` nobody knows how it ended: it was begun, and the process killed."""

    id: str
    at: str
    who: str
    role: str
    user_id: str | None
    ip: str
    function: str
    route: str
    path: str
    request_id: str
    status: int | None
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    reason: str | None


class AuditAnswer(Answer):
    """Newest first. `cursor` asks for what follows; null at the end."""

    entries: list[EntryAnswer]
    cursor: str | None


class ClearAnswer(Answer):
    removed: int


@function.get("/admin/audit")
async def audit(call: Call, query: AuditQuery) -> AuditAnswer:
    """What was changed, by whom: of one caller, of one route, of a time, where asked."""
    page = await asyncio.to_thread(
        call.instance.admin_audit.list,
        who=query.who,
        route=query.route,
        start=text_of(query.start),
        end=text_of(query.end),
        limit=query.limit,
        cursor=query.cursor,
    )
    return AuditAnswer(entries=[answer(entry) for entry in page.entries], cursor=page.cursor)


@function.get("/admin/audit/export")
async def export(call: Call, query: ExportQuery) -> Response:  # noqa: ARG001 - there is one format so far
    """All of it, newest first, one JSON object a line."""

    async def lines() -> AsyncIterator[bytes]:
        cursor = None
        while True:
            page = await asyncio.to_thread(call.instance.admin_audit.list, limit=PAGE, cursor=cursor)
            for entry in page.entries:
                yield answer(entry).model_dump_json().encode() + b"\n"
            cursor = page.cursor
            if cursor is None:
                return

    name = f"admin-audit-{call.instance.platform.now():%Y%m%dT%H%M%SZ}.ndjson"
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(lines(), headers=headers, media_type="application/x-ndjson")


@function.delete("/admin/audit/clear")
async def clear(call: Call, query: ClearQuery) -> ClearAnswer:
    """Remove all entries but the one that says so. The promotion log stays as it is."""
    call.change.reason = query.reason
    removed = await asyncio.to_thread(call.instance.admin_audit.clear, spare=call.change.entry_id)
    call.change.after = {"removed": removed}
    return ClearAnswer(removed=removed)


def text_of(moment: datetime | None) -> str | None:
    return None if moment is None else utc(moment.astimezone(UTC))


def answer(entry: Entry) -> EntryAnswer:
    return EntryAnswer(**entry.json())


main = function.entry_point()
