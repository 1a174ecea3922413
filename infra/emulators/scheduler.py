"""A stand-in for the Cloud Scheduler API, v1, as far as the engine uses it: jobs that publish on topics.

`python -m infra.emulators.scheduler --port P --folder F --pubsub-host HOST:PORT`. It publishes on the
Pub/Sub emulator what the real one does: the data alone, without attributes. `POST /clock {"now": ...}`
turns its clock and answers once what is due then has fired. Unlike the real one, which reports how an
attempt ended in the job's status alone, `:run` fails when its message can't be published.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from infra.emulators.processes import Emulator, free_port
from infra.emulators.scheduler_jobs import Job, JobStore, Refusal
from infra.local.scheduler import Scheduler
from shared.errors import ConfigurationError, EngineError, PlatformUnavailable
from shared.platform.gcp.project import Project
from shared.platform.gcp.schedules import job_name, job_of, parent, patiently, scheduler_client, translated
from shared.platform.scheduling import MADE, Planned

PUBLISH_SECONDS: Final = 10.0
MAX_PAGE: Final = 100


def scheduler_standin(logs: Path, port: int | None = None, *, folder: Path, pubsub_host: str) -> Emulator:
    """Keeps its jobs in `folder`, for the next one that is started on it."""
    port = port or free_port()
    command = [sys.executable, "-m", "infra.emulators.scheduler", "--port", str(port)]
    command += ["--folder", str(folder.absolute()), "--pubsub-host", pubsub_host]
    return Emulator("scheduler stand-in", command, port, logs / "scheduler.log")


def set_up(project: Project, schedules: Mapping[str, Planned]) -> None:
    """Have jobs for these schedules, and of others only those made while the engine ran, as Terraform does.

    Raises:
        ConfigurationError: the project isn't emulated.
        PlatformUnavailable: the stand-in doesn't answer.
    """
    if not project.is_emulated:
        raise ConfigurationError(
            f"The schedules of the project {project.id} are Terraform's: they are made here on the stand-in "
            "only (PLATFORM=emulators)."
        )
    client, patience = scheduler_client(project), patiently(project)
    with translated("set up the schedules"):
        there = {job.name for job in client.list_jobs(parent=parent(project), **patience)}
        for name, planned in schedules.items():
            job = job_of(project, name, planned)
            if job["name"] in there:
                client.update_job(request={"job": job}, **patience)
            else:
                client.create_job(request={"parent": parent(project), "job": job}, **patience)
        wanted = {job_name(project, name) for name in schedules}
        ours = {name for name in there if name.startswith(job_name(project, ""))}
        made = {name for name in ours if name.startswith(job_name(project, MADE))}
        for gone in sorted(ours - made - wanted):
            client.delete_job(name=gone, **patience)


class TurnedClock:
    """The machine's clock, turned by as much as `turn` says; it goes on from there."""

    def __init__(self) -> None:
        self._ahead = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def turn(self, now: datetime) -> None:
        self._ahead = now - datetime.now(UTC)


class Publisher:
    """Publishes a job's data on its topic, with a plain HTTP call."""

    def __init__(self, pubsub_host: str) -> None:
        self._url = f"http://{pubsub_host}/v1"
        self._http = httpx.Client(timeout=PUBLISH_SECONDS, trust_env=False)

    def __call__(self, job: Job) -> None:
        """
        Raises:
            PlatformUnavailable: it isn't published.
        """
        target = job["pubsubTarget"]
        messages = {"messages": [{"data": target["data"]}]}
        try:
            answer = self._http.post(f"{self._url}/{target['topicName']}:publish", json=messages)
        except httpx.TransportError as error:
            raise PlatformUnavailable(f"Pub/Sub isn't there: {error}") from error
        if not answer.is_success:
            raise PlatformUnavailable(f"Pub/Sub answered {answer.status_code}: {answer.text[:300]}")


def create_app(store: JobStore, clock: TurnedClock, scheduler: Scheduler) -> Starlette:
    """The API over `store`."""

    def listed(request: Request) -> Job:
        found = store.list(_parent(request))
        try:
            start = int(request.query_params.get("pageToken") or 0)
            size = int(request.query_params.get("pageSize") or 0)
        except ValueError as error:
            raise Refusal(400, "INVALID_ARGUMENT", "pageSize or pageToken isn't one") from error
        end = start + min(size or MAX_PAGE, MAX_PAGE)
        more = {"nextPageToken": str(end)} if len(found) > end else {}
        return {"jobs": found[start:end], **more}

    def turned(body: Job) -> Job:
        try:
            clock.turn(datetime.fromisoformat(body["now"]))
        except (KeyError, TypeError, ValueError) as error:
            raise Refusal(400, "INVALID_ARGUMENT", "now must be a time with an offset") from error
        scheduler.turn()
        scheduler.wake()
        return {"now": clock.now().isoformat()}

    async def jobs(request: Request) -> Response:
        if request.method == "GET":
            return await _answer(request, lambda _: listed(request))
        return await _answer(request, lambda body: store.create(_parent(request), body))

    async def job(request: Request) -> Response:
        """A job, or an act on it: `.../jobs/<id>` or `.../jobs/<id>:<act>`."""
        name, _, act = request.path_params["job"].partition(":")
        full = f"{_parent(request)}/jobs/{name}"
        acts: dict[tuple[str, str], Callable[[Job], Job]] = {
            ("GET", ""): lambda _: store.get(full),
            ("PATCH", ""): lambda body: store.update(full, body),
            ("DELETE", ""): lambda _: store.delete(full),
            ("POST", "pause"): lambda _: store.pause(full),
            ("POST", "resume"): lambda _: store.resume(full),
            ("POST", "run"): lambda _: store.run(full),
        }
        return await _answer(request, acts.get((request.method, act), _no_act))

    async def clock_turned(request: Request) -> Response:
        return await _answer(request, turned)

    async def root(request: Request) -> Response:
        return await _answer(request, lambda _: {})

    below = "/v1/projects/{project}/locations/{location}/jobs"
    return Starlette(
        routes=[
            Route("/", root),
            Route("/clock", clock_turned, methods=["POST"]),
            Route(below, jobs, methods=["GET", "POST"]),
            Route(below + "/{job}", job, methods=["GET", "PATCH", "DELETE", "POST"]),
        ]
    )


def _parent(request: Request) -> str:
    return "projects/{project}/locations/{location}".format(**request.path_params)


def _no_act(_: Job) -> Job:
    raise Refusal(404, "NOT_FOUND", "there is no such method")


async def _answer(request: Request, act: Callable[[Job], Job]) -> Response:
    """What `act` makes of the body, or the refusal as the API writes it."""
    body = await request.body()
    try:
        return JSONResponse(await asyncio.to_thread(act, _object(body)))
    except Refusal as refusal:
        code, status, message = refusal.code, refusal.status, refusal.message
    except EngineError as error:
        code, status, message = 503, "UNAVAILABLE", error.detail
    return JSONResponse({"error": {"code": code, "message": message, "status": status}}, code)


def _object(body: bytes) -> Job:
    try:
        found = json.loads(body or b"{}")
    except ValueError as error:
        raise Refusal(400, "INVALID_ARGUMENT", f"not JSON: {error}") from error
    if not isinstance(found, dict):
        raise Refusal(400, "INVALID_ARGUMENT", "not a JSON object")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="A stand-in for the Cloud Scheduler API.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--pubsub-host", required=True)
    given = parser.parse_args()
    clock = TurnedClock()
    store = JobStore(given.folder, clock.now, Publisher(given.pubsub_host))
    scheduler = Scheduler(store, clock.now)
    scheduler.start()
    app = create_app(store, clock, scheduler)
    uvicorn.run(app, host="127.0.0.1", port=given.port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
