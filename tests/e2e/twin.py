"""A real twin in processes of its own, for tests and for measuring."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parents[2]
ADMIN_KEY = "an-admin-key-for-tests"
KEY = {"x-api-key": ADMIN_KEY}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(condition: Callable[[], Any], what: str, timeout_seconds: float = 60.0) -> Any:
    """The condition's first true value."""
    end = time.monotonic() + timeout_seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"waited {timeout_seconds} s in vain until {what}")


class Twin:
    """`make up`, without make."""

    def __init__(self, home: Path, **environment: str) -> None:
        self.home = home
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._environment = {
            **{name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ},
            "MLENGINE_HOME": str(home),
            "PORT": str(self.port),
            "ADMIN_API_KEY": ADMIN_KEY,
            **environment,
        }
        self._output = home.parent / f"{home.name}-output.txt"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "infra.local"],
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def output(self) -> str:
        return self._output.read_text()

    @property
    def exit_code(self) -> int | None:
        assert self._process is not None
        return self._process.poll()

    def wait_for(self, path: str, status: int = 200, timeout_seconds: float = 180.0) -> httpx.Response:
        """The answer of GET `path`, once it has this status."""

        def ask() -> httpx.Response | None:
            if self.exit_code is not None:
                raise AssertionError(f"the twin ended with {self.exit_code}:\n{self.output}")
            try:
                response = httpx.get(self.url + path, headers=KEY, timeout=10)
            except httpx.TransportError:
                return None
            return response if response.status_code == status else None

        try:
            response: httpx.Response = wait_until(ask, f"GET {path} answers {status}", timeout_seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.output}") from error
        return response

    def wait_until_said(self, words: str, timeout_seconds: float = 180.0) -> None:
        """Until the twin has printed these words."""
        wait_until(lambda: words in self.output or self.exit_code is not None, words, timeout_seconds)
        assert words in self.output, self.output

    def interrupt(self) -> int:
        """Ctrl-C; gives the exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        return self._process.wait(30)

    def kill(self) -> None:
        """kill -9."""
        assert self._process is not None
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
