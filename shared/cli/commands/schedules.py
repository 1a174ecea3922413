"""`schedules`: what happens by itself, and when."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Final

import typer

from shared.cli.client import Document, path_part
from shared.cli.session import Session, command, group

PANEL: Final = "Engine"

Name = Annotated[str, typer.Argument(help="A schedule's name, as 'mlengine schedules' lists it.")]


def register(app: typer.Typer) -> None:
    group_app = typer.Typer(help="What happens by itself: list, pause, resume, run.")
    group(group_app)(schedules)
    command(group_app, "pause")(pause)
    command(group_app, "resume")(resume)
    command(group_app, "run")(run)
    app.add_typer(group_app, name="schedules", rich_help_panel=PANEL)


def schedules(session: Session) -> None:
    """List the schedules, and when each fires next, on the clock of this machine."""
    document = session.client.get("/admin/schedules")
    from shared.cli.views.schedules import schedules as view

    session.output.show(document, partial(view, now=session.client.now()))


def pause(session: Session, name: Name) -> None:
    """Let a schedule fire no more until it is resumed."""
    document = _post(session, name, "pause")
    from shared.cli.views.schedules import paused

    session.output.show(document, paused)
    session.output.suggest(f"mlengine schedules resume {document['name']}")


def resume(session: Session, name: Name) -> None:
    """Let a schedule fire at its times again. Those that passed aren't made up for."""
    document = _post(session, name, "resume")
    from shared.cli.views.schedules import resumed

    session.output.show(document, partial(resumed, now=session.client.now()))


def run(session: Session, name: Name) -> None:
    """Let a schedule fire now, also while it is paused."""
    document = _post(session, name, "run")
    from shared.cli.views.schedules import fired

    session.output.show(document, fired)
    if document["topic"] == "training.requested":
        session.output.suggest("mlengine runs")


def _post(session: Session, name: str, act: str) -> Document:
    return session.client.post(f"/admin/schedules/{path_part(name)}/{act}")
