"""Window kernels. Each value depends on its own window alone, and adds in the same order at every candle.

Windows are built by doubling: a window of w takes about log2(w) operations. No running sums and no
recursions: their values depend on where the series began.
"""

from __future__ import annotations

from collections.abc import Callable

from shared.features.expressions import (
    Expression,
    apply,
    kernel,
    lag,
    minimum,
    square_root,
)

FORGOTTEN_WEIGHT = 1e-3
"""An exponential mean forgets the candles that together have at most this share of the weight."""

_LN2 = 0.6931471805599453
_LOG_SERIES = (  # FreeBSD's e_log.c, Lg7 to Lg1; with s = f / (2 + f), log(1 + f) = f - s (f - series)
    1.479819860511658591e-01,
    1.531383769920937332e-01,
    1.818357216161805012e-01,
    2.222219843214978396e-01,
    2.857142874366239149e-01,
    3.999999999940941908e-01,
    6.666666666666735130e-01,
)


@kernel
def rolling_sum(x: Expression, window: int) -> Expression:
    """Sum of the last `window` values."""
    if window == 1:
        return x
    newer, older = _split(window)
    return _join(lambda w: rolling_sum(x, w), newer, older)


@kernel
def rolling_mean(x: Expression, window: int) -> Expression:
    """Mean of the last `window` values."""
    return rolling_sum(x, window) / window


@kernel
def rolling_squares(x: Expression, window: int) -> Expression:
    """Sum of the last `window` values' squared distances from their mean.

    Two neighbouring windows are joined by the rule of Chan, Golub and LeVeque (1979), which never
    subtracts squares from each other: sums of squares would lose seven digits on prices.
    """
    if window == 1:
        raise ValueError("one value has no spread: the window must be 2 or more")
    newer, older = _split(window)
    times = newer // older  # a whole number, by the rule of _split
    distance = rolling_sum(x, newer) - _times(lag(rolling_sum(x, older), newer), times)
    between = distance * distance * (1.0 / (times * window))
    if newer == 1:
        return between
    if older == 1:
        return rolling_squares(x, newer) + between
    return _join(lambda w: rolling_squares(x, w), newer, older) + between


@kernel
def rolling_deviation(x: Expression, window: int) -> Expression:
    """Sample standard deviation (divisor `window - 1`) of the last `window` values."""
    return square_root(rolling_squares(x, window) * (1.0 / (window - 1)))


@kernel
def z_score(x: Expression, window: int) -> Expression:
    """Distance from the rolling mean in population standard deviations (divisor `window`).

    Both are taken `window` times: one division less.
    """
    return (x * window - rolling_sum(x, window)) / square_root(rolling_squares(x, window) * window)


@kernel
def rolling_minimum(x: Expression, window: int) -> Expression:
    """Smallest of the last `window` values."""
    return _extreme(minimum, x, window)


@kernel
def rolling_maximum(x: Expression, window: int) -> Expression:
    """Largest of the last `window` values."""
    return 0.0 - rolling_minimum(0.0 - x, window)


def taps(alpha: float) -> int:
    """How many candles an exponential mean sees: the power of two that forgets `FORGOTTEN_WEIGHT` or less."""
    count, left = 1, 1.0 - alpha
    while left > FORGOTTEN_WEIGHT:
        count, left = 2 * count, left * left
    return count


@kernel
def decayed_sum(x: Expression, alpha: float) -> Expression:
    """Sum of the last `taps(alpha)` values with weights 1, r, r^2, ... where r = 1 - alpha."""
    total, factor, window = x, 1.0 - alpha, 1
    while window < taps(alpha):
        total = total + lag(total, window) * factor
        factor, window = factor * factor, 2 * window
    return total


@kernel
def exponential_mean(x: Expression, alpha: float) -> Expression:
    """Exponential moving average with finite memory, normalised by its weights."""
    weight, factor, window = 1.0, 1.0 - alpha, 1
    while window < taps(alpha):
        weight, factor, window = weight + weight * factor, factor * factor, 2 * window
    return decayed_sum(x, alpha) * (1.0 / weight)


@kernel
def logarithm(x: Expression) -> Expression:
    """Natural logarithm of positive values, within one unit in the last place.

    numpy's log and the C library's change their last bit from processor to processor. This one is
    made of operations that don't: x = 2^k m with m in [sqrt(1/2), sqrt(2)), log x = k log 2 + log m.
    """
    m = apply("significand", x)
    f = m - 1.0
    s = f / (m + 1.0)
    z = s * s
    series = z * _LOG_SERIES[0]
    for coefficient in _LOG_SERIES[1:]:
        series = (series + coefficient) * z
    return apply("exponent", x) * _LN2 + (f - s * (f - series))


def _split(window: int) -> tuple[int, int]:
    """Cut a window in two; the newer part is a whole multiple of the older one."""
    if window % 3 == 0:
        return 2 * window // 3, window // 3
    if window % 2 == 0:
        return window // 2, window // 2
    return window - 1, 1


def _join(part: Callable[[int], Expression], newer: int, older: int) -> Expression:
    first = part(newer)
    return first + lag(first if older == newer else part(older), newer)


def _times(x: Expression, factor: int) -> Expression:
    return x if factor == 1 else x * factor


def _extreme(pick: Callable[[Expression, Expression], Expression], x: Expression, window: int) -> Expression:
    width = 1
    while 2 * width <= window:
        x = pick(x, lag(x, width))
        width *= 2
    return x if width == window else pick(x, lag(x, window - width))
