"""One execution of a job: starts its tasks, waits for them, and writes down how they ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.platform.local.files import write_durably
from shared.platform.ports import JobState, JobStatus

_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class TaskSetup:
    """How tasks are run: from folder `root`, with `environment` added, so many at once.

    `grace_seconds` lie between SIGTERM and SIGKILL.
    """

    root: Path
    environment: Mapping[str, str]
    parallel_tasks: int
    grace_seconds: float


class Execution(threading.Thread):
    """Runs the tasks and writes down how they ended. One thread per execution: see `die_with_parent`."""

    def __init__(
        self,
        folder: Path,
        command: Sequence[str],
        task_count: int,
        setup: TaskSetup,
    ) -> None:
        """`command` is a module and its arguments; `folder` is named by the execution's id."""
        super().__init__(name=f"job-{folder.name}", daemon=True)
        self.id = folder.name
        self._folder = folder
        self._command = command
        self._task_count = task_count
        self._setup = setup
        self._woken = threading.Event()
        self._stopping = False
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        self._codes: dict[int, int] = {}

    def wake(self) -> None:
        self._woken.set()

    def stop(self) -> None:
        self._stopping = True
        self.wake()

    def run(self) -> None:
        try:
            ended = self._run_tasks()
        except Exception as error:  # noqa: BLE001 - whatever it was, it is how the execution ended
            self._signal(signal.SIGKILL)
            ended = JobStatus(JobState.FAILED, f"The tasks couldn't be run: {error}")
        fresh = self._folder / "ended.json.new"
        write_durably(fresh, json.dumps({"state": ended.state, "detail": ended.detail}).encode())
        fresh.rename(self._folder / "ended.json")

    def _run_tasks(self) -> JobStatus:
        waiting = list(range(self._task_count))
        while waiting or self._running:
            reason = self._reason_to_stop()
            if reason is not None:
                self._end_tasks()
                return reason
            while waiting and len(self._running) < self._setup.parallel_tasks:
                index = waiting.pop(0)
                self._running[index] = self._spawn(index)
            self._woken.wait(_POLL_SECONDS)
            self._woken.clear()
            self._reap()
        return _outcome(self.id, self._codes)

    def _reason_to_stop(self) -> JobStatus | None:
        if (self._folder / "cancel").exists():
            return JobStatus(JobState.CANCELLED, "Cancelled on request.")
        if self._stopping:
            return JobStatus(JobState.FAILED, "Stopped with the process that started it.")
        return None

    def _spawn(self, index: int) -> subprocess.Popen[bytes]:
        task = {
            "CLOUD_RUN_JOB": self._command[0].rpartition(".")[2],
            "CLOUD_RUN_EXECUTION": self.id,
            "CLOUD_RUN_TASK_INDEX": str(index),
            "CLOUD_RUN_TASK_COUNT": str(self._task_count),
            "CLOUD_RUN_TASK_ATTEMPT": "0",
        }
        exit_file = self._folder / f"task-{index}.exit"
        with (self._folder / f"task-{index}.log").open("ab") as log:
            return subprocess.Popen(  # noqa: S603 - our own interpreter, a module of the allow-list, no shell
                [
                    sys.executable,
                    "-m",
                    "shared.platform.local.task",
                    str(os.getpid()),
                    str(exit_file),
                    *self._command,
                ],
                cwd=self._setup.root,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **self._setup.environment, **task},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _reap(self) -> None:
        for index, process in list(self._running.items()):
            code = process.poll()
            if code is not None:
                self._codes[index] = code
                del self._running[index]

    def _end_tasks(self) -> None:
        """SIGTERM, then SIGKILL to what is left when the grace is over."""
        self._signal(signal.SIGTERM)
        deadline = time.monotonic() + self._setup.grace_seconds
        for process in self._running.values():
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def _signal(self, number: signal.Signals) -> None:
        for process in self._running.values():
            if process.poll() is None:
                os.killpg(process.pid, number)


def _outcome(execution_id: str, codes: Mapping[int, int]) -> JobStatus:
    """`codes` are exit codes by task; below 0 is the signal that ended it."""
    failed = sorted((index, code) for index, code in codes.items() if code != 0)
    if not failed:
        return JobStatus(JobState.SUCCEEDED)
    index, code = failed[0]
    how = f"was ended by signal {-code} ({signal.strsignal(-code)})" if code < 0 else f"gave exit code {code}"
    log = f"jobs/{execution_id}/task-{index}.log"
    return JobStatus(JobState.FAILED, f"Task {index} {how}; {len(failed)} of {len(codes)} failed; see {log}.")


def left_behind(folder: Path, task_count: int) -> JobStatus:
    """How an execution ended whose watching process ended before it could say."""
    codes = {index: read_json(folder / f"task-{index}.exit") for index in range(task_count)}
    known = {index: int(code) for index, code in codes.items() if code is not None}
    if len(known) == task_count or any(known.values()):
        return _outcome(folder.name, known)
    return JobStatus(JobState.FAILED, "Killed: it ended with the process that started it.")


def read_json(file: Path) -> Any:
    try:
        return json.loads(file.read_bytes())
    except FileNotFoundError:
        return None
