"""Statistics of windows of whole sessions, from counts per session: one pass over the rows for all windows.

Every function takes `rows`, which says what session each row belongs to, and `plans`, which windows are asked
for, and gives one array (windows, columns) for each plan.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from shared.drift.columns import CategoricalColumn, Column, NumericColumn
from shared.drift.residual import ResidualModel
from shared.drift.statistics import areas, reference_shares

Floats: TypeAlias = NDArray[np.float64]
Rows: TypeAlias = NDArray[np.floating]

MOST_WINDOWS: Final = 200
COPIED_COLUMNS: Final = 3
COMMON_SHARE: Final = 0.2
_HALF: Final = np.uint64(32)
_LOW: Final = np.uint64(2**32 - 1)


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """Windows of `length` consecutive sessions, by the number of their first session."""

    starts: NDArray[np.intp]
    length: int

    @staticmethod
    def sliding(sessions: int, length: int) -> Plan:
        """Overlapping windows, at most about 200 of them, evenly spread."""
        places = sessions - length + 1
        step = max(1, length // 10, -(-places // MOST_WINDOWS))
        return Plan(np.arange(0, places, step), length)

    def sums(self, per_session: NDArray[Any]) -> Floats:
        """Sums over each window of what each session (the first axis) has."""
        before = np.zeros((len(per_session) + 1, *per_session.shape[1:]))
        np.cumsum(per_session, axis=0, out=before[1:])
        found: Floats = before[self.starts + self.length] - before[self.starts]
        return found

    def maxima(self, per_session: Floats) -> Floats:
        """Greatest values over each window."""
        return np.stack([per_session[s : s + self.length].max(0) for s in self.starts])


@dataclass(frozen=True, slots=True, eq=False)
class SessionRows:
    """The session of each row, as a number from 0 to `sessions` - 1 in time order."""

    number: NDArray[np.intp]
    sessions: int

    @staticmethod
    def of(stamps: NDArray[np.int64]) -> SessionRows:
        distinct, number = np.unique(stamps, return_inverse=True)
        return SessionRows(number, len(distinct))

    @staticmethod
    def together(rows: int) -> SessionRows:
        """All rows as one session."""
        return SessionRows(np.zeros(rows, np.intp), 1)

    def counts(self, bins: NDArray[np.intp], count: int, among: NDArray[np.bool_]) -> NDArray[np.intp]:
        """(sessions, count): how many of the rows `among` fall into each bin."""
        flat = np.bincount(self.number[among] * count + bins, minlength=self.sessions * count)
        return flat.reshape(self.sessions, count)

    def sizes(self) -> NDArray[np.intp]:
        return np.bincount(self.number, minlength=self.sessions)


Plans: TypeAlias = Sequence[Plan]


@dataclass(frozen=True, slots=True, eq=False)
class Moved:
    """(windows, columns) each: the statistic, and the effect size that goes with it."""

    statistic: Floats
    effect: Floats


def marginal(columns: Sequence[Column], x: Rows, rows: SessionRows, plans: Plans) -> list[Moved]:
    """How far each column's own distribution is: W1 in standard deviations, total variation of categories."""
    each = []
    for column, values in zip(columns, x.T, strict=True):
        if isinstance(column, CategoricalColumn):
            each.append([_total_variation(column, n) for n in _categories(column, values, rows, plans)])
        else:
            knots = column.at
            found = _distances(knots, reference_shares(knots), values, rows, plans)
            each.append([areas(knots, gap) / column.unit for gap in found])
    return [Moved(np.column_stack(one), np.column_stack(one)) for one in zip(*each, strict=True)]


def residual(
    model: ResidualModel, columns: Sequence[NumericColumn], x: Rows, rows: SessionRows, plans: Plans
) -> list[Moved]:
    """Kolmogorov-Smirnov distance of each residual; the effect is its W1, in the column's own deviations."""
    statistic: list[list[Floats]] = []
    effect: list[list[Floats]] = []
    for knots, values in zip(model.at, model.residuals(columns, x).T, strict=True):
        found = list(_distances(knots, reference_shares(knots), values, rows, plans))
        statistic.append([np.abs(gap).max(1) for gap in found])
        effect.append([areas(knots, gap) for gap in found])
    both = zip(zip(*statistic, strict=True), zip(*effect, strict=True), strict=True)
    return [Moved(np.column_stack(s), np.column_stack(e)) for s, e in both]


def extremes(columns: Sequence[NumericColumn], x: Rows, rows: SessionRows, plans: Plans) -> list[Moved]:
    """Logarithm of the greatest distance from the mean, in deviations: maxima of heavy tails, logged, are
    Gumbel distributed (Embrechts, Klueppelberg, Mikosch: Modelling Extremal Events, 1997, ch. 3).
    """
    greatest = np.zeros((rows.sessions, len(columns)))
    for j, (column, values) in enumerate(zip(columns, x.T, strict=True)):
        among = np.isfinite(values)
        far = np.abs(values[among].astype(np.float64) - (column.mean or 0.0)) / column.unit
        if rows.sessions == 1:
            greatest[0, j] = far.max(initial=0.0)
        else:
            np.maximum.at(greatest[:, j], rows.number[among], far)
    found = [plan.maxima(greatest) for plan in plans]
    return [Moved(np.log(np.maximum(most, 1.0)), most) for most in found]


def gaps(x: Rows, rows: SessionRows, plans: Plans) -> list[Moved]:
    """Share of each column that is missing or infinite."""
    missing = np.column_stack(
        [rows.counts(np.zeros(int(bad.sum()), np.intp), 1, bad)[:, 0] for bad in ~np.isfinite(x.T)]
    )
    return _shares(missing, rows, plans)


def repeats(x: Rows, rows: SessionRows, plans: Plans) -> tuple[list[Moved], list[Moved]]:
    """Ties and copies.

    Ties: the share of each column's rows that repeat another value of the same session, as a stuck feed does.
    Copies: the share of rows that equal another row of their session in several columns, as where one
    symbol's feed brings another's candles; zeros don't count, nor columns in which many values repeat anyway.
    """
    ties = np.zeros((rows.sessions, x.shape[1]), np.intp)
    equal = np.zeros(len(x), np.intp)
    for j, values in enumerate(x.T):
        among = np.isfinite(values)
        keys = _keys(values[among], rows.number[among])
        ordered = np.sort(keys)
        again = ordered[1:][ordered[1:] == ordered[:-1]]
        ties[:, j] = np.bincount((again >> _HALF).astype(np.intp), minlength=rows.sessions)
        telling = again[(again & _LOW) != 0]
        if 0 < len(telling) <= COMMON_SHARE * len(keys):
            equal[among] += np.isin(keys, telling)
    copied = np.bincount(rows.number[equal >= COPIED_COLUMNS], minlength=rows.sessions)
    return _shares(ties, rows, plans), _shares(copied[:, np.newaxis], rows, plans)


def _keys(values: NDArray[np.floating], number: NDArray[np.intp]) -> NDArray[np.uint64]:
    """Session and bits in one whole number: sorting these is many times faster than by two keys."""
    bits = (values.astype(np.float32) + np.float32(0.0)).view(np.uint32)  # -0.0 becomes 0.0
    return number.astype(np.uint64) << _HALF | bits


def _shares(counts: NDArray[Any], rows: SessionRows, plans: Plans) -> list[Moved]:
    sizes = rows.sizes()
    found = (plan.sums(counts) / np.maximum(plan.sums(sizes), 1.0)[:, np.newaxis] for plan in plans)
    return [Moved(share, share) for share in found]


def _distances(
    knots: NDArray[np.floating], reference: Floats, values: Rows, rows: SessionRows, plans: Plans
) -> list[Floats]:
    """(windows, knots) for each plan: the distribution function at the knots less the reference's."""
    if not len(knots):
        return [np.zeros((len(plan.starts), 1)) for plan in plans]
    among = np.isfinite(values)
    if rows.sessions == 1:  # a sort is much faster than to place every value
        ordered = np.sort(values[among])
        below = np.searchsorted(ordered, knots, side="right") / max(len(ordered), 1)
        return [(below - reference)[np.newaxis] * bool(len(ordered))]
    counts = rows.counts(np.searchsorted(knots, values[among]), len(knots) + 1, among)
    return [_gap(plan.sums(counts), reference) for plan in plans]


def _gap(counts: Floats, reference: Floats) -> Floats:
    """An empty window has no distance."""
    below = np.cumsum(counts, axis=1)
    total = below[:, -1:]
    gap = below[:, :-1] / np.maximum(total, 1.0) - reference
    gap[total[:, 0] == 0] = 0.0
    return gap


def _categories(column: CategoricalColumn, values: Rows, rows: SessionRows, plans: Plans) -> list[Floats]:
    among = np.isfinite(values)
    counts = rows.counts(column.places_of(values[among]), len(column.categories) + 1, among)
    return [plan.sums(counts) for plan in plans]


def _total_variation(column: CategoricalColumn, counts: Floats) -> Floats:
    reference = column.all_counts / max(int(column.all_counts.sum()), 1)
    total = counts.sum(1, keepdims=True)
    apart = np.abs(counts / np.maximum(total, 1.0) - reference).sum(1) / 2
    return np.where(total[:, 0] > 0, apart, 0.0)
