"""Jobs as sub-processes of this one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from shared.errors import NotFound
from shared.platform.executions import EXECUTION_VARIABLE, RETRIES, check_start, is_execution_id
from shared.platform.local.execution import TaskSetup, Work
from shared.platform.local.executions import Executions
from shared.platform.ports import JobState, JobStatus


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
        max_retries: int = RETRIES,
    ) -> None:
        """`environment` is added to this process's; `grace_seconds` lie between SIGTERM and SIGKILL.

        A task that fails is run again at once, at most `max_retries` times.
        """
        self._package = package
        self._modules = root.absolute().joinpath(*package.split("."))
        setup = TaskSetup(root.absolute(), environment or {}, parallel_tasks, grace_seconds, max_retries)
        self._executions = Executions(folder, setup)

    def start(self, job: str, arguments: Sequence[str], *, execution_id: str, task_count: int = 1) -> None:
        check_start(job, execution_id, task_count)
        if not (self._modules / f"{job}.py").is_file():
            known = ", ".join(sorted(file.stem for file in self._modules.glob("[a-z]*.py")))
            raise NotFound(f"There is no job {job!r}; there are: {known or 'none'}.")
        environment = {
            "CLOUD_RUN_JOB": job,
            "CLOUD_RUN_EXECUTION": execution_id,
            EXECUTION_VARIABLE: execution_id,
        }
        work = Work(f"{self._package}.{job}", list(arguments), task_count, environment)
        self._executions.start(execution_id, work, {"job": job, "arguments": list(arguments)})

    def status(self, execution_id: str) -> JobStatus:
        report = self._executions.report(execution_id) if is_execution_id(execution_id) else None
        if report is None:
            return JobStatus(JobState.UNKNOWN, f"No execution {execution_id!r} was started here.")
        return report.status

    def cancel(self, execution_id: str) -> None:
        if is_execution_id(execution_id):
            self._executions.cancel(execution_id)

    def running(self) -> frozenset[str]:
        """The names of the jobs that were started here and have not ended."""
        return frozenset(work.environment["CLOUD_RUN_JOB"] for work in self._executions.running())

    def close(self) -> None:
        """Stop what this process started, and wait until it has stopped."""
        self._executions.close()
