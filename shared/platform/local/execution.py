"""One execution of a job: runs its tasks, those that fail again, and writes down how they ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from shared.platform.executions import RETRIES_VARIABLE, TaskEnd, in_words
from shared.platform.local.files import write_durably
from shared.platform.ports import JobState, JobStatus

_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class TaskSetup:
    """How tasks are run: from folder `root`, with `environment` added, so many at once.

    `grace_seconds` lie between SIGTERM and SIGKILL; a task that fails is run again `max_retries` times.
    """

    root: Path
    environment: Mapping[str, str]
    parallel_tasks: int
    grace_seconds: float
    max_retries: int


@dataclass(frozen=True, slots=True)
class Work:
    """What each of `task_count` tasks runs: a module with arguments, in an environment with more in it."""

    module: str
    arguments: Sequence[str]
    task_count: int
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class TaskReport:
    """A task so far: how often it began, and the code it ended with for good; None while it hasn't."""

    attempts: int = 0
    code: int | None = None


class Execution(threading.Thread):
    """Runs the tasks and writes down how they ended. One thread per execution: see `die_with_parent`."""

    def __init__(self, folder: Path, work: Work, setup: TaskSetup) -> None:
        """`folder` is named by the execution's id."""
        super().__init__(name=f"job-{folder.name}", daemon=True)
        self.id = folder.name
        self._folder = folder
        self.work = work
        self._setup = setup
        self._woken = threading.Event()
        self._stopping = False
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        self._tasks = [TaskReport()] * work.task_count

    @property
    def tasks(self) -> Sequence[TaskReport]:
        """By index."""
        return tuple(self._tasks)

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
        facts = {
            "state": ended.state,
            "detail": ended.detail,
            "tasks": [asdict(task) for task in self._tasks],
        }
        fresh = self._folder / "ended.json.new"
        write_durably(fresh, json.dumps(facts).encode())
        fresh.rename(self._folder / "ended.json")

    def _run_tasks(self) -> JobStatus:
        waiting = deque(range(self.work.task_count))
        while waiting or self._running:
            reason = self._reason_to_stop()
            if reason is not None:
                self._end_tasks()
                return reason
            while waiting and len(self._running) < self._setup.parallel_tasks:
                self._begin(waiting.popleft())
            self._woken.wait(_POLL_SECONDS)
            self._woken.clear()
            waiting.extend(self._reap())
        return outcome(self.id, self._tasks)

    def _reason_to_stop(self) -> JobStatus | None:
        if (self._folder / "cancel").exists():
            return JobStatus(JobState.CANCELLED, "Cancelled on request.")
        if self._stopping:
            return JobStatus(JobState.FAILED, "Stopped with the process that started it.")
        return None

    def _begin(self, index: int) -> None:
        attempt = self._tasks[index].attempts
        (self._folder / f"task-{index}.exit").unlink(missing_ok=True)  # the last attempt's: it doesn't count
        self._running[index] = self._spawn(index, attempt)
        self._tasks[index] = TaskReport(attempt + 1)

    def _spawn(self, index: int, attempt: int) -> subprocess.Popen[bytes]:
        task = {
            "CLOUD_RUN_TASK_INDEX": str(index),
            "CLOUD_RUN_TASK_COUNT": str(self.work.task_count),
            "CLOUD_RUN_TASK_ATTEMPT": str(attempt),
            RETRIES_VARIABLE: str(self._setup.max_retries),
        }
        environment = {**self._setup.environment, **self.work.environment, **task}
        with (self._folder / f"task-{index}.log").open("ab") as log:
            return subprocess.Popen(  # noqa: S603 - our own interpreter, a module of the allow-list, no shell
                [
                    sys.executable,
                    "-m",
                    "shared.platform.local.task",
                    str(os.getpid()),
                    str(self._folder / f"task-{index}.exit"),
                    self.work.module,
                    *self.work.arguments,
                ],
                cwd=self._setup.root,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _reap(self) -> Sequence[int]:
        """Notes what has ended; gives the tasks to run again."""
        again = []
        for index, process in list(self._running.items()):
            code = process.poll()
            if code is None:
                continue
            del self._running[index]
            attempts = self._tasks[index].attempts
            if code != 0 and attempts <= self._setup.max_retries:
                again.append(index)
            else:
                self._tasks[index] = TaskReport(attempts, code)
        return again

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


def outcome(execution_id: str, tasks: Sequence[TaskReport]) -> JobStatus:
    """How an execution ended whose tasks have, or at least one of them in a failure."""
    failed = {index: TaskEnd(task.code, task.attempts) for index, task in enumerate(tasks) if task.code}
    if not failed:
        return JobStatus(JobState.SUCCEEDED)
    log = f"jobs/{execution_id}/task-{min(failed)}.log"
    return JobStatus(JobState.FAILED, f"{in_words(failed, len(tasks))}; see {log}.")


def left_behind(folder: Path, task_count: int) -> tuple[JobStatus, Sequence[TaskReport]]:
    """How an execution ended whose watching process ended before it could say."""
    codes = [read_json(folder / f"task-{index}.exit") for index in range(task_count)]
    tasks = [TaskReport() if code is None else TaskReport(1, int(code)) for code in codes]
    if any(codes) or None not in codes:
        return outcome(folder.name, tasks), tasks
    return JobStatus(JobState.FAILED, "Killed: it ended with the process that started it."), tasks


def read_json(file: Path) -> Any:
    try:
        return json.loads(file.read_bytes())
    except FileNotFoundError:
        return None
