"""A program run for the last candle of one symbol: only the values that its row needs.

Every value is one number in a buffer. Steps of one operation whose operands are done are done together: one
gather of all their operands, one call of the operation. Operations and operands are those of the offline run,
so the bits are too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.features import inputs
from shared.features.operations import bind
from shared.features.program import Program
from shared.features.schedule import batches
from shared.market.candles import COLUMNS as CANDLE_COLUMNS
from shared.market.candles import Candles, Values

Places = NDArray[np.intp]


class LastRow:
    """The row of the last candle. Threads may share it: each call takes a buffer of its own."""

    def __init__(self, program: Program) -> None:
        self._plan = _Plan(program)
        self._idle: list[_Buffer] = []

    def __call__(self, candles: Candles) -> Values:
        """`candles` are at least as many as the program's memory, and one more."""
        try:
            buffer = self._idle.pop()
        except IndexError:
            buffer = _Buffer(self._plan)
        row = buffer.evaluate(candles)
        self._idle.append(buffer)
        return row


@dataclass(frozen=True, slots=True)
class _Batch:
    """One operation on many numbers: where its operands lie (a row for each), where its results go."""

    operation: str
    operands: Places
    results: slice


class _Plan:
    """Where each value lies in the buffer, and what is done in which order.

    First the columns of the candles, oldest first; then the calendar, the constants, the batches' results.
    """

    def __init__(self, program: Program) -> None:
        self.window = program.memory + 1
        self.calendar = len(CANDLE_COLUMNS) * self.window
        self.constants = self.calendar + len(inputs.CALENDAR)
        self.numbers = [step.parameter for step in program.steps if step.operation == "constant"]
        self.size = self.constants + len(self.numbers)
        self._program = program
        self._places = np.zeros((len(program.steps), self.window), np.intp)
        self._place_inputs()
        lags = _lags(program)
        self.batches = [self._place_batch(steps, lags) for steps in batches(program)]
        self.row = np.array([self._places[read.step, read.lag] for read in program.results])

    def _place_inputs(self) -> None:
        constant = self.constants
        for step, places in zip(self._program.steps, self._places, strict=True):
            if step.operation == "constant":
                places[:] = constant
                constant += 1
            elif step.parameter in inputs.CALENDAR:
                places[:] = self.calendar + inputs.CALENDAR.index(step.parameter)
            elif step.operation == "column":
                newest = (inputs.COLUMNS.index(step.parameter) + 1) * self.window - 1
                places[:] = np.arange(newest, newest - self.window, -1)

    def _place_batch(self, steps: list[int], lags: list[Places]) -> _Batch:
        begin = self.size
        operands: list[Places] = []
        for number in steps:
            reads = self._program.steps[number].reads
            operands.append(np.array([self._places[r.step, lags[number] + r.lag] for r in reads]))
            self._places[number, lags[number]] = np.arange(self.size, self.size + len(lags[number]))
            self.size += len(lags[number])
        operation = self._program.steps[steps[0]].operation
        return _Batch(operation, np.concatenate(operands, axis=1), slice(begin, self.size))


def _lags(program: Program) -> list[Places]:
    """How many candles ago each step's value is needed."""
    needed: list[set[int]] = [set() for _ in program.steps]
    for read in program.results:
        needed[read.step].add(read.lag)
    for step, lags in zip(reversed(program.steps), reversed(needed), strict=True):
        for read in step.reads:
            needed[read.step].update(lag + read.lag for lag in lags)
    return [np.array(sorted(lags), np.intp) for lags in needed]


class _Buffer:
    """The numbers of one evaluation, with every batch bound to its places."""

    def __init__(self, plan: _Plan) -> None:
        self._plan = plan
        self._values = np.zeros(plan.size)
        self._values[plan.constants : plan.constants + len(plan.numbers)] = plan.numbers
        self._columns = self._values[: plan.calendar]
        self._calendar = self._values[plan.calendar : plan.constants]
        self._table = self._columns.reshape(len(CANDLE_COLUMNS), plan.window)
        self._smallest = inputs.smallest_valid(*CANDLE_COLUMNS)
        self._calls = [self._bind(batch) for batch in plan.batches]

    def _bind(self, batch: _Batch) -> tuple[Places, Values, Callable[[], object]]:
        gathered = np.empty(batch.operands.shape)
        return batch.operands, gathered, bind(batch.operation, gathered, self._values[batch.results])

    def evaluate(self, candles: Candles) -> Values:
        self._load(candles)
        take = self._values.take
        for places, gathered, call in self._calls:
            take(places, None, gathered, "clip")  # the only mode that doesn't copy `gathered` first
            call()
        return take(self._plan.row)

    def _load(self, candles: Candles) -> None:
        last = slice(-self._plan.window, None)
        columns = (candles.open, candles.high, candles.low, candles.close, candles.volume)
        np.concatenate([column[last] for column in columns], out=self._columns)
        inputs.discard_invalid(self._table, self._smallest)
        self._calendar[:] = inputs.calendar_of_day(inputs.day_of(int(candles.timestamp[-1])))
