"""A named, ordered list of features, computed for many candles or for the last ones of a symbol."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from shared.errors import InvalidInput, NotEnoughCandles, NotFound
from shared.features import offline
from shared.features.definitions import FEATURE_SETS, Feature
from shared.features.online import LastRow
from shared.features.program import Program
from shared.market.candles import Candles, Panel, Values

SEMANTICS = 1
"""To be raised when operations or inputs change their meaning: the steps alone wouldn't show it."""


@dataclass(frozen=True, eq=False)
class FeatureSet:
    """Features whose values at a candle depend on it and the `memory` candles before it, and on nothing else.

    For candles c and every t >= memory, these are the same bits: row t of `matrix`, whatever else the panel
    holds; `latest(c[: t + 1])`; `latest(c[t - memory : t + 1])`.
    """

    name: str
    features: tuple[Feature, ...]

    @functools.cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(feature.name for feature in self.features)

    @functools.cached_property
    def program(self) -> Program:
        return Program.of([feature.formula for feature in self.features])

    @functools.cached_property
    def memory(self) -> int:
        """How many earlier candles influence a row. A row needs `memory + 1` candles."""
        return self.program.memory

    @functools.cached_property
    def hash(self) -> str:
        """SHA-256 of names, formulas and steps in their order: what a model must have been trained on."""
        formulas = [(feature.name, str(feature.formula)) for feature in self.features]
        definition = json.dumps([SEMANTICS, formulas, self.program.canonical()])
        return hashlib.sha256(definition.encode()).hexdigest()

    def matrix(
        self,
        panel: Panel,
        *,
        dtype: DTypeLike = np.float64,
        out: NDArray[Any] | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> NDArray[Any]:
        """A row for each candle, shape (rows, features); NaN where a window isn't full in its series.

        Each feature lies contiguous in memory (Fortran order). `out` is filled and returned where given; it
        may have any strides. `progress` is told rows done and rows in all.
        """
        shape = (len(panel), len(self.features))
        if out is None:
            out = np.empty(shape, dtype, order="F")
        elif out.shape != shape:
            raise ValueError(f"out must have shape {shape}, found {out.shape}")
        for done in offline.run(self.program, panel, out):
            if progress is not None:
                progress(done, len(panel))
        return out

    def latest(self, candles: Candles) -> Values:
        """The row of the last candle, shape (features,).

        Raises:
            NotEnoughCandles: fewer than `memory + 1` are there.
        """
        self._require(candles, 1)
        return self._last_row(candles)

    def rows(self, candles: Candles, lookback: int) -> Values:
        """The rows of the last `lookback` candles, shape (lookback, features).

        Raises:
            InvalidInput: `lookback` isn't positive.
            NotEnoughCandles: fewer than `memory + lookback` are there.
        """
        if lookback < 1:
            raise InvalidInput(f"lookback must be 1 or more, found {lookback}.")
        self._require(candles, lookback)
        window = candles[-(self.memory + lookback) :]
        return np.ascontiguousarray(self.matrix(Panel.of([window]))[self.memory :])

    def _require(self, candles: Candles, rows: int) -> None:
        needed = self.memory + rows
        if len(candles) < needed:
            raise NotEnoughCandles(
                f"{rows} row(s) of {self.name!r} need {needed} candles of {candles.symbol}, and "
                f"{len(candles)} are there: ask for an earlier start or fewer rows."
            )

    @functools.cached_property
    def _last_row(self) -> LastRow:
        return LastRow(self.program)


@functools.cache
def feature_set(name: str) -> FeatureSet:
    """The feature set of that name, made on first use.

    Raises:
        NotFound: naming the sets that exist.
    """
    if name not in FEATURE_SETS:
        known = ", ".join(FEATURE_SETS)
        raise NotFound(f"No feature set is named {name!r}. Known: {known}.")
    return FeatureSet(name, FEATURE_SETS[name]())
