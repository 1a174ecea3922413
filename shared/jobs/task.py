"""What every job shares: which task it is, how it is told to stop, and what its exit code says.

The platform (Cloud Run Jobs, and the twin alike) starts a task again after every exit code but 0, as often
as the job's retries allow, and can be told nothing else. So, as a platform's task:

    0    the work has ended, well or recorded as failed for good, or there is no such work
    75   try again: a dependency is away, or the platform asked this attempt to stop (EX_TEMPFAIL)

An unexpected error of the work is recorded as its failure, and ends it: it would come again. What ends a
task before it could record anything (wrong arguments, wrong settings) is not 0 either: then the execution
shows as failed.

By hand there is no next attempt: a signal cancels the work, a failure is final, and the exit codes of
sysexits.h tell people which kind it was: 65 what was asked for or its data, 70 the software, 75 a dependency.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from types import FrameType, TracebackType
from typing import Any, Final, Self, TypeVar

from shared.errors import CallerError, ConfigurationError, EngineError
from shared.platform.executions import EXECUTION_VARIABLE, RETRIES, RETRIES_VARIABLE

T = TypeVar("T")

_LOOK_SECONDS = 0.1

PAUSES_SECONDS: Final = (2.0, 10.0, 30.0)
"""How long an attempt waits before it asks for the next one: the platform starts that at once, and a
dependency that is away needs a while."""


class Exit(IntEnum):
    """How a task's work went."""

    DONE = 0
    BAD_REQUEST = 65  # EX_DATAERR
    OWN_FAULT = 70  # EX_SOFTWARE
    TRY_AGAIN = 75  # EX_TEMPFAIL

    @staticmethod
    def of(error: EngineError) -> Exit:
        if error.retryable:
            return Exit.TRY_AGAIN
        return Exit.BAD_REQUEST if isinstance(error, CallerError) else Exit.OWN_FAULT


class Stopped(BaseException):
    """The work was asked to stop. Not an `Exception`, so that no library takes it for a failed fit."""


@dataclass(frozen=True, slots=True)
class Task:
    """One of `count` tasks that share an execution's work, in its attempt number `attempt` (from 0)."""

    index: int = 0
    count: int = 1
    attempt: int = 0
    retries: int = 0
    execution_id: str | None = None
    is_by_hand: bool = True

    @staticmethod
    def of(environment: Mapping[str, str]) -> Task:
        """The task that the platform's variables describe; without CLOUD_RUN_JOB the only one, by hand.

        Raises:
            ConfigurationError: a variable isn't what it should be.
        """
        if "CLOUD_RUN_JOB" not in environment:
            return Task()
        index = _number(environment, "CLOUD_RUN_TASK_INDEX", 0)
        count = _number(environment, "CLOUD_RUN_TASK_COUNT", 1)
        if index >= count:
            raise ConfigurationError(f"CLOUD_RUN_TASK_INDEX must be below the count {count}, found {index}.")
        return Task(
            index=index,
            count=count,
            attempt=_number(environment, "CLOUD_RUN_TASK_ATTEMPT", 0),
            retries=_number(environment, RETRIES_VARIABLE, RETRIES),
            execution_id=environment.get(EXECUTION_VARIABLE) or environment.get("CLOUD_RUN_EXECUTION"),
            is_by_hand=False,
        )

    @property
    def may_be_retried(self) -> bool:
        """Whether another attempt follows if this one ends with 75."""
        return not self.is_by_hand and self.attempt < self.retries

    @property
    def pause_seconds(self) -> float:
        """How long to wait before this attempt asks for the next one, if it isn't stopped meanwhile."""
        return PAUSES_SECONDS[min(self.attempt, len(PAUSES_SECONDS) - 1)] if self.may_be_retried else 0.0

    def share(self, items: Sequence[T]) -> Sequence[T]:
        """This task's part of the work: every `count`th item, from its index on."""
        return items[self.index :: self.count]

    def settled(self, how: Exit) -> Exit:
        """The exit of work whose end is recorded, or of which there is nothing to record: see the module."""
        return how if self.is_by_hand else Exit.DONE

    def facts(self) -> dict[str, Any]:
        """For the log."""
        task = {"task": self.index, "tasks": self.count, "attempt": self.attempt}
        return task if self.execution_id is None else {"execution": self.execution_id, **task}


class StopSignals:
    """While in its context, SIGTERM and SIGINT ask the work to stop instead of ending the process.

    The work looks between its steps (`check`); the platform kills it some ten seconds after SIGTERM.
    """

    def __init__(self, when_asked: Callable[[], object] = lambda: None) -> None:
        """`when_asked` is called by the first signal, in the middle of what the main thread does."""
        self.asked = False
        self._when_asked = when_asked
        self._handlers: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGTERM, signal.SIGINT):
            self._handlers[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def check(self) -> None:
        """
        Raises:
            Stopped: a signal has come.
        """
        if self.asked:
            raise Stopped

    def pause(self, seconds: float) -> None:
        """Wait so long, or until a signal comes."""
        until = time.monotonic() + seconds
        while not self.asked and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, _LOOK_SECONDS))

    def _on_signal(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the signal module's
        asked_before, self.asked = self.asked, True
        if not asked_before:
            self._when_asked()


def _number(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name) or str(default)
    if not (text.isascii() and text.isdigit()):
        raise ConfigurationError(f"{name} must be a whole number from 0 on, found {text[:40]!r}.")
    return int(text)
