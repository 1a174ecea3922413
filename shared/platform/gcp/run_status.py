"""How an execution goes, from what Cloud Run says of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from shared.platform.executions import TaskEnd, in_words
from shared.platform.ports import JobState, JobStatus

if TYPE_CHECKING:
    from google.cloud import run_v2

_COMPLETED = "Completed"


def status_of(execution: run_v2.Execution, failed_tasks: Callable[[str], Mapping[int, TaskEnd]]) -> JobStatus:
    """`failed_tasks` gives those of the execution of a name, and is asked when it has failed."""
    state = state_of(execution)
    if state is JobState.CANCELLED:
        return JobStatus(state, "Cancelled on request.")
    if state is not JobState.FAILED:
        return JobStatus(state)
    failed = failed_tasks(execution.name)
    why = in_words(failed, execution.task_count) if failed else _message(execution)
    return JobStatus(state, f"{why.rstrip('.')}; see {execution.log_uri}")


def state_of(execution: run_v2.Execution) -> JobState:
    from google.cloud.run_v2 import Condition

    for condition in execution.conditions:
        if condition.type_ == _COMPLETED and condition.state == Condition.State.CONDITION_SUCCEEDED:
            return JobState.SUCCEEDED
        if condition.type_ == _COMPLETED and condition.state == Condition.State.CONDITION_FAILED:
            stopped = (Condition.ExecutionReason.CANCELLED, Condition.ExecutionReason.DELETED)
            return JobState.CANCELLED if condition.execution_reason in stopped else JobState.FAILED
    return _counted(execution) if execution.completion_time else JobState.RUNNING


def _counted(execution: run_v2.Execution) -> JobState:
    """How an execution ended whose condition doesn't say so (yet)."""
    if execution.cancelled_count:
        return JobState.CANCELLED
    return JobState.SUCCEEDED if execution.succeeded_count == execution.task_count else JobState.FAILED


def _message(execution: run_v2.Execution) -> str:
    found = (condition.message for condition in execution.conditions if condition.type_ == _COMPLETED)
    return next(found, "") or "Cloud Run doesn't say why it failed"
