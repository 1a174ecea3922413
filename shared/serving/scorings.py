"""Scoring documents: what became of every request to score many symbols. Light: no library is imported.

A scoring is queued, then running, then ends as succeeded, failed or cancelled; what has ended never changes
again. Its symbols are parted among its tasks, whose number is fixed when it is asked for. Each task has a
document of its own, so that tasks never wait for each other; the last one to end, ends the scoring. Every
change is a compare-and-swap.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from shared.errors import AlreadyExists, Conflict, NotFound
from shared.platform.cas import update
from shared.platform.ports import (
    Create,
    Data,
    Documents,
    Filter,
    JobState,
    JobStatus,
    Now,
    Order,
)
from shared.platform.times import utc
from shared.serving.scoring_records import (
    MAX_TASKS,
    Scoring,
    ScoringPage,
    ScoringRequest,
    ScoringStatus,
    ScoringTask,
    scoring_data,
    scoring_of,
    task_data,
    task_of,
    unknown,
)

COLLECTION: Final = "scorings"
TASKS: Final = "scoring-tasks"

SILENCE_SECONDS: Final = 60.0
"""Tasks that have said nothing for that long, and aren't known to the job platform, are gone."""


class Scorings:
    """The collections of scorings and of their tasks."""

    def __init__(self, documents: Documents, now: Now, *, wall: Now | None = None) -> None:
        """Whether workers have fallen silent is seen on the clock `wall`, the same as `now` unless given."""
        self._documents = documents
        self._now = now
        self._wall = wall or now

    def create(self, scoring_id: str, request: ScoringRequest) -> Scoring:
        """Record a queued scoring. Asking again with the same id and request gives the one that is there.

        Raises:
            AlreadyExists: the id belongs to another request.
        """
        scoring = Scoring(
            scoring_id=scoring_id, status=ScoringStatus.QUEUED, request=request, created_at=self._time()
        )
        try:
            self._documents.commit([Create(COLLECTION, scoring_id, scoring_data(scoring))])
        except AlreadyExists:
            there = self.get(scoring_id)
            if there.request != request:
                raise
            return there
        return scoring

    def find(self, scoring_id: str) -> Scoring | None:
        document = self._documents.get(COLLECTION, scoring_id)
        return None if document is None else scoring_of(document.data)

    def get(self, scoring_id: str) -> Scoring:
        """
        Raises:
            NotFound: no such scoring.
        """
        return _known(scoring_id, self.find(scoring_id))

    def list(self, *, limit: int, cursor: str | None) -> ScoringPage:
        """Scorings, the newest first.

        Raises:
            InvalidInput: not a cursor of this listing.
        """
        order = Order("created_at", descending=True)
        page = self._documents.query(COLLECTION, order_by=[order], limit=limit, cursor=cursor)
        return ScoringPage(tuple(scoring_of(document.data) for document in page.documents), page.cursor)

    def tasks(self, scoring_id: str) -> Sequence[ScoringTask]:
        """The tasks that have begun, in order."""
        page = self._documents.query(TASKS, where=[Filter("scoring_id", "==", scoring_id)], limit=MAX_TASKS)
        return sorted((task_of(document.data) for document in page.documents), key=lambda task: task.index)

    def start(self, scoring_id: str) -> Scoring:
        """A task has begun. A scoring that has ended is given as it is.

        Raises:
            NotFound
        """

        def change(scoring: Scoring) -> Scoring:
            if scoring.status is not ScoringStatus.QUEUED:
                return scoring
            return replace(scoring, status=ScoringStatus.RUNNING, started_at=self._time())

        return self._change(scoring_id, change)

    def request_cancel(self, scoring_id: str) -> Scoring:
        """Ask a scoring to stop: a queued one ends at once, a running one when a task sees it.

        Raises:
            NotFound
        """

        def change(scoring: Scoring) -> Scoring:
            if scoring.status.has_ended:
                return scoring
            asked = replace(scoring, cancel_requested=True)
            is_queued = scoring.status is ScoringStatus.QUEUED
            return self._ended(asked, ScoringStatus.CANCELLED) if is_queued else asked

        return self._change(scoring_id, change)

    def cancel(self, scoring_id: str) -> Scoring:
        """End a scoring as cancelled; one that has ended stays as it is."""

        def change(scoring: Scoring) -> Scoring:
            return scoring if scoring.status.has_ended else self._ended(scoring, ScoringStatus.CANCELLED)

        return self._change(scoring_id, change)

    def settle(self, scoring_id: str) -> Scoring:
        """End a scoring all of whose tasks have ended; nothing happens before that, or twice.

        Whoever comes last sees all the others' ends, since each task records its own before it asks.
        """
        tasks = self.tasks(scoring_id)

        def change(scoring: Scoring) -> Scoring:
            ended = [task for task in tasks if task.status.has_ended]
            if scoring.status.has_ended or len(ended) < scoring.request.tasks:
                return scoring
            if any(task.status is ScoringStatus.CANCELLED for task in ended):
                return self._ended(scoring, ScoringStatus.CANCELLED)
            wrong = [task for task in ended if task.status is ScoringStatus.FAILED]
            if not wrong:
                return self._ended(scoring, ScoringStatus.SUCCEEDED)
            why = f"{len(wrong)} of {len(tasks)} tasks failed; task {wrong[0].index}: {wrong[0].error}"
            return self._ended(scoring, ScoringStatus.FAILED, error=why)

        return self._change(scoring_id, change)

    def reconcile(self, scoring_id: str, job: JobStatus) -> Scoring:
        """End a scoring whose tasks are gone without having said so, by what the job platform knows."""
        settled = self.settle(scoring_id)
        if settled.status.has_ended or not self._is_gone(settled, job.state):
            return settled

        def change(scoring: Scoring) -> Scoring:
            if scoring.status.has_ended:
                return scoring
            if scoring.cancel_requested or job.state is JobState.CANCELLED:
                return self._ended(scoring, ScoringStatus.CANCELLED)
            why = job.detail or "They said nothing for a minute and the job platform doesn't know them."
            return self._ended(scoring, ScoringStatus.FAILED, error=f"The scoring tasks are gone. {why}")

        return self._change(scoring_id, change)

    def claim(self, scoring_id: str, index: int, worker: str) -> ScoringTask:
        """`worker` takes the task; one that had it before loses it. A task that has ended is given as it is.

        What the task has done is counted anew, from the parts that there are.
        """

        def change(data: Data | None) -> Data | None:
            known = None if data is None else task_of(data)
            if known is not None and known.status.has_ended:
                return None
            return task_data(
                ScoringTask(
                    scoring_id=scoring_id,
                    index=index,
                    status=ScoringStatus.RUNNING,
                    worker=worker,
                    attempts=1 if known is None else known.attempts + 1,
                    started_at=self._time() if known is None else known.started_at,
                    heartbeat_at=self._time(),
                    heard_at=utc(self._wall()),
                    seq=0 if known is None else known.seq + 1,
                )
            )

        return self._change_task(scoring_id, index, change)

    def beat(self, task: ScoringTask) -> ScoringTask:
        """Record how far the task's worker is.

        Raises:
            Conflict: the task has ended, or another worker has it: stop.
        """

        def change(data: Data | None) -> Data | None:
            there = _theirs(task, data)
            beat: dict[str, Any] = {"heartbeat_at": self._time(), "heard_at": utc(self._wall())}
            return task_data(replace(task, **beat, seq=there.seq + 1))

        return self._change_task(task.scoring_id, task.index, change)

    def finish(self, task: ScoringTask, status: ScoringStatus, *, error: str | None = None) -> ScoringTask:
        """End the task.

        Raises:
            Conflict: the task has ended, or another worker has it.
        """
        return self.beat(replace(task, status=status, error=error, finished_at=self._time()))

    def _is_gone(self, scoring: Scoring, job: JobState) -> bool:
        if job is not JobState.UNKNOWN:
            return job is not JobState.RUNNING
        if scoring.status is ScoringStatus.QUEUED:  # its event is under way
            return False
        tasks = self.tasks(scoring.scoring_id)
        now, beats = self._wall(), [task.heard_at for task in tasks if task.heard_at]
        if not beats:
            now, beats = self._now(), [task.heartbeat_at for task in tasks]
        heard = datetime.fromisoformat(max(beats, default=scoring.started_at or scoring.created_at))
        return (now - heard).total_seconds() > SILENCE_SECONDS

    def _ended(self, scoring: Scoring, status: ScoringStatus, *, error: str | None = None) -> Scoring:
        return replace(scoring, status=status, finished_at=self._time(), error=error)

    def _change(self, scoring_id: str, change: Callable[[Scoring], Scoring]) -> Scoring:
        """Compare-and-swap; `change` gives the scoring itself where there is nothing to change."""

        def of_data(data: Data | None) -> Data | None:
            scoring = _known(scoring_id, None if data is None else scoring_of(data))
            changed = change(scoring)
            return None if changed is scoring else scoring_data(replace(changed, seq=scoring.seq + 1))

        document = update(self._documents, COLLECTION, scoring_id, of_data)
        return _known(scoring_id, None if document is None else scoring_of(document.data))

    def _change_task(
        self, scoring_id: str, index: int, change: Callable[[Data | None], Data | None]
    ) -> ScoringTask:
        document = update(self._documents, TASKS, f"{scoring_id}.{index}", change)
        if document is None:
            raise NotFound(f"Task {index} of scoring {scoring_id!r} was never begun.")
        return task_of(document.data)

    def _time(self) -> str:
        return utc(self._now())


def _theirs(task: ScoringTask, data: Data | None) -> ScoringTask:
    there = None if data is None else task_of(data)
    if there is None or there.status.has_ended or there.worker != task.worker:
        raise Conflict(
            f"Task {task.index} of scoring {task.scoring_id} has ended, or another attempt has it."
        )
    return there


def _known(scoring_id: str, scoring: Scoring | None) -> Scoring:
    if scoring is None:
        raise unknown(scoring_id)
    return scoring
