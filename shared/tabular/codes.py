"""Which codes rows can have: the check of rows that come encoded already."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shared.tabular.columns import Column, Columns


class CodeCheck:
    """The codes of one schema. Make it once: it is what a request waits for."""

    def __init__(self, columns: Columns) -> None:
        bounds = np.array([_bounds(column) for column in columns.columns]).astype(np.float32)
        self._low, self._high = bounds[:, 0], bounds[:, 1]
        self._may_be_parts = np.array([column.type == "number" for column in columns.columns])
        self._nullable = np.array([column.nullable for column in columns.columns])

    def good(self, x: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Of codes (n, columns), which ones some row has. Bounds are as float32, like the codes."""
        with np.errstate(invalid="ignore"):
            found: NDArray[np.bool_] = (x >= self._low) & (x <= self._high)
            found &= self._may_be_parts | (x == np.trunc(x))
            found |= np.isnan(x) & self._nullable
        return found


def expected_code(column: Column) -> str:
    """What a code must be, in words."""
    if column.type == "category":
        return f"the place of a category, from 0 to {len(column.categories) - 1}"
    return "0 or 1" if column.type == "boolean" else column.expected


def _bounds(column: Column) -> tuple[float, float]:
    if column.type == "category":
        return 0.0, len(column.categories) - 1.0
    return (0.0, 1.0) if column.type == "boolean" else column.bounds
