"""Starts the command, also where the installation is too broken to import it."""

from __future__ import annotations

import io
import sys
from typing import NoReturn

OLDEST_PYTHON = (3, 11)


def run() -> NoReturn:
    """Run the command with this process's arguments, and end the process."""
    if sys.version_info < OLDEST_PYTHON:
        found = ".".join(str(part) for part in sys.version_info[:3])
        sys.exit(f"ML Engine needs Python 3.11 or newer, this is {found}. Mend it with: make up")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # what the terminal can't show must not end the command
    try:
        from shared.cli.app import app
    except KeyboardInterrupt:
        sys.exit(130)
    except ModuleNotFoundError as error:
        sys.exit(f"The package {error.name} isn't installed in {sys.prefix}. Mend it with: make up")
    app(prog_name="mlengine")
    sys.exit(0)
