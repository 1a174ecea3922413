from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from shared.platform.local.events import SqliteEvents
from shared.platform.local.jobs import SubprocessJobs
from shared.platform.ports import Blobs, Documents, Jobs, Platform, Secrets
from tests.contracts.platforms import PLATFORMS


@dataclass(frozen=True)
class Place:
    """A platform that can be opened again, also by other processes: `PLATFORMS[name](state)`."""

    name: str
    state: Path
    platform: Platform

    def reopen(self) -> Platform:
        return PLATFORMS[self.name](self.state)


@pytest.fixture(params=sorted(PLATFORMS))
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return Place(request.param, tmp_path, PLATFORMS[request.param](tmp_path))


@pytest.fixture
def documents(place: Place) -> Documents:
    return place.platform.documents


@pytest.fixture
def blobs(place: Place) -> Blobs:
    return place.platform.blobs


@pytest.fixture
def events(place: Place) -> SqliteEvents:
    assert isinstance(place.platform.events, SqliteEvents)
    return place.platform.events


@pytest.fixture
def jobs(place: Place) -> Iterator[Jobs]:
    found = place.platform.jobs
    yield found
    if isinstance(found, SubprocessJobs):
        found.close()


@pytest.fixture
def secrets(place: Place) -> Secrets:
    return place.platform.secrets
