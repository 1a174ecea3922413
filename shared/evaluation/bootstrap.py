"""Block bootstrap over time: whole weeks or days are drawn together: a day's rows depend on each other."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shared.market.candles import timeframe_seconds

DAY_SECONDS: Final = 86_400
WEEK_SECONDS: Final = 7 * DAY_SECONDS

_MONDAY_OFFSET_SECONDS: Final = 3 * DAY_SECONDS  # 1970-01-01 was a Thursday
_SESSIONS_TO_CALENDAR: Final = 7 / 5
_MAX_UNDEFINED_SHARE: Final = 0.05


@dataclass(frozen=True, slots=True)
class Estimate:
    """A statistic with its 95 % percentile interval. NaN where undefined."""

    value: float
    low: float
    high: float

    def less(self, amount: float) -> Estimate:
        """The same, and both ends of its interval, lower by so much."""
        return Estimate(self.value - amount, self.low - amount, self.high - amount)

    def json(self) -> dict[str, float | None]:
        """As a JSON object; what is undefined is null."""
        pairs = (("value", self.value), ("low", self.low), ("high", self.high))
        return {key: float(v) if math.isfinite(v) else None for key, v in pairs}


def block_seconds(timeframe: str, horizon: int) -> int:
    """Length of a block: a week of daily candles, a day of shorter ones, more where labels span more.

    Labels of neighbouring rows overlap for `horizon` candles, so a block is never shorter than that.
    """
    base = WEEK_SECONDS if timeframe.endswith("d") else DAY_SECONDS
    span = horizon * timeframe_seconds(timeframe) * _SESSIONS_TO_CALENDAR
    return base * max(1, math.ceil(span / base))


def block_codes(timestamp: NDArray[np.int64], length_seconds: int) -> NDArray[np.intp]:
    """Number of each row's block, 0 to n - 1 in time order; blocks begin on Mondays."""
    _, codes = np.unique((timestamp + _MONDAY_OFFSET_SECONDS) // length_seconds, return_inverse=True)
    return codes


def resampling_weights(blocks: int, resamples: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """How often each resample draws each block: (resamples, blocks); every row sums to `blocks`."""
    return rng.multinomial(blocks, np.full(blocks, 1.0 / blocks), size=resamples).astype(np.float64)


def estimate(value: float, resampled: NDArray[np.float64]) -> Estimate:
    """The statistic with the 2.5 % and 97.5 % percentiles of its resampled values.

    Resamples where it is undefined (one class only) are left out, if they are at most 5 %.
    """
    defined = resampled[np.isfinite(resampled)]
    if len(defined) == 0 or len(defined) < (1.0 - _MAX_UNDEFINED_SHARE) * len(resampled):
        return Estimate(value, math.nan, math.nan)
    low, high = np.percentile(defined, [2.5, 97.5])
    return Estimate(value, float(low), float(high))
