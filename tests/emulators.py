"""The emulators that tests share: started once per session, when the first test asks.

Each test works in a project of its own, so nothing is wiped. Where a part is missing, its tests are
skipped, saying what is missing and how to get it; with REQUIRE_EMULATORS=1 they fail instead.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path

import pytest

from infra.emulators import s3
from infra.emulators.google import firestore_emulator, pubsub_emulator
from infra.emulators.processes import Emulator, running
from infra.emulators.run import run_standin
from infra.emulators.scheduler import scheduler_standin
from infra.emulators.secrets import secrets_standin, write_values
from infra.emulators.storage import create_bucket, storage_emulator
from infra.emulators.topology import provision
from shared.config import PlatformName, Settings, load_settings
from shared.platform.gcp.project import Project
from shared.platform.gcp.sdk import missing
from shared.platform.topics import TOPICS

REQUIRED = os.environ.get("REQUIRE_EMULATORS") == "1"
DESCRIPTION = "emulators.json"
AWS = "aws.json"
SERVICES: Mapping[str, Sequence[str]] = {
    "documents": ("firestore",),
    "blobs": ("storage",),
    "events": ("pubsub",),
    "jobs": ("run",),
    "secrets": ("secrets",),
    "schedules": ("pubsub", "scheduler"),
}
"""What each port's adapter and its suite call: only these are started for its tests."""
SECRETS_KEPT = {"kept": "two, ü and 🙂"}
"""What the store of secrets holds."""


def need_sdk() -> None:
    """Skip the test, or fail it in CI, where the SDK's emulators can't start."""
    lacking = missing()
    if lacking:
        words = "; ".join(f"{one.part} is missing: {one.how}" for one in lacking)
        (pytest.fail if REQUIRED else pytest.skip)(f"not run on emulators: {words}")


def fresh_project() -> str:
    return f"test-{secrets.token_hex(6)}"


class Emulators:
    """The session's emulators, each started when it is first asked for, all ended with `stack`."""

    def __init__(self, stack: ExitStack, logs: Path) -> None:
        self._stack = stack
        self._logs = logs

    def _start(self, make: Callable[[Path], Emulator]) -> str:
        return self._stack.enter_context(running(make(self._logs))).host

    @cached_property
    def firestore(self) -> str:
        """host:port"""
        need_sdk()
        return self._start(firestore_emulator)

    @cached_property
    def pubsub(self) -> str:
        """host:port"""
        need_sdk()
        return self._start(pubsub_emulator)

    @cached_property
    def storage(self) -> str:
        """http://host:port, as its clients want it"""
        return f"http://{self._start(storage_emulator)}"

    @cached_property
    def s3(self) -> str:
        """http://host:port"""
        return f"http://{self._start(s3.s3_emulator)}"

    @cached_property
    def run(self) -> str:
        """host:port; its jobs are the sample jobs, which write to `job_notes`, each project's to its own."""
        return self._start(
            lambda logs: run_standin(
                logs,
                folder=logs / "executions",
                environment={"SAMPLE_NOTES": str(self.job_notes)},
                package="tests.contracts.sample_jobs",
                grace_seconds=0.3,
            )
        )

    @property
    def job_notes(self) -> Path:
        return self._logs / "job-notes"

    @cached_property
    def secrets(self) -> str:
        """host:port; it holds SECRETS_KEPT, in whichever project."""
        values = self._logs / "secrets.json"
        write_values(values, SECRETS_KEPT)
        return self._start(lambda logs: secrets_standin(logs, values))

    @cached_property
    def scheduler(self) -> str:
        """host:port"""
        folder, host = self._logs / "schedules", self.pubsub
        return self._start(lambda logs: scheduler_standin(logs, folder=folder, pubsub_host=host))

    def settings(self, *services: str, **more: str) -> Settings:
        """Of a fresh project on the emulators of these services; `storage` has its bucket."""
        hosts: dict[str, str] = {f"{service}_emulator_host": getattr(self, service) for service in services}
        chosen = load_settings(
            platform=PlatformName.EMULATORS, google_cloud_project=fresh_project(), **{**hosts, **more}
        )
        if "storage" in services:
            create_bucket(self.storage, Project.of(chosen).bucket)
        return chosen

    def ready(self, **more: str) -> Settings:
        """Of a fresh project with all that the functions need: documents, a bucket, topics to pull from."""
        chosen = self.settings("firestore", "pubsub", "storage", **more)
        provision(Project.of(chosen), TOPICS, None)
        return chosen

    def describe(self, state: Path, name: str, port: str) -> None:
        """Write down for the adapter `name` of `port` where it finds a fresh project: see `project_in`."""
        if name == "s3":
            chosen = load_settings(blobs_url=f"s3://{fresh_project()}")
            s3.create_bucket(self.s3, bucket_of(chosen))
            (state / AWS).write_text(json.dumps({**s3.ENVIRONMENT, "AWS_ENDPOINT_URL": self.s3}))
        else:
            chosen = self.settings(*SERVICES[port])
        (state / DESCRIPTION).write_text(chosen.model_dump_json(exclude_unset=True))


def settings_in(state: Path) -> Settings:
    """What `describe` wrote down, in any process."""
    return load_settings(**json.loads((state / DESCRIPTION).read_text()))


def aws_in(state: Path) -> Mapping[str, str]:
    """The environment that boto3 needs; empty where `describe` was called for something else."""
    file = state / AWS
    found: Mapping[str, str] = json.loads(file.read_text()) if file.exists() else {}
    return found


def bucket_of(chosen: Settings) -> str:
    """The bucket of `blobs_url`."""
    return chosen.blobs_url.partition("://")[2]


def project_in(state: Path) -> Project:
    return Project.of(settings_in(state))
