"""`predict`, `batch` and `predictions`, with `show` and `verify`."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import typer

from shared.cli.client import Client, Document, path_part
from shared.cli.commands.data import merged
from shared.cli.problem import CliProblem, wrong_usage
from shared.cli.session import Session, command, group
from shared.cli.storage import opened, translated

PANEL: Final = "Predictions"
CHUNK_SYMBOLS: Final = 100

Model = Annotated[str, typer.Option(help="A model's name, or one version's id.")]


def register(app: typer.Typer) -> None:
    command(app, "predict", PANEL)(predict)
    command(app, "batch", PANEL)(batch)
    group_app = typer.Typer(help="The audit: what was predicted, newest first.")
    group(group_app)(predictions)
    command(group_app, "show")(show)
    command(group_app, "verify")(verify)
    app.add_typer(group_app, name="predictions", rich_help_panel=PANEL)


def predict(
    session: Session,
    symbol: Annotated[str, typer.Argument(help="One symbol.")],
    model: Model = "market-signal",
) -> None:
    """Predict the direction of one symbol."""
    document = session.client.get("/predict", symbol=symbol, model=model)
    from shared.cli.views.predictions import prediction

    session.output.show(document, prediction)


def batch(
    session: Session,
    symbols: Annotated[
        list[str],
        typer.Argument(help="Symbols; '-' reads them from standard input, '@file' from a file."),
    ],
    model: Model = "market-signal",
) -> None:
    """Predict many symbols; each succeeds or fails alone."""
    wanted = [symbol for text in symbols for symbol in read_symbols(text)]
    if not wanted:
        raise wrong_usage("No symbols were given: name some, or write them to standard input or the file.")
    document = merged(_predict_all(session, wanted, model))
    from shared.cli.views.predictions import batch as view

    session.output.show(document, view)
    if document["failed"]:
        session.fail()


def _predict_all(session: Session, symbols: Sequence[str], model: str) -> list[Document]:
    answers = []
    with session.output.progress() as progress:
        task = progress.add_task("Predicting", total=len(symbols), message="")
        for first in range(0, len(symbols), CHUNK_SYMBOLS):
            chunk = symbols[first : first + CHUNK_SYMBOLS]
            answers.append(session.client.post("/predict/batch", {"symbols": list(chunk), "model": model}))
            progress.advance(task, len(chunk))
    return answers


def read_symbols(text: str) -> list[str]:
    """The symbols that one argument stands for. In files they are parted by white space or commas.

    Raises:
        CliProblem: the file can't be read.
    """
    if text == "-":
        return _split(sys.stdin.read())
    if not text.startswith("@"):
        return [text]
    try:
        return _split(Path(text[1:]).read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise wrong_usage(f"The file of symbols can't be read: {error}.") from error


def _split(text: str) -> list[str]:
    return [part for part in re.split(r"[\s,]+", text) if part]


def predictions(
    session: Session,
    symbol: Annotated[str | None, typer.Option(help="Only of this symbol.")] = None,
    model: Annotated[str | None, typer.Option(help="Only of this version, by its id.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="At most so many.")] = 20,
    cursor: Annotated[str | None, typer.Option(help="Go on where the last answer ended.")] = None,
) -> None:
    """List the newest predictions."""
    document = session.client.get(
        "/predictions/recent", symbol=symbol, model_id=model, limit=limit, cursor=cursor
    )
    from shared.cli.views.predictions import recent

    session.output.show_page(document, partial(recent, filters={"symbol": symbol, "model": model}))
    if model and not document["predictions"]:
        session.output.suggest("mlengine models")


def show(
    session: Session,
    prediction_id: Annotated[str, typer.Argument(help="As 'predict' and 'predictions' show it.")],
) -> None:
    """Show one prediction with the features it was made of, its lineage and its outcome."""
    document = session.client.get(f"/predictions/{path_part(prediction_id)}")
    from shared.cli.views.predictions import stored

    names = [] if session.output.as_json else _feature_names(session.client, document)
    session.output.show(document, lambda printable: stored(printable, names))


def verify(
    session: Session,
    since: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ"], help="Only those made since, in UTC."),
    ] = None,
    model: Annotated[str | None, typer.Option(help="Only of this version, by its id.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 1_000,
    every: Annotated[bool, typer.Option("--all", help="All that are stored, whatever the limit.")] = False,
) -> None:
    """Replay stored predictions: their features through their model's package, bit for bit.

    Works on the state itself, as 'backup' does; the engine may run meanwhile.
    """
    from shared.cli.views.verification import verification

    with translated(), session.output.progress() as progress:
        task = progress.add_task("Replaying", total=None if every else limit, message="")
        found = opened(session).verifier.verify(
            model_id=model,
            since=None if since is None else since.replace(tzinfo=UTC),
            limit=None if every else limit,
            on_checked=lambda done: progress.update(task, completed=done),
        )
    session.output.show(found.json(), verification)
    if not found.has_passed:
        session.fail()


def _feature_names(client: Client, document: Document) -> Sequence[str]:
    """The names of the prediction's features, or none where its model can't be asked."""
    try:
        model = client.get(f"/models/{path_part(document['prediction']['model_id'])}")
    except CliProblem:
        return []
    return list(model["manifest"]["feature_names"])
