"""What every command shares: its options, the client, the output, and how it ends.

`command` and `group` turn a plain function into a command: its first parameter is the `Session`, the
others are its own. The options in common are added, and work before and after the command's name.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Annotated, Any, Concatenate, Final, ParamSpec, TypeAlias

import typer

from shared.cli.client import Client
from shared.cli.credentials import Credentials
from shared.cli.output import Output
from shared.cli.problem import CliProblem, ExitCode, problem
from shared.cli.target import Installation

P = ParamSpec("P")
Handler: TypeAlias = Callable[Concatenate["Session", P], None]

PANEL: Final = "Options of every command"

AsJson = Annotated[
    bool, typer.Option("--json", help="Print one JSON document and nothing else.", rich_help_panel=PANEL)
]
Url = Annotated[
    str | None,
    typer.Option(
        "--url",
        metavar="URL",
        help="The engine to speak to. Else MLENGINE_URL, else the twin on this machine.",
        rich_help_panel=PANEL,
    ),
]
ApiKey = Annotated[
    str | None,
    typer.Option(
        "--api-key",
        metavar="KEY",
        help="Else MLENGINE_API_KEY or ADMIN_API_KEY; for the twin, the key in its state folder.",
        rich_help_panel=PANEL,
    ),
]


@dataclass(frozen=True, slots=True)
class Given:
    """The options in common, as far as they were given."""

    as_json: bool = False
    url: str | None = None
    api_key: str | None = None

    def with_more(self, as_json: bool, url: str | None, api_key: str | None) -> Given:
        """The later ones beat the earlier."""
        return Given(as_json or self.as_json, url or self.url, api_key or self.api_key)


class Session:
    """One command at work."""

    def __init__(self, given: Given) -> None:
        self._given = given
        self.output = Output(as_json=given.as_json)
        self.installation = Installation(os.environ)

    @cached_property
    def client(self) -> Client:
        """
        Raises:
            CliProblem: the URL isn't one.
        """
        target = self.installation.target(self._given.url, self._given.api_key)
        return Client(target, self.credentials, on_replay=self._tell_replay)

    @cached_property
    def credentials(self) -> Credentials:
        return Credentials(os.environ)

    def _tell_replay(self, now: datetime) -> None:
        self.output.note(f"Replay: the engine plays history, and is at {now:%Y-%m-%d %H:%M} UTC.")

    def fail(self) -> None:
        """End with the exit code of a failure; what there was to say has been said."""
        raise typer.Exit(ExitCode.FAILED)

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Every failure inside is told to the user, and ends the command with its exit code."""
        try:
            yield
        except CliProblem as failure:
            self.output.refuse(failure)
            raise typer.Exit(failure.exit_code) from failure
        except KeyboardInterrupt as error:
            self.output.refuse(_interrupted())
            raise typer.Exit(ExitCode.INTERRUPTED) from error


def command(app: typer.Typer, name: str, panel: str = "Commands") -> Callable[[Handler[P]], Handler[P]]:
    """Register a function as command `name` of `app`, shown in `panel` of its help."""

    def register(handler: Handler[P]) -> Handler[P]:
        app.command(name, rich_help_panel=panel)(_wrapped(handler))
        return handler

    return register


def group(app: typer.Typer, *, is_list: bool = True) -> Callable[[Handler[P]], Handler[P]]:
    """Register what `app`, a group of commands, does when none of them is named. Where that is its list,
    `list` does it too.
    """

    def register(handler: Handler[P]) -> Handler[P]:
        app.callback(invoke_without_command=True)(_wrapped(handler))
        if is_list:
            app.command("list", hidden=True)(_wrapped(handler))
        return handler

    return register


def _wrapped(handler: Callable[..., None]) -> Callable[..., None]:
    def run(
        ctx: typer.Context, as_json: bool, url: str | None, api_key: str | None, **arguments: Any
    ) -> None:
        ctx.obj = (ctx.obj or Given()).with_more(as_json, url, api_key)
        if ctx.invoked_subcommand is None:
            session = Session(ctx.obj)
            with session.guarded():
                handler(session, **arguments)

    _, *own = inspect.signature(handler, eval_str=True).parameters.values()
    context, *shared = _COMMON.parameters.values()
    parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in (context, *own, *shared)]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # typer reads the options there
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    run.__doc__ = handler.__doc__
    return run


def common(ctx: typer.Context, *, as_json: AsJson = False, url: Url = None, api_key: ApiKey = None) -> None:
    """Keep the options in common for the commands that follow."""
    ctx.obj = Given(as_json, url, api_key)


_COMMON: Final = inspect.signature(common, eval_str=True)


def _interrupted() -> CliProblem:
    return problem("interrupted", "Interrupted", "Stopped before the end.", exit_code=ExitCode.INTERRUPTED)
