"""What `make up` does where no model is active yet: ingest, train, activate; then one answered prediction."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass

import httpx
from rich.console import Console
from rich.panel import Panel

from infra.catalogue import ROOT
from shared.errors import EngineError
from shared.instance import Instance
from shared.problems import problem
from shared.registry import Version

PROBLEM = "market_signal"
BOOTSTRAP = "bootstrap"
START_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class FirstModel:
    """The first start's steps, by the commands that a user would type."""

    instance: Instance
    url: str
    api_key: str
    console: Console

    def welcome(self) -> None:
        """Make sure that a model is active, then print the URLs and one prediction."""
        try:
            self._wait_for_gateway()
            if self.instance.registry.active(self._model_name) is None:
                self._make()
            self._print_welcome()
        except (EngineError, httpx.HTTPError, subprocess.CalledProcessError, TimeoutError) as error:
            self.console.print(
                f"[yellow]The twin runs at {self.url}, but no model is active:[/yellow] {error}"
            )
            self.console.print("Look with: mlengine doctor")

    @property
    def _model_name(self) -> str:
        return problem(PROBLEM).model_name

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
        self._mlengine("ingest", check=True)
        self.console.print("[bold]Training[/bold] a first model ...")
        self._mlengine("train", check=False)  # exits with 1 where the gates didn't pass
        newest = self.instance.registry.list(self._model_name, limit=1).versions
        if not newest:
            raise EngineError("the training run registered no version; 'mlengine runs' says why")
        self._activate(newest[0])

    def _activate(self, version: Version) -> None:
        """The one place where a model whose gates failed may go live: as a demonstration, and saying so."""
        self.instance.registry.activate(
            version.id, by=BOOTSTRAP, reason="first start of the twin", allow_failed_gates=True
        )
        if not version.gates_passed:
            self.console.print(
                f"[yellow]{version.id} did not pass its gates[/yellow] ({', '.join(version.failed_gates)}): "
                'it is live as a demonstration only, and every answer says "gates_passed": false.'
            )

    def _mlengine(self, *arguments: str, check: bool) -> None:
        environment = {**os.environ, "MLENGINE_URL": self.url, "MLENGINE_API_KEY": self.api_key}
        command = [sys.executable, "-m", "shared.cli", *arguments]
        subprocess.run(command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, check=check)  # noqa: S603 - our own command

    def _print_welcome(self) -> None:
        symbol = self.instance.candle_store.symbols(self.instance.settings.timeframe)[0]
        address = f"{self.url}/predict?symbol={symbol}"
        started = time.perf_counter()
        answer = httpx.get(address, headers={"x-api-key": self.api_key}, timeout=60)
        seconds = time.perf_counter() - started
        self.console.print(
            Panel(
                f"API            {self.url}\n"
                f"Documentation  {self.url}/docs\n"
                f"Model report   {self.url}/models/{self._model_name}/report\n"
                f"Command line   .venv/bin/mlengine --help",
                title="ML Engine is up (Ctrl-C stops it; its state is kept)",
                expand=False,
            )
        )
        self.console.print(f"[bold]$ curl {shlex.quote(address)}[/bold]   [dim]({seconds:.2f} s)[/dim]")
        self.console.print_json(json.dumps(answer.json()))
