"""What several of these tests start from: a market of momentum, and a state with models that passed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.faults import LockedFile, Site, site_on_emulators
from tests.e2e.markets import write_momentum_market
from tests.e2e.twin import Twin, running_twin, running_upstream
from tests.e2e.whole import open_state
from tests.emulators import Emulators, need_sdk
from tests.homes import copied

SYMBOLS = [f"MOM{number:02d}" for number in range(40)]
FIRST_MODEL = {"TRAIN_SYMBOLS": ",".join(SYMBOLS[:10]), "TRAIN_TEST_SIZE": "0.5", "TRAIN_CV_FOLDS": "2"}
"""Too few symbols for a model to pass its gates."""
PASSING: dict[str, Any] = {
    "symbols": SYMBOLS,
    "lookback": 0,
    "test_size": 0.5,
    "cv_folds": 2,
    "candidates": ["logistic_regression"],
    "activate": True,
}
"""A training request whose model passes its gates on the momentum market; each seed gives another package."""


@dataclass(frozen=True)
class Prepared:
    """A twin's state at rest: `passed` are versions whose gates passed, the last one of them is live."""

    home: Path
    upstream_url: str
    first_start_output: str
    passed: tuple[str, ...]

    def copy(self, to: Path) -> Path:
        """A state folder of one's own."""
        return copied(self.home, to)

    def twin(self, to: Path, **environment: str) -> Twin:
        """A twin on a copy of this state."""
        return Twin(self.copy(to), MARKET_DATA_URL=self.upstream_url, **FIRST_MODEL, **environment)


@pytest.fixture(scope="session")
def momentum_upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    file = tmp_path_factory.mktemp("market") / "momentum.parquet"
    write_momentum_market(file, symbols=len(SYMBOLS), candles=700, persistence=0.535)
    with running_upstream(file) as url:
        yield url


@pytest.fixture(scope="session")
def prepared(momentum_upstream: str, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """A first start on the momentum upstream, then two training runs that pass and go live."""
    home = tmp_path_factory.mktemp("prepared") / "home"
    with running_twin(home, MARKET_DATA_URL=momentum_upstream, **FIRST_MODEL) as twin:
        twin.wait_until_welcoming()
        runs = [twin.wait_for_run(twin.train(**PASSING, random_state=seed)) for seed in (1, 2)]
        output = twin.output
        assert twin.interrupt() == 0
    assert [run["status"] for run in runs] == ["succeeded", "succeeded"], runs
    return Prepared(home, momentum_upstream, output, tuple(run["result"]["version_id"] for run in runs))


@pytest.fixture
def start_prepared(prepared: Prepared, tmp_path: Path) -> Iterator[Callable[..., Twin]]:
    """Starts a twin on a copy of the prepared state; it is stopped in the end."""
    started: list[Twin] = []

    def start(**environment: str) -> Twin:
        twin = prepared.twin(tmp_path / f"home-{len(started)}", **environment)
        started.append(twin)
        twin.start()
        return twin

    yield start
    for twin in started:
        twin.kill()
        twin.client.close()


@pytest.fixture(scope="session", params=["local", "emulators"])
def site(
    request: pytest.FixtureRequest,
    momentum_upstream: str,
    emulators: Emulators,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    """A twin at work on either ground, whose services can be taken away. Tests leave it whole."""
    home = tmp_path_factory.mktemp(f"site-{request.param}") / "home"
    if request.param == "emulators":
        need_sdk()
        with site_on_emulators(emulators, home, momentum_upstream, SYMBOLS) as site:
            yield site
        return
    prepared: Prepared = request.getfixturevalue("prepared")
    twin = prepared.twin(home, MODEL_CACHE_SECONDS="0")
    twin.start()
    try:
        twin.wait_for("/health")
        state = open_state(home)
        services = {name: LockedFile(home / f"{name}.sqlite3") for name in ("documents", "events")}
        yield Site(twin, state, state, services, prepared.passed, SYMBOLS)
    finally:
        twin.kill()
        twin.client.close()


_TOLD = pytest.StashKey[list[str]]()


@pytest.fixture
def tell(pytestconfig: pytest.Config, request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Says what was counted or measured, at the end of pytest's report."""
    told = pytestconfig.stash.setdefault(_TOLD, [])
    ground = request.node.callspec.id if hasattr(request.node, "callspec") else ""
    return lambda words: told.append(f"{ground}: {words}" if ground else words)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for words in config.stash.get(_TOLD, []):
        terminalreporter.write_line(words)
