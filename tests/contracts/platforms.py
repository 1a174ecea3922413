"""The adapters that every port's suite runs on. A new one is one function and one line in its port's table.

An opener takes a state folder. Opening it again, in any process, finds what was there. What an adapter
on emulators needs to know (hosts, project) lies in the folder's `emulators.json`: see `tests.emulators`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from shared.platform.local.blobs import FolderBlobs
from shared.platform.local.documents import SqliteDocuments
from shared.platform.local.events import RetryPolicy, SqliteEvents
from shared.platform.local.jobs import SubprocessJobs
from shared.platform.local.secrets import LocalSecrets
from shared.platform.ports import Blobs, Documents, Events, Jobs, Secrets

ROOT = Path(__file__).resolve().parents[2]
NOW = datetime(2020, 1, 1, tzinfo=UTC)
SUBSCRIPTIONS = {"made": ("audit", "copy"), "asked": ("worker",), "dropped": ()}
MAX_ATTEMPTS = 3
SECRETS_GIVEN = {"FROM_ENVIRONMENT": "one"}


def sqlite_events(state: Path) -> SqliteEvents:
    return SqliteEvents(
        state / "events.sqlite3",
        SUBSCRIPTIONS,
        retry=RetryPolicy(max_attempts=MAX_ATTEMPTS, first_seconds=2.0, longest_seconds=3.0),
        jitter=lambda: 0.0,
    )


def subprocess_jobs(state: Path) -> SubprocessJobs:
    return SubprocessJobs(
        state / "jobs",
        root=ROOT,
        package="tests.contracts.sample_jobs",
        environment={"SAMPLE_NOTES": str(state)},
        grace_seconds=0.3,
    )


DOCUMENTS: Mapping[str, Callable[[Path], Documents]] = {
    "local": lambda state: SqliteDocuments(state / "documents.sqlite3"),
}
BLOBS: Mapping[str, Callable[[Path], Blobs]] = {
    "local": lambda state: FolderBlobs(state / "blobs"),
}
EVENTS: Mapping[str, Callable[[Path], Events]] = {
    "local": sqlite_events,
}
JOBS: Mapping[str, Callable[[Path], Jobs]] = {
    "local": subprocess_jobs,
}
SECRETS: Mapping[str, Callable[[Path], Secrets]] = {
    "local": lambda state: LocalSecrets(state / "secrets", SECRETS_GIVEN),
}

PORTS: Mapping[str, Mapping[str, Callable[[Path], Any]]] = {
    "documents": DOCUMENTS,
    "blobs": BLOBS,
    "events": EVENTS,
    "jobs": JOBS,
    "secrets": SECRETS,
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

    def reopen(self) -> Place:
        """The same state, as another process would find it."""
        return Place(self.name, self.state)
