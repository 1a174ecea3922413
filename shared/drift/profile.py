"""The drift profile: what a model's inputs and scores looked like when it was trained.

257 quantile knots per column stand for its distribution whatever the number of rows: between two
knots lies 1/256 of them, so a Kolmogorov-Smirnov distance is off by no more.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from shared.errors import PackageRefused

FORMAT_VERSION: Final = 1
KNOTS: Final = 257


@dataclass(frozen=True, slots=True)
class NumericColumn:
    """One column: how many rows, what share is missing or infinite, and the finite rest.

    `knots` are the quantiles at 0, 1/256, ... 1; empty, and `mean` and `sd` None, where nothing is finite.
    """

    name: str
    n: int
    missing_share: float
    infinite_share: float
    mean: float | None
    sd: float | None
    knots: tuple[float, ...]
    kind: Literal["numeric"] = "numeric"


@dataclass(frozen=True, slots=True)
class Profile:
    """`score` is the distribution of the second class's probability, `class_shares` of the labels."""

    features: tuple[NumericColumn, ...]
    score: NumericColumn
    class_shares: Mapping[str, float]

    def to_json(self) -> bytes:
        fields = {"format_version": FORMAT_VERSION, **asdict(self)}
        return json.dumps(fields, separators=(",", ":"), allow_nan=False).encode()

    @staticmethod
    def from_json(content: bytes) -> Profile:
        """Read a profile; parts that this version doesn't know are passed over.

        Raises:
            PackageRefused: not a profile, or one of another format.
        """
        try:
            return _from_fields(json.loads(content))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise PackageRefused(f"profile.json isn't a profile: {error!r}") from error


def build_profile(
    x: NDArray[np.float32],
    feature_names: Sequence[str],
    scores: NDArray[np.floating],
    classes: Sequence[str],
    y: NDArray[np.integer],
) -> Profile:
    """Profile of the reference rows `x` (n, features), their scores (n,) and labels `y` (n,).

    `scores` are the probabilities of the second class on rows the model wasn't fitted on; they may be
    of other rows than `x`. `y` holds positions in `classes`.
    """
    counts = np.bincount(y, minlength=len(classes))
    return Profile(
        features=tuple(_column(name, values) for name, values in zip(feature_names, x.T, strict=True)),
        score=_column("score", scores),
        class_shares=dict(zip(classes, (counts / max(len(y), 1)).tolist(), strict=True)),
    )


def _column(name: str, values: NDArray[np.floating]) -> NumericColumn:
    n = len(values)
    missing = int(np.isnan(values).sum())
    finite = np.sort(values[np.isfinite(values)].astype(np.float32))
    some = len(finite) > 0
    return NumericColumn(
        name=name,
        n=n,
        missing_share=missing / max(n, 1),
        infinite_share=(n - missing - len(finite)) / max(n, 1),
        mean=float(finite.mean(dtype=np.float64)) if some else None,
        sd=float(finite.std(dtype=np.float64)) if some else None,
        knots=_knots(finite) if some else (),
    )


def _knots(ordered: NDArray[np.float32]) -> tuple[float, ...]:
    """Quantiles as values that occur, in the shortest decimals that give the same float32.

    Where many rows share one value, a knot beside it by a rounding would miss them all.
    """
    place = np.rint(np.linspace(0.0, len(ordered) - 1.0, KNOTS)).astype(np.int64)
    return tuple(float(str(knot)) for knot in ordered[place])


def _from_fields(fields: dict[str, Any]) -> Profile:
    if fields["format_version"] != FORMAT_VERSION:
        raise PackageRefused(
            f"profile.json has format version {fields['format_version']!r}; "
            f"this engine reads {FORMAT_VERSION}."
        )
    return Profile(
        features=tuple(_column_from(column) for column in fields["features"]),
        score=_column_from(fields["score"]),
        class_shares={str(name): float(share) for name, share in fields["class_shares"].items()},
    )


def _column_from(fields: dict[str, Any]) -> NumericColumn:
    known = {name: fields[name] for name in NumericColumn.__dataclass_fields__}
    if known["kind"] != "numeric" or len(known["knots"]) not in (0, KNOTS):
        raise ValueError(f"column {known['name']!r} must be numeric, with {KNOTS} knots or none")
    return NumericColumn(**{**known, "knots": tuple(map(float, known["knots"]))})
