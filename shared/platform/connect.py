"""Chooses the adapters: the only place that knows more than one kind of platform."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from shared.platform.ports import Platform

if TYPE_CHECKING:
    from shared.config import Settings

_ROOT = Path(__file__).resolve().parents[2]


def connect(settings: Settings) -> Platform:
    """The platform that `settings` ask for. Nothing is opened before it is used."""
    return _local(settings.mlengine_home.absolute())


def _local(home: Path) -> Platform:
    from shared.platform.local.blobs import FolderBlobs
    from shared.platform.local.documents import SqliteDocuments
    from shared.platform.local.events import SqliteEvents
    from shared.platform.local.jobs import SubprocessJobs
    from shared.platform.local.schedules import DocumentSchedules
    from shared.platform.local.secrets import LocalSecrets
    from shared.platform.topics import TOPICS

    documents = SqliteDocuments(home / "documents.sqlite3")
    events = SqliteEvents(home / "events.sqlite3", TOPICS)
    return Platform(
        documents=documents,
        blobs=FolderBlobs(home / "blobs"),
        events=events,
        jobs=SubprocessJobs(home / "jobs", root=_ROOT, environment={"MLENGINE_HOME": str(home)}),
        secrets=LocalSecrets(home / "secrets"),
        schedules=DocumentSchedules(documents, events, _now, _new_id),
        now=_now,
        new_id=_new_id,
    )


def _now() -> datetime:
    return datetime.now(UTC)


def _new_id() -> str:
    return secrets.token_hex(16)
