"""The drift profile: what a model's inputs and scores looked like when it was trained, and how far
windows of them stray while nothing is wrong.

257 quantile knots per column stand for its distribution whatever the number of rows: between two
knots lies 1/256 of them, so a Kolmogorov-Smirnov distance is off by no more.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from shared.drift.columns import (
    KNOTS,
    CategoricalColumn,
    Column,
    NumericColumn,
    categorical_column,
    column_from,
    numeric_column,
)
from shared.drift.null import ROWS, Null, feature_nulls, null_from, score_null
from shared.drift.residual import ResidualModel, fit_residuals, residuals_from
from shared.drift.windows import SessionRows
from shared.errors import PackageRefused

__all__ = ["KNOTS", "CategoricalColumn", "NumericColumn", "Profile", "TimeOrder", "build_profile"]

FORMAT_VERSION: Final = 2


@dataclass(frozen=True, slots=True)
class TimeOrder:
    """What is known of a reference whose rows have sessions: what residuals are, and the nulls."""

    sessions: int
    rows_per_session: float
    residual: ResidualModel | None
    nulls: tuple[Null, ...]

    def null(self, family: str) -> Null | None:
        return next((null for null in self.nulls if null.family == family), None)


@dataclass(frozen=True, slots=True)
class Profile:
    """`score` is the distribution of the second class's probability, `class_shares` of the labels.

    `time` is None where the reference's rows have no order in time. Profiles of format 1 hold no null.
    """

    features: tuple[Column, ...]
    score: NumericColumn
    class_shares: Mapping[str, float]
    time: TimeOrder | None = None
    format_version: int = FORMAT_VERSION

    def to_json(self) -> bytes:
        return json.dumps(asdict(self), separators=(",", ":"), allow_nan=False).encode()

    @staticmethod
    def from_json(content: bytes) -> Profile:
        """Read a profile; parts that this version doesn't know are passed over.

        Raises:
            PackageRefused: not a profile, or one of another format.
        """
        try:
            return _from_fields(json.loads(content))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
            raise PackageRefused(f"profile.json isn't a profile: {error!r}") from error


def build_profile(
    x: NDArray[np.float32],
    feature_names: Sequence[str],
    scores: NDArray[np.floating],
    classes: Sequence[str],
    y: NDArray[np.integer],
    *,
    sessions: NDArray[np.int64] | None = None,
    score_sessions: NDArray[np.int64] | None = None,
    categorical: Collection[str] = (),
) -> Profile:
    """Profile of the reference rows `x` (n, features), their scores (m,) and labels `y` (n,).

    `scores` are the probabilities of the second class on rows the model wasn't fitted on; they may be
    of other rows than `x`. `y` holds positions in `classes`. `sessions` (n,) and `score_sessions` (m,) are
    the rows' time stamps, equal within a session; without them rows count as independent. The columns
    named in `categorical` hold codes. The same rows give the same profile.
    """
    x = np.asfortranarray(x)  # columns are read one by one
    counts = np.bincount(y, minlength=len(classes))
    columns = tuple(
        categorical_column(name, values) if name in categorical else numeric_column(name, values)
        for name, values in zip(feature_names, x.T, strict=True)
    )
    found = Profile(
        features=columns,
        score=numeric_column("score", scores),
        class_shares=dict(zip(classes, (counts / max(len(y), 1)).tolist(), strict=True)),
    )
    if sessions is None or not len(x):
        return found
    return replace(found, time=_time_order(found, x, sessions, scores, score_sessions))


def _time_order(
    profile: Profile,
    x: NDArray[np.float32],
    sessions: NDArray[np.int64],
    scores: NDArray[np.floating],
    score_sessions: NDArray[np.int64] | None,
) -> TimeOrder:
    rows = SessionRows.of(sessions)
    numbers = [j for j, column in enumerate(profile.features) if isinstance(column, NumericColumn)]
    columns = [column for column in profile.features if isinstance(column, NumericColumn)]
    nulls = feature_nulls(profile.features, x, rows)
    of_score = None
    if score_sessions is not None and len(scores):
        of_score = score_null(profile.score, scores, SessionRows.of(score_sessions))
    return TimeOrder(
        sessions=rows.sessions,
        rows_per_session=round(len(x) / rows.sessions, 2),
        residual=fit_residuals(columns, x[:, numbers]) if nulls else None,
        nulls=nulls if of_score is None else (*nulls, of_score),
    )


def _from_fields(fields: dict[str, Any]) -> Profile:
    version = fields["format_version"]
    if version not in (1, FORMAT_VERSION):
        raise PackageRefused(
            f"profile.json has format version {version!r}; this engine reads 1 and {FORMAT_VERSION}."
        )
    score = column_from(fields["score"])
    if not isinstance(score, NumericColumn):
        raise TypeError("the score must be numeric")
    time = fields.get("time") if version > 1 else None
    features = tuple(column_from(column) for column in fields["features"])
    return Profile(
        features=features,
        score=score,
        class_shares={str(name): float(share) for name, share in fields["class_shares"].items()},
        time=None if time is None else _time_from(time, features),
        format_version=version,
    )


def _time_from(fields: dict[str, Any], features: Sequence[Column]) -> TimeOrder:
    residual = fields["residual"]
    read = TimeOrder(
        sessions=int(fields["sessions"]),
        rows_per_session=float(fields["rows_per_session"]),
        residual=None if residual is None else residuals_from(residual),
        nulls=tuple(null_from(null) for null in fields["nulls"]),
    )
    names = tuple(column.name for column in features)
    numeric = tuple(column.name for column in features if isinstance(column, NumericColumn))
    expected = {
        "marginal": names,
        "residual": numeric,
        "extremes": numeric,
        "gaps": names,
        "ties": numeric,
        "copies": (ROWS,),
        "score": ("score",),
    }
    for null in read.nulls:
        if null.columns != expected[null.family]:
            raise ValueError(f"the null of {null.family!r} must be of the profile's own columns")
    if (read.null("residual") is not None) and (read.residual is None or read.residual.columns != numeric):
        raise ValueError("the residual model must be of the profile's own columns")
    return read
