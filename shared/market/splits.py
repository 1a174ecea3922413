"""Steps in prices: those that look like an unadjusted split, and those that are only large.

A split shows as an overnight gap (the open against the close before) near a small fraction, on a day that
is quiet otherwise: the move from open to close is ordinary, and so is the turnover. Price times volume
doesn't change by a split, while a crash multiplies it: 0.2 to 1.4 times the median on the known splits of
twelve large stocks, 10 to 24 times on falls of a third and more that were real. "Near" and "quiet" are
measured in trailing volatility: 1.4826 times the median absolute deviation of returns, which one wild day
doesn't move. Everything is judged from the candle and the `WINDOW` before it.

5:4 and 4:3 splits are left out: single bad days and one-day bad prints are as large and as quiet.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from shared.market.candles import Candles, Values, timeframe_seconds

WINDOW = 60

_RATIOS = np.array([3 / 2, 2, 5 / 2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 25, 30, 40, 50, 100])
_LOG_RATIOS = np.log(np.concatenate([_RATIOS, 1 / _RATIOS]))
_NEAREST_GAP = 1.35  # no gap smaller than this, up or down, is near any ratio
_RATIO_VOLATILITIES, _RATIO_LEAST, _RATIO_MOST = 4.0, 0.04, 0.10
_QUIET_VOLATILITIES, _QUIET_LEAST = 5.0, 0.05
_QUIET_TURNOVER = 4.0

_STEP_VOLATILITIES = 8.0
_LEAST_DAILY_VOLATILITY = 0.01


def suspected_splits(candles: Candles, first: int = 0) -> NDArray[np.int64]:
    """Rows from `first` on whose prices stand on another basis than those before."""
    gap = candles.open[1:] / candles.close[:-1]
    rows: NDArray[np.int64] = np.flatnonzero((gap > _NEAREST_GAP) | (gap < 1 / _NEAREST_GAP)) + 1
    rows = rows[rows >= first]
    if not len(rows):
        return rows
    volatility = trailing_volatility(candles.close, rows)
    off = np.abs(np.log(gap[rows - 1])[:, None] - _LOG_RATIOS).min(axis=1)
    intraday = np.abs(np.log(candles.close[rows] / candles.open[rows]))
    is_split: NDArray[np.bool_] = (
        (off <= np.clip(_RATIO_VOLATILITIES * volatility, _RATIO_LEAST, _RATIO_MOST))
        & (intraday <= np.maximum(_QUIET_VOLATILITIES * volatility, _QUIET_LEAST))
        & usual_turnover(candles, rows, _QUIET_TURNOVER)
    )
    return rows[is_split]


def step_changes(candles: Candles, first: int = 0) -> NDArray[np.int64]:
    """Rows from `first` on with a return beyond eight times the trailing volatility (at least 1 % a day)."""
    least = _LEAST_DAILY_VOLATILITY * (timeframe_seconds(candles.timeframe) / 86_400) ** 0.5
    size = np.abs(returns(candles.close))
    rows: NDArray[np.int64] = np.flatnonzero(size > _STEP_VOLATILITIES * least)
    rows = rows[rows >= max(first, 1)]
    if not len(rows):
        return rows
    volatility = np.maximum(trailing_volatility(candles.close, rows), least)
    beyond: NDArray[np.bool_] = size[rows] > _STEP_VOLATILITIES * volatility
    return rows[beyond]


def returns(close: Values) -> Values:
    """The simple return of each candle; 0 for the first."""
    change = np.zeros(len(close))
    change[1:] = close[1:] / close[:-1] - 1
    return change


def trailing_volatility(close: Values, rows: NDArray[np.int64]) -> Values:
    """Robust standard deviation of the `WINDOW` returns before each of `rows` (each > 0)."""
    window = returns(close)[_windows(rows, earliest=1)]
    deviation = np.abs(window - _medians(window)[:, None])
    volatility: Values = 1.4826 * _medians(deviation)
    return volatility


def usual_turnover(candles: Candles, rows: NDArray[np.int64], most: float) -> NDArray[np.bool_]:
    """Whether price times volume at each of `rows` is at most `most` times the median of those before."""
    turnover = candles.close * candles.volume
    usual: NDArray[np.bool_] = turnover[rows] <= most * _medians(turnover[_windows(rows)])
    return usual


def _medians(windows: Values) -> Values:
    """Of each row. `np.median` would do, but imports numpy.ma for it: 8 ms of a first prediction."""
    ordered, count = np.sort(windows, axis=1), windows.shape[1]
    medians: Values = (ordered[:, (count - 1) // 2] + ordered[:, count // 2]) / 2
    return medians


def _windows(rows: NDArray[np.int64], *, earliest: int = 0) -> NDArray[np.int64]:
    """The `WINDOW` rows before each of `rows`; where there are fewer, `earliest` stands in for the rest."""
    before: NDArray[np.int64] = np.maximum(rows[:, None] - np.arange(WINDOW, 0, -1), earliest)
    return before


def split_series(candles: Candles, breaks: Sequence[int]) -> list[Candles]:
    """`candles` cut before each timestamp in `breaks`: in no piece the prices change their basis."""
    cuts = np.unique(np.searchsorted(candles.timestamp, np.asarray(breaks, np.int64)))
    edges = [0, *(int(cut) for cut in cuts if 0 < cut < len(candles)), len(candles)]
    return [candles[begin:end] for begin, end in pairwise(edges)]


def after_last_break(candles: Candles, breaks: Sequence[int]) -> Candles:
    """The last piece: the candles whose prices stand on today's basis."""
    return split_series(candles, breaks)[-1] if breaks else candles
