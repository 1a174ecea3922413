"""A stand-in for the Run Admin API, as far as jobs go: no emulator exists. Executions are real processes.

It takes and gives what the API does (v2: jobs.run; executions.get, list, cancel; tasks.list;
operations.get), so that the official client works on it. A job exists when the package has its
module. Executions are kept in the folder: after a crash of the stand-in they are found again, and
those that ran then have failed, as their processes ended with it. Not done: the time limit of a task.

`python -m infra.emulators.run PORT FOLDER` serves on 127.0.0.1.
"""

from __future__ import annotations

import argparse
import re
import secrets
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import uvicorn
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from infra.emulators.processes import ROOT, Emulator, free_port
from infra.emulators.run_resources import (
    Asked,
    RunRequest,
    execution_json,
    now_text,
    operation_json,
    tasks_json,
)
from shared.platform.executions import RETRIES
from shared.platform.local.execution import TaskSetup, Work
from shared.platform.local.executions import Executions, Report

PACKAGE: Final = "shared.jobs"
JOB_PREFIX: Final = "mlengine-"
_GRACE_SECONDS = 10.0
_PARALLEL_TASKS = 4
_PAGE_SIZE = 100
_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
_NAME = re.compile(r"[a-z0-9][a-z0-9-]*\Z")
_STATUS = {400: "INVALID_ARGUMENT", 404: "NOT_FOUND", 405: "UNIMPLEMENTED"}
_JOB = "/v2/projects/{project}/locations/{region}/jobs/{job}"
_EXECUTION = _JOB + "/executions/{execution}"


def run_standin(
    logs: Path,
    port: int | None = None,
    *,
    folder: Path,
    environment: Mapping[str, str],
    package: str = PACKAGE,
    job_prefix: str = JOB_PREFIX,
    max_retries: int = RETRIES,
    grace_seconds: float = _GRACE_SECONDS,
) -> Emulator:
    """Job `<job_prefix>some-name` runs `python -m <package>.some_name`, with `environment` added to ours."""
    port = port or free_port()
    options = {
        "--package": package,
        "--job-prefix": job_prefix,
        "--max-retries": str(max_retries),
        "--grace-seconds": str(grace_seconds),
    }
    given = [f"{name}={value}" for name, value in options.items()]  # a value may begin with a dash
    command = [sys.executable, "-m", "infra.emulators.run", str(port), str(folder.absolute()), *given]
    return Emulator("run stand-in", command, port, logs / "run.log", environment)


class RunAdmin:
    """The API's methods. Each project's region has a folder of its own."""

    def __init__(self, folder: Path, setup: TaskSetup, *, package: str, job_prefix: str) -> None:
        self._folder = folder
        self._setup = setup
        self._package = package
        self._job_prefix = job_prefix
        self._lock = threading.Lock()
        self._places: dict[str, Executions] = {}

    def run(self, project: str, region: str, job: str, request: RunRequest) -> dict[str, Any]:
        """jobs.run: an operation, not done, whose metadata is the execution. The job itself has one task."""
        module = self._module(project, region, job)
        container = request.overrides.container
        asked = Asked(
            project=project,
            region=region,
            job=job,
            module=module,
            arguments=container.args,
            environment={variable.name: variable.value for variable in container.env},
            task_count=request.overrides.task_count,
            max_retries=self._setup.max_retries,
            created_at=now_text(),
        )
        place = self._place(project, region)
        environment = {"GOOGLE_CLOUD_PROJECT": project, **asked.environment, "CLOUD_RUN_JOB": job}
        while True:
            execution = f"{job}-{''.join(secrets.choice(_LETTERS) for _ in range(5))}"
            environment["CLOUD_RUN_EXECUTION"] = execution
            work = Work(module, asked.arguments, asked.task_count, environment)
            if place.start(execution, work, asked.facts()):
                return self.operation(project, region, execution)

    def execution(self, project: str, region: str, job: str, execution: str) -> dict[str, Any]:
        """executions.get"""
        place, report = self._found(project, region, execution, job)
        return execution_json(place.folder / execution, Asked.of(report), report)

    def executions(
        self, project: str, region: str, job: str, page_size: int, page_token: str
    ) -> dict[str, Any]:
        """executions.list: the newest first. A token is the number of those before."""
        self._module(project, region, job)
        place = self._place(project, region)
        found = [(place.folder / name, place.report(name)) for name in place.ids()]
        of_job = [
            (folder, Asked.of(report), report)
            for folder, report in found
            if report is not None and report.facts["job"] == job
        ]
        of_job.sort(key=lambda one: one[1].created_at, reverse=True)
        first = int(page_token or 0)
        end = first + (page_size or _PAGE_SIZE)
        page: dict[str, Any] = {"executions": [execution_json(*one) for one in of_job[first:end]]}
        return page | ({"nextPageToken": str(end)} if end < len(of_job) else {})

    def cancel(self, project: str, region: str, job: str, execution: str) -> dict[str, Any]:
        """executions.cancel"""
        place, _ = self._found(project, region, execution, job)
        place.cancel(execution)
        return self.operation(project, region, execution)

    def tasks(self, project: str, region: str, job: str, execution: str) -> dict[str, Any]:
        """tasks.list, in one page"""
        place, report = self._found(project, region, execution, job)
        return {"tasks": tasks_json(place.folder / execution, Asked.of(report), report)}

    def operation(self, project: str, region: str, execution: str) -> dict[str, Any]:
        """operations.get: an operation is named as its execution, and done when that has ended."""
        place, report = self._found(project, region, execution)
        return operation_json(place.folder / execution, Asked.of(report), report)

    def close(self) -> None:
        for place in self._places.values():
            place.close()

    def _place(self, project: str, region: str) -> Executions:
        if not (_NAME.match(project) and _NAME.match(region)):
            raise HTTPException(404, f"Location '{region}' in project '{project}' does not exist.")
        with self._lock:
            key = f"{project}/{region}"
            if key not in self._places:
                self._places[key] = Executions(self._folder / key, self._setup)
            return self._places[key]

    def _module(self, project: str, region: str, job: str) -> str:
        name = job.removeprefix(self._job_prefix).replace("-", "_")
        file = self._setup.root.joinpath(*self._package.split("."), f"{name}.py")
        if not (_NAME.match(job) and job.startswith(self._job_prefix) and name and file.is_file()):
            raise HTTPException(
                404,
                f"Resource '{job}' of kind 'JOB' in region '{region}' in project '{project}' does not exist.",
            )
        return f"{self._package}.{name}"

    def _found(
        self, project: str, region: str, execution: str, job: str | None = None
    ) -> tuple[Executions, Report]:
        place = self._place(project, region)
        report = place.report(execution) if _NAME.match(execution) else None
        if report is None or (job is not None and report.facts["job"] != job):
            raise HTTPException(
                404,
                f"Resource '{execution}' of kind 'EXECUTION' in region '{region}' "
                f"in project '{project}' does not exist.",
            )
        return place, report


def application(admin: RunAdmin) -> Starlette:
    """The methods at their addresses. They work with files: in threads."""

    async def run(request: Request) -> Response:
        try:
            body = RunRequest.model_validate_json(await request.body() or b"{}")
        except ValidationError as error:
            raise HTTPException(400, f"Invalid JSON payload received. {error}") from error
        return JSONResponse(await run_in_threadpool(admin.run, **request.path_params, request=body))

    def listed(request: Request) -> Response:
        query = request.query_params
        size, token = int(query.get("pageSize", "0")), query.get("pageToken", "")
        return JSONResponse(admin.executions(**request.path_params, page_size=size, page_token=token))

    def of(method: Callable[..., Any]) -> Callable[[Request], Response]:
        return lambda request: JSONResponse(method(**request.path_params))

    return Starlette(
        routes=[
            Route(_JOB + ":run", run, methods=["POST"]),
            Route(_JOB + "/executions", listed),
            Route(_EXECUTION + ":cancel", of(admin.cancel), methods=["POST"]),
            Route(_EXECUTION, of(admin.execution)),
            Route(_EXECUTION + "/tasks", of(admin.tasks)),
            Route("/v2/projects/{project}/locations/{region}/operations/{execution}", of(admin.operation)),
        ],
        exception_handlers={HTTPException: _refusal},
    )


def _refusal(_: Request, error: Exception) -> Response:
    """As the API words it."""
    if not isinstance(error, HTTPException):
        raise error
    words = {"code": error.status_code, "message": error.detail, "status": _STATUS.get(error.status_code, "")}
    return JSONResponse({"error": words}, error.status_code)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m infra.emulators.run", description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("folder", type=Path, help="where executions are kept")
    parser.add_argument("--package", default=PACKAGE, help="whose modules are the jobs")
    parser.add_argument("--job-prefix", default=JOB_PREFIX, help="what the jobs' names begin with")
    parser.add_argument("--max-retries", type=int, default=RETRIES)
    parser.add_argument("--grace-seconds", type=float, default=_GRACE_SECONDS)
    chosen = parser.parse_args()
    setup = TaskSetup(ROOT, {}, _PARALLEL_TASKS, chosen.grace_seconds, chosen.max_retries)
    admin = RunAdmin(chosen.folder, setup, package=chosen.package, job_prefix=chosen.job_prefix)
    try:
        uvicorn.run(application(admin), host="127.0.0.1", port=chosen.port, log_level="warning")
    finally:
        admin.close()


if __name__ == "__main__":
    main()
