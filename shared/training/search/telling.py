"""Tells how far a task is with its share of a search."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

from shared.problems.spec import LOWER_IS_BETTER
from shared.training.search.records import SearchProgress, SearchRecords, StudyRecord
from shared.training.search.study import Study

PAUSE_SECONDS: Final = 1.0


class Telling:
    """Knows the records of the studies that a task works on, and tells of them about once a second."""

    def __init__(
        self,
        records: SearchRecords,
        run_id: str,
        task: int,
        studies: Sequence[Study],
        key: str,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`key` is what the studies are kept under. What was tried before counts, and is told at once."""
        self._records, self._run_id, self._task = records, run_id, task
        self._studies, self._clock = studies, clock
        self._found = {study.number: records.get(key, study.number) for study in studies}
        self._tell()

    def __call__(self, number: int, record: StudyRecord) -> None:
        """Study `number` is that far now."""
        self._found[number] = record
        if record.is_done or self._clock() - self._told_at >= PAUSE_SECONDS:
            self._tell()

    def _tell(self) -> None:
        self._told_at = self._clock()
        self._records.tell(self._run_id, self._task, self._progress())

    def _progress(self) -> SearchProgress:
        tried = [len(self._found[study.number].trials) for study in self._studies]
        return SearchProgress(
            metric=self._metric,
            done=sum(tried),
            total=sum(
                count if self._found[study.number].is_done else study.trials
                for study, count in zip(self._studies, tried, strict=True)
            ),
            best=self._best(),
            seconds_left=sum(map(self._seconds_left, self._studies)),
        )

    @property
    def _metric(self) -> str:
        return self._studies[0].task.problem.primary_metric if self._studies else ""

    def _best(self) -> float | None:
        best = self._found[0].best if 0 in self._found else None
        if best is None or best.value is None:
            return None
        return -best.value if self._metric in LOWER_IS_BETTER else best.value

    def _seconds_left(self, study: Study) -> float:
        """Until its trials are tried at the pace so far, and no longer than it may take."""
        record = self._found[study.number]
        if record.is_done:
            return 0.0
        tried = sum(len(one.trials) for one in self._found.values())
        allowed = max(0.0, study.seconds - record.seconds)
        if not tried:
            return allowed
        pace = sum(one.seconds for one in self._found.values()) / tried
        return min(allowed, pace * (study.trials - len(record.trials)))
