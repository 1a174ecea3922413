"""`models` with all that is done to one, `activate`, `rollback`, `promotions` and `reload`."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from shared.cli.client import path_part
from shared.cli.commands import uploads
from shared.cli.commands.training import PANEL
from shared.cli.problem import problem, wrong_usage
from shared.cli.session import Session, command, group

VersionId = Annotated[str, typer.Argument(help="A version's id, as 'mlengine models' lists it.")]
VersionOrName = Annotated[str, typer.Argument(help="A version's id, or a model's name for the live one.")]
Name = Annotated[str, typer.Argument(help="A model's name, such as market-signal.")]
Reason = Annotated[str, typer.Option(help="Why: it is kept in the promotion log.")]
Limit = Annotated[int, typer.Option(min=1, max=500, help="At most so many.")]
Cursor = Annotated[str | None, typer.Option(help="Go on where the last answer ended.")]


def register(app: typer.Typer) -> None:
    group_app = typer.Typer(help="The models: list, show, upload, describe, delete, and how they are used.")
    group(group_app)(models)
    command(group_app, "show")(show)
    command(group_app, "report")(report)
    command(group_app, "describe")(describe)
    command(group_app, "delete")(delete)
    command(group_app, "stats")(stats)
    command(group_app, "history")(history)
    uploads.register(group_app)
    app.add_typer(group_app, name="models", rich_help_panel=PANEL)
    command(app, "activate", PANEL)(activate)
    command(app, "rollback", PANEL)(rollback)
    command(app, "promotions", PANEL)(promotions)
    command(app, "reload", PANEL)(reload)


def models(
    session: Session,
    name: Annotated[str | None, typer.Option(help="Only versions of this model.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> None:
    """List all versions, newest first."""
    document = session.client.get("/models", name=name, limit=limit, cursor=cursor)
    from shared.cli.views.models import models as view

    session.output.show_page(document, partial(view, name=name))
    if not document["models"]:
        session.output.suggest("mlengine models" if name else "mlengine train --activate")


def show(session: Session, id: VersionOrName) -> None:
    """Show one version: metrics, gates, lineage."""
    document = session.client.get(f"/models/{path_part(id)}")
    from shared.cli.views.models import model

    session.output.show(document, model)


def report(
    session: Session,
    id: VersionOrName,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where to save it. Else <id>-report.html here.")
    ] = None,
    is_opened: Annotated[bool, typer.Option("--open", help="Open it in a browser.")] = False,
) -> None:
    """Save the training report of one version, a page with curves and folds."""
    version_id = session.client.get(f"/models/{path_part(id)}")["id"]
    page = session.client.page(f"/models/{path_part(version_id)}/report")
    file = output or Path(f"{Path(version_id).name}-report.html")
    _save(file, page)
    if is_opened:
        typer.launch(str(file))
    from shared.cli.views.models import report_saved

    session.output.show({"id": version_id, "file": str(file), "size_bytes": len(page)}, report_saved)


def describe(
    session: Session,
    id: VersionId,
    description: Annotated[str | None, typer.Option(help="What it is for.")] = None,
    tags: Annotated[
        list[str] | None, typer.Option("--tag", help="A word to find it by; all of them, each with --tag.")
    ] = None,
) -> None:
    """Change the description or the tags of a version."""
    given = {"description": description, "tags": tags or None}
    body = {name: value for name, value in given.items() if value is not None}
    if not body:
        raise wrong_usage("Nothing is to be changed: give --description or --tag.")
    document = session.client.put(f"/models/{path_part(id)}", body)
    from shared.cli.views.models import edited

    session.output.show(document, edited)


def delete(session: Session, id: VersionId) -> None:
    """Archive a version and leave it out of lists. A live one can't be deleted."""
    document = session.client.delete(f"/models/{path_part(id)}")
    from shared.cli.views.models import deleted

    session.output.show(document, deleted)


def stats(
    session: Session,
    id: VersionOrName,
    window: Annotated[str, typer.Option(help="How far back: 5m, 1h or 1d.")] = "1d",
) -> None:
    """Tell how a version was used: calls, how long they took, what was answered."""
    document = session.client.get(f"/models/{path_part(id)}/stats", window=window)
    from shared.cli.views.models import stats as view

    session.output.show(document, view)


def history(session: Session, id: VersionOrName, limit: Limit = 50, cursor: Cursor = None) -> None:
    """Tell what was done to a version, or to all versions of a model."""
    document = session.client.get(f"/models/{path_part(id)}/history", limit=limit, cursor=cursor)
    from shared.cli.views.models import history as view

    session.output.show_page(document, view)


def _save(file: Path, content: bytes) -> None:
    try:
        file.write_bytes(content)
    except OSError as error:
        detail = f"The report can't be saved: {error}. Name another place with --output."
        raise problem("not-saved", "Not saved", detail) from error


def activate(session: Session, id: VersionId, reason: Reason = "") -> None:
    """Make a version the live one. Refused unless its gates passed."""
    document = session.client.post(f"/models/activate/{path_part(id)}", {"reason": reason})
    from shared.cli.views.models import promotion

    session.output.show(document, promotion)


def rollback(session: Session, name: Name, reason: Reason = "") -> None:
    """Make the version live that was live before."""
    document = session.client.post(f"/models/{path_part(name)}/rollback", {"reason": reason})
    from shared.cli.views.models import promotion

    session.output.show(document, promotion)


def promotions(
    session: Session,
    name: Name,
    at: Annotated[
        str | None, typer.Option(metavar="TIME", help="What was live then; UTC unless it says otherwise.")
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> None:
    """Tell what was live when."""
    path = f"/models/{path_part(name)}/promotions"
    document = session.client.get(path, at=at and rfc3339(at), limit=limit, cursor=cursor)
    from shared.cli.views.models import promotions as view

    session.output.show_page(document, partial(view, name=name, at=at))
    if not document["promotions"]:
        session.output.suggest("mlengine models")


def reload(session: Session) -> None:
    """Let every instance verify and load its models anew."""
    document = session.client.post("/admin/reload")
    from shared.cli.views.models import reloaded

    session.output.show(document, reloaded)


def rfc3339(text: str) -> str:
    """A time as the engine reads it.

    Raises:
        CliProblem: it isn't one.
    """
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise wrong_usage(f"A time looks like 2024-01-31 or 2024-01-31T12:00:00Z, found {text!r}.") from error
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).isoformat()
