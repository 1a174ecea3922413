"""The rows of files, scored: what a task of a scoring does with its shards.

Several shards are worked on at the same time, one thread each: while one waits for the store of blobs,
another keeps the processor busy. A shard's rows are read, encoded, scored and written in batches; what is in
memory at a time is a few batches, and of the scores a part for each thread.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from functools import cached_property
from typing import Final

from shared.instance import Instance
from shared.jobs.score_parts import PartWriter, RowChunk, RowFiles
from shared.jobs.score_plan import InputFiles, Plan, Shard
from shared.jobs.task import Stopped, StopSignals
from shared.serving.loaded import LoadedModel
from shared.serving.scoring_records import SHOWN_ERRORS, RowsRequest, Scoring, ScoringTask

MAX_THREADS: Final = 5
BEAT_SECONDS: Final = 5.0
"""How often a task whose shards take longer says that it is at work."""


class RowsWork:
    """What all tasks of a scoring of files share; read when it is first needed."""

    def __init__(self, instance: Instance, scoring: Scoring, request: RowsRequest) -> None:
        self._instance = instance
        self._scoring_id = scoring.scoring_id
        self._request = request

    def steps(self, task: ScoringTask, signals: StopSignals) -> Iterator[ScoringTask]:
        """The task after each of its shards, and between them when they take long.

        Raises:
            Stopped
            InvalidInput: the files can't be read, or the model takes no rows.
        """
        signals.check()
        files = RowFiles(self._instance.platform.blobs, self._scoring_id, task.index)
        plan = self._inputs.plan(files.plan_name, signals.check)
        self._inputs.open(plan)
        writer = PartWriter(self._scoring_id, self._model, self._inputs.id_schema(plan))
        shards = plan.shards[task.index :: self._request.tasks]
        task = replace(task, items=sum(shard.rows for shard in shards))
        yield task
        yield from _Shards(self._inputs, self._model, files, writer, plan, signals).steps(task, shards)

    @cached_property
    def _model(self) -> LoadedModel:
        """
        Raises:
            NotFound, PackageRefused: it can't be used.
        """
        return asyncio.run(self._instance.models.get(self._request.model))

    @cached_property
    def _inputs(self) -> InputFiles:
        return InputFiles(self._instance.platform.blobs, self._request, self._model.columns)


class _Shards:
    """Shards on their way through the threads of this process."""

    def __init__(
        self,
        inputs: InputFiles,
        model: LoadedModel,
        files: RowFiles,
        writer: PartWriter,
        plan: Plan,
        signals: StopSignals,
    ) -> None:
        self._inputs = inputs
        self._model = model
        self._files = files
        self._writer = writer
        self._plan = plan
        self._signals = signals
        self._is_left = threading.Event()

    def steps(self, task: ScoringTask, shards: Sequence[Shard]) -> Iterator[ScoringTask]:
        """The task after each shard, in order; when it is left, the threads stop at their next batch."""
        written = self._files.written()
        threads = usable_threads()
        under_way: deque[Future[RowChunk]] = deque()
        with ThreadPoolExecutor(threads, thread_name_prefix="score") as pool:
            try:
                for number, shard in enumerate(shards):
                    is_written = self._files.part_name(number) in written
                    under_way.append(pool.submit(self._chunk, number, shard, is_written=is_written))
                    if len(under_way) > threads:
                        task = yield from self._next(under_way.popleft(), task)
                while under_way:
                    task = yield from self._next(under_way.popleft(), task)
            finally:
                self._is_left.set()
                pool.shutdown(cancel_futures=True)

    def _next(self, future: Future[RowChunk], task: ScoringTask) -> Generator[ScoringTask, None, ScoringTask]:
        while not wait([future], BEAT_SECONDS).done:
            self._signals.check()
            yield task
        task = _with(task, future.result(), self._files.errors_folder)
        yield task
        return task

    def _chunk(self, number: int, shard: Shard, *, is_written: bool) -> RowChunk:
        if is_written:
            return self._files.read(number)
        self._check()
        with self._writer.part(self._plan.files[shard.file].name) as part:
            for batch in self._inputs.batches(self._plan, shard):
                self._check()
                part.errors(batch.errors)
                if len(batch.encoded.x):
                    part.scores(batch, self._model.scorer.score(batch.encoded.x))
            return self._files.write(number, part)

    def _check(self) -> None:
        """
        Raises:
            Stopped: nobody waits for the shard any more.
        """
        self._signals.check()
        if self._is_left.is_set():
            raise Stopped


def usable_threads() -> int:
    """One more than there are processors for this process."""
    return min(len(os.sched_getaffinity(0)) + 1, MAX_THREADS)


def _with(task: ScoringTask, chunk: RowChunk, errors_folder: str) -> ScoringTask:
    return replace(
        task,
        scored=task.scored + chunk.part.items,
        failed=task.failed + chunk.failed,
        rows=task.rows + chunk.part.rows,
        parts=(*task.parts, chunk.part),
        errors=(*task.errors, *chunk.shown)[:SHOWN_ERRORS],
        errors_file=errors_folder if chunk.failed else task.errors_file,
    )
