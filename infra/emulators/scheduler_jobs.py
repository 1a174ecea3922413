"""The jobs of the Cloud Scheduler stand-in, kept in files and fired when they are due."""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import quote

from shared.platform.ports import Now
from shared.platform.scheduling import check_cron, check_timezone, due_fire, next_fire

Job: TypeAlias = dict[str, Any]
"""A job as the API's JSON has it."""


_TOPIC = re.compile(r"projects/[^/]+/topics/[^/]+")


class Refusal(Exception):
    """What the API answers to a call that can't be done: `status` is its name for the HTTP `code`."""

    def __init__(self, code: int, status: str, message: str) -> None:
        super().__init__(message)
        self.code, self.status, self.message = code, status, message


class JobStore:
    """The jobs, each in a file of its own, which is whole whenever the process is killed.

    A job's file has, beside what the API shows, `settledAt`: times up to it have fired or don't count.
    """

    def __init__(self, folder: Path, now: Now, publish: Callable[[Job], None]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._now = now
        self._publish = publish
        self._lock = threading.RLock()
        files = (json.loads(file.read_text()) for file in folder.glob("*.json"))
        self._jobs: dict[str, Job] = {job["name"]: job for job in files}

    def create(self, parent: str, job: Job) -> Job:
        with self._lock:
            name = job.get("name") or ""
            if not name.startswith(f"{parent}/jobs/"):
                raise Refusal(
                    400, "INVALID_ARGUMENT", f"the job's name must be {parent}/jobs/..., not {name!r}"
                )
            if name in self._jobs:
                raise Refusal(409, "ALREADY_EXISTS", f"Job {name} already exists.")
            return self._keep({**_checked(job), "state": "ENABLED", "settledAt": self._now().isoformat()})

    def update(self, name: str, changes: Job) -> Job:
        with self._lock:
            job = self._get(name)
            after = _checked({**job, **changes})
            if _times(after) != _times(job):
                after["settledAt"] = self._now().isoformat()
            return self._keep(after)

    def get(self, name: str) -> Job:
        with self._lock:
            return self._shown(self._get(name))

    def list(self, parent: str) -> Sequence[Job]:
        with self._lock:
            names = sorted(name for name in self._jobs if name.startswith(f"{parent}/jobs/"))
            return [self._shown(self._jobs[name]) for name in names]

    def delete(self, name: str) -> Job:
        with self._lock:
            self._get(name)
            self._file(name).unlink()
            del self._jobs[name]
            return {}

    def pause(self, name: str) -> Job:
        return self._turn(name, "ENABLED", "PAUSED")

    def resume(self, name: str) -> Job:
        return self._turn(name, "PAUSED", "ENABLED")

    def run(self, name: str) -> Job:
        with self._lock:
            job = self._get(name)
            self._publish(job)
            return self._keep({**job, "lastAttemptTime": self._now().isoformat()})

    def due(self) -> Sequence[tuple[str, datetime]]:
        with self._lock:
            found = [(name, self._due(job)) for name, job in self._jobs.items()]
        return [(name, at) for name, at in found if at is not None]

    def fire_due(self, name: str, at: datetime) -> None:
        with self._lock:
            job = self._jobs.get(name)
            if job is None or self._due(job) != at:
                return
            self._publish(job)
            attempted = {"lastAttemptTime": self._now().isoformat(), "settledAt": at.isoformat()}
            self._keep({**job, **attempted})

    def next_at(self) -> datetime | None:
        with self._lock:
            now = self._now()
            running = [job for job in self._jobs.values() if job["state"] == "ENABLED"]
            return min((next_fire(*_times(job), now) for job in running), default=None)

    def _turn(self, name: str, before: str, after: str) -> Job:
        with self._lock:
            job = self._get(name)
            if job["state"] != before:
                raise Refusal(
                    400, "FAILED_PRECONDITION", f"Job {name} must be {before}, it is {job['state']}."
                )
            settled = {"settledAt": self._now().isoformat()} if after == "ENABLED" else {}
            return self._keep({**job, **settled, "state": after})

    def _due(self, job: Job) -> datetime | None:
        settled = datetime.fromisoformat(job["settledAt"])
        return due_fire(*_times(job), settled, self._now()) if job["state"] == "ENABLED" else None

    def _get(self, name: str) -> Job:
        if name not in self._jobs:
            raise Refusal(404, "NOT_FOUND", f"Job {name} not found.")
        return self._jobs[name]

    def _keep(self, job: Job) -> Job:
        file = self._file(job["name"])
        new = file.with_suffix(".new")
        new.write_text(json.dumps(job))
        new.replace(file)
        self._jobs[job["name"]] = job
        return self._shown(job)

    def _shown(self, job: Job) -> Job:
        """What the API shows; also a next time of one that is paused, which nobody must believe."""
        shown = {key: value for key, value in job.items() if key != "settledAt"}
        return {**shown, "scheduleTime": next_fire(*_times(job), self._now()).isoformat()}

    def _file(self, name: str) -> Path:
        return self._folder / f"{quote(name, safe='')}.json"


def _times(job: Job) -> tuple[str, str]:
    return job["schedule"], job["timeZone"]


def _checked(job: Job) -> Job:
    """The job with its defaults.

    Raises:
        Refusal: what the API wouldn't take.
    """
    job = {"timeZone": "Etc/UTC", **job}
    try:
        check_cron(job.get("schedule", ""))
        check_timezone(job["timeZone"])
        base64.b64decode(job["pubsubTarget"]["data"], validate=True)
        topic = job["pubsubTarget"]["topicName"]
    except (KeyError, TypeError, ValueError) as error:
        raise Refusal(400, "INVALID_ARGUMENT", f"{type(error).__name__}: {error}") from error
    if not _TOPIC.fullmatch(topic):
        raise Refusal(400, "INVALID_ARGUMENT", f"a topic is projects/.../topics/..., not {topic!r}")
    return job
