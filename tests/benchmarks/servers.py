"""Starts a server in a process of its own, waits for its first answer, and weighs it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from infra.emulators.processes import free_port
from tests.benchmarks.load import TIMEOUT_SECONDS, is_good, is_whole

LOAD = Path(__file__).with_name("load.py")
LONGEST_START_SECONDS = 90.0
STOP_SECONDS = 10.0
_RETRY_SECONDS = 0.002


@dataclass(frozen=True, slots=True)
class Launch:
    """How a server is started, and the request it is measured with. `{port}` is filled in, in texts."""

    name: str
    command: Sequence[str]
    folder: Path
    environment: Mapping[str, str]
    request: bytes


@dataclass(frozen=True, slots=True)
class Load:
    """What one run of the load generator found."""

    answered: int
    seconds: float
    latencies_us: list[float]
    cpu_seconds: float = field(default=0.0)
    """Processor time of the server's process tree meanwhile."""


class Server:
    """A running server; leaving the context ends it and its children."""

    def __init__(self, launch: Launch, log: Path, *, core: int | None = None) -> None:
        self._request = launch.request
        self._port = free_port()
        command = [part.format(port=self._port) for part in launch.command]
        environment = {name: text.format(port=self._port) for name, text in launch.environment.items()}
        pin = [] if core is None else ["taskset", "--cpu-list", str(core)]
        with log.open("ab") as output:
            self.started_at = time.perf_counter()
            self._process = psutil.Popen(
                [*pin, *command],
                cwd=launch.folder,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self._log = log

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        tree = self._tree()
        for process in tree:
            process.terminate()
        for process in psutil.wait_procs(tree, STOP_SECONDS)[1]:
            process.kill()

    def first_answer_seconds(self) -> float:
        """From the start of the process to the first good answer."""
        while time.perf_counter() - self.started_at < LONGEST_START_SECONDS:
            if self._answers():
                return time.perf_counter() - self.started_at
            if self._process.poll() is not None:
                raise SystemExit(f"the server ended early; see {self._log}")
            time.sleep(_RETRY_SECONDS)
        raise SystemExit(f"no answer within {LONGEST_START_SECONDS} s; see {self._log}")

    def load(self, *, connections: int, requests: int, core: int | None) -> Load:
        """Let the load generator ask; it runs on `core`."""
        command = [sys.executable, str(LOAD), str(self._port)]
        command += ["--connections", str(connections), "--requests", str(requests)]
        command += [] if core is None else ["--core", str(core)]
        before = self._cpu_seconds()
        done = subprocess.run(command, input=self._request, stdout=subprocess.PIPE, check=True)
        return Load(**json.loads(done.stdout), cpu_seconds=self._cpu_seconds() - before)

    def answer_bytes(self) -> int:
        """Head and body of one answer."""
        return len(self._answer())

    def memory_bytes(self) -> int:
        """Of the process tree: private pages, and each shared one divided among those who map it (PSS)."""
        return sum(process.memory_full_info().pss for process in self._tree())

    def resident_bytes(self) -> int:
        """Of the process tree: all pages in memory (RSS)."""
        return sum(process.memory_info().rss for process in self._tree())

    def _answers(self) -> bool:
        try:
            return is_good(self._answer())
        except ConnectionError:
            return False

    def _answer(self) -> bytes:
        with socket.create_connection(("127.0.0.1", self._port), TIMEOUT_SECONDS) as connection:
            connection.sendall(self._request)
            answer = b""
            while not is_whole(answer):
                chunk = connection.recv(65_536)
                if not chunk:
                    raise ConnectionAbortedError("the server closed the connection")
                answer += chunk
        return answer

    def _cpu_seconds(self) -> float:
        times = [process.cpu_times() for process in self._tree()]
        return sum(each.user + each.system for each in times)

    def _tree(self) -> list[psutil.Process]:
        try:
            return [self._process, *self._process.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []


def cores() -> tuple[int | None, int | None]:
    """A core for the server and one for the load; none where there is only one."""
    available = sorted(os.sched_getaffinity(0))
    return (available[0], available[-1]) if len(available) > 1 else (None, None)
