"""`performance`: what settled predictions were worth."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from shared.cli.session import Session, command

PANEL: Final = "Predictions"


def register(app: typer.Typer) -> None:
    command(app, "performance", PANEL)(performance)


def performance(
    session: Session,
    model: Annotated[str, typer.Option(help="A model's name, or one version's id.")] = "market-signal",
    window: Annotated[str, typer.Option(help="How far back: a number of days, like 30d, or all.")] = "90d",
) -> None:
    """Show a model's live performance with intervals, beside naive rules and beside its validation."""
    from shared.cli.views.performance import performance as view

    session.output.show(session.client.get("/monitoring/performance", model=model, window=window), view)
