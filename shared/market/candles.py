"""Candles as columns: of one symbol (`Candles`), and of many laid end to end (`Panel`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Seconds: TypeAlias = NDArray[np.int64]
Values: TypeAlias = NDArray[np.float64]

PRICES = ("open", "high", "low", "close")
COLUMNS = (*PRICES, "volume")

_UNITS = {"m": 60, "h": 3_600, "d": 86_400}


def timeframe_seconds(timeframe: str) -> int:
    """`"1d"` -> 86400. The text is a count and one of m, h, d."""
    return int(timeframe[:-1]) * _UNITS[timeframe[-1]]


def rfc3339(seconds: int) -> str:
    """Seconds since 1970 in UTC -> `"2013-03-01T00:00:00Z"`."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds_since_1970(rfc3339_text: str) -> int:
    """The reverse of `rfc3339`."""
    return int(datetime.fromisoformat(rfc3339_text).timestamp())


@dataclass(frozen=True, slots=True, eq=False)
class RawCandles:
    """Candles as an upstream answered them: any order, any values, doubles; a missing value is NaN.

    `shared.market.checks` makes `Candles` of them.
    """

    symbol: str
    timeframe: str
    timestamp: Seconds
    open: Values
    high: Values
    low: Values
    close: Values
    volume: Values

    def __len__(self) -> int:
        return len(self.timestamp)

    def __getitem__(self, rows: slice | NDArray[np.bool_] | NDArray[np.int64]) -> RawCandles:
        columns = (getattr(self, c)[rows] for c in ("timestamp", *COLUMNS))
        return RawCandles(self.symbol, self.timeframe, *columns)


@dataclass(frozen=True, slots=True, eq=False)
class Candles:
    """Closed candles of one symbol, as equally long columns, with strictly increasing timestamps.

    `timestamp` is in seconds since 1970, UTC, as the upstream stamps the candle: for intraday
    candles the close time, for daily ones midnight of the session's date, which counts as closed
    when that day has ended in UTC (`closed_at`). Prices and volume are float64.
    """

    symbol: str
    timeframe: str
    timestamp: Seconds
    open: Values
    high: Values
    low: Values
    close: Values
    volume: Values

    def __len__(self) -> int:
        return len(self.timestamp)

    def __getitem__(self, rows: slice | NDArray[np.bool_]) -> Candles:
        return Candles(
            self.symbol,
            self.timeframe,
            self.timestamp[rows],
            self.open[rows],
            self.high[rows],
            self.low[rows],
            self.close[rows],
            self.volume[rows],
        )

    @property
    def closed_at(self) -> Seconds:
        """When each candle was complete, in seconds since 1970."""
        return self.timestamp + closing_delay_seconds(self.timeframe)

    @staticmethod
    def empty(symbol: str, timeframe: str) -> Candles:
        none = np.empty(0, np.float64)
        return Candles(symbol, timeframe, np.empty(0, np.int64), none, none, none, none, none)


def closing_delay_seconds(timeframe: str) -> int:
    """Seconds from a candle's stamp to its completion: a day for daily candles, else 0."""
    return timeframe_seconds(timeframe) if timeframe.endswith("d") else 0


def join(first: Candles, second: Candles) -> Candles:
    """`second` put after `first`; its first timestamp must be later than the last of `first`."""
    pairs = ((getattr(first, c), getattr(second, c)) for c in ("timestamp", *COLUMNS))
    return Candles(first.symbol, first.timeframe, *(np.concatenate(pair) for pair in pairs))


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """Candles of many series laid end to end: the layout the feature kernels work on.

    Series `i` is rows `starts[i]` to `starts[i + 1]` (`starts` has one more element than there are
    series). A series is one symbol, or the part of one between two breaks in its prices.
    """

    timeframe: str
    symbols: tuple[str, ...]
    starts: NDArray[np.int64]
    timestamp: Seconds
    open: Values
    high: Values
    low: Values
    close: Values
    volume: Values

    def __len__(self) -> int:
        return len(self.timestamp)

    @staticmethod
    def of(series: Sequence[Candles]) -> Panel:
        """Lay the series end to end, in the order given. All must share one timeframe."""
        if len({s.timeframe for s in series}) != 1:
            raise ValueError("a panel needs at least one series, and one timeframe")
        columns = (np.concatenate([getattr(s, c) for s in series]) for c in ("timestamp", *COLUMNS))
        starts = np.cumsum([0, *(len(s) for s in series)], dtype=np.int64)
        return Panel(series[0].timeframe, tuple(s.symbol for s in series), starts, *columns)
