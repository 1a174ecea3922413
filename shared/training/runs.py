"""Run documents: what became of every training run. Light: no training library is imported.

A run is queued, then running, then ends as succeeded, rejected (trained, but its gates didn't pass),
failed or cancelled; what has ended never changes again, but for whether it was told to a tracking server.
Every change is a compare-and-swap.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
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
    Replace,
)
from shared.training.run_records import Run, RunPage, RunProgress, RunStatus

COLLECTION: Final = "runs"

SILENCE_SECONDS: Final = 60.0
"""A worker that has said nothing for that long, and isn't known to the job platform, is gone."""


class Runs:
    """The collection of run documents."""

    def __init__(
        self, documents: Documents, now: Now, *, wall: Now | None = None, is_tracked: bool = False
    ) -> None:
        """Whether workers have fallen silent is seen on the clock `wall`, the same as `now` unless given.
        Of runs that end with a result here a tracking server is to be told if `is_tracked`.
        """
        self._documents = documents
        self._now = now
        self._wall = wall or now
        self._is_tracked = is_tracked

    def create(self, run_id: str, request: Mapping[str, Any]) -> Run:
        """Record a queued run. Asking again with the same id and request gives the run that is there.

        Raises:
            AlreadyExists: the id belongs to a run with another request.
        """
        run = Run(
            run_id=run_id,
            status=RunStatus.QUEUED,
            request=dict(request),
            created_at=self._time(),
            timings={},
        )
        try:
            self._documents.commit([Create(COLLECTION, run_id, run.to_data())])
        except AlreadyExists:
            there = self.get(run_id)
            if there.request != run.request:
                raise
            return there
        return run

    def get(self, run_id: str) -> Run:
        """The run.

        Raises:
            NotFound: no such run.
        """
        document = self._documents.get(COLLECTION, run_id)
        return _found(run_id, None if document is None else document.data)

    def list(self, *, limit: int = 50, cursor: str | None = None, status: RunStatus | None = None) -> RunPage:
        """Runs, the newest first.

        Raises:
            InvalidInput: not a cursor of this listing.
        """
        page = self._documents.query(
            COLLECTION,
            where=[] if status is None else [Filter("status", "==", str(status))],
            order_by=[Order("created_at", descending=True)],
            limit=limit,
            cursor=cursor,
        )
        return RunPage(tuple(Run.from_data(document.data) for document in page.documents), page.cursor)

    def start(self, run_id: str, worker: str) -> Run:
        """`worker` takes the run; one that had it before loses it. A run that has ended is given as it is."""

        def change(run: Run) -> Run:
            if run.status.has_ended:
                return run
            return replace(
                run,
                status=RunStatus.RUNNING,
                worker=worker,
                attempts=run.attempts + 1,
                started_at=run.started_at or self._time(),
                heartbeat_at=self._time(),
                heard_at=_text(self._wall()),
            )

        return self._change(run_id, change)

    def learns_from(self, run_id: str, worker: str, problem_version: int | None) -> Run:
        """Say which version of its problem's declaration the run learns from.

        Raises:
            Conflict: the run has ended, or another worker has it: stop.
        """

        def change(run: Run) -> Run:
            _must_have(run, worker)
            is_said = run.problem_version == problem_version
            return run if is_said else replace(run, problem_version=problem_version)

        return self._change(run_id, change)

    def beat(self, run_id: str, worker: str, progress: RunProgress, timings: Mapping[str, float]) -> Run:
        """Say that `worker` lives and how far it is. The answer tells whether it was asked to stop.

        Raises:
            Conflict: the run has ended, or another worker has it: stop.
        """

        def change(run: Run) -> Run:
            _must_have(run, worker)
            beat: dict[str, Any] = {"heartbeat_at": self._time(), "heard_at": _text(self._wall())}
            return replace(run, progress=progress, timings=dict(timings), **beat)

        return self._change(run_id, change)

    def finish(
        self,
        run_id: str,
        worker: str,
        status: RunStatus,
        *,
        timings: Mapping[str, float],
        result: Mapping[str, Any] | None = None,
        error: str | None = None,
    ) -> Run:
        """End the run.

        Raises:
            Conflict: the run has ended, or another worker has it.
        """

        def change(run: Run) -> Run:
            _must_have(run, worker)
            return self._ended(run, status, timings=dict(timings), result=result, error=error)

        return self._change(run_id, change)

    def success(
        self, run_id: str, worker: str, *, timings: Mapping[str, float], result: Mapping[str, Any]
    ) -> Replace:
        """The write that ends the run as succeeded: for a batch with what it has succeeded in.

        Raises:
            Conflict: the run has ended, or another worker has it.
        """
        document = self._documents.get(COLLECTION, run_id)
        if document is None:
            raise _unknown(run_id)
        run = Run.from_data(document.data)
        _must_have(run, worker)
        ended = self._ended(run, RunStatus.SUCCEEDED, timings=dict(timings), result=result, seq=run.seq + 1)
        return Replace(COLLECTION, run_id, ended.to_data(), document.revision)

    def request_cancel(self, run_id: str) -> Run:
        """Ask a run to stop: a queued one ends at once, a running one when its worker sees it."""

        def change(run: Run) -> Run:
            if run.status.has_ended:
                return run
            asked = replace(run, cancel_requested=True)
            return self._ended(asked, RunStatus.CANCELLED) if run.status is RunStatus.QUEUED else asked

        return self._change(run_id, change)

    def to_track(self, *, limit: int) -> Sequence[Run]:
        """Some of the runs that a tracking server may be told of now, those that wait longest first."""
        page = self._documents.query(
            COLLECTION,
            where=[Filter("track_from", "<=", _text(self._wall()))],
            order_by=[Order("track_from")],
            limit=limit,
        )
        return [Run.from_data(document.data) for document in page.documents]

    def lend_tracking(self, run_id: str, *, seconds: float, is_own: bool = False) -> bool:
        """Whether the caller is the one to tell a tracking server of the run, for so long. Others wait until
        then; one whose own run it is, doesn't wait for an attempt of itself that was killed.
        """
        now = self._wall()
        until = _text(now + timedelta(seconds=seconds))

        def change(run: Run) -> Run:
            is_due = run.track_from is not None and (is_own or run.track_from <= _text(now))
            return replace(run, track_from=until) if is_due else run

        return self._change(run_id, change).track_from == until

    def settle_tracking(self, run_id: str, *, is_done: bool) -> None:
        """The tracking server was told, or is still to be."""
        track_from = None if is_done else _text(self._wall())
        self._change(run_id, lambda run: replace(run, track_from=track_from))

    def reconcile(self, run_id: str, job: JobStatus) -> Run:
        """End a run whose process is gone without having said so, by what the job platform knows of it."""

        def change(run: Run) -> Run:
            if run.status.has_ended or not self._is_gone(run, job.state):
                return run
            if run.cancel_requested or job.state is JobState.CANCELLED:
                return self._ended(run, RunStatus.CANCELLED)
            why = job.detail or "It said nothing for a minute and the job platform doesn't know it."
            return self._ended(run, RunStatus.FAILED, error=f"The training process is gone. {why}")

        return self._change(run_id, change)

    def _is_gone(self, run: Run, job: JobState) -> bool:
        if job is not JobState.UNKNOWN:
            return job is not JobState.RUNNING
        now, heard = self._wall(), run.heard_at
        if heard is None:
            now, heard = self._now(), run.heartbeat_at or run.created_at
        return (now - datetime.fromisoformat(heard)).total_seconds() > SILENCE_SECONDS

    def _ended(self, run: Run, status: RunStatus, **changes: Any) -> Run:
        is_tracked = self._is_tracked and changes.get("result") is not None
        track_from = _text(self._wall()) if is_tracked else None
        return replace(run, status=status, finished_at=self._time(), track_from=track_from, **changes)

    def _change(self, run_id: str, change: Callable[[Run], Run]) -> Run:
        """Compare-and-swap; `change` gives the run itself where there is nothing to change."""

        def of_data(data: Data | None) -> Data | None:
            run = _found(run_id, data)
            changed = change(run)
            return None if changed is run else replace(changed, seq=run.seq + 1).to_data()

        document = update(self._documents, COLLECTION, run_id, of_data)
        return _found(run_id, None if document is None else document.data)

    def _time(self) -> str:
        return _text(self._now())


def _text(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _must_have(run: Run, worker: str) -> None:
    if run.status.has_ended:
        raise Conflict(f"Run {run.run_id} has ended: {run.status}.")
    if run.worker != worker:
        raise Conflict(f"Run {run.run_id} was taken over by another attempt.")


def _found(run_id: str, data: Data | None) -> Run:
    if data is None:
        raise _unknown(run_id)
    return Run.from_data(data)


def _unknown(run_id: str) -> NotFound:
    return NotFound(f"There is no training run {run_id!r}.")
