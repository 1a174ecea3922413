"""The families of statistics, and their verdicts on one window: by the null in time, or by p-values."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from shared.drift import windows
from shared.drift.columns import Column, NumericColumn
from shared.drift.null import SHARES_OF_ROWS, Null
from shared.drift.profile import Profile
from shared.drift.residual import ResidualModel
from shared.drift.result import FamilyResult, FeatureDrift
from shared.drift.significance import adjusted, homogeneity_p, kolmogorov_p
from shared.drift.windows import Floats, Moved, Plan, SessionRows

SHARES: Final[Mapping[str, float]] = {
    "marginal": 0.35,
    "residual": 0.35,
    "extremes": 0.1,
    "gaps": 0.05,
    "ties": 0.05,
    "copies": 0.05,
    "score": 0.05,
}
"""Each family's part of the level: together they raise no more false alarms than it says (Bonferroni)."""

MEANINGS: Final[Mapping[str, str]] = {
    "marginal": "a feature's own distribution has moved",
    "residual": "a feature no longer fits what the other features say",
    "extremes": "values lie further out than the reference's heavy tails explain",
    "gaps": "more values are missing or infinite",
    "ties": "more values repeat another one of their session, as of a stuck feed",
    "copies": "rows are copies of another row of their session, as of a feed that brings another symbol",
    "score": "the model's scores have moved",
}
LEAST_EXTREME: Final = 6.0
LEAST_SHARE: Final = 0.01
LEAST_STEPS: Final = 1.5
"""What a share must stray by at least, in its scale, of which one row is a part: one row is nothing."""
MOST_ROWS: Final = 5_000
"""From which residuals are taken."""
_GOLDEN: Final = (math.sqrt(5.0) - 1.0) / 2.0


@dataclass(frozen=True, slots=True)
class Judged:
    """A family's result, and each column's: the statistic over its threshold, and its effect size."""

    result: FamilyResult
    excess: Mapping[str, float]
    effect: Mapping[str, float]

    def moved(self, column: str) -> bool:
        return column in self.result.features


Measure: TypeAlias = Callable[[], Moved]


def judge_in_time(
    profile: Profile,
    x: NDArray[np.floating],
    scores: NDArray[np.floating] | None,
    rows: SessionRows,
    level: float,
    min_effect: float,
) -> list[Judged]:
    """Every family that the profile has a null for, on all rows as one window."""
    time = profile.time
    if time is None:
        return []
    columns = profile.features
    numeric = [j for j, column in enumerate(columns) if isinstance(column, NumericColumn)]
    numbers = [column for column in columns if isinstance(column, NumericColumn)]
    numeric_x = x if len(numeric) == len(columns) else x[:, numeric]
    model, one, whole = time.residual, [Plan(np.array([0]), 1)], SessionRows.together(len(x))
    every = [Plan(np.array([0]), rows.sessions)]
    repeats = functools.cache(lambda: windows.repeats(numeric_x, rows, every))
    measures: dict[str, Measure] = {
        "marginal": lambda: windows.marginal(columns, x, whole, one)[0],
        "extremes": lambda: windows.extremes(numbers, numeric_x, whole, one)[0],
        "gaps": lambda: windows.gaps(x, whole, one)[0],
        "ties": lambda: repeats()[0][0],
        "copies": lambda: repeats()[1][0],
    }
    if model is not None:
        measures["residual"] = lambda: _residual(model, numbers, numeric_x, one)
    if scores is not None:
        score = scores[:, np.newaxis]
        measures["score"] = lambda: windows.marginal([profile.score], score, whole, one)[0]
    a_row = min(LEAST_SHARE, 0.9 * rows.sessions / max(len(x), 1))  # about one a session
    least = {"extremes": LEAST_EXTREME, "gaps": LEAST_SHARE, "ties": LEAST_SHARE, "copies": a_row}
    return [
        _by_null(
            null,
            measures[null.family](),
            rows.sessions,
            level * SHARES[null.family],
            least.get(null.family, min_effect),
        )
        for null in time.nulls
        if null.family in measures
    ]


def _residual(
    model: ResidualModel, columns: Sequence[NumericColumn], x: NDArray[np.floating], one: Sequence[Plan]
) -> Moved:
    """Of very many rows an even part says as much: by a Weyl sequence, which no period in them meets."""
    if len(x) > MOST_ROWS:
        x = x[np.arange(len(x)) * _GOLDEN % 1.0 < MOST_ROWS / len(x)]
    return windows.residual(model, columns, x, SessionRows.together(len(x)), one)[0]


def _by_null(null: Null, moved: Moved, sessions: int, level: float, min_effect: float) -> Judged:
    length = null.of(sessions)
    assert length is not None  # noqa: S101 - the caller has looked
    least = LEAST_STEPS if null.family in SHARES_OF_ROWS else 1e-9
    threshold = max(null.threshold(sessions, level), least)
    standardised = (moved.statistic[0] - np.array(length.centre)) / np.array(length.scale)
    effect = moved.effect[0] - (0.0 if null.family == "extremes" else np.array(length.centre))
    return _judged(null.family, null.columns, standardised, effect, threshold, level, min_effect)


def _judged(
    family: str,
    names: Sequence[str],
    statistic: Floats,
    effect: Floats,
    threshold: float,
    level: float,
    min_effect: float,
) -> Judged:
    beyond = (statistic > threshold) & (effect >= min_effect)
    order = np.argsort(-statistic, kind="stable")
    moved = [names[j] for j in order if beyond[j]]
    first = next((j for j in order if beyond[j]), order[0] if len(order) else None)
    result = FamilyResult(
        name=family,
        meaning=MEANINGS[family],
        statistic=None if first is None else float(statistic[first]),
        threshold=threshold,
        level=level,
        effect=None if first is None else float(effect[first]),
        min_effect=min_effect,
        alarms=bool(moved),
        features=tuple(moved),
    )
    excess = dict(zip(names, (statistic / threshold).tolist(), strict=True))
    return Judged(result, excess, dict(zip(names, effect.tolist(), strict=True)))


def judge_independent(
    profile: Profile,
    x: NDArray[np.floating],
    described: Sequence[FeatureDrift],
    score: FeatureDrift | None,
    level: float,
    min_effect: float,
) -> list[Judged]:
    """Rows without time order: Kolmogorov-Smirnov or chi-square, Benjamini-Hochberg within the family.

    A family's statistic is -log10 of its least adjusted p-value. What the families in time would have of
    the level goes to these three.
    """
    names, rows = [column.name for column in profile.features], len(x)
    pairs = list(zip(profile.features, described, strict=True))
    marginal = [_column_p(column, one, x[:, j]) for j, (column, one) in enumerate(pairs)]
    missing = [_gap_p(column, one, rows) for column, one in pairs]
    found = [
        _by_p("marginal", names, marginal, level * 0.7, min_effect),
        _by_p("gaps", names, missing, level * 0.15, LEAST_SHARE),
    ]
    if score is not None:
        own = [_number_p(profile.score, score, rows)]
        found.append(_by_p("score", ["score"], own, level * 0.15, min_effect))
    return found


def _by_p(
    family: str, names: Sequence[str], tested: Sequence[tuple[float, float]], level: float, min_effect: float
) -> Judged:
    statistic = np.array([-math.log10(max(p, 1e-300)) for p in adjusted([p for p, _ in tested])])
    effect = np.array([effect for _, effect in tested])
    return _judged(family, names, statistic, effect, -math.log10(level), level, min_effect)


def _column_p(column: Column, now: FeatureDrift, values: NDArray[np.floating]) -> tuple[float, float]:
    """(p-value, effect size)."""
    if isinstance(column, NumericColumn):
        return _number_p(column, now, len(values))
    counts, then = column.counts_of(values[np.isfinite(values)]), column.all_counts
    if not counts.sum() or not then.sum():
        return 1.0, 0.0
    apart = np.abs(counts / counts.sum() - then / then.sum()).sum() / 2
    return homogeneity_p(then.tolist(), counts.tolist()), float(apart)


def _number_p(column: NumericColumn, now: FeatureDrift, rows: int) -> tuple[float, float]:
    if now.ks is None or now.wasserstein is None:
        return 1.0, 0.0
    finite = rows - _bad(now.missing_share + now.infinite_share, rows)
    return kolmogorov_p(now.ks, column.finite, finite), now.wasserstein


def _gap_p(column: Column, now: FeatureDrift, rows: int) -> tuple[float, float]:
    before, after = column.missing_share + column.infinite_share, now.missing_share + now.infinite_share
    then, bad = _bad(before, column.n), _bad(after, rows)
    return homogeneity_p([then, column.n - then], [bad, rows - bad]), after - before


def _bad(share: float, rows: int) -> int:
    return round(share * rows)
