"""Where training runs are asked for, watched and cancelled. Light: the work is done by the job `train`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from shared.platform.ports import Event, Events, Jobs, NewId, Now
from shared.training.runs import Run, RunPage, Runs

TOPIC: Final = "training.requested"
JOB: Final = "train"
SOURCE: Final = "//mlengine/training"


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
        """A queued run; durable on return."""
        run = self.runs.create(self.new_id(), request)
        facts = {"run_id": run.run_id, "request": dict(request)}
        self.events.publish(TOPIC, [Event(run.run_id, SOURCE, TOPIC, self.now(), facts)])
        return run

    def start(self, facts: Mapping[str, Any]) -> None:
        """Start the job of a requested run; nothing happens when it was started or has ended."""
        run = self.runs.create(facts["run_id"], facts["request"])
        if not run.status.has_ended:
            self.jobs.start(JOB, ["--run", run.run_id], execution_id=run.run_id)

    def status(self, run_id: str) -> Run:
        """The run; one whose process is gone is ended here.

        Raises:
            NotFound
        """
        run = self.runs.get(run_id)
        return run if run.status.has_ended else self.runs.reconcile(run_id, self.jobs.status(run_id))

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
