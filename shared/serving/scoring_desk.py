"""Where scorings are asked for, watched and cancelled. The work is done by the job `score`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from shared.access.identity import Identity
from shared.errors import AlreadyExists, FieldError, InvalidInput, NoActiveModel
from shared.platform.ports import Blobs, Event, Events, Jobs, NewId, Now
from shared.registry import Registry
from shared.serving.scoring_inputs import input_files, is_visible, no_file
from shared.serving.scoring_records import RowsRequest, Scoring, ScoringPage, ScoringRequest, ScoringTask
from shared.serving.scorings import Scorings

TOPIC: Final = "scoring.requested"
JOB: Final = "score"
SOURCE: Final = "//mlengine/scoring"

_VERSION_ID = re.compile(r".*-v[0-9]+\Z", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ScoringDesk:
    """A request becomes an event before it is answered, and a job when the event is delivered.

    The scoring's id is the event's and the execution's: however often either is repeated, one job runs. The
    model is pinned to a version by the request, so that all tasks and all attempts use the same.
    """

    scorings: Scorings
    registry: Registry
    blobs: Blobs
    events: Events
    jobs: Jobs
    now: Now
    new_id: NewId

    def request(self, request: ScoringRequest, by: Identity) -> Scoring:
        """A queued scoring; durable on return.

        The event goes first: so there is no scoring that waits for an event which was never sent.

        Raises:
            NoActiveModel, NotFound: the model isn't there, or was deleted.
            InvalidInput: it scores something else than was asked for, or there is no such input.
            PackageRefused: its package can't be read.
        """
        pinned = self._pinned(request)
        self._require_fitting(pinned, by)
        scoring_id = self.new_id()
        given = {name: value for name, value in pinned.to_data().items() if value not in (None, [])}
        facts: dict[str, Any] = {"scoring_id": scoring_id, **given}
        self.events.publish(TOPIC, [Event(scoring_id, SOURCE, TOPIC, self.now(), facts)])
        return self.scorings.create(scoring_id, pinned)

    def start(self, scoring_id: str, request: ScoringRequest) -> Scoring:
        """Start the job of a requested scoring; nothing happens when it was started or has ended.

        Raises:
            AlreadyExists: the id belongs to another request.
            NoActiveModel, NotFound: the model isn't there.
        """
        scoring = self._recorded(scoring_id, request)
        if not scoring.status.has_ended:
            arguments = ["--scoring", scoring_id]
            self.jobs.start(JOB, arguments, execution_id=scoring_id, task_count=scoring.request.tasks)
        return scoring

    def status(self, scoring_id: str) -> tuple[Scoring, Sequence[ScoringTask]]:
        """The scoring and its tasks; one whose processes are gone is ended here.

        Raises:
            NotFound
        """
        scoring = self._looked_after(self.scorings.get(scoring_id))
        return scoring, self.scorings.tasks(scoring_id)

    def list(self, *, limit: int, cursor: str | None) -> ScoringPage:
        """The newest scorings first."""
        page = self.scorings.list(limit=limit, cursor=cursor)
        return ScoringPage(tuple(map(self._looked_after, page.scorings)), page.cursor)

    def cancel(self, scoring_id: str) -> tuple[Scoring, Sequence[ScoringTask]]:
        """Ask the scoring to stop; one that has ended stays as it is. What was written stays.

        Raises:
            NotFound
        """
        scoring = self.scorings.request_cancel(scoring_id)
        if not scoring.status.has_ended:
            self.jobs.cancel(scoring_id)
        return self.status(scoring_id)

    def _require_fitting(self, request: ScoringRequest, by: Identity) -> None:
        kind = self.registry.open_package(request.model).manifest.kind
        if isinstance(request, RowsRequest):
            if kind != "tabular":
                raise _misfit(f"belongs to tabular models; {request.model} scores symbols")
            if not is_visible(by, request.input):
                raise no_file(request.input)
            input_files(self.blobs, request.input)
        elif kind == "tabular":
            raise _misfit(f"must be there: {request.model} is a tabular model, it scores the rows of a file")

    def _looked_after(self, scoring: Scoring) -> Scoring:
        if scoring.status.has_ended:
            return scoring
        return self.scorings.reconcile(scoring.scoring_id, self.jobs.status(scoring.scoring_id))

    def _recorded(self, scoring_id: str, request: ScoringRequest) -> Scoring:
        """The scoring of that id. A model's name that comes again means the version it meant at first."""
        known = self.scorings.find(scoring_id)
        if known is None:
            return self.scorings.create(scoring_id, self._pinned(request))
        again = request if _is_version(request.model) else replace(request, model=known.request.model)
        if again != known.request:
            raise AlreadyExists(f"The id {scoring_id!r} belongs to another scoring.")
        return known

    def _pinned(self, request: ScoringRequest) -> ScoringRequest:
        if _is_version(request.model):
            version = self.registry.get(request.model)
            version.require_kept()
            return replace(request, model=version.id)
        active = self.registry.active(request.model)
        if active is None:
            raise NoActiveModel(
                f"No model is active for '{request.model}'. Train one with 'mlengine train' (POST "
                "/admin/train), then activate it with 'mlengine activate'; or name a version."
            )
        return replace(request, model=active.version_id)


def _misfit(found: str) -> InvalidInput:
    return InvalidInput(f"The input {found}.", errors=[FieldError("/input", found)])


def _is_version(model: str) -> bool:
    return _VERSION_ID.match(model) is not None
