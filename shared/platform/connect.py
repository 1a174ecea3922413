"""Chooses the adapters: the only place that knows more than one kind of platform."""

from __future__ import annotations

import dataclasses
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from shared.platform.clock import CLOCK_FILE, ReplayClock, machine_now
from shared.platform.ports import Platform

if TYPE_CHECKING:
    from shared.config import Settings

_ROOT = Path(__file__).resolve().parents[2]


def connect(settings: Settings) -> Platform:
    """The platform that `settings` ask for. Nothing is opened before it is used.

    Raises:
        ConfigurationError: settings that don't go together.
    """
    is_local = settings.platform == "local"
    platform = _local(settings) if is_local else _google(settings)
    scheme, _, bucket = settings.blobs_url.partition("://")
    if scheme == "s3":
        from shared.platform.s3.blobs import S3Blobs

        blobs = S3Blobs(bucket, timeout_seconds=settings.platform_timeout_seconds)
        return dataclasses.replace(platform, blobs=blobs)
    if scheme == "gs" and is_local:
        from shared.errors import ConfigurationError

        raise ConfigurationError("BLOBS_URL=gs://... goes with PLATFORM=gcp; local takes a folder or s3://.")
    return platform


def _local(settings: Settings) -> Platform:
    from shared.platform.identities import NoIdentities
    from shared.platform.local.blobs import FolderBlobs
    from shared.platform.local.documents import SqliteDocuments
    from shared.platform.local.events import SqliteEvents
    from shared.platform.local.jobs import SubprocessJobs
    from shared.platform.local.schedules import DocumentSchedules
    from shared.platform.local.secrets import LocalSecrets
    from shared.platform.topics import TOPICS, with_exports
    from shared.platform.versioned import VersionedDocuments

    home = settings.mlengine_home.absolute()
    replay = _replay_in(home, settings)
    now = machine_now if replay is None else replay.now
    documents = VersionedDocuments(SqliteDocuments(home / "documents.sqlite3"))
    events = SqliteEvents(home / "events.sqlite3", with_exports(TOPICS))
    return Platform(
        documents=documents,
        blobs=FolderBlobs(home / "blobs"),
        events=events,
        jobs=SubprocessJobs(home / "jobs", root=_ROOT, environment={"MLENGINE_HOME": str(home)}),
        secrets=LocalSecrets(home / "secrets"),
        schedules=DocumentSchedules(documents, events, now, _new_id, wall=machine_now),
        identities=NoIdentities(),
        now=now,
        wall=machine_now,
        new_id=_new_id,
        is_replay=replay is not None,
    )


def _replay_in(home: Path, settings: Settings) -> ReplayClock | None:
    """The clock of the replay whose state `home` holds, if it does."""
    file = home / CLOCK_FILE
    if not file.exists():
        return None
    if settings.is_production:
        from shared.errors import ConfigurationError

        raise ConfigurationError(
            f"{home} holds the state of a replay: with ENV=production no clock but the machine's may count. "
            "Set MLENGINE_HOME to another folder."
        )
    return ReplayClock(file)


def _google(settings: Settings) -> Platform:
    from shared.platform.gcp.blobs import GcsBlobs
    from shared.platform.gcp.documents import FirestoreDocuments
    from shared.platform.gcp.events import PubsubEvents
    from shared.platform.gcp.identities import GoogleIdentities
    from shared.platform.gcp.jobs import CloudRunJobs
    from shared.platform.gcp.project import Project
    from shared.platform.gcp.rest import GoogleRest
    from shared.platform.gcp.schedules import CloudSchedules
    from shared.platform.gcp.secrets import SecretManager
    from shared.platform.identities import NoIdentities
    from shared.platform.topics import TOPICS
    from shared.platform.versioned import VersionedDocuments

    project = Project.of(settings)
    rest = GoogleRest(project)
    documents = VersionedDocuments(FirestoreDocuments(project, rest))
    return Platform(
        documents=documents,
        blobs=GcsBlobs(project, rest),
        events=PubsubEvents(project, rest, TOPICS),
        jobs=CloudRunJobs(project, documents),
        secrets=SecretManager(project, rest),
        schedules=CloudSchedules(project),
        identities=(
            NoIdentities()
            if project.is_emulated
            else GoogleIdentities(invokers_checked=settings.invokers_checked)
        ),
        now=machine_now,
        wall=machine_now,
        new_id=_new_id,
    )


def _new_id() -> str:
    return secrets.token_hex(16)
