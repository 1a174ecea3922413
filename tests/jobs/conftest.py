from __future__ import annotations

from pathlib import Path

import pytest

from shared.config import Settings
from shared.instance import Instance
from shared.market.calendar import calendar_named
from shared.market.candles import COLUMNS, Candles, RawCandles
from shared.market.checks import check
from shared.market.store import CandleStore
from shared.platform.connect import connect
from shared.platform.ports import Platform
from tests.homes import copied
from tests.jobs.reported import checked_home
from tests.jobs.scored import GOOD, NEW
from tests.packages import active
from tests.training.synthetic import random_candles


def settings_of(home: Path) -> Settings:
    return Settings(mlengine_home=home, train_cv_folds=2)


def store_candles(platform: Platform, series: list[Candles]) -> None:
    store, calendar = CandleStore(platform.documents, platform.blobs), calendar_named("XNYS")
    for candles in series:
        columns = (getattr(candles, name) for name in ("timestamp", *COLUMNS))
        raw = RawCandles(candles.symbol, "1d", *columns)
        checked = check(raw, timeframe="1d", now_seconds=platform.now().timestamp(), calendar=calendar)
        store.ingest(candles.symbol, "1d", checked)


@pytest.fixture(scope="session")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with 20 symbols of 600 days whose returns continue a little: a small, real edge."""
    home = tmp_path_factory.mktemp("stored")
    platform = connect(settings_of(home))
    store_candles(platform, [random_candles(f"S{i:02}", 600, seed=i, momentum=0.1) for i in range(20)])
    return home


@pytest.fixture
def settings(stored: Path, tmp_path: Path) -> Settings:
    """A home of its own with those candles."""
    home = tmp_path / "home"
    copied(stored, home)
    return settings_of(home)


@pytest.fixture
def platform(settings: Settings) -> Platform:
    return connect(settings)


@pytest.fixture(scope="session")
def _scorable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("scorable")
    settings = settings_of(home)
    platform = connect(settings)
    series = [random_candles(symbol, 220, seed=seed) for seed, symbol in enumerate(GOOD)]
    store_candles(platform, [*series, random_candles(NEW, 60, seed=1)])
    active(Instance(settings, platform).registry)
    return home


@pytest.fixture
def scoring(_scorable: Path, tmp_path: Path) -> Instance:
    """An instance on a home of its own: a live model, the candles of many symbols, the upstream away."""
    home = tmp_path / "scoring"
    copied(_scorable, home)
    settings = settings_of(home).model_copy(
        update={"market_data_url": "http://127.0.0.1:9", "upstream_attempts": 1}
    )
    return Instance(settings, connect(settings))


@pytest.fixture(scope="session")
def _checked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("checked")
    checked_home(home, store_candles)
    return home


@pytest.fixture
def checked(_checked: Path, tmp_path: Path) -> Path:
    """A home with a check of a live model for drift that has found some, and the candles behind it."""
    copied(_checked, tmp_path / "checked")
    return tmp_path / "checked"
