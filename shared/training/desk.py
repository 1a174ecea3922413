"""Where training runs are asked for, watched and cancelled. Light: the work is done by the job `train`."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from shared.platform.ports import Event, Events, Jobs, JobState, NewId, Now
from shared.training.run_records import Run, RunPage, RunProgress, RunStatus
from shared.training.runs import Runs
from shared.training.search.records import SearchRecords

TOPIC: Final = "training.requested"
JOB: Final = "train"
SEARCH: Final = "search"
SOURCE: Final = "//mlengine/training"

_SCHEDULED: Final = "scheduled-"
_RUN_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,118}")


@dataclass(frozen=True, slots=True)
class TrainingDesk:
    """A request becomes an event before it is answered, and a job when the event is delivered.

    The run's id is the event's and the execution's: however often either is repeated, one job runs.
    """

    runs: Runs
    events: Events
    jobs: Jobs
    searches: SearchRecords
    now: Now
    new_id: NewId

    def request(self, request: Mapping[str, Any]) -> Run:
        """A queued run; durable on return.

        The event goes first: so there is no run that waits for an event which was never sent.
        """
        run_id = self.new_id()
        facts = {"run_id": run_id, "request": dict(request)}
        self.events.publish(TOPIC, [Event(run_id, SOURCE, TOPIC, self.now(), facts)])
        return self.runs.create(run_id, request)

    def start(self, run_id: str, request: Mapping[str, Any]) -> None:
        """Start the job of a requested run; nothing happens when it was started or has ended.

        A run with a search is searched for first; the end of that asks for the run again.

        Raises:
            AlreadyExists: the id belongs to a run with another request.
        """
        run = self.runs.create(run_id, request)
        if run.status.has_ended:
            return
        if is_searched(run) and self.searches.ending(run_id) is None:
            self.jobs.start(
                SEARCH, ["--run", run_id], execution_id=_searching(run_id), task_count=_tasks_of(run)
            )
        else:
            self.jobs.start(JOB, ["--run", run_id], execution_id=run_id)

    def status(self, run_id: str) -> Run:
        """The run; one whose process is gone is ended here. One whose event is under way stays queued.

        Raises:
            NotFound
        """
        run = self.runs.get(run_id)
        if run.status.has_ended:
            return run
        job = self.jobs.status(run_id)
        if run.status is RunStatus.QUEUED and job.state is JobState.UNKNOWN:
            return self._searched(run)
        return self.runs.reconcile(run_id, job)

    def list(self, *, limit: int, cursor: str | None) -> RunPage:
        """The newest runs first."""
        page = self.runs.list(limit=limit, cursor=cursor)
        return RunPage(tuple(self.status(run.run_id) for run in page.runs), page.cursor)

    def cancel(self, run_id: str) -> Run:
        """Ask the run to stop; one that has ended stays as it is.

        Raises:
            NotFound
        """
        run = self.runs.request_cancel(run_id)
        if is_searched(run):
            self.jobs.cancel(_searching(run_id))  # also of a run that ended at once: nobody trained it yet
        if not run.status.has_ended:
            self.jobs.cancel(run_id)
        return self.status(run_id)

    def _searched(self, run: Run) -> Run:
        """A run that waits: for its event, or for its search, which may be gone. While that is under way the
        run is shown as running, with how far the search is; its document is the training's alone.
        """
        if not is_searched(run) or self.searches.ending(run.run_id) is not None:
            return run
        search = self.jobs.status(_searching(run.run_id))
        if search.state in (JobState.FAILED, JobState.CANCELLED):
            return self.runs.reconcile(run.run_id, search)
        told = self.searches.told(run.run_id, _tasks_of(run))
        if told is None:
            return run
        progress = RunProgress(SEARCH, told.done, told.total, told.words)
        return replace(run, status=RunStatus.RUNNING, progress=progress)


def is_searched(run: Run) -> bool:
    """Whether hyper-parameters are searched for before the run is trained."""
    return run.request.get("search") is not None


def _tasks_of(run: Run) -> int:
    """How many tasks share its search."""
    tasks: int = run.request["search"].get("tasks", 1)
    return tasks


def _searching(run_id: str) -> str:
    """The id of the execution that searches."""
    return f"{run_id}.search"


def scheduled_run_id(event_id: str) -> str:
    """The id of the run that an event asks for without naming one: the same at every delivery."""
    is_fit = _RUN_ID.fullmatch(event_id)
    return _SCHEDULED + (event_id if is_fit else hashlib.sha256(event_id.encode()).hexdigest())
