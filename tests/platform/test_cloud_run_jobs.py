"""What only Cloud Run's adapter has: claims, its words for what the API says, errors of the client."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import google.auth.exceptions
import pytest
import requests
from google.api_core import exceptions as api
from google.cloud import run_v2

from shared.errors import (
    ConfigurationError,
    EngineError,
    InvalidInput,
    NotFound,
    PlatformUnavailable,
)
from shared.platform.executions import TaskEnd
from shared.platform.gcp.claims import COLLECTION, KEPT_DAYS, LEASE_SECONDS, Claim
from shared.platform.gcp.run_api import RunApi
from shared.platform.gcp.run_errors import meaning, meanings, was_refused
from shared.platform.gcp.run_status import status_of
from shared.platform.ports import Create, Document, JobState, JobStatus, Put, Write
from tests.contracts.platforms import ROOT
from tests.contracts.racing import race
from tests.contracts.workers import wait_for
from tests.emulators import Emulators, project_in
from tests.faulty import Fault, line_to
from tests.platform.cloud_run import Site, site_on
from tests.platform.google_stand_in import google as stand_in
from tests.platform.refusing import refusing
from tests.platform.wrapped import WrappedDocuments

SOMEBODY = "somebody-else"


@pytest.fixture
def site(emulators: Emulators, tmp_path: Path) -> Site:
    return site_on(emulators, tmp_path)


def claim_of(site: Site, execution_id: str) -> Claim:
    document = site.documents.get(COLLECTION, execution_id)
    assert document is not None
    return Claim.from_data(document.data)


def claimed_by_somebody(site: Site, execution_id: str, *, seconds_ago: float) -> None:
    """A caller has claimed it, and hasn't been heard of since."""
    claim = Claim.by(SOMEBODY, "mlengine-note", datetime.now(UTC) - timedelta(seconds=seconds_ago))
    site.documents.commit([Create(COLLECTION, execution_id, claim.data())])


def test_a_started_execution_is_on_record(site: Site) -> None:
    site.jobs().start("note", [], execution_id="e1")
    claim = claim_of(site, "e1")
    project = project_in(site.state)
    parent = f"projects/{project.id}/locations/{project.region}/jobs/mlengine-note"
    assert claim.name is not None
    assert claim.name.startswith(f"{parent}/executions/mlengine-note-")
    kept = datetime.fromisoformat(claim.expires_at) - datetime.fromisoformat(claim.claimed_at)
    assert kept == timedelta(days=KEPT_DAYS)


def test_underscores_are_dashes_in_the_names_of_cloud_run(site: Site) -> None:
    with pytest.raises(NotFound, match=r"no Cloud Run job projects/.*/jobs/mlengine-some-job"):
        site.jobs().start("some_job", [], execution_id="e1")


def test_a_claim_of_somebody_else_is_waited_for_and_not_for_ever(site: Site) -> None:
    claimed_by_somebody(site, "e1", seconds_ago=1)
    with pytest.raises(PlatformUnavailable, match="another caller") as raised:
        site.jobs(timeout_seconds=0.5).start("note", [], execution_id="e1")
    assert raised.value.retry_after_seconds == LEASE_SECONDS
    assert site.started() == {}
    assert site.jobs().status("e1").state is JobState.UNKNOWN
    site.jobs().cancel("e1")
    assert claim_of(site, "e1").claimed_by == SOMEBODY


def test_a_claim_that_is_over_is_taken(site: Site) -> None:
    claimed_by_somebody(site, "e1", seconds_ago=LEASE_SECONDS + 1)
    assert race(8, lambda _: site.jobs().start("note", [], execution_id="e1")) == [None] * 8
    assert site.started() == {"e1": 1}
    assert claim_of(site, "e1").claimed_by != SOMEBODY


def test_who_started_a_second_one_cancels_it(site: Site) -> None:
    """A caller stands still between its claim and its start, while another takes the claim and starts."""

    class StandsStill(WrappedDocuments):
        def commit(self, writes: Sequence[Write]) -> Sequence[str]:
            revisions = super().commit(writes)
            if isinstance(writes[0], Create):
                site.after_the_lease().start("sleep", [], execution_id="e1")
            return revisions

    site.jobs(documents=StandsStill(site.documents)).start("sleep", [], execution_id="e1")
    wait_for(lambda: sorted(states(site, "sleep")) == [JobState.CANCELLED, JobState.RUNNING])
    assert site.jobs().status("e1").state is JobState.RUNNING
    site.jobs().cancel("e1")
    wait_for(lambda: states(site, "sleep") == [JobState.CANCELLED] * 2)


def states(site: Site, job: str) -> list[JobState]:
    return [status_of(execution, lambda _: {}).state for execution in site.executions(job)]


def test_a_claim_that_took_too_long_starts_nothing(site: Site) -> None:
    class Slow(WrappedDocuments):
        """A commit takes nearly as long as a claim lasts."""

        late = timedelta(0)

        def commit(self, writes: Sequence[Write]) -> Sequence[str]:
            self.late += timedelta(seconds=LEASE_SECONDS - 5)
            return super().commit(writes)

    slow = Slow(site.documents)
    jobs = site.jobs(documents=slow, now=lambda: datetime.now(UTC) + slow.late)
    with pytest.raises(PlatformUnavailable, match="too slowly"):
        jobs.start("note", [], execution_id="e1")
    assert site.started() == {}


def test_who_waits_for_another_caller_does_so_no_longer_than_a_call_may_take(site: Site) -> None:
    class Slow(WrappedDocuments):
        """A read takes half of that."""

        reads = 0

        def get(self, collection: str, id: str) -> Document | None:
            self.reads += 1
            time.sleep(0.5)
            return super().get(collection, id)

    claimed_by_somebody(site, "e1", seconds_ago=0)
    slow = Slow(site.documents)
    with pytest.raises(PlatformUnavailable, match="by another caller"):
        site.jobs(documents=slow, timeout_seconds=1.0).start("note", [], execution_id="e1")
    assert slow.reads <= 3


def test_a_call_that_is_stuck_leaves_time_for_another(site: Site) -> None:
    with stand_in() as service:
        service.answers, service.keep = [(200, {"executions": []})], 1
        project = dataclasses.replace(project_in(site.state), run_url=service.url, timeout_seconds=8.0)
        assert RunApi(project).find("mlengine-note", "e1") is None
        assert len(service.seen) == 2


def test_a_commit_whose_answer_was_lost_is_ones_own(site: Site) -> None:
    class Lossy(WrappedDocuments):
        """The first commit happens, and its repetition says that the document is there."""

        def commit(self, writes: Sequence[Write]) -> Sequence[str]:
            super().commit(writes)
            return super().commit(writes)

    site.jobs(documents=Lossy(site.documents)).start("note", [], execution_id="e1")
    assert site.started() == {"e1": 1}


@pytest.mark.parametrize("has_ended", [True, False])
def test_a_refused_cancel_is_fine_when_it_has_ended(
    site: Site, emulators: Emulators, has_ended: bool
) -> None:
    site.jobs().start("sleep", [], execution_id="e1")

    def end() -> None:
        site.jobs().cancel("e1")
        wait_for(lambda: states(site, "sleep") == [JobState.CANCELLED])

    with line_to(f"http://{emulators.run}") as line:
        line.always(":cancel", Fault.INVALID)
        line.before_fault = end if has_ended else lambda: None
        jobs = site.jobs(run_url=line.url)
        with nullcontext() if has_ended else pytest.raises(InvalidInput):
            jobs.cancel("e1")
    end()


def test_an_execution_that_cloud_run_forgot_is_unknown_and_isnt_started_again(site: Site) -> None:
    site.jobs().start("note", [], execution_id="e1")
    claim = claim_of(site, "e1")
    forgotten = dataclasses.replace(claim, name=f"{claim.name}0")
    site.documents.commit([Put(COLLECTION, "e1", forgotten.data())])
    status = site.jobs().status("e1")
    assert status.state is JobState.UNKNOWN
    assert "doesn't keep" in status.detail
    site.jobs().start("note", [], execution_id="e1")
    site.jobs().cancel("e1")
    assert site.started() == {"e1": 1}


def test_an_api_out_of_reach_leaves_the_claim_for_the_next(site: Site) -> None:
    with pytest.raises(PlatformUnavailable, match="Cloud Run failed to"):
        site.jobs(run_url="http://127.0.0.1:9", timeout_seconds=0.3).start("note", [], execution_id="e1")
    assert claim_of(site, "e1").name is None
    site.after_the_lease().start("note", [], execution_id="e1")
    assert site.started() == {"e1": 1}


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (400, InvalidInput),
        (401, ConfigurationError),
        (403, ConfigurationError),
        (404, NotFound),
        (409, PlatformUnavailable),
        (429, PlatformUnavailable),
    ],
)
def test_a_refusal_leaves_no_claim(site: Site, code: int, error: type[EngineError]) -> None:
    with refusing(code) as host, pytest.raises(error) as raised:
        site.jobs(run_url=f"http://{host}", timeout_seconds=0.5).start("note", [], execution_id="e1")
    assert raised.value.__cause__ is not None
    assert ("service account" in raised.value.detail) is (code == 403)
    assert site.documents.get(COLLECTION, "e1") is None
    site.jobs().start("note", [], execution_id="e1")
    assert site.started() == {"e1": 1}


@pytest.mark.parametrize("code", [408, 500, 502, 503, 504])
def test_what_may_have_started_keeps_its_claim(site: Site, code: int) -> None:
    with refusing(code) as host, pytest.raises(PlatformUnavailable):
        site.jobs(run_url=f"http://{host}", timeout_seconds=0.3).start("note", [], execution_id="e1")
    assert claim_of(site, "e1").name is None


def test_an_answer_that_isnt_the_apis_is_no_answer(site: Site) -> None:
    with refusing(200, b"<html>welcome to the proxy</html>") as host, pytest.raises(PlatformUnavailable):
        site.jobs(run_url=f"http://{host}", timeout_seconds=0.3).start("note", [], execution_id="e1")
    assert claim_of(site, "e1").name is None


def answer(code: int) -> Exception:
    error: Exception = api.from_http_status(code, "why")  # type: ignore[no-untyped-call]  # api_core is partly typed
    return error


def auth_error(name: str, **facts: bool) -> Exception:
    error: Exception = getattr(google.auth.exceptions, name)("why", **facts)
    return error


def subclasses(kind: type[BaseException]) -> Iterator[type[BaseException]]:
    for one in kind.__subclasses__():
        yield one
        yield from subclasses(one)


def test_every_error_of_the_client_has_a_meaning() -> None:
    known = [one for one in subclasses(api.GoogleAPIError) if one.__module__ == api.__name__]
    assert len(known) > 40
    assert [one.__name__ for one in known if one not in meanings()] == []


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (answer(418), PlatformUnavailable),
        (answer(451), PlatformUnavailable),
        (answer(599), PlatformUnavailable),
        (requests.ConnectionError(), PlatformUnavailable),
        (requests.ReadTimeout(), PlatformUnavailable),
        (requests.exceptions.InvalidURL(), ConfigurationError),
        (auth_error("DefaultCredentialsError"), ConfigurationError),
        (auth_error("RefreshError"), ConfigurationError),
        (auth_error("RefreshError", retryable=True), PlatformUnavailable),
        (auth_error("TransportError"), PlatformUnavailable),
    ],
)
def test_what_an_error_means(error: Exception, expected: type[EngineError]) -> None:
    assert meaning(error) is expected


def test_a_timeout_is_no_refusal() -> None:
    assert [code for code in range(400, 600) if not was_refused(answer(code))] == [408, 499, *range(500, 600)]
    assert not was_refused(requests.ReadTimeout())


NAME = "projects/p/locations/r/jobs/mlengine-train/executions/mlengine-train-x7k2p"
LOGS = "https://console.cloud.google.com/logs/viewer?project=p"


def said(condition: dict[str, Any] | None, **fields: Any) -> run_v2.Execution:
    """An execution as the API writes it."""
    others = [{"type": "ResourcesAvailable", "state": "CONDITION_SUCCEEDED", "severity": "INFO"}]
    completed = [] if condition is None else [{"type": "Completed", **condition}]
    body = {"name": NAME, "taskCount": 2, "conditions": [*others, *completed], "logUri": LOGS, **fields}
    found: run_v2.Execution = run_v2.Execution.from_json(json.dumps(body))
    return found


ENDED = {"completionTime": "2026-01-02T03:04:05.678Z"}
FAILED = {"state": "CONDITION_FAILED", "message": "Task mlengine-train-x7k2p-task0 failed."}


@pytest.mark.parametrize(
    ("execution", "expected"),
    [
        (said(None), JobStatus(JobState.RUNNING)),
        (said({"state": "CONDITION_PENDING"}), JobStatus(JobState.RUNNING)),
        (said({"state": "CONDITION_RECONCILING"}, runningCount=2), JobStatus(JobState.RUNNING)),
        (
            said({"state": "CONDITION_RECONCILING", "executionReason": "CANCELLING"}),
            JobStatus(JobState.RUNNING),
        ),
        (said({"state": "CONDITION_SUCCEEDED"}, **ENDED), JobStatus(JobState.SUCCEEDED)),
        (said({"state": 4}), JobStatus(JobState.SUCCEEDED)),
        (
            said({"state": "CONDITION_FAILED", "executionReason": "CANCELLED"}, cancelledCount=2, **ENDED),
            JobStatus(JobState.CANCELLED, "Cancelled on request."),
        ),
        (
            said({**FAILED, "executionReason": "NON_ZERO_EXIT_CODE"}, failedCount=1, **ENDED),
            JobStatus(
                JobState.FAILED, f"Task 1 gave exit code 3 after 4 attempts; 1 of 2 failed; see {LOGS}"
            ),
        ),
        (said(None, succeededCount=2, **ENDED), JobStatus(JobState.SUCCEEDED)),
        (said(None, cancelledCount=1, **ENDED), JobStatus(JobState.CANCELLED, "Cancelled on request.")),
    ],
)
def test_how_an_execution_goes(execution: run_v2.Execution, expected: JobStatus) -> None:
    assert status_of(execution, {NAME: {1: TaskEnd(3, 4)}}.__getitem__) == expected


def test_an_execution_that_failed_without_its_tasks_says_so() -> None:
    image = {"state": "CONDITION_FAILED", "reason": "CONTAINER_MISSING", "message": "Image 'x' not found."}
    assert status_of(said(image), lambda _: {}).detail == f"Image 'x' not found; see {LOGS}"
    assert "doesn't say why" in status_of(said(None, failedCount=2, **ENDED), lambda _: {}).detail


def test_the_client_is_imported_when_it_is_needed() -> None:
    code = (
        "import sys, shared.platform.gcp.jobs;"
        "print({'google.api_core', 'google.auth', 'grpc', 'requests'}.intersection(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
