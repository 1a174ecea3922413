"""A service that takes connections and never answers: each call to it ends, in a time that functions have."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from infra.catalogue import read_catalogue
from shared.config import PlatformName, Settings, load_settings
from shared.errors import PlatformUnavailable
from shared.platform.gcp.blobs import GcsBlobs
from shared.platform.gcp.documents import FirestoreDocuments
from shared.platform.gcp.events import PubsubEvents
from shared.platform.gcp.jobs import CloudRunJobs
from shared.platform.gcp.project import Project
from shared.platform.gcp.rest import GoogleRest
from shared.platform.gcp.schedules import CloudSchedules
from shared.platform.gcp.secrets import SecretManager
from shared.platform.local.documents import SqliteDocuments
from shared.platform.ports import Delete, Event, Put

TIMEOUT_SECONDS = 2.0
MOST = 3.0
"""So many times its time for one call may a call take: its last attempt begins just before the end, and what
became of a write has to be found out."""


@pytest.fixture
def project() -> Iterator[Project]:
    """All of whose services are one socket that nobody reads from."""
    with socket.create_server(("127.0.0.1", 0), backlog=256) as hole:
        host = f"127.0.0.1:{hole.getsockname()[1]}"
        services = ("firestore", "pubsub", "run", "scheduler", "secrets")
        yield Project.of(
            load_settings(
                platform=PlatformName.EMULATORS,
                google_cloud_project="a-project",
                platform_timeout_seconds=TIMEOUT_SECONDS,
                storage_emulator_host=f"http://{host}",
                **{f"{service}_emulator_host": host for service in services},
            )
        )


def calls(project: Project, folder: Path) -> Mapping[str, Callable[[], object]]:
    rest = GoogleRest(project)
    documents, blobs = FirestoreDocuments(project, rest), GcsBlobs(project, rest)
    events = PubsubEvents(project, rest, ["predictions.made"])
    jobs = CloudRunJobs(project, SqliteDocuments(folder / "documents.sqlite3"))
    event = Event("e1", "//test", "predictions.made", datetime(2024, 1, 1, tzinfo=UTC), {})
    return {
        "get": lambda: documents.get("things", "a"),
        "query": lambda: documents.query("things"),
        "put": lambda: documents.commit([Put("things", "a", {})]),
        "delete": lambda: documents.commit([Delete("things", "a")]),
        "put a blob": lambda: blobs.put("a", b"content"),
        "get a blob": lambda: blobs.get("a"),
        "list blobs": lambda: list(blobs.list("")),
        "delete a blob": lambda: blobs.delete("a"),
        "publish": lambda: events.publish("predictions.made", [event]),
        "start": lambda: jobs.start("note", [], execution_id="e1"),
        "secret": lambda: SecretManager(project, rest, {}).get("a-secret"),
        "schedules": lambda: CloudSchedules(project).list(),
        "fire": lambda: CloudSchedules(project).fire("retrain"),
    }


def test_each_call_ends_in_its_time(project: Project, tmp_path: Path) -> None:
    import google.cloud.run_v2
    import google.cloud.scheduler_v1
    import google.cloud.storage  # noqa: F401 - so that no call's time is that of an import

    def taken(call: Callable[[], object]) -> float:
        began = time.monotonic()
        with pytest.raises(PlatformUnavailable):
            call()
        return time.monotonic() - began

    asked = calls(project, tmp_path)
    with ThreadPoolExecutor(len(asked)) as pool:
        seconds = dict(zip(asked, pool.map(taken, asked.values()), strict=True))
    assert {name: took for name, took in seconds.items() if took > MOST * TIMEOUT_SECONDS} == {}


def test_each_function_has_the_time_for_a_call_that_fails() -> None:
    usual = float(Settings.model_fields["platform_timeout_seconds"].default)
    functions = read_catalogue().functions
    hasty = [name for name, entry in functions.items() if entry.may and entry.timeout_seconds < MOST * usual]
    assert hasty == []
