"""Rows that an export must be tried on beside ordinary ones: each feature at its extremes."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

LARGE: Final = 1e18
"""A finite value beyond any feature's, which scaling still keeps within float32."""

_BACKGROUNDS: Final = 32
_MAX_SPLITS: Final = 20_000


def extreme_rows(
    rows: NDArray[np.float32], feature: NDArray[np.int64], threshold: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Rows like those of `rows`, each with one value moved to an edge; then all values at once.

    The edges: each feature's least and greatest value, a missing value, large ones of either sign, and
    each `threshold` of a `feature` with its float32 neighbours (evenly picked, if above 20,000).
    """
    background = rows[np.linspace(0, len(rows) - 1, _BACKGROUNDS).astype(np.int64)]
    low, high = _ranges(rows)
    missing, large = np.full_like(low, np.nan), np.full_like(low, LARGE)
    everywhere = np.stack([low, high, missing, large, -large], axis=1)
    columns = np.repeat(np.arange(len(low)), everywhere.shape[1] * _BACKGROUNDS)
    edges = _moved(background, columns, np.repeat(everywhere.ravel(), _BACKGROUNDS))
    return np.concatenate([edges, _around_splits(background, feature, threshold), everywhere.T[:3]])


def _ranges(rows: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Least and greatest per feature; 0 where every value is missing."""
    low = np.fmin.reduce(rows, axis=0)
    high = np.fmax.reduce(rows, axis=0)
    return np.nan_to_num(low), np.nan_to_num(high)


def _around_splits(
    background: NDArray[np.float32], feature: NDArray[np.int64], threshold: NDArray[np.float32]
) -> NDArray[np.float32]:
    if len(feature) > _MAX_SPLITS:
        picked = np.linspace(0, len(feature) - 1, _MAX_SPLITS).astype(np.int64)
        feature, threshold = feature[picked], threshold[picked]
    infinity = np.float32(np.inf)
    with np.errstate(over="ignore"):
        below, above = np.nextafter(threshold, -infinity), np.nextafter(threshold, infinity)
    values = np.concatenate([below, threshold, above])
    finite = np.isfinite(values)
    return _moved(background, np.tile(feature, 3)[finite], values[finite])


def _moved(
    background: NDArray[np.float32], feature: NDArray[np.int64], value: NDArray[np.float32]
) -> NDArray[np.float32]:
    """One row per value, over the background rows in turn."""
    moved = background[np.arange(len(value)) % len(background)]
    moved[np.arange(len(value)), feature] = value
    return moved
