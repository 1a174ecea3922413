from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.functions.engine import Engine
from tests.homes import copied
from tests.market.made import candles
from tests.market.markets import Market, serving
from tests.market.scripted import ScriptedUpstream
from tests.packages import active


@pytest.fixture(scope="session")
def _served() -> Iterator[Market]:
    with serving(Market()) as market:
        yield market


@pytest.fixture
def market(_served: Market) -> Market:
    """An upstream that lists ABC and ABD, with enough candles for a prediction, and NEW, with too few."""
    series = candles(200), candles(200, seed=1, symbol="ABD"), candles(60, seed=2, symbol="NEW")
    _served.series = {one.symbol: one for one in series}
    _served.fault = _served.garbage = None
    _served.asked = []
    return _served


@pytest.fixture
def scripted() -> Iterator[ScriptedUpstream]:
    upstream = ScriptedUpstream()
    yield upstream
    upstream.close()


@pytest.fixture
def start(market: Market, tmp_path: Path) -> Iterator[Callable[..., Engine]]:
    """Starts an engine on the test's state folder; `settings` beat those of the tests."""
    with ExitStack() as stack:

        def start(**settings: Any) -> Engine:
            chosen = {"market_data_url": market.url, **settings}
            return stack.enter_context(Engine(tmp_path / "home", **chosen))

        yield start


@pytest.fixture(scope="session")
def _live_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("live") / "home"
    with Engine(home) as engine:
        active(engine.instance.registry)
    return home


@pytest.fixture
def live(_live_home: Path, tmp_path: Path) -> None:
    """Makes market-signal-v1 live in the test's state folder, before an engine starts there."""
    copied(_live_home, tmp_path / "home")


@pytest.fixture
def engine(start: Callable[..., Engine]) -> Engine:
    return start()
