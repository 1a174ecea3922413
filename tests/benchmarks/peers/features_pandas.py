"""The feature set `technical` in pandas: by group, of one symbol, or of a wide frame (one column each)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

Column = Any  # a Series, or a wide DataFrame: the arithmetic is the same


class Plain:
    """Windows over whole columns, each of one symbol."""

    def shift(self, x: Column, candles: int) -> Column:
        return x.shift(candles)

    def rolling(self, x: Column, window: int) -> Any:
        return x.rolling(window)

    def smooth(self, x: Column, alpha: float) -> Column:
        return x.ewm(alpha=alpha, adjust=False).mean()

    def aligned(self, x: Column) -> Column:
        return x


class Grouped:
    """Windows within each symbol, of columns sorted by symbol and time.

    One group-by serves all columns, so that the groups are found once.
    """

    def __init__(self, symbols: Column) -> None:
        self._frame = pd.DataFrame({"symbol": symbols})
        self._groups = self._frame.groupby("symbol", sort=False)

    def shift(self, x: Column, candles: int) -> Column:
        return self._of(x).shift(candles)

    def rolling(self, x: Column, window: int) -> Any:
        return self._of(x).rolling(window)

    def smooth(self, x: Column, alpha: float) -> Column:
        return self.aligned(self._of(x).ewm(alpha=alpha, adjust=False).mean())

    def aligned(self, x: Column) -> Column:
        """Windowed results come in the order of the rows, but under an index of their own."""
        return x.set_axis(self._frame.index)

    def _of(self, x: Column) -> Any:
        self._frame["x"] = x
        return self._groups["x"]


def technical(candles: Mapping[str, Column], windows: Plain | Grouped) -> dict[str, Column]:
    """All but the calendar. `candles`: open, high, low, close, volume."""
    return {
        **_returns(candles["close"], windows),
        **_averages(candles["close"], windows),
        **_oscillators(candles, windows),
        **_candle(candles, windows),
    }


def _returns(close: Column, windows: Plain | Grouped) -> dict[str, Column]:
    values = {f"return_{k}": close / windows.shift(close, k) - 1 for k in (1, 2, 5, 10, 20)}
    return_1 = values["return_1"]
    values["log_return_1"] = np.log1p(return_1)
    values |= {f"return_1_lag_{k}": windows.shift(return_1, k) for k in (1, 2, 3, 4, 5)}
    for w in (5, 10, 20, 60):
        values[f"volatility_{w}"] = windows.aligned(windows.rolling(return_1, w).std())
    for short, long in ((5, 10), (10, 20), (20, 60)):
        ratio = values[f"volatility_{short}"] / values[f"volatility_{long}"]
        values[f"volatility_ratio_{short}_{long}"] = ratio
    return values


def _averages(close: Column, windows: Plain | Grouped) -> dict[str, Column]:
    values = {}
    for w in (5, 10, 20, 60):
        values[f"close_to_average_{w}"] = close / windows.aligned(windows.rolling(close, w).mean()) - 1
    line = windows.smooth(close, 2 / 13) - windows.smooth(close, 2 / 27)
    signal = windows.smooth(line, 2 / 10)
    values["macd_12_26"] = line / close
    values["macd_12_26_signal_9"] = signal / close
    values["macd_12_26_histogram_9"] = (line - signal) / close
    return values


def _oscillators(candles: Mapping[str, Column], windows: Plain | Grouped) -> dict[str, Column]:
    high, low, close = (candles[name] for name in ("high", "low", "close"))
    previous = windows.shift(close, 1)
    change = close - previous
    net, moved = windows.smooth(change, 1 / 14), windows.smooth(change.abs(), 1 / 14)
    true_range = np.maximum(high, previous) - np.minimum(low, previous)
    lowest = windows.aligned(windows.rolling(np.minimum(low, close), 20).min())
    highest = windows.aligned(windows.rolling(np.maximum(high, close), 20).max())
    return {
        "rsi_14": 50 + 50 * net / moved,
        "atr_14": windows.smooth(true_range, 1 / 14) / close,
        "bollinger_z_20": _z_score(close, windows),
        "volume_z_20": _z_score(candles["volume"], windows),
        "range_position_20": (close - lowest) / (highest - lowest),
    }


def _z_score(x: Column, windows: Plain | Grouped) -> Column:
    rolling = windows.rolling(x, 20)
    return (x - windows.aligned(rolling.mean())) / windows.aligned(rolling.std(ddof=0))


def _candle(candles: Mapping[str, Column], windows: Plain | Grouped) -> dict[str, Column]:
    open_, high, low, close = (candles[name] for name in ("open", "high", "low", "close"))
    return {
        "gap": open_ / windows.shift(close, 1) - 1,
        "body": close / open_ - 1,
        "upper_wick": (high - np.maximum(open_, close)) / close,
        "lower_wick": (np.minimum(open_, close) - low) / close,
    }


def calendar(time: Column) -> dict[str, Column]:
    """Looked up, because a sine for every row takes ten times as long."""
    week, year = (2 * np.pi / places * np.arange(places) for places in (7, 12))
    weekday, month = time.dt.day_of_week.to_numpy(), time.dt.month.to_numpy() - 1
    return {
        "weekday_sine": pd.Series(np.sin(week).take(weekday)),
        "weekday_cosine": pd.Series(np.cos(week).take(weekday)),
        "month_sine": pd.Series(np.sin(year).take(month)),
        "month_cosine": pd.Series(np.cos(year).take(month)),
    }
