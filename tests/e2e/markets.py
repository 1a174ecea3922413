"""Files of candles for the sample upstream to serve."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from shared.market.calendar import calendar_named

FIRST_SESSION = "2010-01-04"


def write_momentum_market(
    file: Path, *, symbols: int, candles: int, persistence: float, seed: int = 0
) -> None:
    """Symbols whose next day goes the way of the last one a little more often than not.

    `persistence` is that share. Models of it can pass the gates, and stay below a suspected leak.
    """
    random = np.random.default_rng(seed)
    shape = candles, symbols
    turns = np.where(random.random(shape) < persistence, 1, -1)
    change = np.cumprod(turns, axis=0) * random.uniform(0.008, 0.012, shape)
    close = 100 * np.cumprod(1 + change, axis=0)
    opening = np.vstack([np.full(symbols, 100.0), close[:-1]])
    columns = {
        "open": opening,
        "high": np.maximum(opening, close) * 1.001,
        "low": np.minimum(opening, close) * 0.999,
        "close": close,
        "volume": np.round(random.uniform(1e5, 1e6, shape)),
    }
    names = np.repeat([f"MOM{number:02d}" for number in range(symbols)], candles)
    values = {name: column.T.reshape(-1) for name, column in columns.items()}
    pq.write_table(pa.table({"symbol": names, "timestamp": _sessions(candles) * symbols, **values}), file)


def _sessions(count: int) -> list[str]:
    first, sessions = np.datetime64(FIRST_SESSION, "D"), calendar_named("XNYS").sessions
    days = [np.busday_offset(first, number, busdaycal=sessions) for number in range(count)]
    return [str(day) for day in days]
