"""What other processes do in the tests of jobs. Apart from the tests, so that they needn't import pytest."""

from __future__ import annotations

import itertools
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

from shared.platform.ports import Documents, Write
from tests.contracts.platforms import subprocess_jobs
from tests.contracts.workers import wait_for
from tests.platform.cloud_run import Site
from tests.platform.wrapped import WrappedDocuments


class DeadlyDocuments(WrappedDocuments):
    """Kills its process at the n-th commit: before it, or right after it."""

    def __init__(self, real: Documents, commit: int, *, is_before: bool) -> None:
        super().__init__(real)
        self._left = commit
        self._is_before = is_before

    def commit(self, writes: Sequence[Write]) -> Sequence[str]:
        self._left -= 1
        if self._left == 0 and self._is_before:
            os.kill(os.getpid(), signal.SIGKILL)
        revisions = super().commit(writes)
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return revisions


def die_while_starting(
    _index: int, state: Path, execution_ids: Sequence[str], commit: int, is_before: bool
) -> None:
    """For each id, a child starts the job and is killed at its n-th commit."""
    site = _warm(state)

    def start(execution_id: str) -> None:
        deadly = DeadlyDocuments(site.documents, commit, is_before=is_before)
        site.jobs(documents=deadly).start("note", [], execution_id=execution_id)

    for execution_id in execution_ids:
        _killed(_child(partial(start, execution_id)))


def die_at_any_time(_index: int, state: Path, seconds: Sequence[float]) -> None:
    """Children start one execution after the other, each until it is killed after so many seconds.

    The ids are in the file `asked` before they are asked for.
    """
    site = _warm(state)

    def start(child: int) -> None:
        jobs = site.jobs()
        for number in itertools.count():
            with (state / "asked").open("a") as asked:
                asked.write(f"e{child}-{number}\n")
            jobs.start("note", [], execution_id=f"e{child}-{number}")

    for child, wait in enumerate(seconds):
        process_id = _child(partial(start, child))
        time.sleep(wait)
        os.kill(process_id, signal.SIGKILL)
        _killed(process_id)


def _warm(state: Path) -> Site:
    """What children of this process needn't import is imported."""
    site = Site(state)
    site.jobs().start("note", [], execution_id="warm")
    return site


def _child(act: Callable[[], None]) -> int:
    """A process that does this, by its id."""
    process_id = os.fork()
    if process_id == 0:
        try:
            act()
        finally:
            os._exit(1)
    return process_id


def _killed(process_id: int) -> None:
    _, status = os.waitpid(process_id, 0)
    if os.waitstatus_to_exitcode(status) != -signal.SIGKILL:
        raise AssertionError(f"the child wasn't killed: {status}")


def start_all(_index: int, state: Path, execution_ids: Sequence[str]) -> None:
    jobs = Site(state).jobs()
    for execution_id in execution_ids:
        jobs.start("note", [], execution_id=execution_id)


def run_a_second_attempt(report: Connection, state: Path) -> None:
    """Reports when the second attempt runs, and stays."""
    subprocess_jobs(state).start("sleep", ["second"], execution_id="e1")
    wait_for((state / "sleeper").exists)
    report.send("running")
    threading.Event().wait()
