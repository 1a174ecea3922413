"""Long work outside the serving process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class JobState(StrEnum):
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class JobStatus:
    """`detail` says why, for people."""

    state: JobState
    detail: str = ""


class Jobs(Protocol):
    """Long work outside the serving process: a module that runs as one or more tasks.

    Each task sees CLOUD_RUN_TASK_INDEX, CLOUD_RUN_TASK_COUNT and CLOUD_RUN_TASK_ATTEMPT (0 at first),
    and its execution's id in MLENGINE_EXECUTION. Its exit code is a contract: 0, the work has ended
    (well, or recorded as failed); anything else, also being killed, try again. The platform does so
    3 times (or MLENGINE_TASK_RETRIES), then the task has failed, and the execution with it. What was
    cancelled isn't tried again. A task may run twice all the same: jobs must bear it.
    """

    def start(self, job: str, arguments: Sequence[str], *, execution_id: str, task_count: int = 1) -> None:
        """Start `python -m shared.jobs.<job> <arguments>`; the same execution id starts only once.

        Returns when the execution was accepted, or was before; it doesn't wait for its end.

        Raises:
            NotFound: no such job.
            InvalidInput: not an execution id (1 to 128 letters, digits, `.`, `_`, `-`; a letter or digit
                first), or not 1 to 10,000 tasks.
        """
        ...

    def status(self, execution_id: str) -> JobStatus:
        """How it goes; UNKNOWN when it was never started, or the platform has forgotten it."""
        ...

    def cancel(self, execution_id: str) -> None:
        """Ask it to stop (SIGTERM, then SIGKILL); nothing happens when it has ended."""
        ...
