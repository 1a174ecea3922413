"""Real candles for the study of drift, what is broken in them on purpose, and their features."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from shared.features import feature_set
from shared.market.calendar import calendar_named
from shared.market.candles import COLUMNS, PRICES, Candles, Panel, RawCandles, Values
from shared.market.checks import check
from shared.market.splits import split_series

FEATURES = feature_set("technical")
CALENDAR = 4
"""The last features tell the date; nobody shifts a weekday by half a deviation."""
DAY = 86_400

Inject: TypeAlias = Callable[[Sequence[Candles], int], list[Candles]]


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Rows of features sorted by time: `x` (n, features), their stamps, and the symbol's number."""

    x: NDArray[np.float32]
    stamp: NDArray[np.int64]
    symbol: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.x)

    def between(self, first: int, last: int) -> Table:
        """Rows with first <= stamp <= last."""
        rows = slice(*np.searchsorted(self.stamp, (first, last + 1)))
        return Table(self.x[rows], self.stamp[rows], self.symbol[rows])

    def sessions(self) -> NDArray[np.int64]:
        return np.unique(self.stamp)


def seconds(date: str) -> int:
    return int(np.datetime64(date, "s").astype(np.int64))


def read_candles(file: Path, every: int = 1, first: int = 0) -> list[Candles]:
    """Every so many-th symbol's candles, checked and cut at splits as training takes them.

    Where the file tells an adjusted close, prices and volumes are adjusted by it.
    """
    import pyarrow.parquet as pq

    table = pq.read_table(file)
    names = table["symbol"].to_numpy(zero_copy_only=False)
    stamps = table["timestamp"].to_numpy(zero_copy_only=False).astype("datetime64[s]").astype(np.int64)
    values = {name: table[name].to_numpy().astype(np.float64) for name in COLUMNS}
    if "adjusted_close" in table.column_names:
        factor = table["adjusted_close"].to_numpy() / values["close"]
        values = {n: v * factor if n in PRICES else v / factor for n, v in values.items()}
    calendar, now = calendar_named("XNYS"), float(stamps.max() + 10 * DAY)
    series: list[Candles] = []
    for symbol in np.unique(names)[first::every]:
        rows = names == symbol
        raw = RawCandles(str(symbol), "1d", stamps[rows], *(values[name][rows] for name in COLUMNS))
        checked = check(raw, timeframe="1d", now_seconds=now, calendar=calendar)
        series += split_series(checked.candles, checked.breaks)
    return [s for s in series if len(s)]


def table_of(series: Sequence[Candles]) -> Table:
    """The rows whose features are all defined."""
    panel = Panel.of(series)
    x = FEATURES.matrix(panel, dtype=np.float32)
    names = {name: number for number, name in enumerate(sorted(set(panel.symbols)))}
    symbol = np.repeat([names[name] for name in panel.symbols], np.diff(panel.starts))
    keep = np.flatnonzero(np.isfinite(x).all(1))
    order = keep[np.lexsort((symbol[keep], panel.timestamp[keep]))]
    return Table(np.ascontiguousarray(x[order]), panel.timestamp[order], symbol[order])


def broken(series: Sequence[Candles], inject: Inject, first: int, last: int) -> Table:
    """A window's features when the candles from its first session on are what `inject` makes of them."""
    cut = [s[(s.timestamp >= first - 420 * DAY) & (s.timestamp <= last)] for s in series]
    return table_of(inject([s for s in cut if len(s) > FEATURES.memory + 1], first)).between(first, last)


def wilder(factor: float) -> Inject:
    """Every move from the last close is raised to a power: volatility times `factor`."""

    def one(s: Candles, first: int) -> Candles:
        i = int(np.searchsorted(s.timestamp, first))
        if i in (0, len(s)):
            return s
        last = s.close[i - 1]
        closes = last * np.cumprod((s.close[i:] / s.close[i - 1 : -1]) ** factor)
        before, was = np.append(last, closes[:-1]), s.close[i - 1 : -1]
        return _with(s, PRICES, lambda v: np.append(v[:i], before * (v[i:] / was) ** factor), first)

    return lambda series, first: [one(s, first) for s in series]


def scaled(names: Sequence[str], factor: float, one_symbol: int | None = None) -> Inject:
    """A unit error in some columns of every symbol, or of one of them (by its place in the list)."""

    def inject(series: Sequence[Candles], first: int) -> list[Candles]:
        chosen = range(len(series)) if one_symbol is None else (one_symbol % len(series),)
        return [
            _with(s, names, lambda v: v * factor, first) if i in chosen else s for i, s in enumerate(series)
        ]

    return inject


def stuck(series: Sequence[Candles], first: int) -> list[Candles]:
    """Every symbol repeats its last candle's close; the volume stays as it was."""
    return [_with(s, PRICES, functools.partial(_last, s, first), first) for s in series]


def _last(s: Candles, first: int, values: Values) -> Values:
    return np.full(len(values), s.close[max(int(np.searchsorted(s.timestamp, first)) - 1, 0)])


def _with(s: Candles, names: Sequence[str], change: Callable[[Values], Values], first: int) -> Candles:
    """The candles with some columns changed from `first` on."""
    columns = (getattr(s, name) for name in COLUMNS)
    pairs = zip(COLUMNS, columns, strict=True)
    made = (np.where(s.timestamp >= first, change(v), v) if name in names else v for name, v in pairs)
    return Candles(s.symbol, s.timeframe, s.timestamp, *made)


def copied(take: int, give: int) -> Inject:
    """One symbol's feed brings another's candles, which keeps its own as well."""

    def inject(series: Sequence[Candles], first: int) -> list[Candles]:
        a, b = take % len(series), give % len(series)
        return [_joined(s, series[b], first) if i == a else s for i, s in enumerate(series)]

    return inject


def exchanged(one: int, other: int) -> Inject:
    """Two symbols' feeds change places."""

    def inject(series: Sequence[Candles], first: int) -> list[Candles]:
        a, b = one % len(series), other % len(series)
        swap = {a: _joined(series[a], series[b], first), b: _joined(series[b], series[a], first)}
        return [swap.get(i, s) for i, s in enumerate(series)]

    return inject


def _joined(own: Candles, other: Candles, first: int) -> Candles:
    """`own` before `first`, `other` from there on."""
    before, after = own[own.timestamp < first], other[other.timestamp >= first]
    columns = (np.concatenate([getattr(before, c), getattr(after, c)]) for c in ("timestamp", *COLUMNS))
    return Candles(own.symbol, own.timeframe, *columns)
