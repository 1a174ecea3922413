"""`drift`: whether a model meets other data than it was trained on, `drift check` and `drift history`."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from shared.cli.client import Document
from shared.cli.session import Session, command, group

PANEL: Final = "Watching"
CHECK_SECONDS: Final = 300.0
"""As long as the function may take."""

Model = Annotated[str, typer.Option(metavar="NAME", help="A model name or a version id.")]


def register(app: typer.Typer) -> None:
    group_app = typer.Typer(help="Whether a model meets other data than it was trained on.")
    group(group_app, is_list=False)(drift)
    command(group_app, "check")(check)
    command(group_app, "history")(history)
    app.add_typer(group_app, name="drift", rich_help_panel=PANEL)


def drift(
    session: Session,
    model: Model = "market-signal",
    window: Annotated[
        int | None,
        typer.Option(min=1, metavar="LENGTH", help="Show this window. Else the one that tells most."),
    ] = None,
) -> None:
    """Show the newest check: each window's verdict, and the features that moved most."""
    _show(session, session.client.get("/monitoring/drift", model=model, window=window))


def check(session: Session, model: Model = "market-signal") -> None:
    """Look for drift now, and show what was found."""
    with session.output.progress() as progress:
        progress.add_task("Comparing", total=None, message=f"what {model} meets with what it was trained on")
        found = session.client.post("/admin/drift", {"model": model}, answer_seconds=CHECK_SECONDS)
    _show(session, found)


def history(
    session: Session,
    model: Model = "market-signal",
    start: Annotated[str | None, typer.Option(metavar="DATE", help="The first day.")] = None,
    end: Annotated[str | None, typer.Option(metavar="DATE", help="The last moment.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 30,
    cursor: Annotated[str | None, typer.Option(help="Go on where the last answer ended.")] = None,
) -> None:
    """Show how the checks went over time."""
    document = session.client.get(
        "/monitoring/history", model=model, kind="drift", start=start, end=end, limit=limit, cursor=cursor
    )
    from shared.cli.views.drift import history as view

    session.output.show_page(document, view)
    if not document["points"]:
        session.output.suggest("mlengine drift check")


def _show(session: Session, found: Document) -> None:
    from shared.cli.views.drift import check as view

    session.output.show(found, view)
    if found["overall"] == "drift":
        session.output.suggest("mlengine train")
    elif found["overall"] == "insufficient_data":
        session.output.suggest("mlengine drift history")
