"""A program run over many candles, in chunks that stay in the processor's cache."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.features import inputs
from shared.features.operations import IN_PLACE, OPERATIONS
from shared.features.program import Program, Read, Step
from shared.market.candles import COLUMNS as CANDLE_COLUMNS
from shared.market.candles import Panel, Values

CHUNK_ROWS = 24_576


def run(program: Program, panel: Panel, out: NDArray[Any], chunk_rows: int = CHUNK_ROWS) -> Iterator[int]:
    """Fill `out`, shape (rows, results), chunk by chunk; yields how many rows are done."""
    rows = len(panel)
    if rows == 0:
        return
    chunk = _Chunk(program, panel, min(chunk_rows, rows))
    warm_up = _WarmUp(program.result_memories(), panel.starts)
    for start in range(0, rows, chunk_rows):
        first = min(start, rows - chunk.rows)  # the last chunk overlaps the one before: same values again
        part = out[first : first + chunk.rows]
        chunk.evaluate(first, part)
        warm_up.blank(first, part)
        yield first + chunk.rows


class _Chunk:
    """The registers of a chunk, and every step bound to its places in them.

    A register holds the values of a step for the chunk's candles and for `memory` earlier ones. Windows run
    across the beginnings of series; `_WarmUp` blanks the values that this spoils.
    """

    def __init__(self, program: Program, panel: Panel, rows: int) -> None:
        self.rows = rows
        self._first = 0
        self._panel = panel
        self._calendar = inputs.CalendarTable(panel.timestamp)
        self._smallest = {name: inputs.smallest_valid(name)[0] for name in CANDLE_COLUMNS}
        self._program = program
        self._numbers, count = _registers(program)
        self._registers = np.empty((count, program.memory + rows))
        self._calls = [self._bind(number, step) for number, step in enumerate(program.steps)]
        self._results: list[list[tuple[int, Values]]] = [[] for _ in program.steps]
        for position, read in enumerate(program.results):
            self._results[read.step].append((position, self._view(read, 0)))

    def evaluate(self, first: int, out: NDArray[Any]) -> None:
        """Write the results of the chunk that begins at row `first`."""
        self._first = first
        with np.errstate(all="ignore"):
            for call, results in zip(self._calls, self._results, strict=True):
                call()
                for position, values in results:
                    out[:, position] = values

    def _bind(self, number: int, step: Step) -> Callable[[], object]:
        if step.operation == "constant":
            return lambda: None
        reach = self._program.reaches[number]
        target = self._view(Read(number, 0), reach)
        if step.operation == "column":
            return functools.partial(self._load, str(step.parameter), target)
        operands = [self._view(read, reach) for read in step.reads]
        return functools.partial(OPERATIONS[step.operation], *operands, out=target)

    def _view(self, read: Read, reach: int) -> Values:
        """What `read` gives for the chunk's candles and `reach` earlier ones."""
        step = self._program.steps[read.step]
        if step.operation == "constant":
            return np.array(step.parameter, np.float64)
        start = self._program.memory - reach - read.lag
        return self._registers[self._numbers[read.step], start : start + reach + self.rows]

    def _load(self, name: str, target: Values) -> None:
        end = self._first + self.rows
        missing = max(len(target) - end, 0)  # nothing lies before the first row
        source = slice(end - len(target) + missing, end)
        target[:missing] = np.nan
        if name in inputs.CALENDAR:
            self._calendar.write(name, self._panel.timestamp[source], target[missing:])
        else:
            target[missing:] = getattr(self._panel, name)[source]
            inputs.discard_invalid(target[missing:], self._smallest[name])


@functools.lru_cache(maxsize=16)
def _registers(program: Program) -> tuple[tuple[int, ...], int]:
    """A register for each step, and how many they are: one is used again when its step was read last."""
    last_uses = program.last_uses()
    numbers: list[int] = []
    free: list[int] = []
    for number, step in enumerate(program.steps):
        if step.operation == "constant":
            numbers.append(-1)
            continue
        ending = {r.step for r in step.reads if last_uses[r.step] == number and numbers[r.step] >= 0}
        lagged = {r.step for r in step.reads if r.lag}
        in_place = ending - lagged if step.operation in IN_PLACE else set()
        free += [numbers[s] for s in sorted(in_place)]
        numbers.append(free.pop() if free else max(numbers, default=-1) + 1)
        free += [numbers[s] for s in sorted(ending - in_place)]
        if last_uses[number] == number:
            free.append(numbers[-1])
    return tuple(numbers), max(numbers) + 1


class _WarmUp:
    """The rows at the start of each series whose windows aren't full."""

    def __init__(self, memories: tuple[int, ...], starts: NDArray[np.int64]) -> None:
        self._features = {m: [i for i, own in enumerate(memories) if own == m] for m in set(memories)}
        counts = np.minimum(np.diff(starts), max(memories))
        self._positions = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        self._rows = np.repeat(starts[:-1], counts) + self._positions

    def blank(self, first: int, out: NDArray[Any]) -> None:
        """Make `out`, whose first row is row `first` of the panel, NaN where a window isn't full."""
        begin, end = np.searchsorted(self._rows, (first, first + len(out)))
        rows, positions = self._rows[begin:end] - first, self._positions[begin:end]
        for memory, features in self._features.items():
            blank = rows[positions < memory]
            for feature in features:
                out[blank, feature] = np.nan
