"""A program run over many candles, in chunks that stay in the processor's cache."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from shared.features import inputs
from shared.features.operations import OPERATIONS
from shared.features.program import Program, Read
from shared.features.registers import registers
from shared.market.candles import COLUMNS as CANDLE_COLUMNS
from shared.market.candles import Panel, Values

CHUNK_ROWS = 24_576

Out: TypeAlias = NDArray[Any]
Call: TypeAlias = tuple[Callable[..., object], Values | int, list[tuple[int, Values]]]
"""How a step is computed, where to (a register, or a column of the results), what is copied from there."""


def run(program: Program, panel: Panel, out: Out, chunk_rows: int = CHUNK_ROWS) -> Iterator[int]:
    """Fill `out`, shape (rows, results), chunk by chunk; yields how many rows are done."""
    rows = len(panel)
    if rows == 0:
        return
    chunk = _Chunk(program, panel, min(chunk_rows, rows))
    warm_up = _WarmUp(program.result_memories, panel.starts)
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
        self._days = np.zeros(rows, np.int64)
        self._smallest = {name: inputs.smallest_valid(name)[0] for name in CANDLE_COLUMNS}
        self._program = program
        self._register_of = registers(program)
        count = 1 + max(number for number in self._register_of if number is not None)
        self._registers = np.empty((count, program.memory + rows))
        self._calls = [self._bind(n) for n, step in enumerate(program.steps) if step.operation != "constant"]

    def evaluate(self, first: int, out: Out) -> None:
        """Write the results of the chunk that begins at row `first`."""
        self._first = first
        self._days = self._calendar.places(self._panel.timestamp[first : first + self.rows])
        for call, target, copies in self._calls:
            call(out=out[:, target] if isinstance(target, int) else target)
            for position, values in copies:
                out[:, position] = values

    def _bind(self, number: int) -> Call:
        step, reach = self._program.steps[number], self._program.reaches[number]
        places = self._program.result_places[number]
        call: Callable[..., object]
        if step.operation == "column":
            call = functools.partial(self._load, str(step.parameter))
        else:
            call = functools.partial(OPERATIONS[step.operation], *(self._view(r, reach) for r in step.reads))
        if self._register_of[number] is None:
            return call, places[0][0], []
        copies = [(position, self._view(Read(number, lag), 0)) for position, lag in places]
        return call, self._view(Read(number, 0), reach), copies

    def _view(self, read: Read, reach: int) -> Values:
        """What `read` gives for the chunk's candles and `reach` earlier ones."""
        step = self._program.steps[read.step]
        if step.operation == "constant":
            return np.array(step.parameter, np.float64)
        start = self._program.memory - reach - read.lag
        return self._registers[self._register_of[read.step], start : start + reach + self.rows]

    def _load(self, name: str, out: Values) -> None:
        if name in inputs.CALENDAR:
            self._calendar.write(name, self._days, out)
            return
        end = self._first + self.rows
        missing = max(len(out) - end, 0)  # nothing lies before the first row
        out[:missing] = np.nan
        out[missing:] = getattr(self._panel, name)[end - len(out) + missing : end]
        inputs.discard_invalid(out[missing:], self._smallest[name])


class _WarmUp:
    """The rows at the start of each series whose windows aren't full."""

    def __init__(self, memories: tuple[int, ...], starts: NDArray[np.int64]) -> None:
        self._features = {m: [i for i, own in enumerate(memories) if own == m] for m in set(memories)}
        counts = np.minimum(np.diff(starts), max(memories))
        self._positions = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        self._rows = np.repeat(starts[:-1], counts) + self._positions

    def blank(self, first: int, out: Out) -> None:
        """Make `out`, whose first row is row `first` of the panel, NaN where a window isn't full."""
        begin, end = np.searchsorted(self._rows, (first, first + len(out)))
        rows, positions = self._rows[begin:end] - first, self._positions[begin:end]
        for memory, features in self._features.items():
            blank = rows[positions < memory]
            for feature in features:
                column = out[:, feature]
                column[blank] = np.nan
