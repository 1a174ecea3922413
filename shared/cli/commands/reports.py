"""`reports`: list, show, open, save, make."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from shared.cli.client import path_part
from shared.cli.following import REPORT, follow
from shared.cli.problem import problem
from shared.cli.session import Session, command, group

PANEL: Final = "Watching"
PAGE: Final = "report.html"

ReportId = Annotated[str, typer.Argument(help="A report's id, as 'mlengine reports' lists it.")]
IsFollowed = Annotated[
    bool, typer.Option("--follow/--no-follow", help="Wait until it is made, and say what became of it.")
]
File = Annotated[
    str,
    typer.Option("--file", metavar="NAME", help="Which of its files, as 'mlengine reports show' lists them."),
]


def register(app: typer.Typer) -> None:
    group_app = typer.Typer(help="The reports on drift and on weeks: list, show, open, save, make.")
    group(group_app)(reports)
    command(group_app, "show")(show)
    command(group_app, "open")(open_)
    command(group_app, "save")(save)
    making = typer.Typer(help="Make a report.", no_args_is_help=True)
    command(making, "drift")(make_drift)
    command(making, "weekly")(make_weekly)
    group_app.add_typer(making, name="make")
    app.add_typer(group_app, name="reports", rich_help_panel=PANEL)


def reports(
    session: Session,
    kind: Annotated[str | None, typer.Option(help="drift or weekly. Else both.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="At most so many.")] = 20,
    cursor: Annotated[str | None, typer.Option(help="Go on where the last answer ended.")] = None,
) -> None:
    """List the reports, newest first."""
    document = session.client.get("/reports", kind=kind, limit=limit, cursor=cursor)
    from shared.cli.views.reports import reports as view

    session.output.show_page(document, partial(view, kind=kind))
    if not document["reports"]:
        session.output.suggest(f"mlengine reports make {kind or 'weekly'}")


def show(
    session: Session,
    report_id: ReportId,
    is_followed: Annotated[bool, typer.Option("--follow", help="Wait until it is made.")] = False,
) -> None:
    """Show what became of a report: its conclusion, its files, and what it is without."""
    if is_followed:
        _finish(session, report_id)
        return
    from shared.cli.views.reports import report as view

    session.output.show(REPORT.status(session.client, report_id), view)


def open_(session: Session, report_id: ReportId, name: File = PAGE) -> None:
    """Open a report in a browser."""
    content = _content(session, report_id, name)
    file = Path(tempfile.mkdtemp(prefix="mlengine-report-")) / Path(name).name
    _save(file, content)
    typer.launch(str(file))
    _tell(session, report_id, file, content)


def save(
    session: Session,
    report_id: ReportId,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where to. Else <id>-<file> in this folder.")
    ] = None,
    name: File = PAGE,
) -> None:
    """Save a report, or another of its files."""
    content = _content(session, report_id, name)
    file = output or Path(f"{Path(report_id).name}-{Path(name).name}")
    _save(file, content)
    _tell(session, report_id, file, content)


def make_drift(
    session: Session,
    check_id: Annotated[
        str | None, typer.Argument(metavar="CHECK", help="A drift check's id. Else the model's newest.")
    ] = None,
    model: Annotated[
        str, typer.Option(help="A model's name or a version id, of which to take the newest check.")
    ] = "market-signal",
    is_followed: IsFollowed = True,
) -> None:
    """Make a report on a drift check."""
    chosen = check_id or session.client.get("/monitoring/drift", model=model)["check_id"]
    _make(session, {"kind": "drift", "check_id": chosen}, is_followed)


def make_weekly(
    session: Session,
    period: Annotated[
        str | None, typer.Option(metavar="WEEK", help="Such as 2026-W07. Else the last week that is over.")
    ] = None,
    is_followed: IsFollowed = True,
) -> None:
    """Make the summary of a week."""
    given = {"kind": "weekly", "period": period}
    _make(session, {name: value for name, value in given.items() if value is not None}, is_followed)


def _make(session: Session, body: dict[str, Any], is_followed: bool) -> None:
    report = session.client.post("/admin/reports", body)
    report_id = report["report_id"]
    session.output.note(f"Report {report_id} is {report['status']}.")
    if is_followed:
        _finish(session, report_id)
        return
    session.output.show(report, lambda _: ())
    session.output.suggest(f"mlengine reports show {report_id} --follow")


def _finish(session: Session, report_id: str) -> None:
    """Show how a report ended; it fails the command unless it was made."""
    from shared.cli.views.reports import report as view

    report = follow(session, REPORT, report_id)
    session.output.show(report, view)
    if report["status"] != "succeeded":
        session.fail()
    session.output.suggest(f"mlengine reports open {report_id}")


def _content(session: Session, report_id: str, name: str) -> bytes:
    path = f"/reports/{path_part(report_id)}"
    return session.client.page(path if name == PAGE else f"{path}/files/{path_part(name)}")


def _save(file: Path, content: bytes) -> None:
    try:
        file.write_bytes(content)
    except OSError as error:
        detail = f"The report can't be saved: {error}. Name another place with --output."
        raise problem("not-saved", "Not saved", detail) from error


def _tell(session: Session, report_id: str, file: Path, content: bytes) -> None:
    document = {"report_id": report_id, "file": str(file), "size_bytes": len(content)}
    session.output.show_line(document, f"Saved {file} ({len(content):,} bytes).")
