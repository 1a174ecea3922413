from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from shared.config import Settings
from shared.market.calendar import calendar_named
from shared.market.candles import COLUMNS, Candles, RawCandles
from shared.market.checks import check
from shared.market.store import CandleStore
from shared.platform.connect import connect
from shared.platform.ports import Platform
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
    shutil.copytree(stored, home)
    return settings_of(home)


@pytest.fixture
def platform(settings: Settings) -> Platform:
    return connect(settings)
