"""Follows a training run: a bar per stage while it works, and its end."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from shared.cli.client import Client, Document, path_part
from shared.cli.output import Output, printable
from shared.cli.problem import CliProblem, ExitCode, problem
from shared.cli.session import Session

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

FIRST_PAUSE_SECONDS: Final = 0.05
LONGEST_PAUSE_SECONDS: Final = 1.0
PATIENCE_SECONDS: Final = 30.0
"""How long a follower keeps asking an engine that is away: it may be starting again."""


def status_of(client: Client, run_id: str) -> Document:
    return client.get(f"/admin/train/status/{path_part(run_id)}")


def cancel(client: Client, run_id: str) -> Document:
    return client.post(f"/admin/train/{path_part(run_id)}/cancel")


def follow(session: Session, run_id: str) -> Document:
    """Show the run until it ends, and give its last state. Ctrl-C asks what to do.

    Raises:
        CliProblem: the user went away, and the run goes on; or the engine can't be asked any more.
    """
    while True:
        try:
            return _watch(session.client, session.output, run_id)
        except KeyboardInterrupt:
            _ask(session, run_id)


def _watch(client: Client, output: Output, run_id: str) -> Document:
    with _stages(output) as stages:
        for run in _states(client, run_id):
            stages.show(printable(run))
    return run


def _states(client: Client, run_id: str) -> Iterator[Document]:
    """The run's states, from now until it has ended."""
    pause_seconds = FIRST_PAUSE_SECONDS
    heard = time.monotonic()
    while True:
        try:
            run = status_of(client, run_id)
        except CliProblem as failure:
            if not failure.is_retryable or time.monotonic() - heard > PATIENCE_SECONDS:
                raise
        else:
            heard = time.monotonic()
            yield run
            if run["finished_at"]:
                return
        time.sleep(pause_seconds)
        pause_seconds = min(LONGEST_PAUSE_SECONDS, pause_seconds * 1.5)


class _Stages:
    """One bar per stage for who watches, one line per stage elsewhere."""

    def __init__(self, output: Output, progress: Progress) -> None:
        self._output = output
        self._progress = progress
        self._tasks: dict[str, TaskID] = {"": progress.add_task("waiting", total=None, message="")}

    def show(self, run: Document) -> None:
        now = run["progress"]
        name = now["stage"]
        if not name:
            return
        if name not in self._tasks:
            self._complete_all()
            self._tasks[name] = self._progress.add_task(name.replace("_", " "), total=None, message="")
            if not self._output.is_watched:
                self._output.note(f"{name.replace('_', ' ')}: {now['message']}".rstrip(": "))
        total = now["total"] or None
        self._progress.update(self._tasks[name], completed=now["done"], total=total, message=now["message"])

    def _complete_all(self) -> None:
        for task in self._tasks.values():
            total = self._progress.tasks[task].total or 1
            self._progress.update(task, completed=total, total=total, message="")
            self._progress.stop_task(task)


@contextmanager
def _stages(output: Output) -> Iterator[_Stages]:
    with output.progress() as progress:
        yield _Stages(output, progress)


def _ask(session: Session, run_id: str) -> None:
    """Detach, cancel, or go on following."""
    output = session.output
    answer = "d"
    if output.is_watched and sys.stdin.isatty():
        answer = _answer("(d)etach, (c)ancel the run, or (f)ollow on? [d] ")
    if answer == "c":
        cancel(session.client, run_id)
        output.note("Asked it to stop.")
    elif answer != "f":
        raise _detached(run_id)


def _detached(run_id: str) -> CliProblem:
    return problem(
        "interrupted",
        "Detached",
        f"The run goes on. Cancel it with 'mlengine runs cancel {run_id}'.",
        exit_code=ExitCode.INTERRUPTED,
        next_command=f"mlengine runs show {run_id} --follow",
    )


def _answer(question: str) -> str:
    try:
        return input(question).strip().lower()[:1]
    except (EOFError, KeyboardInterrupt):
        return "d"
