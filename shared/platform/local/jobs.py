"""Jobs as sub-processes. What is known of an execution is in its folder, for all processes and for ever.

`<folder>/<execution id>/` appears by one rename, so an id starts once, whoever asks::

    execution.json     job, arguments, task count, and the process that watches over it
    task-0.log         what the task wrote
    task-0.exit        its exit code, written by the task itself
    cancel             somebody asked to stop
    ended.json         how it ended, written by the watching process

Tasks end with the process that started them. Without `ended.json` and without that process, an
execution has failed, unless each task left a 0.
"""

from __future__ import annotations

import atexit
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from shared.errors import InvalidInput, NotFound, PlatformUnavailable
from shared.platform.local.executions import Execution, TaskSetup, left_behind, read_json
from shared.platform.local.files import publish_folder
from shared.platform.local.processes import identity
from shared.platform.ports import JobState, JobStatus

_JOB = re.compile(r"[a-z][a-z0-9_]*\Z")
_EXECUTION_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z")


class SubprocessJobs:
    """The Jobs port: the modules of `package` under `root`, started as sub-processes of this one."""

    def __init__(
        self,
        folder: Path,
        *,
        root: Path,
        package: str = "shared.jobs",
        environment: Mapping[str, str] | None = None,
        parallel_tasks: int = 4,
        grace_seconds: float = 10.0,
    ) -> None:
        """`environment` is added to this process's; `grace_seconds` lie between SIGTERM and SIGKILL."""
        self._folder = folder.absolute()
        self._package = package
        self._setup = TaskSetup(root.absolute(), environment or {}, parallel_tasks, grace_seconds)
        self._executions: dict[str, Execution] = {}

    def start(self, job: str, arguments: Sequence[str], *, execution_id: str, task_count: int = 1) -> None:
        self._check(job, execution_id, task_count)
        facts = {
            "job": job,
            "arguments": list(arguments),
            "task_count": task_count,
            "owner": identity(os.getpid()),
        }
        folder = self._folder / execution_id
        try:
            files = {"execution.json": json.dumps(facts).encode()}
            is_new = publish_folder(folder, files, staging=self._folder / "@staging")
        except OSError as error:
            raise PlatformUnavailable(f"The job {job} can't start: {error}.") from error
        if not is_new:
            return
        execution = Execution(folder, [f"{self._package}.{job}", *arguments], task_count, self._setup)
        execution.start()
        self._keep(execution)

    def status(self, execution_id: str) -> JobStatus:
        folder = self._folder / execution_id
        facts = read_json(folder / "execution.json") if _EXECUTION_ID.match(execution_id) else None
        if facts is None:
            return JobStatus(JobState.UNKNOWN, f"No execution {execution_id!r} was started here.")
        owner_lives = facts["owner"] == identity(int(facts["owner"].split()[0]))
        ended = read_json(folder / "ended.json")  # after the question above: the owner writes this, then ends
        if ended is not None:
            return JobStatus(JobState(ended["state"]), ended["detail"])
        if owner_lives:
            return JobStatus(JobState.RUNNING)
        return left_behind(folder, facts["task_count"])

    def cancel(self, execution_id: str) -> None:
        if self.status(execution_id).state is not JobState.RUNNING:
            return
        (self._folder / execution_id / "cancel").touch()
        if execution_id in self._executions:
            self._executions[execution_id].wake()

    def close(self) -> None:
        """Stop what this process started, and wait until it has stopped."""
        executions = list(self._executions.values())
        for execution in executions:
            execution.stop()
        for execution in executions:
            execution.join()
        self._executions.clear()
        atexit.unregister(self.close)

    def _keep(self, execution: Execution) -> None:
        """Hold it for `cancel` and `close`, in place of those that have ended."""
        for other in list(self._executions.values()):
            if not other.is_alive():
                self._executions.pop(other.id, None)
        if not self._executions:
            atexit.register(self.close)
        self._executions[execution.id] = execution

    def _check(self, job: str, execution_id: str, task_count: int) -> None:
        modules = self._setup.root.joinpath(*self._package.split("."))
        if not (_JOB.match(job) and (modules / f"{job}.py").is_file()):
            known = ", ".join(sorted(file.stem for file in modules.glob("[a-z]*.py")))
            raise NotFound(f"There is no job {job!r}; there are: {known or 'none'}.")
        if not _EXECUTION_ID.match(execution_id):
            raise InvalidInput(
                f"An execution id is 1 to 128 letters, digits, '.', '_' and '-', not {execution_id!r}."
            )
        if task_count < 1:
            raise InvalidInput(f"A job has 1 task or more, not {task_count}.")
