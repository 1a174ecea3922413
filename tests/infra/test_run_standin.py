"""The stand-in of the Run Admin API, spoken to by the official client."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from google.api_core import exceptions
from google.api_core.operation import Operation
from google.auth.credentials import AnonymousCredentials
from google.cloud import run_v2
from google.cloud.run_v2.services.executions.transports import ExecutionsRestTransport
from google.cloud.run_v2.services.jobs.transports import JobsRestTransport
from google.cloud.run_v2.services.tasks.transports import TasksRestTransport

from infra.emulators.processes import Emulator, running
from infra.emulators.run import run_standin
from infra.emulators.run_resources import Asked, execution_json
from shared.platform.local.execution import TaskReport
from shared.platform.local.executions import Report
from shared.platform.local.processes import identity
from shared.platform.ports import JobState, JobStatus
from tests.contracts.workers import wait_for
from tests.emulators import fresh_project

REASONS = run_v2.Condition.ExecutionReason


@dataclass(frozen=True)
class Api:
    """The clients of the stand-in whose jobs write to `folder`, and a project of one's own."""

    host: str
    folder: Path
    project: str = field(default_factory=fresh_project)

    @property
    def parent(self) -> str:
        return f"projects/{self.project}/locations/europe-west1"

    @property
    def notes(self) -> Path:
        return self.folder / self.project

    @cached_property
    def _where(self) -> dict[str, Any]:
        nobody = AnonymousCredentials()  # type: ignore[no-untyped-call]  # google-auth is partly typed
        return {"host": self.host, "url_scheme": "http", "credentials": nobody}

    @cached_property
    def jobs(self) -> run_v2.JobsClient:
        return run_v2.JobsClient(transport=JobsRestTransport(**self._where))

    @cached_property
    def executions(self) -> run_v2.ExecutionsClient:
        return run_v2.ExecutionsClient(transport=ExecutionsRestTransport(**self._where))

    @cached_property
    def tasks(self) -> run_v2.TasksClient:
        return run_v2.TasksClient(transport=TasksRestTransport(**self._where))

    def run(self, job: str, *arguments: str, **overrides: Any) -> Operation:
        containers = [{"args": arguments, "env": [{"name": "MLENGINE_EXECUTION", "value": "e1"}]}]
        asked = {"container_overrides": containers, **overrides}
        return self.jobs.run_job({"name": self.job(job), "overrides": asked})

    def job(self, name: str) -> str:
        return f"{self.parent}/jobs/sample-{name}"

    def ended(self, name: str) -> run_v2.Execution:
        wait_for(lambda: bool(self.executions.get_execution(name=name).completion_time))
        return self.executions.get_execution(name=name)

    def result(self, operation: Operation) -> run_v2.Execution:
        """Waits for it by asking the operation."""
        execution: run_v2.Execution = operation.result(timeout=20)  # type: ignore[no-untyped-call]  # api_core is partly typed
        return execution

    def sleeper(self) -> int:
        """The process id of the job `sleep`, once it runs."""
        wait_for((self.notes / "sleeper").exists)
        return int((self.notes / "sleeper").read_text())

    def noted(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.notes / "notes").read_text().splitlines()]


def standin(folder: Path, port: int | None = None, *, grace_seconds: float = 0.3) -> Emulator:
    return run_standin(
        folder,
        port,
        folder=folder / "executions",
        environment={"SAMPLE_NOTES": str(folder)},
        package="tests.contracts.sample_jobs",
        job_prefix="sample-",
        max_retries=1,
        grace_seconds=grace_seconds,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    folder = tmp_path_factory.mktemp("run")
    with running(standin(folder)) as emulator:
        yield emulator.host, folder


@pytest.fixture
def api(site: tuple[str, Path]) -> Api:
    return Api(*site)


def completed(execution: run_v2.Execution) -> run_v2.Condition:
    (found,) = [condition for condition in execution.conditions if condition.type_ == "Completed"]
    return found


def test_an_operation_ends_with_its_execution(api: Api) -> None:
    operation = api.run("note", "a", "b c", task_count=2)
    execution = operation.metadata
    assert execution.name.startswith(f"{api.job('note')}/executions/sample-note-")
    assert not operation.operation.done
    assert execution.task_count == 2
    ended = api.result(operation)
    assert ended.name == execution.name
    assert completed(ended).state == run_v2.Condition.State.CONDITION_SUCCEEDED
    assert ended.succeeded_count == 2
    assert ended.completion_time >= ended.create_time
    assert [note["arguments"] for note in api.noted()] == [["a", "b c"]] * 2


def test_an_operation_fails_with_its_execution(api: Api) -> None:
    operation = api.run("end", "3")
    with pytest.raises(exceptions.GoogleAPICallError, match="exit code 3"):
        api.result(operation)


def test_an_execution_has_the_overrides_in_its_template(api: Api) -> None:
    name = api.run("note", "a").metadata.name
    (container,) = api.executions.get_execution(name=name).template.containers
    assert list(container.args) == ["a"]
    assert {one.name: one.value for one in container.env} == {"MLENGINE_EXECUTION": "e1"}
    assert list(container.command) == ["python", "-m", "tests.contracts.sample_jobs.note"]


def test_a_task_sees_what_cloud_run_tells_it(api: Api) -> None:
    execution = api.result(api.run("note"))
    (note,) = api.noted()
    assert note["arguments"] == []
    assert note["CLOUD_RUN_JOB"] == "sample-note"
    assert note["CLOUD_RUN_EXECUTION"] == execution.name.rpartition("/")[2]
    assert note["MLENGINE_EXECUTION"] == "e1"


def test_tasks_are_run_again_and_counted(api: Api) -> None:
    execution = api.ended(api.run("flaky", "0", "1", "9", task_count=3).metadata.name)
    assert (execution.succeeded_count, execution.failed_count, execution.retried_count) == (2, 1, 2)
    assert completed(execution).execution_reason == REASONS.NON_ZERO_EXIT_CODE
    assert "Task 2 gave exit code 7 after 2 attempts" in completed(execution).message
    tasks = list(api.tasks.list_tasks(parent=execution.name))
    assert [(task.index, task.retried, task.last_attempt_result.exit_code) for task in tasks] == [
        (0, 0, 0),
        (1, 1, 0),
        (2, 1, 7),
    ]


def test_a_task_that_was_killed_names_the_signal(api: Api) -> None:
    execution = api.ended(api.run("end", "kill").metadata.name)
    (task,) = api.tasks.list_tasks(parent=execution.name)
    assert task.last_attempt_result.term_signal == 9
    assert task.last_attempt_result.exit_code == 0


@pytest.mark.parametrize("arguments", [[], ["stubborn"]])
def test_a_cancelled_execution_ends(api: Api, arguments: list[str]) -> None:
    name = api.run("sleep", *arguments).metadata.name
    process_id = api.sleeper()
    running_now = api.executions.get_execution(name=name)
    assert (running_now.running_count, running_now.reconciling) == (1, True)
    assert completed(running_now).state == run_v2.Condition.State.CONDITION_RECONCILING
    api.executions.cancel_execution(name=name)
    execution = api.ended(name)
    assert identity(process_id) is None
    assert (execution.cancelled_count, execution.failed_count, execution.running_count) == (1, 0, 0)
    assert completed(execution).execution_reason == REASONS.CANCELLED
    assert len(api.noted()) == 1


def test_executions_are_listed_by_page_the_newest_first(api: Api) -> None:
    made = [api.run("note").metadata.name for _ in range(5)]
    api.run("end", "0")
    pages = list(api.executions.list_executions({"parent": api.job("note"), "page_size": 2}).pages)
    assert [len(page.executions) for page in pages] == [2, 2, 1]
    assert [one.name for page in pages for one in page.executions] == list(reversed(made))


def test_projects_and_regions_are_apart(api: Api) -> None:
    name = api.run("note").metadata.name
    others = [name.replace(api.project, "other"), name.replace("europe-west1", "us-central1")]
    for other in others:
        assert not list(api.executions.list_executions(parent=other.partition("/executions/")[0]))
        with pytest.raises(exceptions.NotFound):
            api.executions.get_execution(name=other)


@pytest.mark.parametrize("job", ["sample-nothing", "note", "sample-", "sample-..", "sample-os"])
def test_an_unknown_job_isnt_found(api: Api, job: str) -> None:
    with pytest.raises(exceptions.NotFound, match="of kind 'JOB'"):
        api.jobs.run_job(name=f"{api.parent}/jobs/{job}")
    with pytest.raises(exceptions.NotFound, match="of kind 'JOB'"):
        list(api.executions.list_executions(parent=f"{api.parent}/jobs/{job}"))


def test_an_unknown_execution_isnt_found(api: Api) -> None:
    name = f"{api.job('note')}/executions/sample-note-aaaaa"
    with pytest.raises(exceptions.NotFound, match="of kind 'EXECUTION'"):
        api.executions.get_execution(name=name)
    with pytest.raises(exceptions.NotFound, match="of kind 'EXECUTION'"):
        api.executions.cancel_execution(name=name)


@pytest.mark.parametrize("overrides", [{"task_count": 10_001}, {"container_overrides": [{}, {}]}])
def test_a_wrong_request_is_refused(api: Api, overrides: dict[str, Any]) -> None:
    with pytest.raises(exceptions.BadRequest, match="overrides"):
        api.jobs.run_job({"name": api.job("note"), "overrides": overrides})


def test_executions_outlive_a_crash_and_those_that_ran_have_failed(tmp_path: Path) -> None:
    with running(standin(tmp_path)) as emulator:
        api = Api(emulator.host, tmp_path)
        done = api.ended(api.run("end", "0").metadata.name)
        slept = api.run("sleep").metadata.name
        process_id = api.sleeper()
        emulator.kill()
    wait_for(lambda: identity(process_id) is None)
    with running(standin(tmp_path)) as emulator:
        api = Api(emulator.host, tmp_path, api.project)
        assert api.executions.get_execution(name=done.name) == done
        killed = api.executions.get_execution(name=slept)
        assert completed(killed).state == run_v2.Condition.State.CONDITION_FAILED
        assert "Killed" in completed(killed).message
        assert killed.failed_count == 1
        assert api.run("note").metadata.name not in (done.name, slept)


def test_what_runs_ends_with_the_standin(tmp_path: Path) -> None:
    with running(standin(tmp_path)) as emulator:
        api = Api(emulator.host, tmp_path)
        api.run("sleep")
        process_id = api.sleeper()
        psutil.Process(emulator.process_id).terminate()
        wait_for(lambda: identity(process_id) is None)
        wait_for(lambda: identity(emulator.process_id) is None)


def test_it_listens_on_the_loopback_only(tmp_path: Path) -> None:
    with running(standin(tmp_path)) as emulator:
        found = {one.laddr.ip for one in psutil.Process(emulator.process_id).net_connections()}
        assert found == {"127.0.0.1"}


@pytest.mark.parametrize("body", [b"[]", b"{", b'{"overrides": 1}', b'{"overrides": {"taskCount": "x"}}'])
def test_what_is_no_request_is_refused(api: Api, body: bytes) -> None:
    url = f"http://{api.host}/v2/{api.job('note')}:run"
    answer = httpx.post(url, content=body, trust_env=False)
    assert answer.status_code == 400
    assert answer.json()["error"]["status"] == "INVALID_ARGUMENT"


def test_files_that_come_and_go_hold_no_answer_up(tmp_path: Path) -> None:
    asked = Asked("p", "r", "j", "m", (), {}, task_count=1, max_retries=0, created_at="2020-01-01T00:00:00Z")
    report = Report(asked.facts(), JobStatus(JobState.RUNNING), [TaskReport()])
    is_over = threading.Event()

    def churn() -> None:
        while not is_over.is_set():
            (tmp_path / "written").touch()
            (tmp_path / "written").rename(tmp_path / "named")
            (tmp_path / "named").unlink()

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        for _ in range(2_000):
            assert execution_json(tmp_path, asked, report)["taskCount"] == 1
    finally:
        is_over.set()
        thread.join()
