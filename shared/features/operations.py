"""What expressions are made of, on arrays: each operation rounds as IEEE 754 says, on every processor.

Left out on purpose: numpy's log, exp and power change their last bit with the SIMD level, and its sums
and BLAS add in an order of their own.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from shared.market.candles import Values

# Zero-dimensional arrays: a Python number would be converted at every call.
_ZERO = np.array(0.0)
_FRACTION_BITS = np.array(52)
_EXPONENT_MASK = np.array(-1 << 52)
_ONE = np.array(1.0).view(np.int64)
_ROOT_HALF = np.array(0.7071067811865476).view(np.int64)


def divide_or_nan(a: Values, b: Values, out: Values) -> None:
    """a / b, and NaN where b is 0; without a warning."""
    zero = np.equal(b, _ZERO)
    if np.count_nonzero(zero):
        b = np.where(zero, np.nan, b)
    np.divide(a, b, out=out)


def exponent(x: Values, out: Values) -> None:
    """The whole number k for which x / 2^k lies in [sqrt(1/2), sqrt(2)), for positive x."""
    above = np.subtract(x.view(np.int64), _ROOT_HALF)
    np.right_shift(above, _FRACTION_BITS, out=out)


def significand(x: Values, out: Values) -> None:
    """x / 2^k, with the k of `exponent`; exact."""
    scale = np.subtract(x.view(np.int64), _ROOT_HALF)
    np.bitwise_and(scale, _EXPONENT_MASK, out=scale)
    np.subtract(_ONE, scale, out=scale)
    np.multiply(x, scale.view(np.float64), out=out)


OPERATIONS: dict[str, Callable[..., Any]] = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": np.divide,
    "divide_or_nan": divide_or_nan,
    "minimum": np.minimum,
    "maximum": np.maximum,
    "absolute": np.absolute,
    "square_root": np.sqrt,
    "exponent": exponent,
    "significand": significand,
}
"""By name; called with one or two arrays and with `out`, which may be one of them. The divisor of "divide" is
never 0."""


def bind(operation: str, operands: Iterable[Values], out: Values) -> Callable[[], object]:
    """An operation with its places: to be called again and again."""
    if operation in ("minimum", "maximum"):  # numpy takes their `out` by keyword only
        return functools.partial(OPERATIONS[operation], *operands, out=out)
    return functools.partial(OPERATIONS[operation], *operands, out)  # by position: a fifth less time
