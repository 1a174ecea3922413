"""Drift of all features together: whether they still go with each other as they did at training.

The rows are projected on the leading principal components of the reference; what the projection leaves over,
column by column, is small as long as the columns keep to their old relations (Jackson and Mudholkar 1979:
the residuals of a principal component model as a control chart). A column whose residual energy moves has
broken with the others, even where its own distribution hasn't changed.

What is ordinary is taken from the reference itself: the same statistic of windows of as many whole sessions,
so that the movement that all symbols share, and that goes on from day to day, is in the null.

Measured on 60 symbols of daily candles after two years of reference, 40 windows of 1 session and 20 each of
5, 20 and 60: 4 of 100 windows alarm where nothing was changed. One column shuffled among the rows of its
window, which no look at single columns sees, is found in 299 of 300 (three columns that go with others; one
that goes with no other has no relation to lose). A classifier between both, in a trial (logistic
regression, its AUC against the same kind of null, 15 windows each of 1, 5 and 20 sessions), found a
shuffled column in 4 of 90 and alarmed in 1 of 45 where nothing was changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from shared.drift import Verdict

Values: TypeAlias = NDArray[np.float64]
Sessions: TypeAlias = NDArray[np.int64]

LEVEL: Final = 0.05
EXPLAINED_SHARE: Final = 0.9
"""Of the reference's variance: so much the components must explain."""

MAX_NULL_WINDOWS: Final = 200
MIN_DISJOINT_WINDOWS: Final = 8
"""So many windows that don't overlap must fit into the reference, or nothing can be said."""

MIN_ROWS: Final = 200
MIN_SESSION_ROWS: Final = 20
"""Rows that a window needs, without sessions and with them: there the null has as few."""

MAX_ROWS: Final = 400_000
"""Rows of the reference that are looked at; of more, a random part."""

MAX_COLUMNS: Final = 20
_CLIPPED_SHARE = 0.001
_LEAST_ENERGY = 0.01
"""Of a column's variance: less than that is left over of a column that the others give almost exactly, or
that has nothing to do with what is left over, and says nothing by doubling."""

_LEAST_SPREAD = 0.02
"""Of a logarithm of the energy: what never changes in the null isn't far when it changes by a hundredth."""


@dataclass(frozen=True, slots=True)
class ColumnResidual:
    """`energy_ratio`: the column's mean squared residual, over that of the reference (to both a hundredth of
    the column's variance is added). `distance`: how far its
    logarithm is from the middle of the null's windows, in their standard deviations.
    """

    name: str
    energy_ratio: float
    distance: float


@dataclass(frozen=True, slots=True)
class MultivariateDrift:
    """`statistic` is the largest distance of a column, `threshold` the null's 95 % quantile of the same, and
    `p_value` the share of the null's windows that are as far. `columns` are those furthest, first.
    """

    verdict: Verdict
    why: str
    statistic: float | None
    threshold: float | None
    p_value: float | None
    null_windows: int
    components: int
    explained_share: float | None
    rows: int
    reference_rows: int
    columns: tuple[ColumnResidual, ...]

    def json(self) -> dict[str, Any]:
        columns = [asdict(column) for column in self.columns]
        return {**asdict(self), "verdict": self.verdict.value, "columns": columns}


def multivariate_drift(
    reference: NDArray[np.floating],
    current: NDArray[np.floating],
    sessions_reference: Sessions | None,
    sessions_current: Sessions | None,
    names: Sequence[str],
    *,
    rng: np.random.Generator,
) -> MultivariateDrift:
    """Compare `current` (n, features) with `reference` (m, features), the rows that were trained on.

    Sessions are the rows' time stamps, equal within a session. Without them, windows of the null are random
    rows of the reference. Columns that are the same in all rows of each session say only which day it is, and
    are left out, as are those that never change; of what isn't finite, the reference's median stands in.
    """
    reference, sessions_reference = _sampled(reference, sessions_reference, rng)
    too_few = _too_few(reference, current, sessions_reference, sessions_current)
    kept = _kept(reference, sessions_reference)
    if too_few is None and len(kept) < 2:
        too_few = f"At least 2 columns that change are needed; {len(kept)} are there."
    if too_few is not None:
        return _unjudged(too_few, reference, current)
    model = _Components.of(reference[:, kept])
    residual = model.energies(reference[:, kept])
    null = np.array(
        [
            np.log(residual[rows].mean(axis=0) + _LEAST_ENERGY)
            for rows in _windows(sessions_reference, sessions_current, len(reference), len(current), rng)
        ]
    )
    middle, spread = null.mean(axis=0), np.maximum(null.std(axis=0), _LEAST_SPREAD)
    now = model.energies(current[:, kept]).mean(axis=0)
    distance = np.abs(np.log(now + _LEAST_ENERGY) - middle) / spread
    ordinary = np.abs((null - middle) / spread).max(axis=1)
    return _judged(
        [names[column] for column in kept],
        (now + _LEAST_ENERGY) / (residual.mean(axis=0) + _LEAST_ENERGY),
        distance,
        ordinary,
        model,
        (len(current), len(reference)),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Components:
    """How columns are made comparable, and the components (columns, k) that explain most of the reference."""

    median: Values
    low: Values
    high: Values
    mean: Values
    scale: Values
    vectors: Values
    explained_share: float

    @staticmethod
    def of(x: NDArray[np.floating]) -> _Components:
        finite = np.where(np.isfinite(x), x, np.nan).astype(np.float64)
        median = np.nanmedian(finite, axis=0)
        filled = np.where(np.isnan(finite), median, finite)
        low, high = np.quantile(filled, [_CLIPPED_SHARE, 1.0 - _CLIPPED_SHARE], axis=0)
        clipped = np.clip(filled, low, high)
        mean, deviation = clipped.mean(axis=0), clipped.std(axis=0)
        scale = np.where(deviation > 0, deviation, 1.0)
        values, vectors = np.linalg.eigh(np.cov((clipped - mean) / scale, rowvar=False))
        share = np.cumsum(values[::-1]) / values.sum()
        count = min(int(np.searchsorted(share, EXPLAINED_SHARE)) + 1, len(share) - 1)
        chosen = vectors[:, ::-1][:, :count]
        return _Components(median, low, high, mean, scale, chosen, float(share[count - 1]))

    def energies(self, x: NDArray[np.floating]) -> Values:
        """Squared residuals (n, columns)."""
        filled = np.where(np.isfinite(x), x, self.median).astype(np.float64)
        z = (np.clip(filled, self.low, self.high) - self.mean) / self.scale
        residual: Values = z - (z @ self.vectors) @ self.vectors.T
        return residual**2


def _sampled(
    x: NDArray[np.floating], sessions: Sessions | None, rng: np.random.Generator
) -> tuple[NDArray[np.floating], Sessions | None]:
    if len(x) <= MAX_ROWS:
        return x, sessions
    rows = np.sort(rng.choice(len(x), MAX_ROWS, replace=False))
    return x[rows], None if sessions is None else sessions[rows]


def _kept(x: NDArray[np.floating], sessions: Sessions | None) -> NDArray[np.intp]:
    """The columns that tell rows apart, and not only sessions."""
    some = np.isfinite(x).any(axis=0)
    lowest = np.where(np.isfinite(x), x, np.inf)
    highest = np.where(np.isfinite(x), x, -np.inf)
    if sessions is None:
        changes = highest.max(axis=0, initial=-np.inf) > lowest.min(axis=0, initial=np.inf)
        return np.flatnonzero(some & changes)
    order = np.argsort(sessions, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(sessions[order]) > 0])
    differ = np.maximum.reduceat(highest[order], starts) > np.minimum.reduceat(lowest[order], starts)
    return np.flatnonzero(some & differ.any(axis=0))


def _too_few(
    reference: NDArray[np.floating],
    current: NDArray[np.floating],
    sessions_reference: Sessions | None,
    sessions_current: Sessions | None,
) -> str | None:
    """Why nothing can be said, or None."""
    least = MIN_ROWS if sessions_current is None else MIN_SESSION_ROWS
    if len(current) < least:
        return f"At least {least} rows are needed; there are {len(current)}."
    if sessions_reference is None or sessions_current is None:
        held, length, unit = len(reference), len(current), "rows"
    else:
        held, length = len(np.unique(sessions_reference)), len(np.unique(sessions_current))
        unit = "sessions"
    if held >= MIN_DISJOINT_WINDOWS * length:
        return None
    return (
        f"A window of {length} {unit} needs a reference of {MIN_DISJOINT_WINDOWS * length} to know what is "
        f"ordinary; it has {held}."
    )


def _windows(
    sessions_reference: Sessions | None,
    sessions_current: Sessions | None,
    held: int,
    length: int,
    rng: np.random.Generator,
) -> Iterator[NDArray[np.intp]]:
    """The rows of each of the null's windows."""
    if sessions_reference is None or sessions_current is None:
        for _ in range(MAX_NULL_WINDOWS):
            yield rng.choice(held, length, replace=False)
        return
    known, code = np.unique(sessions_reference, return_inverse=True)
    size = len(np.unique(sessions_current))
    order = np.argsort(code, kind="stable")
    edges = np.searchsorted(code[order], np.arange(len(known) + 1))
    count = min(MAX_NULL_WINDOWS, len(known) - size + 1)
    for first in np.linspace(0, len(known) - size, count).astype(np.intp):
        yield order[edges[first] : edges[first + size]]


def _judged(
    names: Sequence[str],
    ratio: Values,
    distance: Values,
    ordinary: Values,
    model: _Components,
    counts: tuple[int, int],
) -> MultivariateDrift:
    threshold, statistic = float(np.quantile(ordinary, 1.0 - LEVEL)), float(distance.max())
    furthest = np.argsort(-distance)[:MAX_COLUMNS]
    columns = tuple(ColumnResidual(names[i], float(ratio[i]), float(distance[i])) for i in furthest)
    is_drift = statistic > threshold
    what = f"{columns[0].name} is {statistic:.1f} deviations from its usual relation to the other columns"
    bound = f"the training period itself shows up to {threshold:.1f} in {1.0 - LEVEL:.0%} of its windows"
    return MultivariateDrift(
        verdict=Verdict.DRIFT if is_drift else Verdict.OK,
        why=f"{what}; {bound}.",
        statistic=statistic,
        threshold=threshold,
        p_value=float((1 + (ordinary >= statistic).sum()) / (1 + len(ordinary))),
        null_windows=len(ordinary),
        components=model.vectors.shape[1],
        explained_share=model.explained_share,
        rows=counts[0],
        reference_rows=counts[1],
        columns=columns,
    )


def _unjudged(why: str, reference: NDArray[np.floating], current: NDArray[np.floating]) -> MultivariateDrift:
    return MultivariateDrift(
        verdict=Verdict.INSUFFICIENT_DATA,
        why=why,
        statistic=None,
        threshold=None,
        p_value=None,
        null_windows=0,
        components=0,
        explained_share=None,
        rows=len(current),
        reference_rows=len(reference),
        columns=(),
    )
