"""Formulas over candles: an expression is one number per candle, computed from it and earlier ones.

Expressions are made of few operations, each rounded exactly as IEEE 754 says, and of `lag`, the only way to
look at another candle. There is no way to look ahead.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import ParamSpec, TypeAlias

Operand: TypeAlias = "Expression | float"
P = ParamSpec("P")

_INFIX = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/"}


@dataclass(frozen=True, slots=True, eq=False)
class Expression:
    """An operation of `operations.OPERATIONS`, an input ("column"), a "constant" or a "lag".

    `call` is the name and the arguments of the kernel that made it, if one did. `str` gives the formula as
    written.
    A quotient whose divisor is zero is NaN, never an infinity.
    """

    operation: str
    operands: tuple[Expression, ...] = ()
    parameter: str | float | None = None
    call: tuple[object, ...] = ()

    def __str__(self) -> str:
        if self.call:
            return _call(*self.call)
        if not self.operands:
            return str(self.parameter)
        if self.is_infix:
            infix = _INFIX[self.operation]
            left, right = (f"({x})" if x.is_infix else str(x) for x in self.operands)
            return f"{left} {infix} {right}"
        return _call(self.operation, *self.operands, *([] if self.parameter is None else [self.parameter]))

    @property
    def is_infix(self) -> bool:
        """Whether `str` writes it with a sign between two operands."""
        return self.operation in _INFIX and not self.call

    def __add__(self, other: Operand) -> Expression:
        return apply("add", self, other)

    def __sub__(self, other: Operand) -> Expression:
        return apply("subtract", self, other)

    def __rsub__(self, other: float) -> Expression:
        return apply("subtract", other, self)

    def __mul__(self, other: Operand) -> Expression:
        return apply("multiply", self, other)

    def __rtruediv__(self, other: float) -> Expression:
        return apply("divide", other, self)

    def __truediv__(self, other: Operand) -> Expression:
        return apply("divide", self, other)


def column(name: str) -> Expression:
    """An input: one of `inputs.COLUMNS`."""
    return Expression("column", parameter=name)


def lag(x: Expression, candles: int) -> Expression:
    """The value `candles` candles earlier."""
    if candles < 0:
        raise ValueError(f"a lag must be 0 or more candles, found {candles}: features can't look ahead")
    return Expression("lag", (x,), candles) if candles else x


def apply(operation: str, *operands: Operand) -> Expression:
    """One of `operations.OPERATIONS` on expressions or numbers."""
    nodes = (x if isinstance(x, Expression) else Expression("constant", (), float(x)) for x in operands)
    return Expression(operation, tuple(nodes))


def minimum(a: Operand, b: Operand) -> Expression:
    return apply("minimum", a, b)


def maximum(a: Operand, b: Operand) -> Expression:
    return apply("maximum", a, b)


def absolute(x: Expression) -> Expression:
    return apply("absolute", x)


def square_root(x: Expression) -> Expression:
    return apply("square_root", x)


def kernel(build: Callable[P, Expression]) -> Callable[P, Expression]:
    """Let the results of `build` be written as the call of it, not as what they are made of."""

    @functools.wraps(build)
    def called(*args: P.args, **kwargs: P.kwargs) -> Expression:
        made = build(*args, **kwargs)
        call = (build.__name__, *args, *kwargs.values())
        return Expression(made.operation, made.operands, made.parameter, call)

    return called


def _call(name: object, *arguments: object) -> str:
    return f"{name}({', '.join(map(str, arguments))})"
