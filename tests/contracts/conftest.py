from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from shared.platform.local.jobs import SubprocessJobs
from shared.platform.ports import Blobs, Documents, Events, Jobs, Secrets
from tests.contracts.beds import Bed, bed_at, set_up
from tests.contracts.platforms import PORTS, Place
from tests.emulators import Emulators, aws_in, project_in

_PORT_OF = {
    "test_documents": "documents",
    "test_queries": "documents",
    "test_blobs": "blobs",
    "test_events": "events",
    "test_jobs": "jobs",
    "test_secrets": "secrets",
    "test_schedules": "schedules",
}
"""Which port each suite is for: it runs on all adapters of that port."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "place" in metafunc.fixturenames:
        metafunc.parametrize("place", sorted(PORTS[_port_of(metafunc.module)]), indirect=True)


def _port_of(module: ModuleType) -> str:
    return _PORT_OF[module.__name__.rpartition(".")[2]]


@pytest.fixture
def place(
    request: pytest.FixtureRequest, tmp_path: Path, emulators: Emulators, monkeypatch: pytest.MonkeyPatch
) -> Place:
    name: str = request.param
    if name != "local":
        emulators.describe(tmp_path, name, _port_of(request.module))
    for variable, value in aws_in(tmp_path).items():
        monkeypatch.setenv(variable, value)
    return Place(name, tmp_path)


@pytest.fixture
def documents(place: Place) -> Documents:
    return place.documents


@pytest.fixture
def blobs(place: Place) -> Blobs:
    return place.blobs


@pytest.fixture
def events(place: Place) -> Events:
    set_up(place)
    return place.events


@pytest.fixture
def bed(place: Place, events: Events) -> Bed:
    return bed_at(place)


@pytest.fixture
def jobs(place: Place) -> Iterator[Jobs]:
    found = place.jobs
    yield found
    if isinstance(found, SubprocessJobs):
        found.close()


@pytest.fixture
def job_notes(place: Place, emulators: Emulators) -> Path:
    """Where the sample jobs write."""
    return place.state if place.name == "local" else emulators.job_notes / project_in(place.state).id


@pytest.fixture
def secrets(place: Place) -> Secrets:
    return place.secrets
