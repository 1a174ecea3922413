from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.platform.local.events import SqliteEvents
from shared.platform.local.jobs import SubprocessJobs
from shared.platform.ports import Blobs, Documents, Jobs, Secrets
from tests.contracts.platforms import PORTS, Place
from tests.emulators import Emulators

_PORT_OF = {
    "test_documents": "documents",
    "test_queries": "documents",
    "test_blobs": "blobs",
    "test_events": "events",
    "test_jobs": "jobs",
    "test_secrets": "secrets",
}
"""Which port each suite is for: it runs on all adapters of that port."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "place" in metafunc.fixturenames:
        module = metafunc.module.__name__.rpartition(".")[2]
        metafunc.parametrize("place", sorted(PORTS[_PORT_OF[module]]), indirect=True)


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path, emulators: Emulators) -> Place:
    name: str = request.param
    if name != "local":
        emulators.describe(tmp_path, name)
    return Place(name, tmp_path)


@pytest.fixture
def documents(place: Place) -> Documents:
    return place.documents


@pytest.fixture
def blobs(place: Place) -> Blobs:
    return place.blobs


@pytest.fixture
def events(place: Place) -> SqliteEvents:
    assert isinstance(place.events, SqliteEvents)
    return place.events


@pytest.fixture
def jobs(place: Place) -> Iterator[Jobs]:
    found = place.jobs
    yield found
    if isinstance(found, SubprocessJobs):
        found.close()


@pytest.fixture
def secrets(place: Place) -> Secrets:
    return place.secrets
