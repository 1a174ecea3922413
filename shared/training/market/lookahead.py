"""The look-ahead test of every run: change or remove the future, and nothing before it may move."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.evaluation.labels import direction_labels
from shared.market.candles import COLUMNS, Candles, Panel
from shared.training.market.dataset import Features

_MAX_SERIES = 24


@dataclass(frozen=True, slots=True)
class LookAhead:
    """What was tried, and the columns that moved: names of features, or `label`."""

    cuts: int
    series: int
    values_compared: int
    leaking: tuple[str, ...]

    @property
    def passed(self) -> bool:
        return not self.leaking


def look_ahead_test(
    series: Sequence[Candles], features: Features, horizon: int, rng: np.random.Generator, cuts: int = 5
) -> LookAhead:
    """Cut time at random candles; after each cut truncate, and then distort, every sampled series.

    Features of candles up to the cut, and labels settled by then, must keep their bits; labels not
    settled by then must disappear under truncation. Up to 24 series are sampled.
    """
    long_enough = [s for s in series if len(s) > features.memory + 1]
    chosen = [long_enough[i] for i in _sample(len(long_enough), rng)]
    whole = [_rows(candles, features, horizon) for candles in chosen]
    leaking: set[str] = set()
    compared = 0
    for _ in range(cuts if chosen else 0):
        at = _cut(chosen[int(rng.integers(len(chosen)))], features.memory, rng)
        for candles, before in zip(chosen, whole, strict=True):
            rows = int(np.searchsorted(candles.timestamp, at, side="right"))
            for changed in (candles[:rows], _distorted(candles, rows, rng)):
                if rows:
                    leaking |= _moved(before, _rows(changed, features, horizon), rows, features.names)
                    compared += rows * (len(features.names) + 1)
    named = tuple(name for name in (*features.names, "label") if name in leaking)
    return LookAhead(cuts if chosen else 0, len(chosen), compared, named)


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    x: NDArray[np.float32]
    timestamp: NDArray[np.int64]
    y: NDArray[np.int8]
    ends_at: NDArray[np.int64]


def _rows(candles: Candles, features: Features, horizon: int) -> _Rows:
    panel = Panel.of([candles])
    labels = direction_labels(panel, horizon)
    return _Rows(features.matrix(panel, dtype=np.float32), panel.timestamp, labels.y, labels.ends_at)


def _sample(available: int, rng: np.random.Generator) -> NDArray[np.intp]:
    return np.sort(rng.permutation(available)[:_MAX_SERIES])


def _cut(candles: Candles, memory: int, rng: np.random.Generator) -> int:
    """The time of a random candle with a full memory before it and at least one candle after it."""
    return int(candles.timestamp[rng.integers(memory, len(candles) - 1)])


def _distorted(candles: Candles, rows: int, rng: np.random.Generator) -> Candles:
    """The same candles up to `rows`; after that other prices and volumes, still well formed."""
    past = {name: getattr(candles, name)[:rows] for name in COLUMNS}
    new = {
        name: getattr(candles, name)[rows:] * rng.uniform(0.5, 2.0, len(candles) - rows) for name in COLUMNS
    }
    new["high"] = np.maximum.reduce([new["high"], new["open"], new["close"]])
    new["low"] = np.minimum.reduce([new["low"], new["open"], new["close"]])
    columns: dict[str, Any] = {name: np.concatenate([past[name], new[name]]) for name in COLUMNS}
    return replace(candles, **columns)


def _moved(whole: _Rows, changed: _Rows, rows: int, names: Sequence[str]) -> set[str]:
    """Names of the columns that differ in the first `rows` rows."""
    kept = _same_bits(whole.x[:rows], changed.x[:rows])
    found = {name for name, column in zip(names, kept.T, strict=True) if not column.all()}
    settled = whole.ends_at[:rows] <= whole.timestamp[rows - 1]
    unsettled_kept = len(changed.y) == rows and (changed.y[~settled] >= 0).any()
    if unsettled_kept or not np.array_equal(whole.y[:rows][settled], changed.y[:rows][settled]):
        found.add("label")
    return found


def _same_bits(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.bool_]:
    same: NDArray[np.bool_] = a.view(np.uint32) == b.view(np.uint32)
    return same | (np.isnan(a) & np.isnan(b))
