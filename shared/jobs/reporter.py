"""Tells the run's document how far the work is, and the work when it has to stop."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType
from typing import Self

from shared.errors import Conflict, DependencyError, RevisionConflict
from shared.jobs.task import Stopped, StopSignals
from shared.logs import LOGGER
from shared.training.run_records import RunProgress
from shared.training.runs import Runs


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
        self._signals = StopSignals(self._stop_at_once)

    def __enter__(self) -> Self:
        self._signals.__enter__()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.fall_silent()
        self._signals.__exit__(kind, error, trace)

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

    def hand_back(self, why: str, pause_seconds: float) -> None:
        """Leave the run to the next attempt, after a pause; its document says why until that one takes it."""
        self.fall_silent()
        told = replace(self._progress, message=f"handed back to the next attempt: {why}")
        try:
            self._runs.beat(self._run_id, self._worker, told, self.timings)
        except (Conflict, DependencyError) as error:
            LOGGER.warning("not told", extra={"facts": {"run_id": self._run_id, "why": str(error)}})
        self._signals.pause(pause_seconds)

    def _raise_if_asked(self) -> None:
        self._signals.check()
        if self._stop_asked:
            raise Stopped

    def _stop_at_once(self) -> None:
        if not (self._stop_asked or self._is_protected):
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
