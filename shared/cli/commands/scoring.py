"""`score` and `scorings`."""

from __future__ import annotations

import hashlib
import json
import shlex
import time
from pathlib import Path
from typing import Annotated, Final

import typer

from shared.cli.client import Client, Document, path_part
from shared.cli.commands.predictions import PANEL, Model, read_symbols
from shared.cli.following import SCORING, follow
from shared.cli.problem import CliProblem, next_command_after, problem, wrong_usage
from shared.cli.session import Session, command, group

MEDIA_TYPES: Final = {".csv": "text/csv", ".parquet": "application/vnd.apache.parquet"}
MAX_FILE_BYTES: Final = 30_000_000
"""What the engine takes as a body."""
PATIENCE_SECONDS: Final = 90.0
PAUSE_SECONDS: Final = 5.0
"""How long and how often a file is asked for again: many files may be more than a minute's limit allows."""

ScoringId = Annotated[str, typer.Argument(help="A scoring's id, as 'mlengine scorings' lists it.")]


def register(app: typer.Typer) -> None:
    command(app, "score", PANEL)(score)
    group_app = typer.Typer(help="The scorings: list, show, save, cancel.")
    group(group_app)(scorings)
    command(group_app, "show")(show)
    command(group_app, "save")(save)
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
    if input.startswith("inputs/"):
        return input
    if not file.is_file():
        raise wrong_usage(f"{input} isn't a file here, nor one of the engine's (inputs/...).")
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
        session.output.suggest(next_command_after(scoring["error"] or ""))
    else:
        _suggest_files(session, scoring)
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

    document = SCORING.status(session.client, scoring_id)
    session.output.show(document, view)
    if document["finished_at"]:
        _suggest_files(session, document)


def _suggest_files(session: Session, scoring: Document) -> None:
    if any(task["parts"] for task in scoring["tasks"]):
        session.output.suggest(f"mlengine scorings save {scoring['scoring_id']}")


def save(
    session: Session,
    scoring_id: ScoringId,
    folder: Annotated[
        Path | None, typer.Argument(help="Where to. None: scores-<id> in this folder.", show_default=False)
    ] = None,
) -> None:
    """Save the files of a scoring: scores, and what has none. A file that is there isn't fetched again."""
    from shared.cli.views.text import counted

    status, files = _files(session.client, scoring_id)
    if not files:
        detail = f"The scoring {scoring_id} is {status}, and it has no files."
        raise problem("no-files", "No files", detail, next_command=f"mlengine scorings show {scoring_id}")
    chosen = folder or Path(f"scores-{Path(scoring_id).name}")
    saved: list[Document] = []
    left: list[Document] = []
    with session.output.progress() as progress:
        task = progress.add_task("Saving", total=len(files), message="")
        for file in files:
            progress.update(task, message=file["name"])
            (saved if _save(session, scoring_id, file, chosen) else left).append(file)
            progress.advance(task)
    size_bytes = sum(file["size_bytes"] for file in saved)
    told = {"folder": str(chosen), "saved": saved, "left": left}
    document = {"scoring_id": scoring_id, "status": status, **told}
    words = f"Saved {counted(len(saved), 'files')} ({size_bytes:,} bytes) in {chosen}/."
    session.output.show_line(document, words)
    if status in ("queued", "running"):
        session.output.suggest(f"mlengine scorings show {scoring_id} --follow")
    elif any(file["kind"] == "scores" for file in saved):
        code = f"import pandas; print(pandas.read_parquet({json.dumps(str(chosen / 'scores'))}))"
        session.output.suggest(f"python -c {shlex.quote(code)}")
    if left:
        session.fail()


def _files(client: Client, scoring_id: str) -> tuple[str, list[Document]]:
    """The scoring's status, and the files that it had then."""
    path = f"/predict/jobs/{path_part(scoring_id)}/files"
    page = client.get(path)
    status, files = page["status"], page["files"]
    while page["cursor"] is not None:
        page = client.get(path, cursor=page["cursor"])
        files += page["files"]
    return status, files


def _save(session: Session, scoring_id: str, file: Document, folder: Path) -> bool:
    """Whether the file is saved: of one that the engine doesn't give, people are told where it is."""
    place = folder / Path(file["kind"]).name / Path(file["name"]).name
    try:
        if place.is_file() and hashlib.sha256(place.read_bytes()).hexdigest() == file["sha256"]:
            return True
        content = _content(session.client, scoring_id, file)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    except OSError as error:
        detail = f"The files can't be saved: {error}. Name another folder."
        next_command = f"mlengine scorings save {scoring_id} <folder>"
        raise problem("not-saved", "Not saved", detail, next_command=next_command) from error
    except CliProblem as failure:
        if failure.slug != "payload-too-large":
            raise
        session.output.note(str(failure))
        return False
    return True


def _content(client: Client, scoring_id: str, file: Document) -> bytes:
    path = "/".join(map(path_part, (scoring_id, "files", file["kind"], file["name"])))
    asked = time.monotonic()
    while True:
        try:
            return client.page(f"/predict/jobs/{path}")
        except CliProblem as failure:
            if not failure.is_retryable or time.monotonic() - asked > PATIENCE_SECONDS:
                raise
        time.sleep(PAUSE_SECONDS)


def cancel(session: Session, scoring_id: ScoringId) -> None:
    """Ask a scoring to stop. The parts that are written stay."""
    document = SCORING.cancel(session.client, scoring_id)
    from shared.cli.views.scorings import cancelled

    session.output.show(document, cancelled)
