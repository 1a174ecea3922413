"""Candles made from a seed, ordinary and odd; and ways to evaluate one formula on them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st
from numpy.typing import NDArray

from shared.features import Feature, FeatureSet
from shared.features.expressions import Expression, absolute, apply, column, lag, square_root
from shared.features.kernels import exponential_mean, rolling_maximum, rolling_squares
from shared.market.candles import COLUMNS, Candles, Panel

DAY_SECONDS = 86_400
FIRST_MONDAY = 14_613  # 2010-01-04, in days since 1970
REAL_CANDLES = Path("../shared/data/market/public_domain_5_symbols_daily.parquet")


def candles(count: int, seed: int = 0, symbol: str = "MADE") -> Candles:
    """Ordinary daily candles, Monday to Friday, with whole volumes."""
    random = np.random.default_rng(seed)
    close = 50.0 * np.exp(np.cumsum(random.normal(0.0, 0.02, count)))
    open_ = close * np.exp(random.normal(0.0, 0.01, count))
    high = np.maximum(open_, close) * (1.0 + np.abs(random.normal(0.0, 0.005, count)))
    low = np.minimum(open_, close) * (1.0 - np.abs(random.normal(0.0, 0.005, count)))
    volume = np.round(random.lognormal(13.0, 0.5, count))
    session = np.arange(count)
    days = FIRST_MONDAY + session // 5 * 7 + session % 5
    return Candles(symbol, "1d", days * DAY_SECONDS, open_, high, low, close, volume)


def with_closes(close: NDArray[np.float64], volume: NDArray[np.float64] | None = None) -> Candles:
    """Candles without a range: every price is the close."""
    base = candles(len(close))
    return replace(
        base, open=close, high=close, low=close, close=close, volume=base.volume if volume is None else volume
    )


@st.composite
def odd_candles(draw: st.DrawFn, min_count: int = 1, max_count: int = 420) -> Candles:
    """Flat stretches, copied candles, holes in time, odd volumes, missing and wrong values."""
    count = draw(st.integers(min_count, max_count))
    made = candles(count, draw(st.integers(0, 2**32 - 1)))
    scale, volume_scale = (
        draw(st.sampled_from((1.0, 1e-4, 1e5))),
        draw(st.sampled_from((0.0, 1e-3, 1.0, 1e4))),
    )
    columns = {name: getattr(made, name) * (volume_scale if name == "volume" else scale) for name in COLUMNS}
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, count - 1))
        stretch = slice(start, start + draw(st.integers(1, 200)))
        spoil = draw(st.sampled_from(("flat", "still", "no volume", "missing", "zero", "infinite")))
        _spoil(columns, stretch, spoil)
    holes = draw(st.sampled_from((0, 1, 30)))
    timestamp = made.timestamp + np.cumsum(np.arange(count) % 7 == 0) * holes * DAY_SECONDS
    return Candles(made.symbol, "1d", timestamp, **columns)


def _spoil(columns: dict[str, NDArray[np.float64]], rows: slice, how: str) -> None:
    if how == "flat":
        for name in COLUMNS:
            columns[name][rows] = columns["close"][rows.start]
    elif how == "still":  # the same candle again and again
        for name in COLUMNS:
            columns[name][rows] = columns[name][rows.start]
    elif how == "no volume":
        columns["volume"][rows] = 0.0
    else:
        name = COLUMNS[rows.start % len(COLUMNS)]
        columns[name][rows.start] = {"missing": np.nan, "zero": 0.0, "infinite": np.inf}[how]


def formulas() -> st.SearchStrategy[Expression]:
    """Small formulas of any shape."""
    binary = st.sampled_from(("add", "subtract", "multiply", "divide", "minimum", "maximum"))
    return st.recursive(
        st.sampled_from([column(name) for name in COLUMNS]),
        lambda inner: st.one_of(
            st.builds(apply, binary, inner, inner),
            st.builds(apply, binary, inner, st.sampled_from((-1.5, 0.0, 3.0))),
            st.builds(lag, inner, st.integers(1, 7)),
            st.builds(lambda x: square_root(absolute(x)), inner),
            st.builds(rolling_squares, inner, st.integers(2, 9)),
            st.builds(rolling_maximum, inner, st.integers(2, 9)),
            st.builds(exponential_mean, inner, st.just(0.9)),
        ),
        max_leaves=6,
    )


def alone(formula: Expression) -> FeatureSet:
    return FeatureSet("alone", (Feature("alone", formula, "unit", "meaning"),))


def values(formula: Expression, of: Candles) -> NDArray[np.float64]:
    """The formula's value at every candle."""
    column: NDArray[np.float64] = alone(formula).matrix(Panel.of([of]))[:, 0]
    return column


def bits(rows: NDArray[Any]) -> bytes:
    """What must be equal: NaN has one bit pattern as well."""
    return np.ascontiguousarray(rows).tobytes()


def real_candles(symbol: str) -> Candles:
    """A symbol of the public-domain file, splits and all. Skips the test where the file is absent."""
    import pyarrow.parquet as pq

    if not REAL_CANDLES.exists():
        pytest.skip(f"{REAL_CANDLES} is not here")
    table = pq.read_table(REAL_CANDLES, filters=[("symbol", "=", symbol)]).to_pydict()
    timestamp = np.array(table["timestamp"], "M8[s]").astype(np.int64)
    return Candles(symbol, "1d", timestamp, *(np.array(table[name], np.float64) for name in COLUMNS))
