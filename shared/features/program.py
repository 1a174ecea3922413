"""Formulas compiled: equal steps become one, and lags become part of reading.

Both evaluators run it: `offline` for many candles, `online` for the last one.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from shared.features.expressions import Expression
from shared.features.inputs import CALENDAR, COLUMNS
from shared.market.candles import PRICES

_KEEP_SIGN = ("add", "multiply", "divide", "minimum", "maximum", "square_root", "significand")

Parameter: TypeAlias = str | float | None


@dataclass(frozen=True, slots=True)
class Read:
    """The value of step number `step`, `lag` candles ago."""

    step: int
    lag: int


@dataclass(frozen=True, slots=True)
class Step:
    """One operation on what it reads. A "column" and a "constant" read nothing."""

    operation: str
    reads: tuple[Read, ...]
    parameter: Parameter

    def canonical(self) -> list[object]:
        value = self.parameter.hex() if isinstance(self.parameter, float) else self.parameter
        return [self.operation, value, *((read.step, read.lag) for read in self.reads)]


@dataclass(frozen=True, eq=False)
class Program:
    """Steps, each reading earlier ones only, and what is read of them as results.

    `memories[i]` is how many earlier candles influence step i; `reaches[i]` how many earlier candles'
    values of step i are needed for the results of one candle.
    """

    steps: tuple[Step, ...]
    results: tuple[Read, ...]
    memories: tuple[int, ...]
    reaches: tuple[int, ...]

    @staticmethod
    def of(formulas: Sequence[Expression]) -> Program:
        numbering = _Numbering()
        results = tuple(numbering.read(formula) for formula in formulas)
        steps = tuple(numbering.steps)
        program = Program(steps, results, _memories(steps), _reaches(steps, results))
        program._check()
        return program

    def _check(self) -> None:
        if any(self.steps[read.step].operation == "constant" for read in self.results):
            raise ValueError("a formula can't be a constant")
        for step, reach in zip(self.steps, self.reaches, strict=True):
            if step.operation == "column" and step.parameter not in COLUMNS:
                raise ValueError(f"a column must be one of {', '.join(COLUMNS)}; found {step.parameter}")
            if step.parameter in CALENDAR and reach:
                raise ValueError(f"{step.parameter} can't be lagged: online, only the last day's is known")

    @functools.cached_property
    def result_memories(self) -> tuple[int, ...]:
        """How many earlier candles influence each result."""
        return tuple(self.memories[r.step] + r.lag for r in self.results)

    @functools.cached_property
    def memory(self) -> int:
        """How many earlier candles influence the results."""
        return max(self.result_memories)

    @functools.cached_property
    def result_places(self) -> tuple[tuple[tuple[int, int], ...], ...]:
        """For each step the results that read it: their positions, and with what lag."""
        places: list[list[tuple[int, int]]] = [[] for _ in self.steps]
        for position, read in enumerate(self.results):
            places[read.step].append((position, read.lag))
        return tuple(tuple(own) for own in places)

    def canonical(self) -> list[object]:
        """The program as plain lists: equal for equal programs, different for different ones."""
        results = [(read.step, read.lag) for read in self.results]
        return [[step.canonical() for step in self.steps], results]


class _Numbering:
    """Gives equal steps one number."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self._numbers: dict[Step, int] = {}
        self._positive: list[bool] = []
        self._seen: dict[Expression, Read] = {}

    def read(self, x: Expression) -> Read:
        if x not in self._seen:
            self._seen[x] = self._lagged(x) if x.operation == "lag" else Read(self._number(x), 0)
        return self._seen[x]

    def _lagged(self, x: Expression) -> Read:
        inner = self.read(x.operands[0])
        return Read(inner.step, inner.lag + int(x.parameter or 0))

    def _number(self, x: Expression) -> int:
        reads = tuple(self.read(operand) for operand in x.operands)
        checked = x.operation == "divide" and not self._positive[reads[1].step]
        step = Step("divide_or_nan" if checked else x.operation, reads, x.parameter)
        if step not in self._numbers:
            self._numbers[step] = len(self.steps)
            self.steps.append(step)
            self._positive.append(self._is_positive(step))
        return self._numbers[step]

    def _is_positive(self, step: Step) -> bool:
        """Whether the value can't be zero or negative. Prices are positive, or NaN (`inputs`)."""
        if step.operation == "column":
            return step.parameter in PRICES
        if step.operation == "constant":
            return isinstance(step.parameter, float) and step.parameter > 0
        return step.operation in _KEEP_SIGN and all(self._positive[r.step] for r in step.reads)


def _memories(steps: Sequence[Step]) -> tuple[int, ...]:
    memories: list[int] = []
    for step in steps:
        memories.append(max((memories[r.step] + r.lag for r in step.reads), default=0))
    return tuple(memories)


def _reaches(steps: Sequence[Step], results: Sequence[Read]) -> tuple[int, ...]:
    reaches = [0] * len(steps)
    for read in results:
        reaches[read.step] = max(reaches[read.step], read.lag)
    for number in reversed(range(len(steps))):
        for read in steps[number].reads:
            reaches[read.step] = max(reaches[read.step], reaches[number] + read.lag)
    return tuple(reaches)
