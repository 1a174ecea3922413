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
from shared.market.candles import Seconds, closing_delay_seconds, timeframe_seconds

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

    # What should be there by now. Sessions count as over when their day is over in UTC: of a market with
    # sessions the candles of a running day aren't waited for, whatever their timeframe.

    def missed_after(self, last: int, timeframe: str, now_seconds: float) -> int:
        """How many sessions (24/7: candles) are over of which there is no candle, if `last` is the newest."""
        step = timeframe_seconds(timeframe)
        if self.sessions is None:
            closed_at = last + closing_delay_seconds(timeframe)
            return max(int((now_seconds - closed_at) // step), 0)
        days = _days(timeframe)
        begin, today = last // DAY_SECONDS + days, int(now_seconds // DAY_SECONDS)
        if begin >= today:
            return 0
        return int(np.busday_count(_date(begin), _date(today), busdaycal=self.sessions)) // days

    def due(self, timeframe: str, now_seconds: float, *, missed: int = 0) -> int:
        """The least stamp of a newest candle with which at most `missed` have been missed."""
        step = timeframe_seconds(timeframe)
        if self.sessions is None:
            return int(now_seconds - closing_delay_seconds(timeframe) - (missed + 1) * step) + 1
        days = _days(timeframe)
        yesterday = _date(int(now_seconds // DAY_SECONDS) - 1)
        back = 1 - (missed + 1) * days
        session = np.busday_offset(yesterday, back, roll="backward", busdaycal=self.sessions)
        return (int(session.astype(np.int64)) - days + 1) * DAY_SECONDS

    def next_over_at(self, last: int, timeframe: str) -> int:
        """When the first session (24/7: candle) after `last` is over, in seconds since 1970."""
        step = timeframe_seconds(timeframe)
        if self.sessions is None:
            return last + closing_delay_seconds(timeframe) + step
        days = _days(timeframe)
        follows = _date(last // DAY_SECONDS + days)
        session = np.busday_offset(follows, days - 1, roll="forward", busdaycal=self.sessions)
        return (int(session.astype(np.int64)) + 1) * DAY_SECONDS

    def sessions_between(self, first: int, last: int) -> NDArray[np.int64]:
        """The days with a session from `first` to `last`, both included, as midnights in seconds."""
        days = np.arange(first // DAY_SECONDS, last // DAY_SECONDS + 1)
        if self.sessions is not None:
            days = days[np.is_busday(_dates(days), busdaycal=self.sessions)]
        return days * DAY_SECONDS


@functools.cache
def calendar_named(name: CalendarName) -> Calendar:
    if name == "24/7":
        return Calendar(name, None, 0, 0)
    first, last = np.array([xnys.FIRST_DAY, xnys.LAST_DAY], "datetime64[D]").astype(np.int64)
    closures = np.array(xnys.closures(), "datetime64[D]")
    return Calendar(name, np.busdaycalendar(holidays=closures), int(first), int(last))


def _days(timeframe: str) -> int:
    """How many days a candle covers: of an intraday one, the one that it is in."""
    return max(timeframe_seconds(timeframe) // DAY_SECONDS, 1)


def _date(day: int) -> np.datetime64:
    return np.datetime64(day, "D")


def _dates(days: NDArray[np.int64]) -> NDArray[np.datetime64]:
    return days.astype("datetime64[D]")
