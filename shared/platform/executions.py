"""What an execution of a job is, on every platform: its names, and the words for how its tasks failed."""

from __future__ import annotations

import hashlib
import re
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from shared.errors import InvalidInput, NotFound
from shared.platform.ports import Event

EXECUTION_VARIABLE: Final = "MLENGINE_EXECUTION"
"""Where a task finds the id of its execution: the platform's own id of it may be another."""

RETRIES_VARIABLE: Final = "MLENGINE_TASK_RETRIES"
"""Where a task finds how often it is tried again when it fails, unless that is `RETRIES` times."""

RETRIES: Final = 3
"""How often a failing task is tried again: Cloud Run's default."""

MAX_TASKS: Final = 10_000

_JOB = re.compile(r"[a-z][a-z0-9_]*\Z")
_EXECUTION_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z")


@dataclass(frozen=True, slots=True)
class TaskEnd:
    """How a task ended after so many attempts. `code` is its last exit code; below 0, a signal ended it."""

    code: int
    attempts: int


def check_start(job: str, execution_id: str, task_count: int) -> None:
    """
    Raises:
        NotFound: the name of no job.
        InvalidInput: no execution id, or not a number of tasks.
    """
    if not _JOB.match(job):
        raise NotFound(f"There is no job {job!r}: a job's name is letters, digits and '_'.")
    if not is_execution_id(execution_id):
        raise InvalidInput(
            f"An execution id is 1 to 128 letters, digits, '.', '_' and '-', not {execution_id!r}."
        )
    if not 1 <= task_count <= MAX_TASKS:
        raise InvalidInput(f"A job has 1 to {MAX_TASKS} tasks, not {task_count}.")


def is_execution_id(text: str) -> bool:
    return _EXECUTION_ID.match(text) is not None


def execution_id_of(event: Event) -> str:
    """The id of what an event asks for without naming one: its own, as far as that can be one."""
    if is_execution_id(event.id):
        return event.id
    return hashlib.sha256(f"{event.source}\n{event.id}".encode()).hexdigest()


def in_words(failed: Mapping[int, TaskEnd], task_count: int) -> str:
    """How tasks failed, without a full stop; `failed` is by task, and not empty."""
    index = min(failed)
    end = failed[index]
    how = f"gave exit code {end.code}"
    if end.code < 0:
        how = f"was ended by signal {-end.code} ({signal.strsignal(-end.code)})"
    attempts = "1 attempt" if end.attempts == 1 else f"{end.attempts} attempts"
    return f"Task {index} {how} after {attempts}; {len(failed)} of {task_count} failed"
