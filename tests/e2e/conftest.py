"""What several of these tests start from: a market of momentum, and a state with models that passed."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.markets import write_momentum_market
from tests.e2e.twin import Twin, running_twin, running_upstream

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
        shutil.copytree(self.home, to)
        return to

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


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Says what was measured, past pytest's capture, to those who measure."""

    def say(words: str) -> None:
        if "KILLS" in os.environ:
            with capsys.disabled():
                sys.stderr.write(f"\n{words}\n")

    return say
