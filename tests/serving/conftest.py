from __future__ import annotations

from pathlib import Path

import pytest

from shared.config import load_settings
from shared.instance import Instance
from shared.platform.connect import connect
from tests.homes import copied
from tests.packages import active, registered


@pytest.fixture(scope="session")
def _home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("serving") / "home"
    settings = load_settings(mlengine_home=home)
    registry = Instance(settings, connect(settings)).registry
    active(registry)
    registered(registry, 1)
    return home


@pytest.fixture
def home(_home: Path, tmp_path: Path) -> Path:
    """A state folder with two versions of market-signal, of which the first is live."""
    return copied(_home, tmp_path / "home")
