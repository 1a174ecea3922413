"""`score` and `scorings`."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Final

import typer

from shared.cli.client import Document
from shared.cli.commands.predictions import PANEL, Model, read_symbols
from shared.cli.following import SCORING, follow
from shared.cli.problem import wrong_usage
from shared.cli.session import Session, command, group

MEDIA_TYPES: Final = {".csv": "text/csv", ".parquet": "application/vnd.apache.parquet"}
MAX_FILE_BYTES: Final = 30_000_000
"""What the engine takes as a body."""

ScoringId = Annotated[str, typer.Argument(help="A scoring's id, as 'mlengine scorings' lists it.")]


def register(app: typer.Typer) -> None:
    command(app, "score", PANEL)(score)
    group_app = typer.Typer(help="The scorings: list, show, cancel.")
    group(group_app)(scorings)
    command(group_app, "show")(show)
    command(group_app, "cancel")(cancel)
    app.add_typer(group_app, name="scorings", rich_help_panel=PANEL)


def score(
    session: Session,
    symbols: Annotated[
        list[str] | None,
        typer.Argument(help="Which symbols; '-' or '@file' reads them. None: all that are stored."),
    ] = None,
    model: Model = "market-signal",
    input: Annotated[
        str | None,
        typer.Option(
            help="Score the rows of a file here, CSV or Parquet, which is sent; or of a file or a folder of "
            "the engine's, as inputs/2024/."
        ),
    ] = None,
    id_columns: Annotated[
        list[str] | None, typer.Option("--id", help="A column of the files that goes with each score.")
    ] = None,
    start: Annotated[
        str | None, typer.Option(help="Every candle from this time on, as 2020-01-31. None: the newest one.")
    ] = None,
    end: Annotated[str | None, typer.Option(help="Up to this time.")] = None,
    tasks: Annotated[int, typer.Option(min=1, max=50, help="How many work side by side.")] = 1,
    is_followed: Annotated[
        bool, typer.Option("--follow/--no-follow", help="Watch the scoring until it ends.")
    ] = True,
) -> None:
    """Score many symbols, many candles, or the rows of files into Parquet files; nothing of it is audited."""
    wanted = [symbol for text in symbols or () for symbol in read_symbols(text)]
    if symbols and not wanted:
        raise wrong_usage("No symbols were given: name some, or none at all for all that are stored.")
    body = {
        "symbols": wanted or None,
        "model": model,
        "input": None if input is None else _sent(session, input),
        "id_columns": id_columns or None,
        "start": start,
        "end": end,
        "tasks": tasks,
    }
    given = {name: value for name, value in body.items() if value is not None}
    scoring = session.client.post("/predict/jobs", given)
    scoring_id = scoring["scoring_id"]
    session.output.note(f"Scoring {scoring_id} by {scoring['model_id']} is {scoring['status']}.")
    if is_followed:
        _finish(session, follow(session, SCORING, scoring_id))
    else:
        session.output.show(scoring, lambda _: ())
        session.output.suggest(f"mlengine scorings show {scoring_id} --follow")


def _sent(session: Session, input: str) -> str:
    """The input's name at the engine; a file of this machine is sent there, once and used again."""
    file = Path(input)
    media_type = MEDIA_TYPES.get(file.suffix)
    if input.startswith("inputs/") or not file.is_file():
        return input
    if media_type is None:
        raise wrong_usage(f"{input} must end in {' or '.join(MEDIA_TYPES)}.")
    if (size := file.stat().st_size) > MAX_FILE_BYTES:
        raise wrong_usage(
            f"{input} has {size:,} bytes, at most {MAX_FILE_BYTES:,} are sent at once: use a URL of POST "
            "/predict/jobs/inputs/url, or send pieces of it and name the folder."
        )
    content = file.read_bytes()
    stem = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in file.stem)[:60]
    name = f"inputs/{stem}-{hashlib.sha256(content).hexdigest()[:12]}{file.suffix}"
    kept: str = session.client.post_file("/predict/jobs/inputs", content, media_type, name=name)["input"]
    session.output.note(f"Sent {input} as {kept}.")
    return kept


def _finish(session: Session, scoring: Document) -> None:
    """Show how a scoring ended; it fails the command unless all was scored."""
    from shared.cli.views.scorings import scoring as view

    session.output.show(scoring, view)
    if scoring["status"] == "failed":
        session.output.suggest("mlengine doctor")
    if scoring["status"] != "succeeded" or scoring["progress"]["failed"]:
        session.fail()


def scorings(
    session: Session,
    limit: Annotated[int, typer.Option(min=1, max=200, help="At most so many.")] = 20,
    cursor: Annotated[str | None, typer.Option(help="Go on where the last answer ended.")] = None,
) -> None:
    """List the scorings, newest first."""
    document = session.client.get("/predict/jobs", limit=limit, cursor=cursor)
    from shared.cli.views.scorings import scorings as view

    session.output.show_page(document, view)


def show(
    session: Session,
    scoring_id: ScoringId,
    is_followed: Annotated[bool, typer.Option("--follow", help="Watch it until it ends.")] = False,
) -> None:
    """Show one scoring: progress, parts, and what failed."""
    if is_followed:
        _finish(session, follow(session, SCORING, scoring_id))
        return
    from shared.cli.views.scorings import scoring as view

    session.output.show(SCORING.status(session.client, scoring_id), view)


def cancel(session: Session, scoring_id: ScoringId) -> None:
    """Ask a scoring to stop. The parts that are written stay."""
    document = SCORING.cancel(session.client, scoring_id)
    from shared.cli.views.scorings import cancelled

    session.output.show(document, cancelled)
