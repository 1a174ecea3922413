"""The command with all its sub-commands."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from shared.cli.commands import (
    access,
    alerts,
    audit,
    cost,
    data,
    deadletters,
    drift,
    engine,
    freshness,
    models,
    performance,
    predictions,
    problems,
    reports,
    schedules,
    scoring,
    state,
    training,
)
from shared.cli.output import Output
from shared.cli.problem import CliProblem, ExitCode, problem, wrong_usage
from shared.cli.session import common

EPILOG = "Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 nobody answers, 130 interrupted."


class Root(TyperGroup):
    """Whatever happens, the user reads words or one JSON document, never a traceback."""

    def main(self, args: Sequence[str] | None = None, *others: Any, **options: Any) -> NoReturn:
        given = list(sys.argv[1:] if args is None else args)
        output = Output(as_json="--json" in given)
        try:
            code = super().main(given, *others, **{**options, "standalone_mode": not output.as_json})
        except typer.TyperException as error:  # only raised where it isn't standalone
            failure = wrong_usage(error.format_message())
        except Exception as error:  # noqa: BLE001 - the edge of the program
            failure = _unexpected(error)
        else:
            sys.exit(code)
        output.refuse(failure)
        sys.exit(failure.exit_code)


def _unexpected(error: Exception) -> CliProblem:
    last = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{last.filename}:{last.lineno}"
    detail = f"The command itself failed with {type(error).__name__}: {error} ({where}). Please report it."
    return problem("cli", "Internal error", detail, exit_code=ExitCode.FAILED, next_command="mlengine doctor")


app = typer.Typer(
    cls=Root,
    help="ML Engine: candles in, audited predictions out.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.callback()(common)
for module in (
    engine,
    data,
    problems,
    training,
    models,
    predictions,
    scoring,
    performance,
    audit,
    schedules,
    drift,
    freshness,
    reports,
    alerts,
    deadletters,
    access,
    state,
    cost,
):
    module.register(app)
