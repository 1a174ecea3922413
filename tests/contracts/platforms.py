"""The adapters that every port's suite runs on. A new one is one function and one line in its port's table.

An opener takes a state folder. Opening it again, in any process, finds what was there. What an adapter
on emulators needs to know (hosts, project) lies in the folder's `emulators.json`: see `tests.emulators`.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from shared.platform.gcp.blobs import GcsBlobs
from shared.platform.gcp.documents import FirestoreDocuments
from shared.platform.gcp.events import PubsubEvents
from shared.platform.gcp.jobs import CloudRunJobs
from shared.platform.gcp.rest import GoogleRest
from shared.platform.gcp.schedules import CloudSchedules
from shared.platform.gcp.secrets import SecretManager
from shared.platform.local.blobs import FolderBlobs
from shared.platform.local.documents import SqliteDocuments
from shared.platform.local.events import RetryPolicy, SqliteEvents
from shared.platform.local.jobs import SubprocessJobs
from shared.platform.local.schedules import DocumentSchedules
from shared.platform.local.secrets import LocalSecrets
from shared.platform.ports import Blobs, Documents, Events, Jobs, Schedules, Secrets
from shared.platform.s3.blobs import S3Blobs
from shared.platform.topics import DEAD_LETTERS
from tests.emulators import SECRETS_KEPT, aws_in, bucket_of, project_in, settings_in

ROOT = Path(__file__).resolve().parents[2]
NOW = datetime(2020, 1, 1, tzinfo=UTC)
SUBSCRIPTIONS = {
    "made": ("audit", "copy"),
    "asked": ("worker",),
    "dropped": (),
    DEAD_LETTERS: ("deadletters",),
}
MAX_ATTEMPTS = 5
"""The least that Pub/Sub takes."""
SECRETS_GIVEN = {"FROM_ENVIRONMENT": "one"}


def sqlite_events(state: Path) -> SqliteEvents:
    return SqliteEvents(
        state / "events.sqlite3",
        SUBSCRIPTIONS,
        retry=RetryPolicy(max_attempts=MAX_ATTEMPTS, first_seconds=2.0, longest_seconds=3.0),
        jitter=lambda: 0.0,
    )


def pubsub_events(state: Path) -> PubsubEvents:
    project = project_in(state)
    return PubsubEvents(project, GoogleRest(project), SUBSCRIPTIONS)


def firestore_documents(state: Path) -> FirestoreDocuments:
    project = project_in(state)
    return FirestoreDocuments(project, GoogleRest(project))


def subprocess_jobs(state: Path) -> SubprocessJobs:
    return SubprocessJobs(
        state / "jobs",
        root=ROOT,
        package="tests.contracts.sample_jobs",
        environment={"SAMPLE_NOTES": str(state)},
        grace_seconds=0.3,
    )


def cloud_run_jobs(state: Path) -> CloudRunJobs:
    """Its claims are in SQLite: any Documents will do, and the suite runs without the SDK."""
    return CloudRunJobs(project_in(state), SqliteDocuments(state / "documents.sqlite3"))


def gcs_blobs(state: Path) -> GcsBlobs:
    project = project_in(state)
    return GcsBlobs(project, GoogleRest(project))


def s3_blobs(state: Path) -> S3Blobs:
    os.environ.update(aws_in(state))  # where boto3 looks, in every process that opens this
    chosen = settings_in(state)
    return S3Blobs(bucket_of(chosen), timeout_seconds=chosen.platform_timeout_seconds)


def local_secrets(state: Path) -> LocalSecrets:
    found = LocalSecrets(state / "secrets", SECRETS_GIVEN)
    for name, value in SECRETS_KEPT.items():
        found.ensure(name, partial(str, value))
    return found


def secret_manager(state: Path) -> SecretManager:
    project = project_in(state)
    return SecretManager(project, GoogleRest(project), SECRETS_GIVEN)


def document_schedules(state: Path) -> DocumentSchedules:
    """Their clock stands at the time in the file `clock`."""

    def now() -> datetime:
        return datetime.fromisoformat((state / "clock").read_text())

    documents = SqliteDocuments(state / "documents.sqlite3")
    return DocumentSchedules(documents, sqlite_events(state), now, lambda: secrets.token_hex(8))


DOCUMENTS: Mapping[str, Callable[[Path], Documents]] = {
    "local": lambda state: SqliteDocuments(state / "documents.sqlite3"),
    "gcp": firestore_documents,
}
BLOBS: Mapping[str, Callable[[Path], Blobs]] = {
    "local": lambda state: FolderBlobs(state / "blobs"),
    "gcp": gcs_blobs,
    "s3": s3_blobs,
}
EVENTS: Mapping[str, Callable[[Path], Events]] = {
    "local": sqlite_events,
    "gcp": pubsub_events,
}
JOBS: Mapping[str, Callable[[Path], Jobs]] = {
    "local": subprocess_jobs,
    "gcp": cloud_run_jobs,
}
SECRETS: Mapping[str, Callable[[Path], Secrets]] = {
    "local": local_secrets,
    "gcp": secret_manager,
}
SCHEDULES: Mapping[str, Callable[[Path], Schedules]] = {
    "local": document_schedules,
    "gcp": lambda state: CloudSchedules(project_in(state)),
}

PORTS: Mapping[str, Mapping[str, Callable[[Path], Any]]] = {
    "documents": DOCUMENTS,
    "blobs": BLOBS,
    "events": EVENTS,
    "jobs": JOBS,
    "secrets": SECRETS,
    "schedules": SCHEDULES,
}


@dataclass(frozen=True)
class Place:
    """The adapters called `name` on one state folder, each made when it is asked for."""

    name: str
    state: Path

    @cached_property
    def documents(self) -> Documents:
        return DOCUMENTS[self.name](self.state)

    @cached_property
    def blobs(self) -> Blobs:
        return BLOBS[self.name](self.state)

    @cached_property
    def events(self) -> Events:
        return EVENTS[self.name](self.state)

    @cached_property
    def jobs(self) -> Jobs:
        return JOBS[self.name](self.state)

    @cached_property
    def secrets(self) -> Secrets:
        return SECRETS[self.name](self.state)

    @cached_property
    def schedules(self) -> Schedules:
        return SCHEDULES[self.name](self.state)

    def reopen(self) -> Place:
        """The same state, as another process would find it."""
        return Place(self.name, self.state)
