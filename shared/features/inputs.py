"""The columns formulas start from: prices, volume and the calendar.

A price that isn't within 2^-100 and 2^100, or a volume that isn't within 0 and 2^100, counts as missing
(NaN): then no later step can overflow, and no division by a price needs a check.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from shared.market.candles import COLUMNS as CANDLE_COLUMNS
from shared.market.candles import PRICES, Seconds, Values

CALENDAR = ("weekday_sine", "weekday_cosine", "month_sine", "month_cosine")
COLUMNS = (*CANDLE_COLUMNS, *CALENDAR)

_LARGEST = np.array(2.0**100)
_DAY_SECONDS = 86_400
_CYCLE_DAYS = 146_097  # the Gregorian calendar repeats after 400 years, which are whole weeks
_EPOCH_WEEKDAY = 3  # 1970-01-01 was a Thursday; Monday is 0

# Written out, because the last bits of a C library's sine are its own.
_SIN_1_7, _SIN_2_7, _SIN_3_7 = 0.7818314824680298, 0.9749279121818236, 0.43388373911755823
_COS_1_7, _COS_2_7, _COS_3_7 = 0.6234898018587336, -0.22252093395631434, -0.9009688679024191
_SIN_2_12 = 0.8660254037844386
_WEEK_SINES = (0.0, _SIN_1_7, _SIN_2_7, _SIN_3_7, -_SIN_3_7, -_SIN_2_7, -_SIN_1_7)
_WEEK_COSINES = (1.0, _COS_1_7, _COS_2_7, _COS_3_7, _COS_3_7, _COS_2_7, _COS_1_7)
_YEAR_SINES = (0.0, 0.5, _SIN_2_12, 1.0, _SIN_2_12, 0.5, 0.0, -0.5, -_SIN_2_12, -1.0, -_SIN_2_12, -0.5)
_WEEK = np.array([_WEEK_SINES, _WEEK_COSINES])
_YEAR = np.array([_YEAR_SINES, (*_YEAR_SINES[3:], *_YEAR_SINES[:3])])


def smallest_valid(*columns: str) -> NDArray[np.float64]:
    """The smallest number each candle column may hold, shape (columns, 1)."""
    return np.array([[2.0**-100 if name in PRICES else 0.0] for name in columns])


def discard_invalid(values: Values, smallest: NDArray[np.float64]) -> None:
    """Make what isn't within `smallest` and 2^100 NaN, in place."""
    valid = np.greater_equal(values, smallest)
    np.logical_and(valid, np.less_equal(values, _LARGEST), out=valid)
    if np.count_nonzero(valid) < values.size:
        values[~valid] = np.nan


def calendar_of(days: NDArray[np.int64]) -> Values:
    """The rows of `CALENDAR` for days since 1970-01-01, shape (4, days)."""
    months = days.view("M8[D]").astype("M8[M]").view(np.int64)
    week = _WEEK.take((days + _EPOCH_WEEKDAY) % 7, axis=1)
    return np.concatenate((week, _YEAR.take(months % 12, axis=1)))


@functools.lru_cache(maxsize=64)
def calendar_of_day(day: int) -> Values:
    """`calendar_of` for one day, shape (4,)."""
    return calendar_of(np.array([day]))[:, 0]


def day_of(timestamp: int) -> int:
    """Days since 1970-01-01, UTC."""
    return timestamp // _DAY_SECONDS


class CalendarTable:
    """`calendar_of` for many candles, each day computed once."""

    def __init__(self, timestamps: Seconds) -> None:
        self._first = day_of(int(timestamps.min()))
        days = day_of(int(timestamps.max())) - self._first + 1
        self._table = calendar_of(self._first + np.arange(min(days, _CYCLE_DAYS)))

    def places(self, timestamps: Seconds) -> NDArray[np.int64]:
        """Which column of the table each candle's day is."""
        return timestamps // _DAY_SECONDS - self._first

    def write(self, name: str, places: NDArray[np.int64], out: Values) -> None:
        self._table[CALENDAR.index(name)].take(places, out=out, mode="wrap")
