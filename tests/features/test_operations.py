from __future__ import annotations

import math

import numpy as np
import pytest

from shared.features.operations import OPERATIONS, bind

UNARY = ("absolute", "square_root", "exponent", "significand")


def test_division_by_zero_is_nan_without_a_warning() -> None:
    out = np.empty(5)
    with np.errstate(all="raise"):
        bind("divide_or_nan", np.array([[1.0, 0.0, -1.0, np.nan, 6.0], [0.0, 0.0, -0.0, 0.0, 4.0]]), out)()
    assert np.array_equal(out, [np.nan, np.nan, np.nan, np.nan, 1.5], equal_nan=True)


def test_nan_has_one_bit_pattern() -> None:
    """0 / 0 gives one of another sign, which differs between processors."""
    out = np.empty(2)
    bind("divide_or_nan", np.array([[0.0, -3.0], [0.0, 0.0]]), out)()
    assert out.tobytes() == np.array([np.nan, np.nan]).tobytes()


@pytest.mark.parametrize("operation", OPERATIONS)
def test_result_may_take_the_place_of_an_operand(operation: str) -> None:
    random = np.random.default_rng(0)
    a, b = random.uniform(1.0, 2.0, (2, 1_000))
    operands = (a,) if operation in UNARY else (a, b)
    expected = np.empty(1_000)
    bind(operation, operands, expected)()
    bind(operation, operands, a)()
    assert np.array_equal(a, expected)


def test_significand_and_exponent_make_up_the_number() -> None:
    x = np.exp(np.random.default_rng(0).normal(0.0, 30.0, 10_000))
    significand, exponent = np.empty_like(x), np.empty_like(x)
    OPERATIONS["significand"](x, significand)
    OPERATIONS["exponent"](x, exponent)
    assert np.array_equal(np.ldexp(significand, exponent.astype(int)), x)
    assert significand.min() >= math.sqrt(0.5)
    assert significand.max() < math.sqrt(2.0)


def test_significand_of_nan_is_nan() -> None:
    out = np.empty(1)
    OPERATIONS["significand"](np.array([np.nan]), out)
    assert np.isnan(out).all()
