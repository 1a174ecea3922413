"""The few calls of the Run Admin API that jobs need, through the official client over REST.

The client takes 0.8 s to import: that happens at the first call.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from shared.errors import NotFound
from shared.platform.executions import EXECUTION_VARIABLE, TaskEnd
from shared.platform.gcp.project import Project
from shared.platform.gcp.run_errors import is_passing, translated

if TYPE_CHECKING:
    from google.cloud import run_v2

Transport = TypeVar("Transport")

_FIRST_WAIT_SECONDS = 0.1
_LONGEST_WAIT_SECONDS = 2.0
_PAGE_SIZE = 100


class RunApi:
    """Executions of the project's jobs. What only reads, or may be done twice, is repeated in its time.

    An execution's name is its full one: `projects/P/locations/R/jobs/J/executions/E`.
    """

    def __init__(self, project: Project) -> None:
        self._project = project

    def run(
        self,
        job: str,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        task_count: int,
        *,
        timeout_seconds: float,
    ) -> str:
        """Start an execution, once; gives its name when it was accepted.

        Raises:
            NotFound: no such job.
            InvalidInput, ConfigurationError: it was refused.
            PlatformUnavailable: it may have started, or not.
        """
        from google.cloud import run_v2

        override = run_v2.RunJobRequest.Overrides.ContainerOverride(
            args=list(arguments),
            env=[run_v2.EnvVar(name=name, value=value) for name, value in environment.items()],
        )
        overrides = run_v2.RunJobRequest.Overrides(container_overrides=[override], task_count=task_count)
        request = run_v2.RunJobRequest(name=self._job(job), overrides=overrides)
        try:
            with translated(f"start the job {job}"):
                operation = self._jobs.run_job(request, retry=None, timeout=timeout_seconds)
                return str(operation.metadata.name)
        except NotFound as error:
            raise NotFound(f"There is no job {job!r}: no Cloud Run job {request.name}.") from error

    def find(self, job: str, execution_id: str) -> str | None:
        """The name of the execution of `job` that was started with that id in its environment."""
        from google.cloud import run_v2

        request = run_v2.ListExecutionsRequest(parent=self._job(job), page_size=_PAGE_SIZE)
        try:
            with translated(f"list the executions of {job}"):
                found = self._executions.list_executions(request, **self._patiently)
                return next((str(one.name) for one in found if _id_of(one) == execution_id), None)
        except NotFound:  # the job is gone, and its executions with it
            return None

    def get(self, name: str) -> run_v2.Execution | None:
        """The execution, or None when Cloud Run doesn't have it, or no longer."""
        try:
            with translated("read an execution"):
                return self._executions.get_execution(name=name, **self._patiently)
        except NotFound:
            return None

    def cancel(self, name: str) -> None:
        """
        Raises:
            InvalidInput: it has ended.
        """
        with translated("cancel an execution"):
            self._executions.cancel_execution(name=name, **self._patiently)

    def failed_tasks(self, name: str) -> Mapping[int, TaskEnd]:
        """The tasks of an ended execution that failed, by index."""
        with translated("list the tasks of an execution"):
            tasks = list(self._tasks.list_tasks(parent=name, **self._patiently))
        ends = {task.index: _end_of(task) for task in tasks}
        return {index: end for index, end in ends.items() if end.code != 0}

    def _job(self, job: str) -> str:
        return f"projects/{self._project.id}/locations/{self._project.region}/jobs/{job}"

    @cached_property
    def _jobs(self) -> run_v2.JobsClient:
        from google.cloud import run_v2
        from google.cloud.run_v2.services.jobs.transports import JobsRestTransport

        return run_v2.JobsClient(transport=self._connected(JobsRestTransport))

    @cached_property
    def _executions(self) -> run_v2.ExecutionsClient:
        from google.cloud import run_v2
        from google.cloud.run_v2.services.executions.transports import ExecutionsRestTransport

        return run_v2.ExecutionsClient(transport=self._connected(ExecutionsRestTransport))

    @cached_property
    def _tasks(self) -> run_v2.TasksClient:
        from google.cloud import run_v2
        from google.cloud.run_v2.services.tasks.transports import TasksRestTransport

        return run_v2.TasksClient(transport=self._connected(TasksRestTransport))

    def _connected(self, transport: type[Transport]) -> Transport:
        """Over REST: gRPC's connections take seconds on a cold and small instance."""
        from google.auth.credentials import AnonymousCredentials

        scheme, _, host = self._project.run_url.partition("://")
        nobody = AnonymousCredentials() if self._project.is_emulated else None  # type: ignore[no-untyped-call]  # google-auth is partly typed
        make: Any = transport
        made: Transport = make(host=host, url_scheme=scheme, credentials=nobody)
        return made

    @cached_property
    def _patiently(self) -> dict[str, Any]:
        """How to make a call that may be made twice. One that is stuck leaves time for another."""
        from google.api_core.retry import Retry

        seconds = self._project.timeout_seconds
        retry = Retry(
            predicate=is_passing,
            initial=_FIRST_WAIT_SECONDS,
            maximum=_LONGEST_WAIT_SECONDS,
            timeout=seconds,
        )
        return {"retry": retry, "timeout": seconds / 2}


def _id_of(execution: run_v2.Execution) -> str | None:
    """A template is what the tasks are made of: the job's, with the request's overrides in it."""
    for container in execution.template.containers:
        for variable in container.env:
            if variable.name == EXECUTION_VARIABLE:
                return str(variable.value)
    return None


def _end_of(task: run_v2.Task) -> TaskEnd:
    last = task.last_attempt_result
    return TaskEnd(-last.term_signal or last.exit_code, task.retried + 1)
