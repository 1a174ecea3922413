"""Follows what the engine does on its own (runs, scorings, reports, uploads): bars, and how it ended."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from shared.cli.client import Client, Document, path_part
from shared.cli.output import Output, printable
from shared.cli.problem import CliProblem, ExitCode, problem
from shared.cli.session import Session
from shared.cli.views.text import counted

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

FIRST_PAUSE_SECONDS: Final = 0.05
LONGEST_PAUSE_SECONDS: Final = 1.0
LONG_STAGE: Final = 100
"""A stage of so many steps is told of more than once."""

PATIENCE_SECONDS: Final = 30.0
"""How long a follower keeps asking an engine that is away: it may be starting again."""


class Bars(Protocol):
    """Shows the state of what is followed."""

    def show(self, state: Document) -> None: ...


@dataclass(frozen=True, slots=True)
class Work:
    """A kind of work. `{}` in its paths stands for an id; `commands` is the group that shows and cancels.

    Without a path for it, the work can't be cancelled.
    """

    name: str
    status_path: str
    cancel_path: str | None
    commands: str
    bars: Callable[[Output, Progress], Bars]

    def status(self, client: Client, id: str) -> Document:
        return client.get(self.status_path.format(path_part(id)))

    def cancel(self, client: Client, id: str) -> Document:
        if self.cancel_path is None:
            raise problem(
                "cli", "Can't be cancelled", f"A {self.name} can't be cancelled: it ends by itself."
            )
        return client.post(self.cancel_path.format(path_part(id)))


def follow(session: Session, work: Work, id: str) -> Document:
    """Show the work until it ends, and give its last state. Ctrl-C asks what to do.

    Raises:
        CliProblem: the user went away, and the work goes on; or the engine can't be asked any more.
    """
    while True:
        try:
            return _watch(session.client, session.output, work, id)
        except KeyboardInterrupt:
            _ask(session, work, id)


def _watch(client: Client, output: Output, work: Work, id: str) -> Document:
    with output.progress() as progress:
        bars = work.bars(output, progress)
        for state in _states(client, work, id):
            bars.show(printable(state))
    return state


def _states(client: Client, work: Work, id: str) -> Iterator[Document]:
    """The work's states, from now until it has ended."""
    pause_seconds = FIRST_PAUSE_SECONDS
    heard = time.monotonic()
    while True:
        try:
            state = work.status(client, id)
        except CliProblem as failure:
            if not failure.is_retryable or time.monotonic() - heard > PATIENCE_SECONDS:
                raise
        else:
            heard = time.monotonic()
            yield state
            if state["finished_at"]:
                return
        time.sleep(pause_seconds)
        pause_seconds = min(LONGEST_PAUSE_SECONDS, pause_seconds * 1.5)


class _Stages:
    """One bar per stage for who watches; elsewhere one line per stage, and at each tenth of a long one."""

    def __init__(self, output: Output, progress: Progress) -> None:
        self._output = output
        self._progress = progress
        self._tasks: dict[str, TaskID] = {"": progress.add_task("waiting", total=None, message="")}
        self._tenth = 0

    def show(self, run: Document) -> None:
        now = run["progress"]
        name = now["stage"]
        if not name:
            return
        if name not in self._tasks:
            self._complete_all()
            self._tasks[name] = self._progress.add_task(name.replace("_", " "), total=None, message="")
            self._tenth = 0
            self._note(f"{name.replace('_', ' ')}: {now['message']}".rstrip(": "))
        total = now["total"] or None
        if now["total"] >= LONG_STAGE and (tenth := 10 * now["done"] // now["total"]) > self._tenth:
            self._tenth = tenth
            self._note(f"{name.replace('_', ' ')}: {now['done']} of {now['total']}, {now['message']}")
        self._progress.update(self._tasks[name], completed=now["done"], total=total, message=now["message"])

    def _note(self, words: str) -> None:
        if not self._output.is_watched:
            self._output.note(words)

    def _complete_all(self) -> None:
        for task in self._tasks.values():
            total = self._progress.tasks[task].total or 1
            self._progress.update(task, completed=total, total=total, message="")
            self._progress.stop_task(task)


class _Share:
    """One bar of what is done for who watches, a line at each tenth of it elsewhere."""

    def __init__(self, output: Output, progress: Progress) -> None:
        self._output = output
        self._progress = progress
        self._task = progress.add_task("waiting", total=None, message="")
        self._told = 0

    def show(self, scoring: Document) -> None:
        now = scoring["progress"]
        done, items, unit = now["scored"] + now["failed"], now["items"], scoring["unit"]
        if not items:
            return
        message = f"{now['tasks_ended']} of {now['tasks']} tasks ended, {counted(now['failed'], unit)} failed"
        self._progress.update(self._task, description="scoring", completed=done, total=items, message=message)
        tenth = 10 * done // items
        if not self._output.is_watched and tenth > self._told:
            self._told = tenth
            self._output.note(f"scored {done} of {items} {unit}; {message}")


class _Pulse:
    """One bar that moves for who watches, a line at each change of status elsewhere."""

    work = "report"

    def __init__(self, output: Output, progress: Progress) -> None:
        self._output = output
        self._progress = progress
        self._task = progress.add_task("waiting", total=None, message="")
        self._told = ""

    def show(self, work: Document) -> None:
        status = work["status"]
        self._progress.update(self._task, description=status, message=work.get("title", ""))
        if not self._output.is_watched and status != self._told and not work["finished_at"]:
            self._told = status
            self._output.note(f"The {self.work} is {status}.")


class _Conversion(_Pulse):
    """As `_Pulse`, of an upload."""

    work = "upload"


RUN: Final = Work("run", "/admin/train/status/{}", "/admin/train/{}/cancel", "runs", _Stages)
SCORING: Final = Work("scoring", "/predict/jobs/{}", "/predict/jobs/{}/cancel", "scorings", _Share)
REPORT: Final = Work("report", "/reports/{}/state", None, "reports", _Pulse)
UPLOAD: Final = Work("upload", "/models/uploads/{}", None, "models uploads", _Conversion)


def _ask(session: Session, work: Work, id: str) -> None:
    """Detach, cancel, or go on following."""
    output = session.output
    answer = "d"
    if output.is_watched and sys.stdin.isatty():
        cancel = f", (c)ancel the {work.name}" if work.cancel_path else ""
        answer = _answer(f"(d)etach{cancel}, or (f)ollow on? [d] ")
    if answer == "c":
        work.cancel(session.client, id)
        output.note("Asked it to stop.")
    elif answer != "f":
        raise _detached(work, id)


def _detached(work: Work, id: str) -> CliProblem:
    cancel = f" Cancel it with 'mlengine {work.commands} cancel {id}'." if work.cancel_path else ""
    return problem(
        "interrupted",
        "Detached",
        f"The {work.name} goes on.{cancel}",
        exit_code=ExitCode.INTERRUPTED,
        next_command=f"mlengine {work.commands} show {id} --follow",
    )


def _answer(question: str) -> str:
    try:
        return input(question).strip().lower()[:1]
    except (EOFError, KeyboardInterrupt):
        return "d"
