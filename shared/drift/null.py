"""The null: how far windows stray from a reference that they didn't help to make, while nothing is wrong.

Rows of candles are independent neither in time nor across symbols, so no textbook p-value holds for them.
Windows of whole sessions, all symbols together, keep both dependences. The reference is cut into three parts
in time; windows of each part are judged by a profile made of the two others. So the null holds what a later
window meets: sampling noise, and the slow change of markets over months. Longer windows have fewer
independent copies, whose greatest maximum is too small; so a longer window's threshold is never taken below
a shorter one's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from shared.drift import windows
from shared.drift.columns import CategoricalColumn, Column, NumericColumn, categorical_column, numeric_column
from shared.drift.residual import fit_residuals
from shared.drift.windows import Floats, Moved, Plan, Rows, SessionRows

LENGTHS: Final = (1, 5, 20, 60)
"""Sessions in a window."""
PARTS: Final = 3
LEAST_SESSIONS: Final = 60
LEAST_WINDOWS: Final = 6
"""How many windows side by side the reference must hold for a null of their length."""
TAIL: Final = (0.1, 0.05, 0.025, 0.015, 0.01, 0.005)
SHARES_OF_ROWS: Final = ("gaps", "ties", "copies")
ROWS: Final = "rows"
"""What a statistic of whole rows has for a column."""
_LEAST_SCALE: Final[Mapping[str, float]] = {"extremes": 0.1, "gaps": 0.002, "ties": 0.002, "copies": 0.002}
_DIGITS: Final = 4
_EULER: Final = 0.5772156649015329


@dataclass(frozen=True, slots=True)
class LengthNull:
    """One window length: how each column's statistic is standardised, and how great the maximum gets.

    A column's standardised statistic is (statistic - centre) / scale. Over the null's windows the maximum
    over the columns has this `mean` and `sd`, and exceeds `tail` with the shares in `TAIL`.
    """

    sessions: int
    windows: int
    centre: tuple[float, ...]
    scale: tuple[float, ...]
    mean: float
    sd: float
    tail: tuple[float, ...]

    def threshold(self, level: float) -> float:
        """What the maximum exceeds with this share: the greater of the windows' own quantile and that of
        the Gumbel distribution with their mean and deviation, which reaches beyond what they hold.
        """
        seen = np.interp(-np.log(level), -np.log(np.array(TAIL)), self.tail)
        scale = self.sd * np.sqrt(6.0) / np.pi
        gumbel = self.mean + scale * (-np.log(-np.log1p(-level)) - _EULER)
        return float(max(seen, gumbel))


@dataclass(frozen=True, slots=True)
class Null:
    """A family's nulls by window length, shortest first, and the columns that its statistics are of."""

    family: str
    columns: tuple[str, ...]
    lengths: tuple[LengthNull, ...]

    def of(self, sessions: int) -> LengthNull | None:
        """The longest that is no longer: a shorter window strays further, so this errs to the quiet side."""
        fitting = [length for length in self.lengths if length.sessions <= sessions]
        return fitting[-1] if fitting else None

    def threshold(self, sessions: int, level: float) -> float:
        """Of the windows up to so many sessions: never less than that of shorter ones."""
        return max(length.threshold(level) for length in self.lengths if length.sessions <= sessions)


def lengths_for(sessions: int) -> tuple[int, ...]:
    """The window lengths that a reference of so many sessions has a null for."""
    if sessions < LEAST_SESSIONS:
        return ()
    return tuple(length for length in LENGTHS if length * LEAST_WINDOWS <= sessions)


def feature_nulls(columns: Sequence[Column], x: Rows, rows: SessionRows) -> tuple[Null, ...]:
    """The nulls of all families of statistics of the features; none where the reference is too short."""
    lengths = lengths_for(rows.sessions)
    numeric = [j for j, column in enumerate(columns) if isinstance(column, NumericColumn)]
    own = _crossed(columns, x, rows, lengths)
    plans = [Plan.sliding(rows.sessions, length) for length in lengths]
    width = len(x) / rows.sessions
    numbers = [column for column in columns if isinstance(column, NumericColumn)]
    ties, copies = windows.repeats(x[:, numeric], rows, plans)
    found = {
        "marginal": (columns, own["marginal"]),
        "residual": (numbers, own["residual"]),
        "extremes": (numbers, windows.extremes(numbers, x[:, numeric], rows, plans)),
        "gaps": (columns, windows.gaps(x, rows, plans)),
        "ties": (numbers, ties),
    }
    nulls = [
        _null(family, [column.name for column in of], lengths, moved, width)
        for family, (of, moved) in found.items()
        if of and moved
    ]
    nulls.append(_null("copies", [ROWS], lengths, copies, width))
    return tuple(null for null in nulls if null.lengths)


def score_null(column: NumericColumn, scores: Rows, rows: SessionRows) -> Null | None:
    """The null of the score's own distribution."""
    lengths = lengths_for(rows.sessions)
    moved = _crossed([column], scores[:, np.newaxis], rows, lengths)["marginal"]
    found = _null("score", [column.name], lengths, moved, len(scores) / rows.sessions)
    return found if found.lengths else None


def _crossed(
    columns: Sequence[Column], x: Rows, rows: SessionRows, lengths: Sequence[int]
) -> dict[str, list[Moved]]:
    """Windows of each part by a profile of the others, by family and length; in the whole profile's units."""
    gathered: dict[str, list[list[Moved]]] = {"marginal": [], "residual": []}
    if not lengths:
        return {family: [] for family in gathered}
    part = rows.number * PARTS // rows.sessions
    numeric = [j for j, column in enumerate(columns) if isinstance(column, NumericColumn)]
    for k in range(PARTS):
        inside = part == k
        fold = [_column_like(column, x[~inside, j]) for j, column in enumerate(columns)]
        held, within = x[inside], SessionRows.of(rows.number[inside])
        plans = [Plan.sliding(within.sessions, length) for length in lengths]
        units = np.array([_unit(a) / _unit(b) for a, b in zip(fold, columns, strict=True)])
        gathered["marginal"].append(
            [
                Moved(m.statistic * units, m.effect * units)
                for m in windows.marginal(fold, held, within, plans)
            ]
        )
        numbers = [column for column in fold if isinstance(column, NumericColumn)]
        model = fit_residuals(numbers, x[np.ix_(~inside, numeric)])
        if model is not None:
            gathered["residual"].append(windows.residual(model, numbers, held[:, numeric], within, plans))
    return {
        family: [_join(of_length) for of_length in zip(*parts, strict=True)]
        for family, parts in gathered.items()
    }


def _column_like(column: Column, values: NDArray[np.floating]) -> Column:
    if isinstance(column, CategoricalColumn):
        return categorical_column(column.name, values)
    return numeric_column(column.name, values)


def _unit(column: Column) -> float:
    return column.unit if isinstance(column, NumericColumn) else 1.0


def _join(parts: Sequence[Moved]) -> Moved:
    return Moved(np.concatenate([p.statistic for p in parts]), np.concatenate([p.effect for p in parts]))


def _null(
    family: str, columns: Sequence[str], lengths: Sequence[int], moved: Sequence[Moved], width: float
) -> Null:
    made = (
        _length_null(family, n, m.statistic, 1.0 / (n * width)) for n, m in zip(lengths, moved, strict=False)
    )
    return Null(family, tuple(columns), tuple(made))


def _length_null(family: str, sessions: int, statistic: Floats, row: float) -> LengthNull:
    """Distances are standardised by their root mean square; extremes and shares about their mean.

    A share moves in steps of one `row`, which counts as one deviation at most.
    """
    centre = statistic.mean(0) if family in _LEAST_SCALE else np.zeros(statistic.shape[1])
    scale = np.sqrt(((statistic - centre) ** 2).mean(0)) + _LEAST_SCALE.get(family, 1e-6)
    if family in SHARES_OF_ROWS:
        scale = scale + row
    maxima = ((statistic - centre) / scale).max(1)
    return LengthNull(
        sessions=sessions,
        windows=len(statistic),
        centre=_rounded(centre),
        scale=_rounded(scale),
        mean=_rounded(maxima.mean())[0],
        sd=_rounded(maxima.std())[0],
        tail=_rounded(np.quantile(maxima, 1.0 - np.array(TAIL))),
    )


def _rounded(values: Any) -> tuple[float, ...]:
    return tuple(float(f"{value:.{_DIGITS}g}") for value in np.atleast_1d(values))


def null_from(fields: Mapping[str, Any]) -> Null:
    """Read what `asdict` wrote.

    Raises:
        ValueError, TypeError, KeyError: it isn't a null.
    """
    columns = tuple(map(str, fields["columns"]))
    null = Null(
        str(fields["family"]), columns, tuple(_length_from(one, len(columns)) for one in fields["lengths"])
    )
    lengths = [length.sessions for length in null.lengths]
    if not lengths or lengths != sorted(set(lengths)) or lengths[0] < 1:
        raise ValueError(f"the null of {null.family!r} needs window lengths that rise")
    return null


def _length_from(fields: Mapping[str, Any], columns: int) -> LengthNull:
    read = LengthNull(
        sessions=int(fields["sessions"]),
        windows=int(fields["windows"]),
        centre=tuple(map(float, fields["centre"])),
        scale=tuple(map(float, fields["scale"])),
        mean=float(fields["mean"]),
        sd=float(fields["sd"]),
        tail=tuple(map(float, fields["tail"])),
    )
    shaped = len(read.centre) == len(read.scale) == columns and len(read.tail) == len(TAIL)
    numbers = (*read.centre, *read.scale, read.mean, read.sd, *read.tail)
    if not shaped or not np.isfinite(numbers).all() or min(read.scale, default=1.0) <= 0 or read.sd < 0:
        raise ValueError("a null needs one finite centre and one scale above 0 for each column, and its tail")
    return read
