"""`cost`: what the engine costs on Google Cloud, by the price table and what was measured."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from shared.cli.problem import ExitCode, problem, wrong_usage
from shared.cli.session import Session, command

PANEL: Final = "Engine"
LONGEST_SECONDS: Final = 60


def register(app: typer.Typer) -> None:
    command(app, "cost", PANEL)(cost)


def cost(
    session: Session,
    predictions: Annotated[float | None, typer.Option(min=1, help="A month. Else a million.")] = None,
    region: Annotated[
        str | None, typer.Option(help="One of which the price table has prices. Else europe-west1.")
    ] = None,
    hours: Annotated[
        float | None, typer.Option(max=730, help="Of the month, in which they come. Else all 730.")
    ] = None,
    symbols: Annotated[int | None, typer.Option(min=1, help="Asked for equally often. Else 500.")] = None,
    instances: Annotated[int | None, typer.Option(min=1, help="Of each function, at least. Else 1.")] = None,
    candle_cache_seconds: Annotated[
        float | None, typer.Option(min=0, help="CANDLE_CACHE_SECONDS. Else 30.")
    ] = None,
    details: Annotated[bool, typer.Option("--details", help="Show every price and assumption, too.")] = False,
) -> None:
    """Say what a month on Google Cloud costs, and a million predictions. Asks nobody."""
    from shared.cli.views.cost import everything, summary

    given = {
        "--predictions": predictions,
        "--region": region,
        "--hours": hours,
        "--symbols": symbols,
        "--instances": instances,
        "--candle-cache-seconds": candle_cache_seconds,
    }
    document = _calculated(session.installation.root, given)
    session.output.show(document, everything if details else summary)


def _calculated(root: Path, given: Mapping[str, object]) -> dict[str, Any]:
    """Not imported but executed: the catalogue and the prices belong to the layer above."""
    options = [f"{name}={value}" for name, value in given.items() if value is not None]
    done = subprocess.run(  # noqa: S603 - our own module, no shell
        [sys.executable, "-m", "infra.cost", "--json", *options],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
        timeout=LONGEST_SECONDS,
    )
    if done.returncode == ExitCode.USAGE:
        raise wrong_usage(done.stderr.strip())
    if done.returncode:
        why = done.stderr.strip().rpartition("\n")[2] or f"it ended with {done.returncode}"
        detail = f"The costs can't be calculated: {why}."
        raise problem("cli", "No costs", detail, exit_code=ExitCode.FAILED, next_command="mlengine doctor")
    document: dict[str, Any] = json.loads(done.stdout)
    return document
