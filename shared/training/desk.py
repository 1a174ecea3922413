"""Where training runs are asked for, watched and cancelled. Light: the work is done by the job `train`."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from shared.platform.ports import Event, Events, Jobs, JobState, NewId, Now
from shared.training.runs import Run, RunPage, Runs, RunStatus

TOPIC: Final = "training.requested"
JOB: Final = "train"
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

        Raises:
            AlreadyExists: the id belongs to a run with another request.
        """
        run = self.runs.create(run_id, request)
        if not run.status.has_ended:
            self.jobs.start(JOB, ["--run", run.run_id], execution_id=run.run_id)

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
            return run
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
        if not run.status.has_ended:
            self.jobs.cancel(run_id)
        return self.status(run_id)


def scheduled_run_id(event_id: str) -> str:
    """The id of the run that an event asks for without naming one: the same at every delivery."""
    is_fit = _RUN_ID.fullmatch(event_id)
    return _SCHEDULED + (event_id if is_fit else hashlib.sha256(event_id.encode()).hexdigest())
