"""Which steps of a program share a buffer when it runs over many candles."""

from __future__ import annotations

import functools

from shared.features.operations import OPERATIONS
from shared.features.program import Program, Step


@functools.lru_cache(maxsize=16)
def registers(program: Program) -> tuple[int | None, ...]:
    """A register for each step, to be used again once its step has been read for the last time.

    None for constants, and for steps that are one result and nothing else: they are written straight there.
    """
    last_uses = _last_uses(program)
    pool = _Pool()
    for number, step in enumerate(program.steps):
        ending = {read.step for read in step.reads if last_uses[read.step] == number}
        in_place = ending & _in_place(step)
        pool.release(in_place)
        if step.operation != "constant" and not _is_only_a_result(program, number, last_uses):
            pool.take(number)
        pool.release(ending - in_place)
        if last_uses[number] == number:
            pool.release({number})
    return tuple(pool.taken.get(number) for number in range(len(program.steps)))


class _Pool:
    def __init__(self) -> None:
        self.taken: dict[int, int] = {}
        self._free: list[int] = []

    def take(self, step: int) -> None:
        self.taken[step] = self._free.pop() if self._free else len(set(self.taken.values()))

    def release(self, steps: set[int]) -> None:
        self._free += [self.taken[step] for step in sorted(steps) if step in self.taken]


def _in_place(step: Step) -> set[int]:
    """The operands whose register the result may take. With a lag between them, numpy would copy first."""
    lagged = {read.step for read in step.reads if read.lag}
    return {read.step for read in step.reads} - lagged


def _is_only_a_result(program: Program, number: int, last_uses: list[int]) -> bool:
    unread = last_uses[number] == number and program.steps[number].operation in OPERATIONS
    return unread and [lag for _, lag in program.result_places[number]] == [0]


def _last_uses(program: Program) -> list[int]:
    """The last step that reads each step; the step itself where none does."""
    last = list(range(len(program.steps)))
    for number, step in enumerate(program.steps):
        for read in step.reads:
            last[read.step] = number
    return last
