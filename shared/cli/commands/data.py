"""`ingest` and `features`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final

import typer

from shared.cli.client import Client, Document
from shared.cli.session import Session, command

PANEL: Final = "Data"
CHUNK_SYMBOLS: Final = 8
"""As many as the engine asks its upstream for at the same time."""

INGEST_SECONDS: Final = 600.0


def register(app: typer.Typer) -> None:
    command(app, "ingest", PANEL)(ingest)
    command(app, "features", PANEL)(features)


def ingest(
    session: Session,
    symbols: Annotated[
        list[str] | None, typer.Argument(help="Which symbols. None: all that the upstream has.")
    ] = None,
    start: Annotated[
        str | None, typer.Option(help="From this time on, as 2020-01-31 or RFC 3339. None: what is new.")
    ] = None,
    end: Annotated[str | None, typer.Option(help="Up to this time.")] = None,
) -> None:
    """Fetch new candles from the upstream, check and store them."""
    wanted = symbols or session.client.get("/symbols")["symbols"]
    answers = _ingest_all(session, wanted, {"start": start, "end": end})
    document = merged(answers)
    from shared.cli.views.candles import ingested

    session.output.show(document, ingested)
    if document["failed"]:
        session.fail()


def _ingest_all(session: Session, symbols: Sequence[str], period: dict[str, str | None]) -> list[Document]:
    given = {name: value for name, value in period.items() if value is not None}
    answers = []
    with session.output.progress() as progress:
        task = progress.add_task("Ingesting", total=len(symbols), message="")
        for first in range(0, len(symbols), CHUNK_SYMBOLS):
            chunk = symbols[first : first + CHUNK_SYMBOLS]
            progress.update(task, message=" ".join(chunk))
            answers.append(_ingest(session.client, chunk, given))
            progress.advance(task, len(chunk))
    return answers


def _ingest(client: Client, symbols: Sequence[str], period: dict[str, str]) -> Document:
    body = {"symbols": list(symbols), **period}
    return client.post("/fetch", body, answer_seconds=INGEST_SECONDS)


def merged(answers: Sequence[Document]) -> Document:
    """Several answers about symbols as if they were one."""
    results: list[Any] = [result for answer in answers for result in answer["results"]]
    return {
        "results": results,
        "succeeded": sum(answer["succeeded"] for answer in answers),
        "failed": sum(answer["failed"] for answer in answers),
        "request_ids": [answer["request_id"] for answer in answers],
    }


def features(
    session: Session,
    symbol: Annotated[str, typer.Argument(help="One symbol.")],
    lookback: Annotated[int, typer.Option(min=1, max=1000, help="How many rows, newest last.")] = 24,
    feature_set: Annotated[str, typer.Option("--set", help="The feature set.")] = "technical",
) -> None:
    """Show the feature rows of a symbol, as a model sees them."""
    document = session.client.get("/features", symbol=symbol, lookback=lookback, feature_set=feature_set)
    from shared.cli.views.candles import features as view

    session.output.show(document, view)
