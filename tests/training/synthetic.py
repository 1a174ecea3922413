"""Synthetic candles and a small feature set for the training tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from shared.market.candles import Candles, Panel

DAY_SECONDS = 86_400
FIRST_DAY_SECONDS = 1_200_000_000 // DAY_SECONDS * DAY_SECONDS


def weekdays(count: int) -> NDArray[np.int64]:
    """Midnights of `count` working days."""
    days = np.arange(count * 2, dtype=np.int64) + FIRST_DAY_SECONDS // DAY_SECONDS
    return days[(days + 3) % 7 < 5][:count] * DAY_SECONDS


def random_candles(
    symbol: str, count: int, seed: int, *, momentum: float = 0.0, timestamp: NDArray[np.int64] | None = None
) -> Candles:
    """A random walk of daily candles; with momentum, part of a day's return comes again the next day."""
    rng = np.random.default_rng(seed)
    change = rng.normal(0.0, 0.01, count)
    for t in range(1, count):
        change[t] += momentum * change[t - 1]
    close = np.asarray(100.0 * np.cumprod(1.0 + change), np.float64)
    opening = close * (1.0 + rng.normal(0.0, 0.002, count))
    high = np.maximum(opening, close) * (1.0 + rng.uniform(0.0, 0.005, count))
    low = np.minimum(opening, close) * (1.0 - rng.uniform(0.0, 0.005, count))
    volume = rng.uniform(1e5, 1e6, count)
    stamps = weekdays(count) if timestamp is None else timestamp
    return Candles(symbol, "1d", stamps, opening, high, low, close, volume)


@dataclass(frozen=True)
class LaggedReturns:
    """The last `lags` one-candle returns: the smallest honest feature set."""

    lags: int = 3
    name: str = "lagged"
    hash: str = "0" * 64

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"return_lag_{lag}" for lag in range(self.lags))

    @property
    def memory(self) -> int:
        return self.lags

    def matrix(
        self, panel: Panel, *, dtype: DTypeLike = np.float64, out: NDArray[Any] | None = None
    ) -> NDArray[Any]:
        x = np.empty((len(panel), self.lags), dtype) if out is None else out
        x[:] = np.nan
        for begin, end in zip(panel.starts[:-1], panel.starts[1:], strict=True):
            close = panel.close[begin:end]
            change = close[1:] / close[:-1] - 1.0
            for lag in range(self.lags):
                x[begin + lag + 1 : end, lag] = change[: max(len(change) - lag, 0)]
        return x
