"""The columns of a profile: what one feature, or the score, looked like in the reference."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from shared.drift.statistics import refined

KNOTS: Final = 257
_DIGITS: Final = 5
CATEGORIES: Final = 64
"""Rarer values of a categorical column are counted together as "other"."""


@dataclass(frozen=True)
class NumericColumn:
    """One column: how many rows, what share is missing or infinite, and the finite rest.

    `knots` are the quantiles at 0, 1/256, ... 1; empty, and `mean` and `sd` None, where nothing is finite.
    `tails` are the means of the lowest and of the highest 256th; None in profiles of format 1.
    """

    name: str
    n: int
    missing_share: float
    infinite_share: float
    mean: float | None
    sd: float | None
    knots: tuple[float, ...]
    tails: tuple[float, float] | None = None
    kind: Literal["numeric"] = "numeric"

    @functools.cached_property
    def at(self) -> NDArray[np.float32]:
        """The knots as the features' own type: a decimal of a float32 isn't the same double."""
        return np.array(self.knots, np.float32)

    @functools.cached_property
    def grid(self) -> NDArray[np.float64]:
        """The knots with three steps between each two."""
        return refined(self.at)

    @functools.cached_property
    def even(self) -> NDArray[np.float64]:
        """The knots with ends from which the tails' means follow if the tails are even: long tails aren't."""
        knots = self.at.astype(np.float64)
        if self.tails is not None and len(knots):
            knots[0] = min(2.0 * self.tails[0] - knots[1], knots[1])
            knots[-1] = max(2.0 * self.tails[1] - knots[-2], knots[-2])
        return knots

    @functools.cached_property
    def normal_scores(self) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """The distinct knots, and the normal quantiles of their ranks: the mean where knots are equal."""
        at, place, count = np.unique(self.at, return_inverse=True, return_counts=True)
        return at, np.bincount(place, weights=_normal_quantiles()) / count

    @property
    def finite(self) -> int:
        """How many of the rows had a finite value."""
        return round(self.n * (1.0 - self.missing_share - self.infinite_share))

    @property
    def unit(self) -> float:
        """The standard deviation that differences are measured in; 1 where the reference has none."""
        return self.sd or 1.0


@dataclass(frozen=True)
class CategoricalColumn:
    """One column of codes: how often each occurred. `other` counts the rows of values beyond `categories`."""

    name: str
    n: int
    missing_share: float
    infinite_share: float
    categories: tuple[float, ...]
    counts: tuple[int, ...]
    other: int
    kind: Literal["categorical"] = "categorical"

    def places_of(self, values: NDArray[np.floating]) -> NDArray[np.intp]:
        """The number of each finite value's category; of any other value the number of categories."""
        known = np.array((*self.categories, np.inf), np.float32)
        place = np.searchsorted(known, values)
        return np.where(known[place] == values, place, len(known) - 1)

    def counts_of(self, values: NDArray[np.floating]) -> NDArray[np.intp]:
        """How often each category, and then any other value, occurs in finite `values`."""
        return np.bincount(self.places_of(values), minlength=len(self.categories) + 1)

    @functools.cached_property
    def all_counts(self) -> NDArray[np.int64]:
        return np.array([*self.counts, self.other])


@functools.cache
def _normal_quantiles() -> NDArray[np.float64]:
    """Of the knots' ranks; those at the ends half a step inside."""
    half = 0.5 / (KNOTS - 1)
    ranks = np.clip(np.linspace(0.0, 1.0, KNOTS), half, 1.0 - half)
    return np.array([NormalDist().inv_cdf(rank) for rank in ranks])


Column: TypeAlias = NumericColumn | CategoricalColumn


def numeric_column(name: str, values: NDArray[np.floating]) -> NumericColumn:
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
        knots=_short(quantiles(finite, KNOTS)) if some else (),
        tails=_tails(finite) if some else None,
    )


def categorical_column(name: str, values: NDArray[np.floating]) -> CategoricalColumn:
    n = len(values)
    missing = int(np.isnan(values).sum())
    finite = values[np.isfinite(values)].astype(np.float32)
    codes, counts = np.unique(finite, return_counts=True)
    kept = np.sort(np.argsort(-counts, kind="stable")[:CATEGORIES])
    return CategoricalColumn(
        name=name,
        n=n,
        missing_share=missing / max(n, 1),
        infinite_share=(n - missing - len(finite)) / max(n, 1),
        categories=_decimals(codes[kept]),
        counts=tuple(counts[kept].tolist()),
        other=int(counts.sum() - counts[kept].sum()),
    )


def quantiles(ordered: NDArray[Any], knots: int) -> NDArray[Any]:
    """Evenly spaced quantiles, as values that occur: where many rows share one, a knot must not miss it."""
    place = np.rint(np.linspace(0.0, len(ordered) - 1.0, knots)).astype(np.int64)
    return ordered[place]


def _tails(ordered: NDArray[np.float32]) -> tuple[float, float]:
    count = -(-len(ordered) // (KNOTS - 1))
    low, high = ordered[:count].mean(dtype=np.float64), ordered[-count:].mean(dtype=np.float64)
    return float(f"{low:.{_DIGITS}g}"), float(f"{high:.{_DIGITS}g}")


def _short(knots: NDArray[np.float32]) -> tuple[float, ...]:
    """Values that fill several knots, and the ends, are kept exactly; of the others a few digits will do."""
    again = np.append(knots[1:] == knots[:-1], True)
    again[1:] |= again[:-1]
    again[0] = True
    exact = np.array([float(str(knot)) for knot in knots])
    rough = np.array([float(f"{knot:.{_DIGITS}g}") for knot in knots])
    below = np.maximum.accumulate(np.where(again, exact, -np.inf))  # shortened, none passes one that isn't
    above = np.minimum.accumulate(np.where(again, exact, np.inf)[::-1])[::-1]
    return tuple(np.where(again, exact, np.clip(rough, below, above)).tolist())


def _decimals(values: NDArray[np.float32]) -> tuple[float, ...]:
    """In the shortest decimals that give the same float32."""
    return tuple(float(str(value)) for value in values)


def _floats(values: Iterable[Any]) -> tuple[float, ...]:
    return tuple(map(float, values))


_CONVERSIONS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "name": str,
    "n": int,
    "missing_share": float,
    "infinite_share": float,
    "mean": float,
    "sd": float,
    "knots": _floats,
    "categories": _floats,
    "counts": lambda values: tuple(map(int, values)),
    "other": int,
}


def column_from(fields: Mapping[str, Any]) -> Column:
    """Read what `asdict` wrote.

    Raises:
        ValueError, TypeError, KeyError: it isn't a column.
    """
    kinds: dict[str, type[NumericColumn | CategoricalColumn]]
    kinds = {"numeric": NumericColumn, "categorical": CategoricalColumn}
    kind = kinds[fields["kind"]]
    known = {name: fields[name] for name in kind.__dataclass_fields__ if name != "tails"}
    if kind is NumericColumn and fields.get("tails") is not None:
        low, high = map(float, fields["tails"])
        known["tails"] = (low, high)
    for name, convert in _CONVERSIONS.items():
        if known.get(name) is not None:
            known[name] = convert(known[name])
    column: Column = kind(**known)
    _require(column)
    return column


def _require(column: Column) -> None:
    if column.n < 0:
        raise ValueError(f"column {column.name!r} needs a number of rows")
    for share in (column.missing_share, column.infinite_share):
        if not 0.0 <= share <= 1.0:
            raise ValueError(f"column {column.name!r} has a share of {share}, outside 0 to 1")
    if isinstance(column, CategoricalColumn):
        rising(column.name, column.categories, strictly=True)
        if len(column.counts) != len(column.categories) or min((*column.counts, column.other)) < 0:
            raise ValueError(f"column {column.name!r} needs one count for each category")
        return
    if len(column.knots) not in (0, KNOTS):
        raise ValueError(f"column {column.name!r} must have {KNOTS} knots or none")
    rising(column.name, column.knots)
    if column.tails is not None and not np.isfinite(column.tails).all():
        raise ValueError(f"column {column.name!r} must have finite tails")
    if column.knots and not (_finite(column.mean) and _finite(column.sd) and (column.sd or 0.0) >= 0.0):
        raise ValueError(f"column {column.name!r} needs a mean and a standard deviation")


def rising(name: str, values: tuple[float, ...], *, strictly: bool = False) -> None:
    """Refuse what isn't finite or falls.

    Raises:
        ValueError: naming the column.
    """
    steps = np.diff(np.array(values, np.float64))
    if not np.isfinite(values).all() or (steps < 0).any() or (strictly and (steps == 0).any()):
        raise ValueError(f"the values of {name!r} must be finite and rise")


def _finite(value: float | None) -> bool:
    return value is not None and bool(np.isfinite(value))
