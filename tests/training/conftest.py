from __future__ import annotations

import pytest

from shared.market.candles import Candles
from tests.training.synthetic import random_candles


@pytest.fixture(scope="session")
def panel_with_momentum() -> list[Candles]:
    """Eight symbols, 500 days, with an edge that any algorithm can find."""
    return [random_candles(f"S{i}", 500, seed=i, momentum=0.25) for i in range(8)]


@pytest.fixture(scope="session")
def panel_of_noise() -> list[Candles]:
    """Eight symbols, 500 days, with nothing to learn."""
    return [random_candles(f"S{i}", 500, seed=100 + i) for i in range(8)]
