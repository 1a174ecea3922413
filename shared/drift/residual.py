"""What each feature is beyond what the others say: the common movement of all of them taken away.

Symbols move together, so that a market day shifts every feature, and half a standard deviation in one is
ordinary. What the other features don't explain is far steadier. Each numeric feature is predicted by ridge
regression (Hoerl and Kennedy, 1970) on all other numeric features and on their normal scores, which make
ratios and skewed columns nearly linear; a feature's own score never predicts it. Of features that are exact
sums of others, the ridge keeps the solution small.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from shared.drift.columns import NumericColumn, quantiles, rising

RESIDUAL_KNOTS: Final = 65
_RIDGE: Final = 1e-3
_DIGITS: Final = 5
_CHUNK_ROWS: Final = 32_768

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ResidualModel:
    """Linear prediction of each column from the others, and the quantiles of what it leaves.

    `weights` is (2 m, m) for m columns: the standardised values, then their normal scores, to residuals in
    the columns' standard deviations. `offset` makes the residuals' reference mean 0. `knots` are (m, 65).
    """

    columns: tuple[str, ...]
    weights: tuple[tuple[float, ...], ...]
    offset: tuple[float, ...]
    knots: tuple[tuple[float, ...], ...]

    @functools.cached_property
    def _weights(self) -> Floats:
        return np.array(self.weights)

    @functools.cached_property
    def at(self) -> Floats:
        return np.array(self.knots)

    def residuals(self, columns: Sequence[NumericColumn], x: NDArray[np.floating]) -> Floats:
        """(n, m) in reference standard deviations, for `x` (n, m); NaN where the value itself isn't finite.

        A missing predictor counts as the reference's mean.
        """
        out = np.empty(x.shape)
        for start in range(0, len(x), _CHUNK_ROWS):
            part = x[start : start + _CHUNK_ROWS]
            out[start : start + len(part)] = design(columns, part) @ self._weights - self.offset
        out[~np.isfinite(x)] = np.nan
        return out


def fit_residuals(columns: Sequence[NumericColumn], x: NDArray[np.floating]) -> ResidualModel | None:
    """Fit on the reference rows `x` (n, m); None where there are fewer than two columns to go by."""
    m = len(columns)
    if m < 2 or len(x) < 2:
        return None
    moments, total = np.zeros((2 * m, 2 * m)), np.zeros(2 * m)
    for start in range(0, len(x), _CHUNK_ROWS):
        part = design(columns, x[start : start + _CHUNK_ROWS])
        moments += part.T @ part
        total += part.sum(0)
    mean = total / len(x)
    weights = _rounded(_solve(moments / len(x) - np.outer(mean, mean), m))
    fitted = ResidualModel(
        columns=tuple(column.name for column in columns),
        weights=_tuples(weights),
        offset=tuple(_rounded(mean @ weights).tolist()),
        knots=((0.0,) * RESIDUAL_KNOTS,) * m,
    )
    left = fitted.residuals(columns, x)
    knots = [_knots(left[:, j]) for j in range(m)]
    return ResidualModel(fitted.columns, fitted.weights, fitted.offset, tuple(knots))


def design(columns: Sequence[NumericColumn], x: NDArray[np.floating]) -> Floats:
    """(n, 2 m): standardised values, then normal scores; 0, their mean, where a value isn't finite."""
    n, m = x.shape
    out = np.zeros((n, 2 * m))
    for j, column in enumerate(columns):
        if not column.knots:
            continue
        values = x[:, j]
        finite = np.isfinite(values)
        some = values[finite]
        out[finite, j] = (some - np.float64(column.mean or 0.0)) / column.unit
        out[finite, m + j] = np.interp(some, *column.normal_scores)
    return out


def _solve(covariance: Floats, m: int) -> Floats:
    """The weights that give each column's residual: 1 on itself, less the ridge regression on the others."""
    variance = np.maximum(np.diag(covariance), 0.0)  # of a constant, rounding may leave less than none
    scale = np.sqrt(variance) + 1e-9
    correlation = covariance / np.outer(scale, scale)
    weights = np.zeros((2 * m, m))
    for j in range(m):
        others = [k for k in range(2 * m) if k % m != j]
        inner = correlation[np.ix_(others, others)] + _RIDGE * np.eye(len(others))
        found = np.linalg.solve(inner, correlation[others, j])
        weights[others, j] = -found * scale[j] / scale[others]
        weights[j, j] = 1.0
    return weights


def _knots(values: Floats) -> tuple[float, ...]:
    ordered = np.sort(values[np.isfinite(values)])
    if not len(ordered):
        return (0.0,) * RESIDUAL_KNOTS
    return tuple(_rounded(quantiles(ordered, RESIDUAL_KNOTS)).tolist())


def _rounded(values: Floats) -> Floats:
    """To a few digits: the profile stays small, and differences in a processor's last bits don't show."""
    return np.array([float(f"{value:.{_DIGITS}g}") for value in values.ravel()]).reshape(values.shape)


def _tuples(values: Floats) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in values.tolist())


def residuals_from(fields: Mapping[str, Any]) -> ResidualModel:
    """Read what `asdict` wrote.

    Raises:
        ValueError, TypeError, KeyError: it isn't a residual model.
    """
    columns = tuple(map(str, fields["columns"]))
    weights = tuple(tuple(map(float, row)) for row in fields["weights"])
    offset = tuple(map(float, fields["offset"]))
    knots = tuple(tuple(map(float, row)) for row in fields["knots"])
    m = len(columns)
    shaped = len(weights) == 2 * m and {len(row) for row in weights} == {m}
    if not shaped or len(offset) != m or len(knots) != m or {len(row) for row in knots} != {RESIDUAL_KNOTS}:
        raise ValueError(f"the residual model must fit its {m} columns")
    if not (np.isfinite(weights).all() and np.isfinite(offset).all()):
        raise ValueError("the residual model must be of finite numbers")
    for name, row in zip(columns, knots, strict=True):
        rising(f"residual of {name}", row)
    return ResidualModel(columns, weights, offset, knots)
