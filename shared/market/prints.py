"""Bad prints: a candle on a level of its own, with those before and after it on the old one.

Some upstreams mix up a session of one symbol: its candle stands away from the close before, and the next
candle opens where the last but one had closed. Only that return tells it from a real move, so it is found at
the candle that returns: nobody can know before, and a candle is judged by its past alone.

Real moves that are taken back look different: prices walk there within the session, or walk back after the
open, and the turnover multiplies. Of the moves beyond five trailing volatilities that the open takes back,
the real ones on the development panel had 2.5 to 26 times the usual turnover or no gap at the open.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shared.market.candles import Candles, timeframe_seconds
from shared.market.splits import trailing_volatility, usual_turnover

_LEAST_PAST = 20  # candles: fewer don't tell what is usual
_VOLATILITIES = 5.0
_LEAST_DAILY_VOLATILITY = 0.005
_BACK_AT_OPEN, _BACK_AT_CLOSE = 0.35, 0.4  # of the move, at most so much may be left
_GAP = 0.6  # of the move, at least so much is there at the open
_QUIET_TURNOVER = 2.5


def bad_prints(candles: Candles, first: int = 0) -> NDArray[np.int64]:
    """Rows from `first` on that take back the candle before them as a bad print."""
    least = _LEAST_DAILY_VOLATILITY * (timeframe_seconds(candles.timeframe) / 86_400) ** 0.5
    if len(candles) < 3:
        return np.empty(0, np.int64)
    base = candles.close[:-2]
    moved = candles.close[1:-1] / base - 1
    rows: NDArray[np.int64] = np.flatnonzero(np.abs(moved) > _VOLATILITIES * least) + 2
    rows = rows[rows >= max(first, _LEAST_PAST + 2)]
    if not len(rows):
        return rows
    rows = rows[_is_one_off(candles, rows)]
    if not len(rows):
        return rows
    volatility = np.maximum(trailing_volatility(candles.close, rows - 1), least)
    is_large: NDArray[np.bool_] = np.abs(moved[rows - 2]) > _VOLATILITIES * volatility
    return rows[is_large & usual_turnover(candles, rows - 1, _QUIET_TURNOVER)]


def _is_one_off(candles: Candles, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether the candle before each of `rows` came by a gap, and went by one."""
    base = candles.close[rows - 2]
    moved, gap, opened, closed = (
        np.log(prices / base)
        for prices in (
            candles.close[rows - 1],
            candles.open[rows - 1],
            candles.open[rows],
            candles.close[rows],
        )
    )
    size = np.abs(moved)
    is_one_off: NDArray[np.bool_] = (
        (gap * np.sign(moved) >= _GAP * size)
        & (np.abs(opened) <= _BACK_AT_OPEN * size)
        & (np.abs(closed) <= _BACK_AT_CLOSE * size)
    )
    return is_one_off
