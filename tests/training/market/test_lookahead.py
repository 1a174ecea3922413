from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import DTypeLike, NDArray

from shared.market.candles import Panel
from shared.training.market.lookahead import LookAhead, look_ahead_test
from tests.training.synthetic import LaggedReturns, random_candles

SERIES = [random_candles(f"S{i}", 60, i) for i in range(3)]


@dataclass(frozen=True)
class Leaking(LaggedReturns):
    """Lagged returns, and a last column that knows more than it may."""

    leak: Callable[[Panel, NDArray[Any]], NDArray[Any]] = lambda panel, x: x[:, 0]

    def matrix(
        self, panel: Panel, *, dtype: DTypeLike = np.float64, out: NDArray[Any] | None = None
    ) -> NDArray[Any]:
        x = super().matrix(panel, dtype=dtype, out=out)
        x[:, -1] = self.leak(panel, x)
        return x


def _test(features: LaggedReturns, horizon: int = 2) -> LookAhead:
    return look_ahead_test(SERIES, features, horizon, np.random.default_rng(0))


def test_honest_features_pass() -> None:
    found = _test(LaggedReturns())
    assert found.passed
    assert found.cuts == 5
    assert found.series == 3
    assert found.values_compared > 1_000


@pytest.mark.parametrize(
    "leak",
    [
        lambda panel, x: np.append(panel.close[1:], panel.close[-1]),
        lambda panel, x: panel.close - panel.close.mean(),
        lambda panel, x: panel.close / panel.close.max(),
        lambda panel, x: np.append(panel.open[1:] / panel.close[:-1], 1.0),
        lambda panel, x: np.convolve(panel.close, np.ones(3) / 3, "same"),
        lambda panel, x: np.full(len(panel), len(panel)),
        lambda panel, x: np.append(panel.volume[1:], np.nan),
    ],
    ids=["next close", "whole mean", "whole maximum", "next gap", "centred mean", "length", "next volume"],
)
def test_feature_that_sees_the_future_is_caught_by_name(leak: Any) -> None:
    assert _test(Leaking(leak=leak)).leaking == ("return_lag_2",)


def test_same_seed_tries_the_same_cuts() -> None:
    assert _test(LaggedReturns()) == _test(LaggedReturns())


def test_series_too_short_to_cut_are_left_out() -> None:
    short = [random_candles("A", 4, 1)]
    assert look_ahead_test(short, LaggedReturns(), 1, np.random.default_rng(0)).cuts == 0
