"""Tells the run's document how far the work is, and the work when it has to stop."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

from shared.errors import Conflict, DependencyError, RevisionConflict
from shared.logs import LOGGER
from shared.training.runs import RunProgress, Runs


class Stopped(BaseException):
    """The run was asked to stop. Not an `Exception`, so that no library takes it for a failed fit."""


class Reporter:
    """A `Progress` that beats: once a second, from a thread, so that a long fit shows as alive.

    SIGTERM, SIGINT and a cancellation in the run's document end the work by `Stopped`: the signals at
    once, the document at the next step. So does another attempt that has taken the run over, and then
    `is_taken_over` is true.
    """

    def __init__(
        self,
        runs: Runs,
        run_id: str,
        worker: str,
        *,
        clock: Callable[[], float],
        interval_seconds: float = 1.0,
    ) -> None:
        self.timings: dict[str, float] = {}
        self.is_taken_over = False
        self._runs, self._run_id, self._worker = runs, run_id, worker
        self._clock, self._interval_seconds = clock, interval_seconds
        self._progress = RunProgress()
        self._began = clock()
        self._stop_asked = False
        self._is_protected = False
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._beat_on, name="heartbeat", daemon=True)
        self._handlers: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGTERM, signal.SIGINT):
            self._handlers[number] = signal.signal(number, self._on_signal)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.fall_silent()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def __call__(self, stage: str, done: int, total: int, message: str) -> None:
        """Report a step.

        Raises:
            Stopped
        """
        if not self._is_protected:
            self._raise_if_asked()
        now = self._clock()
        if self._progress.stage:
            seconds = self.timings.get(self._progress.stage, 0.0) + now - self._began
            self.timings = {**self.timings, self._progress.stage: round(seconds, 3)}
        self._began = now
        self._progress = RunProgress(stage, done, total, message)

    def protect(self) -> None:
        """From here on nothing stops the work: what follows is written whole or not at all.

        Raises:
            Stopped: it was asked to before.
        """
        self._is_protected = True
        self._raise_if_asked()

    def fall_silent(self) -> None:
        """No more beats, and no more stopping: the run's end is about to be written."""
        self._is_protected = True
        self._closed.set()
        if self._thread.is_alive():
            self._thread.join()

    def _raise_if_asked(self) -> None:
        if self._stop_asked:
            raise Stopped

    def _on_signal(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the signal module's
        asked_before, self._stop_asked = self._stop_asked, True
        if not (asked_before or self._is_protected):
            raise Stopped

    def _beat_on(self) -> None:
        while not self._closed.wait(self._interval_seconds):
            try:
                run = self._runs.beat(self._run_id, self._worker, self._progress, self.timings)
                self._stop_asked = self._stop_asked or run.cancel_requested
            except RevisionConflict:
                continue
            except Conflict:
                self.is_taken_over = self._stop_asked = True
                return
            except DependencyError as error:
                LOGGER.warning("no heartbeat", extra={"facts": {"run_id": self._run_id, "why": str(error)}})
