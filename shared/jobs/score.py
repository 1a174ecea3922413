"""The scoring job: `python -m shared.jobs.score --scoring SCORING_ID`. Exit codes: see `shared.jobs.task`.

Each task takes its share of the symbols, in chunks. A chunk is settled by one write of one Parquet part under
a name that is written once; a retry skips the parts that there are. So a task can be killed at any moment,
and each symbol is in one part: nothing is lost, nothing doubled.

The scores aren't audited predictions: nobody was answered. The Parquet parts are the record.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

from shared.config import load_settings
from shared.errors import (
    Conflict,
    DependencyError,
    EngineError,
    NotFound,
    RevisionConflict,
)
from shared.instance import Instance
from shared.jobs.score_files import Chunk, ScoreFiles, Stamp
from shared.jobs.task import Exit, Stopped, StopSignals, Task
from shared.logs import LOGGER, configure_logs
from shared.market.candles import seconds_since_1970
from shared.market.symbols import check_symbol
from shared.platform.connect import connect
from shared.serving.models import LoadedModel
from shared.serving.prediction import signal_of
from shared.serving.scoring import Wanted, Window, score, wanted
from shared.serving.scoring_records import SHOWN_ERRORS, Scoring, ScoringStatus, ScoringTask, SymbolError

CHUNK_SYMBOLS: Final = 25
READERS: Final = 8
"""Symbols whose candles are read at the same time."""


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
        plan = _Plan(self._instance, scoring)
        with StopSignals() as signals:
            share = self._task.share(range(scoring.request.tasks))
            ends = (_TaskWork(self._instance, self._task, plan, index, signals).run() for index in share)
            return max(ends, default=Exit.DONE)  # by hand, more processes may be started than there are tasks


class _Plan:
    """What all tasks of a scoring share; read when it is first needed."""

    def __init__(self, instance: Instance, scoring: Scoring) -> None:
        self.scoring = scoring
        self._instance = instance

    @cached_property
    def model(self) -> LoadedModel:
        """
        Raises:
            NotFound, PackageRefused: it can't be used; InvalidInput, Conflict: not for these candles.
        """
        loaded = asyncio.run(self._instance.models.get(self.scoring.request.model))
        loaded.require_market()
        timeframe = self._instance.settings.timeframe
        if loaded.manifest.timeframe != timeframe:
            raise Conflict(
                f"{loaded.version_id} was trained on {loaded.manifest.timeframe} candles, TIMEFRAME is "
                f"{timeframe}: train a model for these."
            )
        return loaded

    @cached_property
    def window(self) -> Window:
        request = self.scoring.request
        bounds = (None if text is None else seconds_since_1970(text) for text in (request.start, request.end))
        return Window(not request.is_window, *bounds)

    @cached_property
    def stamp(self) -> Stamp:
        manifest = self.model.manifest
        model_id, features = self.model.version_id, manifest.feature_set_hash
        return Stamp(self.scoring.scoring_id, model_id, features, manifest.horizon or 1)

    def symbols(self, files: ScoreFiles) -> tuple[str, ...]:
        """Each symbol once.

        Raises:
            NotFound: all stored ones are asked for, and there are none.
        """
        asked = self.scoring.request.symbols
        found = asked or files.symbols(self._stored)
        if not found:
            raise NotFound("No candles are stored; ingest some with 'mlengine ingest' (POST /fetch).")
        return tuple(dict.fromkeys(found))

    def _stored(self) -> Sequence[str]:
        return self._instance.candle_store.symbols(self._instance.settings.timeframe)


@dataclass(frozen=True, slots=True)
class _TaskWork:
    """One task of the scoring, in this process."""

    instance: Instance
    attempt: Task
    plan: _Plan
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
        return self.plan.scoring.scoring_id

    def _facts(self) -> dict[str, Any]:
        return {"scoring_id": self._scoring_id, "share": self.index, **self.attempt.facts()}

    def _work(self, task: ScoringTask) -> Exit:
        """Go on step by step, record each, and then the end.

        Raises:
            Conflict: another attempt has the task.
            DependencyError: something couldn't be recorded.
        """
        steps = self._steps(task)
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
            if self._is_unwanted():
                return self._cancelled(task)

    def _steps(self, task: ScoringTask) -> Iterator[ScoringTask]:
        """The task after each of its chunks.

        Raises:
            Stopped
        """
        self.signals.check()
        plan = self.plan
        files = ScoreFiles(self.instance.platform.blobs, plan.stamp, self.index)
        symbols = plan.symbols(files)[self.index :: plan.scoring.request.tasks]
        task = replace(task, symbols=len(symbols))
        written = files.written()
        errors: list[SymbolError] = []
        for number, first in enumerate(range(0, len(symbols), CHUNK_SYMBOLS)):
            self.signals.check()
            if files.part_name(number) in written:
                chunk = files.read(number)
            else:
                chunk = self._scored(files, number, symbols[first : first + CHUNK_SYMBOLS])
            errors += chunk.errors
            task = _with(task, chunk)
            done = task.scored + task.failed
            LOGGER.info("scored", extra={"facts": {**self._facts(), "done": done, "of": len(symbols)}})
            yield task
        yield replace(task, errors_file=files.write_errors(errors))

    def _scored(self, files: ScoreFiles, number: int, symbols: Sequence[str]) -> Chunk:
        """Score a chunk and write its part."""
        found: list[Wanted] = []
        errors: list[SymbolError] = []
        with ThreadPoolExecutor(min(READERS, len(symbols))) as readers:
            for outcome in readers.map(self._candles, symbols):
                self.signals.check()
                if isinstance(outcome, Wanted):
                    found.append(outcome)
                else:
                    errors.append(outcome)
        scores = score(self.plan.model, found)
        threshold = self.plan.model.manifest.threshold
        band = self.instance.settings.no_trade_band
        signals = [signal_of(up, threshold, band) for up in scores.probability.tolist()]
        return files.write(number, scores, signals, errors)

    def _candles(self, symbol: str) -> Wanted | SymbolError:
        """A symbol fails alone, unless for a reason that may pass: then the attempt does."""
        instance, plan = self.instance, self.plan
        try:
            return wanted(
                instance.candle_store,
                check_symbol(symbol, pointer="/symbols"),
                instance.settings.timeframe,
                plan.model.features.memory,
                plan.window,
            )
        except EngineError as error:
            if error.retryable:
                raise
            return SymbolError(symbol, error.slug, error.title, error.detail)

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


def _with(task: ScoringTask, chunk: Chunk) -> ScoringTask:
    return replace(
        task,
        scored=task.scored + chunk.part.symbols,
        failed=task.failed + len(chunk.errors),
        rows=task.rows + chunk.part.rows,
        parts=(*task.parts, chunk.part),
        errors=(*task.errors, *chunk.errors)[:SHOWN_ERRORS],
    )


if __name__ == "__main__":
    sys.exit(main())
