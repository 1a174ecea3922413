"""Candles made for tests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from shared.market.calendar import Calendar, CalendarName, calendar_named
from shared.market.candles import COLUMNS, Candles, RawCandles, rfc3339
from shared.market.checks import Checked, check

DAY = 86_400
MONDAY = 1_577_836_800 + 5 * DAY
"""2020-01-06T00:00:00Z."""
LATER = 4_000_000_000.0
"""A present in which every candle has closed."""


def always() -> Calendar:
    return calendar_named("24/7")


def raw(
    count: int = 5,
    *,
    seed: int = 0,
    start: int = MONDAY,
    symbol: str = "ABC",
    timeframe: str = "1d",
    step_seconds: int = DAY,
    **columns: Sequence[float],
) -> RawCandles:
    """Ordinary candles, one per step, the same first ones for any count; `columns` replace some."""
    random = np.random.default_rng(seed).normal(size=(count, 3))
    close = 100 * np.cumprod(1 + 0.01 * random[:, 0])
    opening = close * (1 + 0.003 * random[:, 1])
    made = {
        "timestamp": start + step_seconds * np.arange(count),
        "open": opening,
        "high": np.maximum(opening, close) * 1.004,
        "low": np.minimum(opening, close) * 0.996,
        "close": close,
        "volume": np.round(10_000 * np.exp(0.1 * random[:, 2])),
    }
    made |= {name: np.asarray(values, made[name].dtype) for name, values in columns.items()}
    return RawCandles(symbol, timeframe, *(made[name] for name in ("timestamp", *COLUMNS)))


def candles(count: int = 5, **options: Any) -> Candles:
    return as_candles(raw(count, **options))


def as_candles(source: RawCandles | Candles) -> Candles:
    columns = (getattr(source, name) for name in ("timestamp", *COLUMNS))
    return Candles(source.symbol, source.timeframe, *columns)


def as_raw(source: Candles) -> RawCandles:
    columns = (getattr(source, name) for name in ("timestamp", *COLUMNS))
    return RawCandles(source.symbol, source.timeframe, *columns)


def checked(
    source: RawCandles | Candles,
    *,
    now_seconds: float = LATER,
    calendar: CalendarName = "24/7",
    previous: Candles | None = None,
) -> Checked:
    given = as_raw(source) if isinstance(source, Candles) else source
    return check(
        given,
        timeframe=source.timeframe,
        now_seconds=now_seconds,
        calendar=calendar_named(calendar),
        previous=previous,
    )


def found(result: Checked) -> dict[str, int]:
    """Finding name -> count."""
    return {finding.kind.value: finding.count for finding in result.findings}


def same(first: Candles, second: Candles) -> bool:
    """Whether both hold the same candles, bit for bit."""
    return all(
        np.array_equal(getattr(first, name), getattr(second, name)) for name in ("timestamp", *COLUMNS)
    )


def as_answer(source: RawCandles | Candles) -> dict[str, Any]:
    """As the upstream would answer it."""
    is_daily = source.timeframe.endswith("d")
    stamps = [rfc3339(int(t))[: 10 if is_daily else None] for t in source.timestamp]
    columns: dict[str, list[Any]] = {"timestamp": stamps}
    for name in COLUMNS:
        columns[name] = [None if np.isnan(value) else value for value in getattr(source, name).tolist()]
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return {"symbol": source.symbol, "timeframe": source.timeframe, "candles": rows}


def from_parquet(path: Path) -> Iterator[RawCandles]:
    """The symbols of a file of candles, in its order."""
    import pyarrow.parquet as pq

    columns = pq.read_table(path).to_pydict()
    timeframe = "1h" if "T" in columns["timestamp"][0] else "1d"
    names = np.array(columns["symbol"])
    texts = [text.removesuffix("Z") for text in columns["timestamp"]]
    stamps = np.array(texts, "datetime64[s]").astype(np.int64)
    values = [np.array(columns[name], float) for name in COLUMNS]
    for symbol in dict.fromkeys(columns["symbol"]):
        rows = names == symbol
        yield RawCandles(symbol, timeframe, stamps[rows], *(value[rows] for value in values))
