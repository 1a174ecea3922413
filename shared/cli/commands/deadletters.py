"""`deadletters list` and `deadletters replay`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Annotated, Any, Final

import typer

from shared.cli.client import Client, Document
from shared.cli.commands.data import merged
from shared.cli.problem import wrong_usage
from shared.cli.session import Session, command

PANEL: Final = "Events"
CHUNK_LETTERS: Final = 20
PAGE_LETTERS: Final = 500

Function = Annotated[
    str | None, typer.Option(metavar="NAME", help="Only those that this function couldn't handle.")
]


def register(app: typer.Typer) -> None:
    group_app = typer.Typer(
        help="The events that were given up: list them, bring them back.", no_args_is_help=True
    )
    command(group_app, "list")(list_)
    command(group_app, "replay")(replay)
    app.add_typer(group_app, name="deadletters", rich_help_panel=PANEL)


def list_(
    session: Session,
    function: Function = None,
    is_all: Annotated[bool, typer.Option("--all", help="Also those that were replayed.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=500, help="At most so many.")] = 50,
    cursor: Annotated[str | None, typer.Option(help="Go on where the last answer ended.")] = None,
) -> None:
    """List the events that were given up, and why."""
    document = session.client.get(
        "/admin/deadletters",
        state="all" if is_all else "dead",
        function=function,
        limit=limit,
        cursor=cursor,
    )
    from shared.cli.views.deadletters import dead_letters

    session.output.show_page(document, partial(dead_letters, function=function))
    if any(letter["state"] == "dead" for letter in document["dead_letters"]):
        session.output.suggest("mlengine deadletters replay <letter>")


def replay(
    session: Session,
    ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="LETTER", help="Ids, as 'mlengine deadletters list' shows them."),
    ] = None,
    is_all: Annotated[bool, typer.Option("--all", help="All that are dead.")] = False,
    function: Function = None,
) -> None:
    """Publish events again that were given up; each succeeds or fails alone."""
    if bool(ids) is is_all:
        raise wrong_usage(
            "Name the letters to replay, or give --all: 'mlengine deadletters list' shows them."
        )
    if function is not None and not is_all:
        raise wrong_usage("--function goes with --all.")
    document = merged(_replay(session, ids or list(_dead(session.client, function))))
    from shared.cli.views.deadletters import replayed

    session.output.show(document, replayed)
    if document["failed"]:
        session.output.suggest("mlengine deadletters list --all")
        session.fail()


def _dead(client: Client, function: str | None) -> Iterator[str]:
    """The ids of all dead letters, as they are now."""
    cursor: str | None = None
    while True:
        page = client.get(
            "/admin/deadletters", state="dead", function=function, limit=PAGE_LETTERS, cursor=cursor
        )
        yield from (letter["id"] for letter in page["dead_letters"])
        cursor = page["cursor"]
        if cursor is None:
            return


def _replay(session: Session, ids: Sequence[str]) -> list[Document]:
    answers: list[Any] = []
    with session.output.progress() as progress:
        task = progress.add_task("Replaying", total=len(ids), message="")
        for first in range(0, len(ids), CHUNK_LETTERS):
            chunk = ids[first : first + CHUNK_LETTERS]
            answers.append(session.client.post("/admin/deadletters/replay", {"ids": list(chunk)}))
            progress.advance(task, len(chunk))
    return answers
