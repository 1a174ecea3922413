"""Jobs as executions of Cloud Run jobs: job `some_job` is the Cloud Run job `<prefix>some-job`."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Sequence
from datetime import UTC, datetime

from shared.errors import AlreadyExists, EngineError, InvalidInput, PlatformUnavailable, RevisionConflict
from shared.logs import LOGGER
from shared.platform.cas import update
from shared.platform.executions import EXECUTION_VARIABLE, check_start, is_execution_id
from shared.platform.gcp.claims import COLLECTION, LEASE_SECONDS, Claim
from shared.platform.gcp.project import Project
from shared.platform.gcp.run_api import RunApi
from shared.platform.gcp.run_errors import was_refused
from shared.platform.gcp.run_status import state_of, status_of
from shared.platform.ports import Create, Data, Delete, Document, Documents, JobState, JobStatus, Now, Replace

_LONGEST_RUN_SECONDS = LEASE_SECONDS / 3  # a call that began in time has ended before the lease has
_FIRST_WAIT_SECONDS = 0.05
_LONGEST_WAIT_SECONDS = 1.0


def _utc_now() -> datetime:
    return datetime.now(UTC)


class CloudRunJobs:
    """The Jobs port. A Cloud Run job's container runs `python -m shared.jobs.<job>`; a start adds arguments.

    The Run API has no key that makes a start happen once. So whoever starts an execution id first claims
    it in a document (compare-and-swap), then starts it, then records the execution's name there. Where a
    claim has no name, its holder is at work, or has crashed, or lost the answer: others look for an
    execution with that id in its environment, and start one when there is none and the claim's lease is
    over. So it starts once in every order of failures but two: when the API's list lacks an execution
    for longer than the lease, or when a caller stands still for that long just before its call. Should
    a second one start so, whoever started it cancels it as soon as the first is on record.
    """

    def __init__(self, project: Project, documents: Documents, *, now: Now = _utc_now) -> None:
        self._project = project
        self._documents = documents
        self._now = now
        self._api = RunApi(project)
        self._run_seconds = min(project.timeout_seconds, _LONGEST_RUN_SECONDS)

    def start(self, job: str, arguments: Sequence[str], *, execution_id: str, task_count: int = 1) -> None:
        check_start(job, execution_id, task_count)
        claim = self._claim(f"{self._project.job_prefix}{job}".replace("_", "-"), execution_id)
        if claim is None:
            return
        name = self._run(claim, arguments, execution_id, task_count)
        recorded = self._record(execution_id, claim, name)
        if recorded != name:
            facts = {"execution_id": execution_id, "kept": recorded, "cancelled": name}
            LOGGER.warning("an execution was started twice", extra={"facts": facts})
            self._cancel(name)

    def status(self, execution_id: str) -> JobStatus:
        document = self._documents.get(COLLECTION, execution_id) if is_execution_id(execution_id) else None
        if document is None:
            return JobStatus(JobState.UNKNOWN, f"No execution {execution_id!r} was started here.")
        name = self._name(execution_id, Claim.from_data(document.data))
        if name is None:
            return JobStatus(JobState.UNKNOWN, f"Execution {execution_id!r} isn't known to have started.")
        execution = self._api.get(name)
        if execution is None:
            return JobStatus(JobState.UNKNOWN, f"Cloud Run doesn't keep {name} any longer.")
        return status_of(execution, self._api.failed_tasks)

    def cancel(self, execution_id: str) -> None:
        document = self._documents.get(COLLECTION, execution_id) if is_execution_id(execution_id) else None
        name = None if document is None else self._name(execution_id, Claim.from_data(document.data))
        if name is not None:
            self._cancel(name)

    def _claim(self, job: str, execution_id: str) -> Claim | None:
        """The right to start the execution; None when it has started.

        Raises:
            PlatformUnavailable: another caller has it, and hasn't started the execution.
        """
        caller = secrets.token_hex(8)
        wait, ends = _FIRST_WAIT_SECONDS, time.monotonic() + self._project.timeout_seconds
        while True:
            document = self._documents.get(COLLECTION, execution_id)
            there = None if document is None else Claim.from_data(document.data)
            if there is not None and there.claimed_by == caller:  # its commit's first answer was lost
                return there
            # Asked before the list is read: what an old claim allowed is in it by then.
            is_free = there is None or there.seconds_left(self._now()) < 0
            if there is not None and self._name(execution_id, there) is not None:
                return None
            if is_free and (mine := self._try_to_claim(job, execution_id, caller, document)):
                return mine
            if time.monotonic() >= ends:
                raise PlatformUnavailable(
                    f"Execution {execution_id} is being started by another caller. Ask again.",
                    retry_after_seconds=LEASE_SECONDS,
                )
            time.sleep(wait)
            wait = min(2 * wait, _LONGEST_WAIT_SECONDS)

    def _try_to_claim(self, job: str, execution_id: str, caller: str, there: Document | None) -> Claim | None:
        """The claim, written in place of the document that is there; None when somebody was quicker."""
        claim = Claim.by(caller, job, self._now())
        try:
            if there is None:
                self._documents.commit([Create(COLLECTION, execution_id, claim.data())])
            else:
                self._documents.commit([Replace(COLLECTION, execution_id, claim.data(), there.revision)])
        except (AlreadyExists, RevisionConflict):
            return None
        return claim

    def _run(self, claim: Claim, arguments: Sequence[str], execution_id: str, task_count: int) -> str:
        """Start it; gives the execution's name. The claim is given back when nothing was started.

        Raises:
            PlatformUnavailable: nobody knows whether it has started. The next one to ask finds it, or
                starts it when the claim is over.
        """
        if claim.seconds_left(self._now()) < self._run_seconds:
            raise PlatformUnavailable(
                f"Execution {execution_id} was claimed too slowly to start it. Ask again."
            )
        environment = {EXECUTION_VARIABLE: execution_id}
        try:
            return self._api.run(
                claim.job, arguments, environment, task_count, timeout_seconds=self._run_seconds
            )
        except EngineError as error:
            if not isinstance(error, PlatformUnavailable) or was_refused(error.__cause__):
                self._give_back(execution_id, claim)
                raise
            name = self._api.find(claim.job, execution_id)
            if name is None:
                raise
            return name

    def _name(self, execution_id: str, claim: Claim) -> str | None:
        """The name of the execution that has started; it is recorded if it wasn't."""
        if claim.name is not None:
            return claim.name
        found = self._api.find(claim.job, execution_id)
        return None if found is None else self._record(execution_id, claim, found)

    def _record(self, execution_id: str, claim: Claim, name: str) -> str:
        """Write down which execution has started, unless one is on record; gives the one that is."""

        def named(there: Data | None) -> Data | None:
            if there is not None and there["name"] is not None:
                return None
            return {**(there or claim.data()), "name": name}

        document = update(self._documents, COLLECTION, execution_id, named)
        return name if document is None else str(document.data["name"])

    def _give_back(self, execution_id: str, claim: Claim) -> None:
        document = self._documents.get(COLLECTION, execution_id)
        if document is not None and Claim.from_data(document.data) == claim:
            with contextlib.suppress(RevisionConflict):  # somebody took it meanwhile: it's theirs
                self._documents.commit([Delete(COLLECTION, execution_id, document.revision)])

    def _cancel(self, name: str) -> None:
        execution = self._api.get(name)
        if execution is None or state_of(execution) is not JobState.RUNNING:
            return
        try:
            self._api.cancel(name)
        except InvalidInput:
            execution = self._api.get(name)
            if execution is not None and state_of(execution) is JobState.RUNNING:  # else it has just ended
                raise
