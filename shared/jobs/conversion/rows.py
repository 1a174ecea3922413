"""Rows at random that a model's columns allow."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from shared.jobs.conversion.outcome import Rows
from shared.tabular import Column, Columns

_SEED: Final = 0
_MISSING: Final = 0.1


def random_rows(columns: Columns, examples: Rows, count: int) -> Rows:
    """`count` rows: each value anywhere in its column's range, as wide as twice the examples' where that has
    no end; a tenth of those that may be missing is.
    """
    rng = np.random.default_rng(_SEED)
    values = [
        _values(column, known, count, rng)
        for column, known in zip(columns.columns, examples.T.astype(np.float64), strict=True)
    ]
    rows = np.column_stack(values).astype(np.float32)
    nullable = np.array([column.nullable for column in columns.columns])
    rows[(rng.random(rows.shape) < _MISSING) & nullable] = np.nan
    return rows


def _values(
    column: Column, known: NDArray[np.float64], count: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    if column.type == "category":
        return rng.integers(len(column.categories), size=count).astype(np.float64)
    if column.type == "boolean":
        return rng.integers(2, size=count).astype(np.float64)
    low, high = _range(column, known)
    values = rng.uniform(low, high, count)
    return np.clip(np.round(values), np.ceil(low), np.floor(high)) if column.type == "integer" else values


def _range(column: Column, known: NDArray[np.float64]) -> tuple[float, float]:
    known = known[np.isfinite(known)]
    least, most = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    spread = max(most - least, 1.0) / 2
    low = least - spread if column.minimum is None else column.minimum
    high = most + spread if column.maximum is None else column.maximum
    narrow_low, narrow_high = column.bounds
    return max(low, narrow_low), max(max(low, narrow_low), min(high, narrow_high))
