"""Distances between a sample and a distribution that is known by its quantile knots. Pure numpy.

Between two knots the reference's distribution function rises by 1/256, evenly over the values between them;
where knots share a value, it jumps.
"""

from __future__ import annotations

import math
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Values: TypeAlias = NDArray[np.float64]
Floats: TypeAlias = NDArray[np.floating]

DISCRETE: Final = 20
_BETWEEN: Final = 4
_FLOOR: Final = 1e-4


def refined(knots: Floats) -> Values:
    """Four steps from each knot to the next."""
    places = np.arange((len(knots) - 1) * _BETWEEN + 1) / _BETWEEN
    return np.interp(places, np.arange(len(knots)), knots.astype(np.float64))


def reference_shares(knots: Floats) -> Values:
    """The reference's share of values at or below each knot."""
    return (np.searchsorted(knots, knots, side="right") - 1) / max(len(knots) - 1, 1)


def shares_below(knots: Floats) -> Values:
    """The reference's share of values below each knot."""
    return np.searchsorted(knots, knots, side="left") / max(len(knots) - 1, 1)


def kolmogorov_smirnov(grid: Values, ordered: Values) -> float:
    """Greatest distance of the two distribution functions at the refined knots, on both sides of each.

    `ordered` is sorted and not empty.
    """
    n = len(ordered)
    after = np.abs(np.searchsorted(ordered, grid, side="right") / n - reference_shares(grid)).max()
    before = np.abs(np.searchsorted(ordered, grid, side="left") / n - shares_below(grid)).max()
    return float(max(after, before))


def wasserstein(knots: Values, ordered: Values) -> float:
    """First Wasserstein distance: the area between the two distribution functions, in the column's unit.

    Between two knots the difference is taken to change evenly; beyond them the reference has nothing.
    """
    n = len(ordered)
    after = np.abs(np.searchsorted(ordered, knots, side="right") / n - reference_shares(knots))
    before = np.abs(np.searchsorted(ordered, knots, side="left") / n - shares_below(knots))
    inside = (after[:-1] + before[1:]) @ np.diff(knots) / 2
    outside = np.maximum(ordered - knots[-1], 0.0).sum() + np.maximum(knots[0] - ordered, 0.0).sum()
    return float(inside + outside / n)


def areas(knots: Floats, gaps: Values) -> Values:
    """First Wasserstein distances: the areas between distribution functions that differ by `gaps` (n, knots)
    at the knots. What lies beyond the last knots isn't in it.
    """
    apart = np.abs(gaps)
    found: Values = (apart[:, 1:] + apart[:, :-1]) @ np.diff(knots.astype(np.float64)) / 2
    return found


def shares(knots: Floats, n: int, ordered: Floats) -> tuple[Values, Values]:
    """Shares of the reference, of `n` values, and of the sample, in the bins that Evidently takes.

    Bins are of equal width over the range of both, as many as Sturges' rule (Journal of the American
    Statistical Association 21, 1926) gives for all values together; or each value on its own, where the
    reference has at most 20.
    """
    values = knots[np.append(True, knots[1:] > knots[:-1])]
    if len(values) <= DISCRETE:
        return _by_value(values, knots, ordered)
    low, high = min(knots[0], ordered[0]), max(knots[-1], ordered[-1])
    bins = math.ceil(math.log2(n + len(ordered)) + 1)
    edges = np.linspace(float(low), float(high), bins + 1)[1:-1]
    place = np.arange(len(knots)) / (len(knots) - 1)
    below = np.interp(edges, knots.astype(np.float64), place, left=0.0, right=1.0)
    current = np.searchsorted(ordered, edges, side="left") / len(ordered)
    return _between(below), _between(current)


def _by_value(values: Floats, knots: Floats, ordered: Floats) -> tuple[Values, Values]:
    """The last share is of values that the reference hasn't."""
    then = np.searchsorted(knots, values, side="right") - np.searchsorted(knots, values, side="left")
    now = np.searchsorted(ordered, values, side="right") - np.searchsorted(ordered, values, side="left")
    unknown = len(ordered) - now.sum()
    return np.append(then, 0) / len(knots), np.append(now, unknown) / len(ordered)


def _between(below: Values) -> Values:
    found: Values = np.concatenate([below, (1.0,)]) - np.concatenate([(0.0,), below])
    return found


def stability_index(reference: Values, current: Values) -> float:
    """Population stability index of two lists of shares; empty bins count as 0.0001, or less."""
    some = (reference > 0) | (current > 0)
    p, q = _filled(reference[some]), _filled(current[some])
    return float(((q - p) * (np.log(q) - np.log(p))).sum())


def _filled(found: Values) -> Values:
    least = float(found[found > 0].min())
    full: Values = np.where(found == 0, least / 1e6 if least <= _FLOOR else _FLOOR, found)
    return full


def jensen_shannon(reference: Values, current: Values) -> float:
    """Jensen-Shannon distance of two lists of shares, the root of the divergence in natural logarithms:
    0 for equal ones, 0.83 for disjoint ones.
    """
    middle = (reference + current) / 2
    divergence = (_relative_entropy(reference, middle) + _relative_entropy(current, middle)) / 2
    return float(np.sqrt(max(divergence, 0.0)))


def _relative_entropy(p: Values, q: Values) -> float:
    some = p > 0
    return float((p[some] * np.log(p[some] / q[some])).sum())
