"""A real twin in processes of its own, for tests and for measuring."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil

from infra.emulators.processes import free_port

ROOT = Path(__file__).resolve().parents[2]
ADMIN_KEY = "an-admin-key-for-tests"
KEY = {"x-api-key": ADMIN_KEY}
MODEL = "market-signal"
STOP_SECONDS = 10.0
"""Within this a twin has stopped, also on a busy machine; it takes about one second on an idle one."""


def wait_until(
    condition: Callable[[], Any], what: str, timeout_seconds: float = 180.0, poll_seconds: float = 0.02
) -> Any:
    """The condition's first true value."""
    end = time.monotonic() + timeout_seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(poll_seconds)
    raise AssertionError(f"waited {timeout_seconds} s in vain until {what}")


class Twin:
    """`make up`, without make. It leads a process group of its own, as under a terminal."""

    def __init__(self, home: Path, **environment: str) -> None:
        """`environment` has the settings; none comes from the caller's."""
        self.home = home
        self.port = int(environment.get("PORT", 0)) or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.client = httpx.Client(base_url=self.url, headers=KEY, timeout=30)
        self._environment = {
            **{name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ},
            "COLUMNS": "200",
            "MLENGINE_HOME": str(home),
            "ADMIN_API_KEY": ADMIN_KEY,
            **environment,
            "PORT": str(self.port),
        }
        self._file = home.parent / f"{home.name}-{self.port}-output.txt"
        self._process: subprocess.Popen[bytes] | None = None
        self._output_begins = 0

    def start(self) -> None:
        with self._file.open("ab") as output:
            self._output_begins = output.tell()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "infra.local"],
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        """What it has printed since its last start."""
        return self._file.read_bytes()[self._output_begins :].decode()

    @property
    def process_id(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        assert self._process is not None
        return self._process.poll()

    def get(self, path: str, status: int = 200, **parameters: Any) -> Any:
        """The JSON answer of GET `path`, which must have this status."""
        return _json(self.client.get(path, params=parameters), status)

    def post(self, path: str, body: Any, status: int = 200) -> Any:
        return _json(self.client.post(path, json=body), status)

    def mlengine(self, *words: str) -> Any:
        """The JSON document of a command of the command line, which must succeed."""
        done = subprocess.run(
            [sys.executable, "-m", "shared.cli", *words],
            cwd=ROOT,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    def children(self, *words: str) -> list[psutil.Process]:
        """The processes it has started, those whose command line has all `words`."""
        return [
            child
            for child in psutil.Process(self.process_id).children(recursive=True)
            if set(words) <= set(_command_line(child))
        ]

    def wait_for(self, path: str, status: int = 200, timeout_seconds: float = 180.0) -> Any:
        """The JSON answer of GET `path`, once it has this status."""

        def ask() -> httpx.Response | None:
            assert self.exit_code is None, f"the twin ended with {self.exit_code}:\n{self.output}"
            try:
                response = self.client.get(path)
            except httpx.TransportError:
                return None
            return response if response.status_code == status else None

        return wait_until(ask, f"GET {path} answers {status}", timeout_seconds).json()

    def wait_until_said(self, words: str, timeout_seconds: float = 300.0) -> None:
        """Until it has printed these words since its last start, or has ended."""
        wait_until(lambda: words in self.output or self.exit_code is not None, words, timeout_seconds)
        assert words in self.output, self.output

    def wait_until_welcoming(self) -> None:
        """Until it has printed its first prediction, the last thing that it says."""
        self.wait_until_said('"latency_ms"')
        wait_until(lambda: self.output.rstrip().endswith("}"), "the prediction is printed whole")

    def wait_until_ended(self, timeout_seconds: float = 90.0) -> int:
        """Gives the exit code."""
        assert self._process is not None
        return self._process.wait(timeout_seconds)

    def train(self, **request: Any) -> str:
        """Ask for a training run; gives its id."""
        run_id: str = self.post("/admin/train", request, status=202)["run_id"]
        return run_id

    def wait_for_run(self, run_id: str, timeout_seconds: float = 180.0) -> dict[str, Any]:
        """The run, once it has ended."""

        def ended() -> dict[str, Any] | None:
            run: dict[str, Any] = self.get(f"/admin/train/status/{run_id}")
            return run if run["finished_at"] else None

        run: dict[str, Any] = wait_until(ended, f"run {run_id} has ended", timeout_seconds)
        return run

    def interrupt(self) -> int:
        """Ctrl-C, which a terminal sends to the whole group; gives the exit code."""
        os.killpg(self.process_id, signal.SIGINT)
        return self.wait_until_ended()

    def kill(self) -> None:
        """kill -9 of the serving process alone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()


@contextmanager
def running_twin(home: Path, **environment: str) -> Iterator[Twin]:
    twin = Twin(home, **environment)
    twin.start()
    try:
        yield twin
    finally:
        twin.kill()
        twin.client.close()


@contextmanager
def running_upstream(data: Path) -> Iterator[str]:
    """Serve a file of candles as the Market Data Platform would; gives the URL."""
    command = [sys.executable, "-m", "infra.local.upstream", "--port", "0", "--data", str(data)]
    child = subprocess.Popen(
        [*command, "--parent-pid", str(os.getpid())], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    try:
        yield child.stdout.readline().split()[-1]
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


def _json(response: httpx.Response, status: int) -> Any:
    assert response.status_code == status, f"{response.request.url}: {response.status_code} {response.text}"
    return response.json()


def _command_line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []
