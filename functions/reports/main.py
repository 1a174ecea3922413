"""/reports: drift reports and weekly summaries; topic reports.requested starts the job that makes them."""

import asyncio
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field
from starlette.responses import Response

from shared.monitoring.reports import Report, ReportFile, ReportKind, ReportRequest
from shared.platform.executions import execution_id_of
from shared.platform.ports import Event
from shared.schema import Answer, Body, Query
from shared.web import Call, Function
from shared.web.decoding import read_data

function = Function("reports", needs=["documents"])

PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"
SCRIPTED_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
    "img-src data: blob:; font-src data:; sandbox allow-scripts"
)
"""Of pages that others made, with scripts: they run apart from everything, and can reach nobody."""


class ReportBody(Body):
    """A report to make. Kind drift: of the check `check_id`; weekly: of `period`, else of the last week."""

    kind: ReportKind
    check_id: Annotated[str | None, Field(pattern=r"^[!-.0-~]{1,200}$")] = None
    period: Annotated[str | None, Field(max_length=8, examples=["2026-W07"])] = None

    def request(self) -> ReportRequest:
        return ReportRequest(kind=self.kind, check_id=self.check_id, period=self.period)


class Requested(ReportBody):
    """What the event of a requested report says. A schedule's event has no id of a report."""

    report_id: Annotated[str | None, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")] = None


class ReportsQuery(Query):
    kind: ReportKind | None = None
    limit: Annotated[int, Field(ge=1, le=200)] = 20
    cursor: Annotated[str | None, Field(max_length=1000)] = None


class FileAnswer(Answer):
    """A file of a report: GET /reports/{id}/files/{name} gives it."""

    name: str
    sha256: str
    size_bytes: int


class ReportAnswer(Answer):
    """A report. `summary` is its conclusion; `notes` say what it is without, and why."""

    report_id: str
    kind: str
    check_id: str | None
    period: str | None
    status: str
    title: str
    summary: str
    created_at: str
    started_at: str | None
    finished_at: str | None
    attempts: int
    files: list[FileAnswer]
    notes: list[str]
    error: str | None


class ReportList(Answer):
    """Newest first."""

    reports: list[ReportAnswer]
    cursor: str | None


def answer(report: Report) -> ReportAnswer:
    facts = {name: value for name, value in report.json().items() if name != "files"}
    files = [FileAnswer(name=f.name, sha256=f.sha256, size_bytes=f.size_bytes) for f in report.files]
    return ReportAnswer(**facts, files=files)


def served(found: tuple[ReportFile, bytes], policy: str) -> Response:
    file, content = found
    headers = {"content-security-policy": policy, "content-disposition": f'inline; filename="{file.name}"'}
    return Response(content, media_type=file.media_type, headers=headers)


@function.post("/admin/reports", status=202)
async def make(call: Call, body: ReportBody) -> ReportAnswer:
    """Ask for a report. The answer comes at once; a job makes it."""
    report = await asyncio.to_thread(call.instance.report_desk.request, body.request())
    call.facts["report_id"] = report.report_id
    return answer(report)


@function.get("/reports")
async def reports(call: Call, query: ReportsQuery) -> ReportList:
    """All reports, also those that are being made or couldn't be."""
    page = await asyncio.to_thread(
        call.instance.report_desk.list, kind=query.kind, limit=query.limit, cursor=query.cursor
    )
    return ReportList(reports=[answer(report) for report in page.reports], cursor=page.cursor)


@function.get("/reports/{report_id}")
async def page(call: Call, report_id: str) -> Response:
    """The report itself: one HTML page that needs nothing else."""
    return served(await asyncio.to_thread(call.instance.report_desk.file, report_id), PAGE_POLICY)


@function.get("/reports/{report_id}/state")
async def state(call: Call, report_id: str) -> ReportAnswer:
    """What became of a report: whether it is made, its files, what it is without."""
    return answer(await asyncio.to_thread(call.instance.report_desk.status, report_id))


@function.get("/reports/{report_id}/files/{name}")
async def file(call: Call, report_id: str, name: str) -> Response:
    """A file of a report: the page, the PDF, the text, or what another tool says about the same windows."""
    return served(await asyncio.to_thread(call.instance.report_desk.file, report_id, name), SCRIPTED_POLICY)


@function.events
async def start(events: Sequence[Event], call: Call) -> None:
    """Start the job of each requested report, once however often the event comes."""
    for event in events:
        asked = read_data(Requested, event.data)
        report_id = asked.report_id or execution_id_of(event)
        await asyncio.to_thread(call.instance.report_desk.start, report_id, asked.request(), event.time)


main = function.entry_point()
