"""What `make up` does where no model is active yet: ingest, train, activate; then one answered prediction."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable

import httpx
from rich.console import Console
from rich.panel import Panel

from infra.catalogue import ROOT
from shared.config import Settings
from shared.errors import EngineError
from shared.instance import Instance
from shared.problems import problem
from shared.registry import Version

PROBLEM = "market_signal"
BOOTSTRAP = "bootstrap"
START_SECONDS = 30.0
COMMAND = ".venv/bin/mlengine"


class FirstModel:
    """The first start's steps, by the commands that a user would type."""

    def __init__(
        self,
        instance: Instance,
        url: str,
        api_key: str,
        console: Console,
        *,
        keeps_state: bool,
        is_stopping: Callable[[], bool],
    ) -> None:
        self.instance = instance
        self.url = url
        self.api_key = api_key
        self.console = console
        self._keeps_state = keeps_state
        self._command: subprocess.Popen[bytes] | None = None
        self._is_stopping = is_stopping

    def stop(self) -> None:
        """End the command at work, from another thread."""
        if self._command is not None:
            self._command.terminate()
            self.console.show_cursor()  # its progress bars hid it

    def welcome(self) -> None:
        """Make sure that a model is active, then print the URLs and one prediction."""
        try:
            self._wait_for_gateway()
            if self.instance.registry.active(self._model_name) is None:
                self._make()
            self._print_welcome()
        except (EngineError, httpx.HTTPError, TimeoutError) as error:
            if not self._is_stopping():
                self.console.print(
                    f"[yellow]The twin runs at {self.url}, but can't predict yet:[/yellow] {error}"
                )
                self.console.print(f"Look with: {self._command_line} doctor")

    @property
    def _model_name(self) -> str:
        return problem(PROBLEM).model_name

    @property
    def _command_line(self) -> str:
        return command_line(self.instance.settings)

    def _wait_for_gateway(self) -> None:
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            try:
                httpx.get(f"{self.url}/health", timeout=1)
            except httpx.TransportError:
                time.sleep(0.02)
            else:
                return
        raise TimeoutError(f"the gateway didn't answer within {START_SECONDS:.0f} s")

    def _make(self) -> None:
        self.console.print("No model is active yet. [bold]Ingesting candles[/bold] from the upstream ...")
        self._mlengine("ingest")  # exits with 1 where any symbol failed
        self._first_symbol()
        self.console.print("[bold]Training[/bold] a first model ...")
        self._mlengine("train")  # exits with 1 where the gates didn't pass
        newest = self.instance.registry.list(self._model_name, limit=1).versions
        if not newest:
            raise EngineError("the training run registered no version, for the reason above.")
        self._activate(newest[0])

    def _activate(self, version: Version) -> None:
        """The one place where a model whose gates failed may go live: as a demonstration, and saying so.

        One that is suspected of a leak waits for a human here too.
        """
        if version.suspected_leak:
            raise EngineError(
                f"{version.id} is too good to be true: its data may leak the future, or be too few. Look at "
                f"{self.url}/models/{version.id}/report. {self._way_on(version)}"
            )
        self.instance.registry.activate(
            version.id, by=BOOTSTRAP, reason="first start of the twin", allow_failed_gates=True
        )
        if not version.gates_passed:
            self.console.print(
                f"[yellow]{version.id} did not pass its gates[/yellow] ({', '.join(version.failed_gates)}): "
                'it is live as a demonstration only, and every answer says "gates_passed": false.'
            )

    def _way_on(self, version: Version) -> str:
        if version.gates_passed:
            return f"'{self._command_line} activate {version.id}' makes it live."
        return f"It failed its gates too: ingest more candles, then '{self._command_line} train'."

    def _first_symbol(self) -> str:
        timeframe = self.instance.settings.timeframe
        symbols = self.instance.candle_store.symbols(timeframe)
        if not symbols:
            raise EngineError(f"no {timeframe} candles are stored; '{self._command_line} ingest' gets them.")
        return symbols[0]

    def _mlengine(self, *arguments: str) -> int:
        """Run a command; gives its exit code. It gets no Ctrl-C of its own, `stop` ends it."""
        environment = {**os.environ, "MLENGINE_URL": self.url, "MLENGINE_API_KEY": self.api_key}
        self._command = subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-m", "shared.cli", *arguments],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        if self._is_stopping():
            self._command.terminate()
        return self._command.wait()

    def _print_welcome(self) -> None:
        address = f"{self.url}/predict?symbol={self._first_symbol()}"
        started = time.perf_counter()
        answer = httpx.get(address, headers={"x-api-key": self.api_key}, timeout=60)
        seconds = time.perf_counter() - started
        state = "its state is kept" if self._keeps_state else "the emulators then forget its state"
        self.console.print(
            Panel(
                f"API            {self.url}\n"
                f"Documentation  {self.url}/docs\n"
                f"Model report   {self.url}/models/{self._model_name}/report\n"
                f"Command line   {self._command_line} --help",
                title=f"ML Engine is up (Ctrl-C stops it; {state})",
                expand=False,
            )
        )
        self.console.print(f"[bold]$ curl {shlex.quote(address)}[/bold]   [dim]({seconds:.2f} s)[/dim]")
        self.console.print_json(json.dumps(answer.json()))
        if answer.is_error:
            self.console.print(f"[yellow]It can't predict.[/yellow] Look with: {self._command_line} doctor")


def command_line(settings: Settings) -> str:
    """The command as it finds this twin: with what isn't as usual about it."""
    unusual = {
        "MLENGINE_HOME": settings.mlengine_home.absolute() != ROOT / ".mlengine",
        "PORT": settings.port != Settings.model_fields["port"].default,
    }
    names = [name for name, is_unusual in unusual.items() if is_unusual]
    given = [f"{name}={shlex.quote(str(getattr(settings, name.lower())))}" for name in names]
    return " ".join([*given, COMMAND])
