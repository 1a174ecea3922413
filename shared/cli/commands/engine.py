"""`up` and `doctor`."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

import typer

from shared.cli.problem import wrong_usage
from shared.cli.session import Session, command

PANEL: Final = "Engine"


def register(app: typer.Typer) -> None:
    command(app, "up", PANEL)(up)
    command(app, "doctor", PANEL)(doctor)


def up(
    session: Session,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Where it listens. Else PORT.")] = None,
    home: Annotated[
        Path | None, typer.Option(help="Where it keeps its state. Else MLENGINE_HOME, else .mlengine.")
    ] = None,
    market_data_url: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="The upstream of candles. Else MARKET_DATA_URL, else sample candles."
        ),
    ] = None,
) -> None:
    """Start the local twin in this terminal; Ctrl-C stops it."""
    if session.output.as_json:
        raise wrong_usage("'up' takes over the terminal and has no JSON: leave out --json.")
    installation = session.installation
    given = {
        "PORT": port and str(port),
        "MLENGINE_HOME": str((home or installation.home).absolute()),
        "MARKET_DATA_URL": market_data_url,
    }
    _become_the_twin(installation.root, {name: value for name, value in given.items() if value})


def _become_the_twin(root: Path, settings: Mapping[str, str]) -> None:
    """Not imported but executed: the twin belongs to the layer above."""
    os.chdir(root)
    os.execve(sys.executable, [sys.executable, "-m", "infra.local"], {**os.environ, **settings})  # noqa: S606 - our own module


def doctor(session: Session) -> None:
    """Say what is wrong with the installation, and how to mend it."""
    from shared.cli.doctor import examine
    from shared.cli.views.doctor import findings

    document = examine(session.installation, session.client)
    session.output.show(document, findings)
    if not document["healthy"]:
        session.fail()
