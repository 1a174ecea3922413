"""The features, and the named, ordered sets of them. Adding a feature is one definition.

Those of `technical` are free of scale, so that symbols can be pooled. Windows count candles and include the
present one. The unit "share" is a fraction: 0.01 is one percent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from shared.features.expressions import Expression, absolute, column, lag, maximum, minimum
from shared.features.inputs import CALENDAR
from shared.features.kernels import (
    decayed_sum,
    exponential_mean,
    logarithm,
    rolling_deviation,
    rolling_maximum,
    rolling_mean,
    rolling_minimum,
    rolling_sum,
    z_score,
)
from shared.features.program import Program

_OPEN, _HIGH, _LOW, _CLOSE, _VOLUME = map(column, ("open", "high", "low", "close", "volume"))
_PREVIOUS = lag(_CLOSE, 1)
_PER_CLOSE = 1.0 / _CLOSE  # one division for many features

_USAGE = "common usage"
_WILDER = "Wilder, New Concepts in Technical Trading Systems (1978)"
_APPEL = "Appel, Technical Analysis: Power Tools for Active Investors (2005)"
_BOLLINGER = "Bollinger, Bollinger on Bollinger Bands (2001)"


@dataclass(frozen=True, slots=True, eq=False)
class Feature:
    """A named formula. `source` says whose definition it is."""

    name: str
    formula: Expression
    unit: str
    meaning: str
    source: str = _USAGE

    @property
    def memory(self) -> int:
        """How many earlier candles influence the value."""
        return Program.of((self.formula,)).memory


def core() -> tuple[Feature, ...]:
    return (simple_return(1), moving_average(20), volatility(20))


def technical() -> tuple[Feature, ...]:
    return (
        *(simple_return(candles) for candles in (1, 2, 5, 10, 20)),
        log_return(),
        *(lagged_return(ago) for ago in (1, 2, 3, 4, 5)),
        *(close_to_average(window) for window in (5, 10, 20, 60)),
        *(volatility(window) for window in (5, 10, 20, 60)),
        *(volatility_ratio(short, long) for short, long in ((5, 10), (10, 20), (20, 60))),
        relative_strength(14),
        *moving_average_divergence(12, 26, 9),
        average_true_range(14),
        bollinger_z_score(20),
        volume_z_score(20),
        range_position(20),
        gap(),
        *candle_shape(),
        *calendar(),
    )


FEATURE_SETS: Mapping[str, Callable[[], tuple[Feature, ...]]] = MappingProxyType(
    {"core": core, "technical": technical}
)
"""What each set is made of, by its name."""


def simple_return(candles: int) -> Feature:
    return Feature(
        f"return_{candles}", _return(candles), "share", f"change of the close over {candles} candles"
    )


def log_return() -> Feature:
    # numpy's and the C library's logarithms differ in their last bit between processors; ours doesn't.
    formula = logarithm(_CLOSE / _PREVIOUS)
    return Feature("log_return_1", formula, "natural logarithm", "logarithm of close over previous close")


def lagged_return(ago: int) -> Feature:
    return Feature(f"return_1_lag_{ago}", lag(_return(1), ago), "share", f"return_1 of {ago} candles ago")


def moving_average(window: int) -> Feature:
    meaning = f"mean close of {window} candles"
    return Feature(f"moving_average_{window}", rolling_mean(_CLOSE, window), "price", meaning)


def close_to_average(window: int) -> Feature:
    total = rolling_sum(_CLOSE, window)
    meaning = f"distance of the close from its mean over {window} candles, over that mean"
    return Feature(f"close_to_average_{window}", (_CLOSE * window - total) / total, "share", meaning)


def volatility(window: int) -> Feature:
    meaning = f"sample standard deviation of {window} returns"
    return Feature(f"volatility_{window}", rolling_deviation(_return(1), window), "share", meaning)


def volatility_ratio(short: int, long: int) -> Feature:
    """NaN where no price of the longer window moved."""
    formula = volatility(short).formula / volatility(long).formula
    meaning = f"volatility_{short} over volatility_{long}"
    return Feature(f"volatility_ratio_{short}_{long}", formula, "ratio", meaning)


def relative_strength(window: int) -> Feature:
    """Gains as a share of gains and losses: gain = (change + |change|) / 2. NaN where no price moved."""
    change = _CLOSE - _PREVIOUS
    net, moved = decayed_sum(change, 1 / window), decayed_sum(absolute(change), 1 / window)
    meaning = f"relative strength index, Wilder's mean of {window}"
    return Feature(f"rsi_{window}", (net + moved) / moved * 50.0, "0 to 100", meaning, _WILDER)


def moving_average_divergence(fast: int, slow: int, signal: int) -> tuple[Feature, Feature, Feature]:
    line = exponential_mean(_CLOSE, 2 / (fast + 1)) - exponential_mean(_CLOSE, 2 / (slow + 1))
    mean = exponential_mean(line, 2 / (signal + 1))
    name, unit = f"macd_{fast}_{slow}", "share"
    meaning = f"exponential mean of {fast} less that of {slow}, over close"
    return (
        Feature(name, line * _PER_CLOSE, unit, meaning, _APPEL),
        Feature(
            f"{name}_signal_{signal}",
            mean * _PER_CLOSE,
            unit,
            f"exponential mean of {signal} of the line",
            _APPEL,
        ),
        Feature(f"{name}_histogram_{signal}", (line - mean) * _PER_CLOSE, unit, "line less signal", _APPEL),
    )


def average_true_range(window: int) -> Feature:
    true_range = maximum(_HIGH, _PREVIOUS) - minimum(_LOW, _PREVIOUS)
    formula = exponential_mean(true_range, 1 / window) * _PER_CLOSE
    meaning = f"Wilder's mean of {window} true ranges, over close"
    return Feature(f"atr_{window}", formula, "share", meaning, _WILDER)


def bollinger_z_score(window: int) -> Feature:
    """NaN where the close didn't move."""
    meaning = f"distance of the close from its mean over {window} candles"
    return Feature(
        f"bollinger_z_{window}", z_score(_CLOSE, window), "standard deviations", meaning, _BOLLINGER
    )


def volume_z_score(window: int) -> Feature:
    """NaN where the volume was always the same, as an index's zeros are."""
    meaning = f"distance of the volume from its mean over {window} candles"
    return Feature(f"volume_z_{window}", z_score(_VOLUME, window), "standard deviations", meaning)


def range_position(window: int) -> Feature:
    """Closes outside their candle's range widen it. NaN where the range is empty."""
    low = rolling_minimum(minimum(_LOW, _CLOSE), window)
    high = rolling_maximum(maximum(_HIGH, _CLOSE), window)
    meaning = f"place of the close between the lowest low (0) and the highest high (1) of {window} candles"
    return Feature(f"range_position_{window}", (_CLOSE - low) / (high - low), "0 to 1", meaning)


def gap() -> Feature:
    return Feature("gap", (_OPEN - _PREVIOUS) / _PREVIOUS, "share", "open against the previous close")


def candle_shape() -> tuple[Feature, Feature, Feature]:
    upper = (_HIGH - maximum(_OPEN, _CLOSE)) * _PER_CLOSE
    lower = (minimum(_OPEN, _CLOSE) - _LOW) * _PER_CLOSE
    return (
        Feature("body", (_CLOSE - _OPEN) / _OPEN, "share", "close against open"),
        Feature("upper_wick", upper, "share", "high above the body, over close"),
        Feature("lower_wick", lower, "share", "low below the body, over close"),
    )


def calendar() -> tuple[Feature, ...]:
    return tuple(
        Feature(name, column(name), "-1 to 1", f"place on a circle: {name.replace('_', ', ')}")
        for name in CALENDAR
    )


def _return(candles: int) -> Expression:
    earlier = lag(_CLOSE, candles)
    return (_CLOSE - earlier) / earlier
