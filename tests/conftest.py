"""Every test gets a state folder of its own and an environment without the developer's settings."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from shared.config import Settings, load_settings, settings
from shared.instance import Instance, use_instance
from shared.logs import LOGGER
from shared.platform.connect import connect
from tests.emulators import Emulators

ADMIN_KEY = "an-admin-key-for-tests"

CALM: dict[str, Any] = {"deadline": None, "suppress_health_check": [hypothesis.HealthCheck.too_slow]}
hypothesis.settings.register_profile("searching", **CALM)  # how long an example takes is the machine's affair
hypothesis.settings.register_profile("ci", derandomize=True, database=None, **CALM)
# In CI the same examples at every run: new ones are looked for elsewhere.
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "searching")


@pytest.fixture(autouse=True)
def clean_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Environment, settings, instance and logging are those of a fresh process."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("MLENGINE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("MLENGINE_KEYRING", "off")
    settings.cache_clear()
    use_instance(None)
    yield
    settings.cache_clear()
    use_instance(None)
    for logger in (LOGGER, logging.getLogger("stamina")):
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(logging.NOTSET)


@pytest.fixture
def instance(tmp_path: Path) -> Instance:
    """This process's instance: local adapters on an empty state folder, no upstream reachable."""
    chosen = load_settings(
        mlengine_home=tmp_path / "home",
        admin_api_key=ADMIN_KEY,
        market_data_url="http://127.0.0.1:9",
        upstream_attempts=1,
    )
    made = Instance(chosen, connect(chosen))
    use_instance(made)
    return made


@pytest.fixture(scope="session")
def emulators(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulators]:
    """The session's emulators; none runs before it is asked for."""
    with ExitStack() as stack:
        yield Emulators(stack, tmp_path_factory.mktemp("emulators"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The folders whose tests take longest come first: no processor waits for another at the end."""
    longest = ("e2e", "mlflow", "infra", "terraform")
    items.sort(key=lambda item: item.path.parent.name not in longest)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = terminalreporter.stats.get("skipped", [])
    not_run = [report for report in skipped if "not run on emulators" in str(report.longrepr)]
    if not_run:
        terminalreporter.write_line(f"{len(not_run)} tests were not run on emulators: see the reasons above.")
