"""Trading calendars: which sessions are missing between two candles.

Checked: daily candles of XNYS (New York) by its weekday closures, and every timeframe of 24/7 markets by the
grid of the timeframe. Not checked, because nothing well defined says which candles must exist: intraday
candles of XNYS (half days, auctions, halts), candles of several days, and days outside the closures known.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from shared.market import xnys
from shared.market.candles import Seconds, timeframe_seconds

CalendarName: TypeAlias = Literal["XNYS", "24/7"]

DAY_SECONDS = 86_400


@dataclass(frozen=True, slots=True, eq=False)
class Calendar:
    """When a market trades. `sessions` is None for one that never closes."""

    name: str
    sessions: np.busdaycalendar | None
    first_day: int
    last_day: int

    def missing_before(self, timestamp: Seconds, timeframe: str) -> NDArray[np.int64]:
        """Sessions (24/7: candles) missing between each candle and the one before it; 0 for the first."""
        missing = np.zeros(len(timestamp), np.int64)
        if self.sessions is None:
            missing[1:] = np.maximum(np.diff(timestamp) // timeframe_seconds(timeframe) - 1, 0)
        elif timeframe == "1d":
            days = timestamp // DAY_SECONDS
            known = (days[:-1] >= self.first_day) & (days[1:] <= self.last_day)
            apart = np.flatnonzero((np.diff(days) > 1) & known)
            begin, end = _dates(days[apart] + 1), _dates(days[apart + 1])
            missing[apart + 1] = np.busday_count(begin, end, busdaycal=self.sessions)
        return missing

    def is_outside(self, timestamp: Seconds, timeframe: str) -> NDArray[np.bool_]:
        """Whether each candle stands on a day without a session."""
        if self.sessions is None or timeframe != "1d":
            return np.zeros(len(timestamp), np.bool_)
        days = timestamp // DAY_SECONDS
        known = (days >= self.first_day) & (days <= self.last_day)
        return known & ~np.is_busday(_dates(days), busdaycal=self.sessions)


@functools.cache
def calendar_named(name: CalendarName) -> Calendar:
    if name == "24/7":
        return Calendar(name, None, 0, 0)
    first, last = np.array([xnys.FIRST_DAY, xnys.LAST_DAY], "datetime64[D]").astype(np.int64)
    closures = np.array(xnys.closures(), "datetime64[D]")
    return Calendar(name, np.busdaycalendar(holidays=closures), int(first), int(last))


def _dates(days: NDArray[np.int64]) -> NDArray[np.datetime64]:
    return days.astype("datetime64[D]")
