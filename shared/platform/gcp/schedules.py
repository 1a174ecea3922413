"""Schedules as Cloud Scheduler jobs that publish on Pub/Sub topics."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from shared.errors import ConfigurationError, EngineError, NotFound, PlatformUnavailable
from shared.platform.gcp.project import Project
from shared.platform.ports import Schedule, ScheduleState
from shared.platform.scheduling import NAME, Planned, check_made, check_schedule

if TYPE_CHECKING:
    from google.api_core.retry import Retry
    from google.cloud.scheduler_v1 import CloudSchedulerClient, Job

RETRIES: Final = 5
"""Without any, Cloud Scheduler tries once, and a time at which Pub/Sub is away is lost."""

_ATTEMPTS: Final = 10
_FIRST_WAIT_SECONDS: Final = 0.1
_LONGEST_WAIT_SECONDS: Final = 2.0
_REFUSED: Final = frozenset({401, 403})
_PASSING: Final = frozenset({408, 429, 500, 502, 503, 504})


class CloudSchedules:
    """The Schedules port on the jobs of one project and region whose names begin with the job prefix.

    Terraform makes those of the catalogue. `fire` returns when Cloud Scheduler has taken the order; the
    message follows.
    """

    def __init__(self, project: Project) -> None:
        self._project = project

    def list(self) -> Sequence[ScheduleState]:
        with translated("list the schedules"):
            pager = self.client.list_jobs(parent=parent(self._project), **self._patiently)
            states = [_state(job, self._name(job)) for job in pager if self._is_schedule(job)]
        return sorted(states, key=lambda state: state.name)

    def pause(self, name: str) -> None:
        self._turn(name, "pause")

    def resume(self, name: str) -> None:
        self._turn(name, "resume")

    def fire(self, name: str) -> None:
        job = self._job(name)
        with self._naming(name, "fire"):  # not repeated: an order that was taken would be carried out twice
            self.client.run_job(name=job, retry=None, timeout=self._project.timeout_seconds)

    def put(self, name: str, schedule: Schedule) -> None:
        from google.api_core.exceptions import Conflict

        check_made(name)
        check_schedule(schedule)
        job = job_of(self._project, name, schedule)
        request = {"parent": parent(self._project), "job": job}
        with translated(f"make the schedule {name}"):
            try:
                self.client.create_job(request=request, **self._patiently)
            except Conflict:
                self.client.update_job(request={"job": job}, **self._patiently)

    def delete(self, name: str) -> None:
        from google.api_core.exceptions import NotFound as JobNotFound

        check_made(name)
        with translated(f"delete the schedule {name}"), suppress(JobNotFound):
            self.client.delete_job(name=job_name(self._project, name), **self._patiently)

    @cached_property
    def client(self) -> CloudSchedulerClient:
        """The official client over REST, connected when it is first used."""
        return scheduler_client(self._project)

    @cached_property
    def _patiently(self) -> dict[str, Any]:
        return patiently(self._project)

    def _turn(self, name: str, act: str) -> None:
        """Pause or resume. The API refuses what is so already: then it is as it was wanted.

        Where it isn't, somebody else turned it between the two calls: once more.
        """
        from google.api_core.exceptions import BadRequest

        job, is_pause = self._job(name), act == "pause"
        ask = self.client.pause_job if is_pause else self.client.resume_job
        with self._naming(name, act):
            for _ in range(_ATTEMPTS - 1):
                try:
                    ask(name=job, **self._patiently)
                    return
                except BadRequest:
                    if _is_paused(self.client.get_job(name=job, **self._patiently)) is is_pause:
                        return
            ask(name=job, **self._patiently)

    def _job(self, name: str) -> str:
        """The job's full name.

        Raises:
            NotFound: no job can be called that.
        """
        if not re.fullmatch(NAME, name):
            raise self._unknown(name)
        return job_name(self._project, name)

    @contextmanager
    def _naming(self, name: str, act: str) -> Iterator[None]:
        from google.api_core.exceptions import NotFound as JobNotFound

        with translated(f"{act} the schedule {name}"):
            try:
                yield
            except JobNotFound as error:
                raise self._unknown(name) from error

    def _unknown(self, name: str) -> NotFound:
        known = ", ".join(state.name for state in self.list())
        return NotFound(f"There is no schedule {name!r}; there are: {known or 'none'}.")

    def _is_schedule(self, job: Job) -> bool:
        """Others may have jobs beside ours."""
        return bool(job.pubsub_target.topic_name) and job.name.startswith(job_name(self._project, ""))

    def _name(self, job: Job) -> str:
        return job.name.removeprefix(job_name(self._project, ""))


def scheduler_client(project: Project) -> CloudSchedulerClient:
    """
    Raises:
        ConfigurationError: there are no credentials.
    """
    from google.auth.credentials import AnonymousCredentials
    from google.cloud.scheduler_v1 import CloudSchedulerClient
    from google.cloud.scheduler_v1.services.cloud_scheduler.transports import CloudSchedulerRestTransport

    scheme, _, host = project.scheduler_url.partition("://")
    nobody = AnonymousCredentials() if project.is_emulated else None  # type: ignore[no-untyped-call]  # google-auth is partly typed
    with translated("connect"):
        return CloudSchedulerClient(
            transport=CloudSchedulerRestTransport(host=host, url_scheme=scheme, credentials=nobody)
        )


def patiently(project: Project) -> dict[str, Any]:
    """How to make a call that may be made twice: repeated where it may have been lost, within the time.

    One that is stuck leaves time for another.
    """
    import requests
    from google.api_core import exceptions, retry

    def may_pass(error: Exception) -> bool:
        if isinstance(error, exceptions.GoogleAPICallError):
            return error.code in _PASSING
        return isinstance(error, requests.ConnectionError | requests.Timeout)

    patience: Retry = retry.Retry(
        predicate=may_pass,
        initial=_FIRST_WAIT_SECONDS,
        maximum=_LONGEST_WAIT_SECONDS,
        timeout=project.timeout_seconds,
    )
    return {"retry": patience, "timeout": project.timeout_seconds / 2}


def parent(project: Project) -> str:
    return f"projects/{project.id}/locations/{project.region}"


def job_name(project: Project, schedule: str) -> str:
    return f"{parent(project)}/jobs/{project.job_prefix}{schedule}"


def job_of(project: Project, name: str, planned: Planned) -> dict[str, Any]:
    """The job that publishes what a schedule says: the data alone, which its taker makes an event of."""
    return {
        "name": job_name(project, name),
        "description": planned.purpose,
        "schedule": planned.cron,
        "time_zone": planned.timezone,
        "retry_config": {"retry_count": RETRIES},
        "pubsub_target": {
            "topic_name": f"projects/{project.id}/topics/{planned.topic}",
            "data": json.dumps(planned.data).encode(),
        },
    }


@contextmanager
def translated(act: str) -> Iterator[None]:
    """Raise the engine's errors for the client's. `act` says what was tried."""
    import requests
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError

    try:
        yield
    except (GoogleAPIError, GoogleAuthError, requests.RequestException) as error:
        raise meaning(error, act) from error


def meaning(error: Exception, act: str) -> EngineError:
    """The engine's error for one of the client's, or of the libraries below it."""
    from google.api_core.exceptions import GoogleAPICallError
    from google.auth import exceptions as auth

    failed = f"Cloud Scheduler failed to {act}"
    if isinstance(error, GoogleAPICallError):
        if error.code in _REFUSED:
            return ConfigurationError(
                f"Cloud Scheduler refused to {act} ({error.code}: {error.message}). "
                "Check the roles of this function's service account."
            )
        if error.code is not None and error.code not in _PASSING:
            return ConfigurationError(f"{failed}: {error.code}: {error.message}")
        return PlatformUnavailable(f"{failed}: {error.code}: {error.message}")
    is_lost = isinstance(error, auth.TransportError | auth.TimeoutError)
    if isinstance(error, auth.GoogleAuthError) and not is_lost:
        return ConfigurationError(f"Google Cloud gives this instance no credentials to {act}: {error}")
    return PlatformUnavailable(f"{failed}: {type(error).__name__}: {error}")


def _state(job: Job, name: str) -> ScheduleState:
    is_paused = _is_paused(job)
    return ScheduleState(
        name=name,
        purpose=job.description,
        cron=job.schedule,
        timezone=job.time_zone,
        topic=job.pubsub_target.topic_name.rpartition("/")[2],
        data=_data(job),
        paused=is_paused,
        last_fired_at=_time(job.last_attempt_time),
        next_fire_at=None if is_paused else _time(job.schedule_time),
    )


def _data(job: Job) -> Any:
    try:
        return json.loads(job.pubsub_target.data)
    except ValueError as error:
        raise ConfigurationError(
            f"The data of the job {job.name} isn't JSON: {error}. Set it up anew."
        ) from error


def _is_paused(job: Job) -> bool:
    """Also one that the system has disabled: it doesn't fire either."""
    from google.cloud.scheduler_v1 import Job

    return job.state != Job.State.ENABLED


def _time(stamp: datetime | None) -> datetime | None:
    """A plain time for the client's own kind, which counts nanoseconds."""
    return None if stamp is None else datetime.fromtimestamp(stamp.timestamp(), stamp.tzinfo)
