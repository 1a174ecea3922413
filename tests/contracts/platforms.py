"""The platforms that every port's suite runs on. A new one is one function and one line in `PLATFORMS`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from shared.platform.local.blobs import FolderBlobs
from shared.platform.local.documents import SqliteDocuments
from shared.platform.local.events import RetryPolicy, SqliteEvents
from shared.platform.local.jobs import SubprocessJobs
from shared.platform.local.secrets import LocalSecrets
from shared.platform.ports import Platform

ROOT = Path(__file__).resolve().parents[2]
NOW = datetime(2020, 1, 1, tzinfo=UTC)
SUBSCRIPTIONS = {"made": ("audit", "copy"), "asked": ("worker",), "dropped": ()}
MAX_ATTEMPTS = 3
SECRETS = {"FROM_ENVIRONMENT": "one"}


def local(state: Path) -> Platform:
    """`state` is a folder. Opening it again, in any process, finds what was there."""
    return Platform(
        documents=SqliteDocuments(state / "documents.sqlite3"),
        blobs=FolderBlobs(state / "blobs"),
        events=SqliteEvents(
            state / "events.sqlite3",
            SUBSCRIPTIONS,
            retry=RetryPolicy(max_attempts=MAX_ATTEMPTS, first_seconds=2.0, longest_seconds=3.0),
            jitter=lambda: 0.0,
        ),
        jobs=SubprocessJobs(
            state / "jobs",
            root=ROOT,
            package="tests.contracts.sample_jobs",
            environment={"SAMPLE_NOTES": str(state)},
            grace_seconds=0.3,
        ),
        secrets=LocalSecrets(state / "secrets", SECRETS),
        now=lambda: NOW,
        new_id=lambda: "0",
    )


PLATFORMS: Mapping[str, Callable[[Path], Platform]] = {"local": local}
