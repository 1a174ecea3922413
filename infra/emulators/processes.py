"""Starts an emulator as a child, waits until it answers, and ends it, whatever happens meanwhile."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from shared.errors import ConfigurationError

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 60.0
_POLL_SECONDS = 0.05
_PORTS = range(20_000, 32_000)
_TRIED_PORTS = 100


def free_port() -> int:
    """One that nobody listens at. It is drawn at random, so that of several who start servers at the same
    time each has another, and below those that the system gives away by itself before it is bound.

    Raises:
        OSError: all that were tried are taken.
    """
    refused = OSError("no port was tried")
    for port in random.SystemRandom().sample(_PORTS, _TRIED_PORTS):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                refused = error
            else:
                return port
    raise refused


class Emulator:
    """A child process that answers HTTP on `host`. It ends with the thread that started it."""

    def __init__(
        self, name: str, command: Sequence[str], port: int, log: Path, environment: Mapping[str, str] = {}
    ) -> None:
        self.name = name
        self.host = f"127.0.0.1:{port}"
        self._command = command
        self._log = log
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def process_id(self) -> int:
        if self._process is None:
            raise RuntimeError(f"{self.name} was never started")
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Returns when it answers.

        Raises:
            ConfigurationError: it ended, or took too long; its last words are in the message.
        """
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own command, no shell
                [sys.executable, "-m", "infra.emulators.child", str(os.getpid()), *self._command],
                cwd=ROOT,
                env={**os.environ, **self._environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self._wait(self._process)
        except BaseException:
            self.kill()
            raise

    def kill(self) -> None:
        """End it at once, as a crash would."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        end = time.monotonic() + START_SECONDS
        with httpx.Client(timeout=2.0, trust_env=False) as client:
            while time.monotonic() < end and process.poll() is None:
                with contextlib.suppress(httpx.TransportError):
                    client.get(f"http://{self.host}/")
                    return
                time.sleep(_POLL_SECONDS)
        words = " ".join(self._log.read_text(errors="replace")[-400:].split())
        raise ConfigurationError(f"The {self.name} didn't start: {words or 'it said nothing'}")


@contextmanager
def running(emulator: Emulator) -> Iterator[Emulator]:
    emulator.start()
    try:
        yield emulator
    finally:
        emulator.kill()
