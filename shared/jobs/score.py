"""The scoring job: `python -m shared.jobs.score --scoring SCORING_ID`. Exit codes: see `shared.jobs.task`.

Each task takes its share of the symbols, or of the rows of files, in chunks. A chunk is settled by one write
of one Parquet part under a name that is written once; a retry skips the parts that there are. So a task can
be killed at any moment, and each symbol or row is in one part: nothing is lost, nothing doubled.

The scores aren't audited predictions: nobody was answered. The Parquet parts are the record.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from shared.config import load_settings
from shared.errors import (
    Conflict,
    DependencyError,
    EngineError,
    RevisionConflict,
)
from shared.instance import Instance
from shared.jobs.task import Exit, Stopped, StopSignals, Task
from shared.logs import LOGGER, configure_logs
from shared.platform.connect import connect
from shared.serving.scoring_records import RowsRequest, Scoring, ScoringStatus, ScoringTask


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m shared.jobs.score", description=__doc__)
    parser.add_argument("--scoring", required=True, metavar="SCORING_ID", help="the scoring to work on")
    scoring_id = parser.parse_args(arguments).scoring
    settings = load_settings()
    instance = Instance(settings, connect(settings))
    configure_logs(settings.log_level, replay_now=instance.platform.replay_now)
    return ScoringJob(instance, Task.of(os.environ)).work_on(scoring_id)


class ScoringJob:
    """Works on a scoring's tasks: on one of them, or, where fewer processes were started, on several."""

    def __init__(self, instance: Instance, task: Task) -> None:
        self._instance = instance
        self._task = task
        self._scorings = instance.scorings

    def work_on(self, scoring_id: str) -> Exit:
        """Bring this process's share to its end, or leave it to the next attempt."""
        facts = {"scoring_id": scoring_id, **self._task.facts()}
        try:
            scoring = self._scorings.start(scoring_id)
        except EngineError as error:
            LOGGER.error("scoring can't start", extra={"facts": {**facts, "why": str(error)}})
            return Exit.TRY_AGAIN if error.retryable else self._task.settled(Exit.of(error))
        if scoring.status.has_ended:
            LOGGER.info("scoring has ended before", extra={"facts": {**facts, "status": scoring.status}})
            return Exit.DONE
        work = _work_of(self._instance, scoring)
        with StopSignals() as signals:
            share = self._task.share(range(scoring.request.tasks))
            ends = (
                _TaskWork(self._instance, self._task, scoring, work, index, signals).run() for index in share
            )
            return max(ends, default=Exit.DONE)  # by hand, more processes may be started than there are tasks


class _Work(Protocol):
    """What is scored, by the kind of the request."""

    def steps(self, task: ScoringTask, signals: StopSignals) -> Iterator[ScoringTask]:
        """Do the task's work; the task after each step of it, so that it is recorded.

        Raises:
            Stopped, EngineError
        """


def _work_of(instance: Instance, scoring: Scoring) -> _Work:
    if isinstance(scoring.request, RowsRequest):
        from shared.jobs.score_rows import RowsWork

        return RowsWork(instance, scoring, scoring.request)
    from shared.jobs.score_symbols import SymbolsWork

    return SymbolsWork(instance, scoring, scoring.request)


@dataclass(frozen=True, slots=True)
class _TaskWork:
    """One task of the scoring, in this process."""

    instance: Instance
    attempt: Task
    scoring: Scoring
    work: _Work
    index: int
    signals: StopSignals

    def run(self) -> Exit:
        """Whatever happens, the task's document says how it ended, or the next attempt goes on."""
        scorings, facts = self.instance.scorings, self._facts()
        try:
            task = scorings.claim(self._scoring_id, self.index, self.instance.platform.new_id())
            how = Exit.DONE if task.status.has_ended else self._work(task)
            status = scorings.settle(self._scoring_id).status
        except (DependencyError, RevisionConflict) as error:
            LOGGER.error("scoring can't be recorded", extra={"facts": {**facts, "why": str(error)}})
            return Exit.TRY_AGAIN
        except Conflict as error:
            LOGGER.warning("scoring was taken over", extra={"facts": {**facts, "why": str(error)}})
            return Exit.DONE
        LOGGER.info("scoring task leaves", extra={"facts": {**facts, "exit": how, "scoring": status}})
        return how

    @property
    def _scoring_id(self) -> str:
        return self.scoring.scoring_id

    def _facts(self) -> dict[str, Any]:
        return {"scoring_id": self._scoring_id, "share": self.index, **self.attempt.facts()}

    def _work(self, task: ScoringTask) -> Exit:
        """Go on step by step, record each, and then the end.

        Raises:
            Conflict: another attempt has the task.
            DependencyError: something couldn't be recorded.
        """
        steps = self.work.steps(task, self.signals)
        while True:
            try:
                step = next(steps, None)
            except Stopped:
                return self._stopped(task)
            except EngineError as error:
                return self._failed(task, Exit.of(error), str(error))
            except Exception as error:  # noqa: BLE001 - the task's document must say what went wrong, whatever it was
                LOGGER.exception("scoring failed", extra={"facts": self._facts()})
                return self._failed(task, Exit.OWN_FAULT, f"{type(error).__name__}: {error}")
            if step is None:
                self.instance.scorings.finish(task, ScoringStatus.SUCCEEDED)
                return Exit.DONE
            task = self.instance.scorings.beat(step)
            done = task.scored + task.failed
            LOGGER.info("scored", extra={"facts": {**self._facts(), "done": done, "of": task.items}})
            if self._is_unwanted():
                return self._cancelled(task)

    def _is_unwanted(self) -> bool:
        scoring = self.instance.scorings.get(self._scoring_id)
        return scoring.cancel_requested or scoring.status.has_ended

    def _stopped(self, task: ScoringTask) -> Exit:
        """Cancelled, if anybody asked for that; else the platform needs the machine, and the work goes on."""
        if self.attempt.is_by_hand or self._is_unwanted():
            return self._cancelled(task)
        return self._failed(task, Exit.TRY_AGAIN, "The platform stopped it.")

    def _cancelled(self, task: ScoringTask) -> Exit:
        self.instance.scorings.cancel(self._scoring_id)
        self.instance.scorings.finish(task, ScoringStatus.CANCELLED)
        return Exit.DONE

    def _failed(self, task: ScoringTask, exit: Exit, why: str) -> Exit:
        """Record it as failed for good, unless the next attempt may succeed."""
        if exit is Exit.TRY_AGAIN and self.attempt.may_be_retried:
            LOGGER.warning("scoring handed back", extra={"facts": {**self._facts(), "why": why}})
            self.signals.pause(self.attempt.pause_seconds)
            return exit
        self.instance.scorings.finish(task, ScoringStatus.FAILED, error=why)
        return self.attempt.settled(exit)


if __name__ == "__main__":
    sys.exit(main())
