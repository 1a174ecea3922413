"""Whether findings have become more frequent than their own history explains.

The findings of the last `RECENT` sessions are counted and held against the `BASELINE` sessions before, taken
`RECENT` at a time; the worst of these windows is left out, so that one outbreak doesn't hide the next. A
market's findings come in clusters (one bad file spoils many symbols), so the count is taken for negative
binomial: Poisson, its variance multiplied by what the windows show among themselves, and once more for a rate
that is itself an estimate (half a finding is added: the posterior mean under Jeffreys' prior). The limit is
the least count that such a rate reaches with a chance below `CHANCE`; a count below `FLOOR`, or below twice
the expected one, is never called a rise.

Nothing is divided by the number of symbols, and needn't be: a symbol that joins brings the findings of its
own past with it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

RECENT: Final = 5
BASELINE: Final = 60
SESSIONS: Final = RECENT + BASELINE
CHANCE: Final = 1e-4
FLOOR: Final = 8


@dataclass(frozen=True, slots=True)
class Rate:
    """Findings in the last `RECENT` sessions, what the sessions before let expect, and what is too many."""

    recent: int
    expected: float
    limit: int

    @property
    def has_risen(self) -> bool:
        return self.recent >= self.limit

    @property
    def is_near(self) -> bool:
        """Half-way to the limit or further: no reason to alarm, nor to say that all is well again."""
        return self.recent >= (self.expected + self.limit) / 2


def rate_of(counts: Sequence[int] | NDArray[np.int64]) -> Rate | None:
    """The rate of findings counted by session, oldest first; None with fewer than `SESSIONS` counts."""
    if len(counts) < SESSIONS:
        return None
    newest = np.asarray(counts[-SESSIONS:], np.int64)
    windows = np.sort(newest[:BASELINE].reshape(-1, RECENT).sum(axis=1))[:-1]
    total = int(windows.sum())
    expected = (total + 0.5) / len(windows)
    spread = float(windows.var(ddof=1) / windows.mean()) if total else 1.0
    inflation = max(spread, 1.0) + expected / (total + 0.5)
    limit = max(_quantile_beyond(expected, inflation), FLOOR, math.ceil(2 * expected))
    return Rate(int(newest[BASELINE:].sum()), expected, limit)


def _quantile_beyond(mean: float, inflation: float) -> int:
    """The least count that a negative binomial of this mean, and variance of `inflation` times the mean,
    reaches with a chance below `CHANCE`.
    """
    size = mean / (inflation - 1)
    success = 1 / inflation
    chance = success**size
    beyond, count = 1.0 - chance, 0
    while beyond >= CHANCE:
        count += 1
        chance *= (count - 1 + size) / count * (1 - success)
        beyond -= chance
        if chance <= 0:  # below what a float holds: nothing is further out
            break
    return count + 1
