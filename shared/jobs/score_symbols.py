"""Candles of symbols, scored: what a task of a scoring does with its share of the symbols."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

from shared.errors import Conflict, EngineError, NotFound
from shared.instance import Instance
from shared.jobs.score_files import Chunk, ScoreFiles, Stamp
from shared.jobs.task import StopSignals
from shared.market.candles import seconds_since_1970
from shared.market.symbols import check_symbol
from shared.serving.loaded import LoadedModel
from shared.serving.prediction import signal_of
from shared.serving.scoring import Wanted, Window, score, wanted
from shared.serving.scoring_records import (
    SHOWN_ERRORS,
    Scoring,
    ScoringTask,
    SymbolError,
    SymbolsRequest,
)

CHUNK_SYMBOLS: Final = 25
READERS: Final = 8
"""Symbols whose candles are read at the same time."""


class SymbolsWork:
    """What all tasks of a scoring of symbols share; read when it is first needed."""

    def __init__(self, instance: Instance, scoring: Scoring, request: SymbolsRequest) -> None:
        self.request = request
        self._scoring_id = scoring.scoring_id
        self._instance = instance

    def steps(self, task: ScoringTask, signals: StopSignals) -> Iterator[ScoringTask]:
        """The task after each of its chunks.

        Raises:
            Stopped
        """
        return _Share(self._instance, self, signals).steps(task)

    @cached_property
    def model(self) -> LoadedModel:
        """
        Raises:
            NotFound, PackageRefused: it can't be used; InvalidInput, Conflict: not for these candles.
        """
        loaded = asyncio.run(self._instance.models.get(self.request.model))
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
        request = self.request
        bounds = (None if text is None else seconds_since_1970(text) for text in (request.start, request.end))
        return Window(not request.is_window, *bounds)

    @cached_property
    def stamp(self) -> Stamp:
        manifest = self.model.manifest
        model_id, features = self.model.version_id, manifest.feature_set_hash
        return Stamp(self._scoring_id, model_id, features, manifest.horizon or 1)

    def symbols(self, files: ScoreFiles) -> tuple[str, ...]:
        """Each symbol once.

        Raises:
            NotFound: all stored ones are asked for, and there are none.
        """
        asked = self.request.symbols
        found = asked or files.symbols(self._stored)
        if not found:
            raise NotFound("No candles are stored; ingest some with 'mlengine ingest' (POST /fetch).")
        return tuple(dict.fromkeys(found))

    def _stored(self) -> Sequence[str]:
        return self._instance.candle_store.symbols(self._instance.settings.timeframe)


@dataclass(frozen=True, slots=True)
class _Share:
    """One task's share of the symbols, in this process."""

    instance: Instance
    work: SymbolsWork
    signals: StopSignals

    def steps(self, task: ScoringTask) -> Iterator[ScoringTask]:
        """The task after each of its chunks.

        Raises:
            Stopped
        """
        self.signals.check()
        work = self.work
        files = ScoreFiles(self.instance.platform.blobs, work.stamp, task.index)
        symbols = work.symbols(files)[task.index :: work.request.tasks]
        task = replace(task, items=len(symbols))
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
        scores = score(self.work.model, found)
        threshold = self.work.model.manifest.threshold
        band = self.instance.settings.no_trade_band
        signals = [signal_of(up, threshold, band) for up in scores.probability.tolist()]
        return files.write(number, scores, signals, errors)

    def _candles(self, symbol: str) -> Wanted | SymbolError:
        """A symbol fails alone, unless for a reason that may pass: then the attempt does."""
        instance, work = self.instance, self.work
        try:
            return wanted(
                instance.candle_store,
                check_symbol(symbol, pointer="/symbols"),
                instance.settings.timeframe,
                work.model.features.memory,
                work.window,
            )
        except EngineError as error:
            if error.retryable:
                raise
            return SymbolError(symbol, error.slug, error.title, error.detail)


def _with(task: ScoringTask, chunk: Chunk) -> ScoringTask:
    return replace(
        task,
        scored=task.scored + chunk.part.items,
        failed=task.failed + len(chunk.errors),
        rows=task.rows + chunk.part.rows,
        parts=(*task.parts, chunk.part),
        errors=(*task.errors, *chunk.errors)[:SHOWN_ERRORS],
    )
