"""Executions as sub-processes. What is known of one is in its folder, for all processes and for ever.

`<folder>/<id>/` appears by one rename, so an id starts once, whoever asks::

    execution.json     what was asked for, and the process that watches over it
    task-0.log         what the task wrote, in all its attempts
    task-0.exit        its last exit code, written by the task itself
    cancel             somebody asked to stop
    ended.json         how it ended, written by the watching process

Tasks end with the process that started them. Without `ended.json` and without that process, an
execution has failed, unless each task left a 0.
"""

from __future__ import annotations

import atexit
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.errors import PlatformUnavailable
from shared.platform.local.execution import Execution, TaskReport, TaskSetup, Work, left_behind, read_json
from shared.platform.local.files import publish_folder
from shared.platform.local.processes import identity
from shared.platform.ports import JobState, JobStatus

_STAGING = "@staging"


@dataclass(frozen=True, slots=True)
class Report:
    """An execution as it is known here: `facts` are those it was started with.

    `tasks` are by index; only the process that watches over them knows of attempts under way.
    """

    facts: Mapping[str, Any]
    status: JobStatus
    tasks: Sequence[TaskReport]


class Executions:
    """The executions of one folder: started as sub-processes of this one, known to all processes."""

    def __init__(self, folder: Path, setup: TaskSetup) -> None:
        self.folder = folder.absolute()
        self._setup = setup
        self._mine: dict[str, Execution] = {}

    def start(self, id: str, work: Work, facts: Mapping[str, Any]) -> bool:
        """Start it, and keep `facts` (JSON) with it; False when the id was started before.

        Raises:
            PlatformUnavailable: the folder can't be written.
        """
        known = {**facts, "task_count": work.task_count, "owner": identity(os.getpid())}
        folder = self.folder / id
        try:
            files = {"execution.json": json.dumps(known).encode()}
            is_new = publish_folder(folder, files, staging=self.folder / _STAGING)
        except OSError as error:
            raise PlatformUnavailable(f"The job {work.module} can't start: {error}.") from error
        if is_new:
            execution = Execution(folder, work, self._setup)
            execution.start()
            self._keep(execution)
        return is_new

    def report(self, id: str) -> Report | None:
        """What is known of it; None when it was never started."""
        folder = self.folder / id
        facts = read_json(folder / "execution.json")
        if facts is None:
            return None
        owner_lives = facts["owner"] == identity(int(facts["owner"].split()[0]))
        ended = read_json(folder / "ended.json")  # after the question above: the owner writes this, then ends
        if ended is not None:
            status = JobStatus(JobState(ended["state"]), ended["detail"])
            return Report(facts, status, [TaskReport(**task) for task in ended["tasks"]])
        if owner_lives:
            return Report(facts, JobStatus(JobState.RUNNING), self._progress(id, facts["task_count"]))
        return Report(facts, *left_behind(folder, facts["task_count"]))

    def ids(self) -> Sequence[str]:
        """All that were ever started, in no order."""
        found = self.folder.iterdir() if self.folder.is_dir() else ()
        return [folder.name for folder in found if folder.name != _STAGING]

    def running(self) -> Sequence[Work]:
        """What this process has started and has not ended."""
        return [execution.work for execution in list(self._mine.values()) if execution.is_alive()]

    def cancel(self, id: str) -> None:
        """Ask it to stop; nothing happens when it has ended."""
        report = self.report(id)
        if report is None or report.status.state is not JobState.RUNNING:
            return
        (self.folder / id / "cancel").touch()
        if id in self._mine:
            self._mine[id].wake()

    def close(self) -> None:
        """Stop what this process started, and wait until it has stopped."""
        executions = list(self._mine.values())
        for execution in executions:
            execution.stop()
        for execution in executions:
            execution.join()
        self._mine.clear()
        atexit.unregister(self.close)

    def _keep(self, execution: Execution) -> None:
        """Hold it for `cancel` and `close`, in place of those that have ended."""
        for other in list(self._mine.values()):
            if not other.is_alive():
                self._mine.pop(other.id, None)
        if not self._mine:
            atexit.register(self.close)
        self._mine[execution.id] = execution

    def _progress(self, id: str, task_count: int) -> Sequence[TaskReport]:
        mine = self._mine.get(id)
        return [TaskReport()] * task_count if mine is None else mine.tasks
