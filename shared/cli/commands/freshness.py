"""`freshness`, `quality`, `watch`: how old things are, what is wrong with candles, and a look at it all."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Final

import typer

from shared.cli.session import Session, command

PANEL: Final = "Watching"
WATCH_SECONDS: Final = 300.0
"""As long as the function may take."""

BAD: Final = ("late", "stale")


def register(app: typer.Typer) -> None:
    command(app, "freshness", PANEL)(freshness)
    command(app, "quality", PANEL)(quality)
    command(app, "watch", PANEL)(watch)


def freshness(
    session: Session,
    symbol: Annotated[
        str | None, typer.Option(metavar="NAME", help="The candles of this symbol alone.")
    ] = None,
    is_all: Annotated[
        bool, typer.Option("--all", help="All symbols, not only those that are overdue.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many symbols.")] = 30,
    cursor: Annotated[str | None, typer.Option(help="Go on where the last answer ended.")] = None,
) -> None:
    """Show how old candles, live models and checks for drift are, the worst first."""
    document = session.client.get(
        "/monitoring/freshness",
        symbol=symbol,
        all="true" if is_all else None,
        limit=limit,
        cursor=cursor,
    )
    from shared.cli.views.freshness import freshness as view

    session.output.show_page(document, view)
    bad = {one["kind"] for one in document["subjects"] if one["verdict"] in BAD}
    if "candles" in bad or document["verdict"] == "missing":
        session.output.suggest("mlengine ingest")
    elif "model" in bad:
        session.output.suggest("mlengine train")
    elif "drift_check" in bad:
        session.output.suggest("mlengine drift check")


def quality(
    session: Session,
    symbol: Annotated[
        str | None, typer.Option(metavar="NAME", help="The candles of this symbol alone.")
    ] = None,
    kind: Annotated[
        str | None, typer.Option(metavar="NAME", help="One kind of finding, such as gap.")
    ] = None,
    start: Annotated[
        str | None, typer.Option(metavar="DATE", help="The first day. Else 90 days back.")
    ] = None,
    end: Annotated[str | None, typer.Option(metavar="DATE", help="The last day.")] = None,
) -> None:
    """Show what ingest has found about candles, by kind and session, and whether it is getting more."""
    document = session.client.get("/monitoring/quality", symbol=symbol, kind=kind, start=start, end=end)
    from shared.cli.views.quality import quality as view

    session.output.show(document, partial(view, filters={"symbol": symbol, "kind": kind}))
    if document["kinds"] and kind is None:
        session.output.suggest(f"mlengine quality --kind {document['kinds'][0]['kind']}")


def watch(session: Session) -> None:
    """Let every monitor look now: keeps what they see, rings alerts and resolves them."""
    with session.output.progress() as progress:
        progress.add_task("Watching", total=None, message="every monitor looks")
        document = session.client.post("/admin/watch", answer_seconds=WATCH_SECONDS)
    from shared.cli.views.freshness import watch as view

    session.output.show(document, view)
    if any(one["rung"] for one in document["monitors"]):
        session.output.suggest("mlengine alerts")
    if any(one["error"] for one in document["monitors"]):
        session.fail()
