"""In which order a program's steps are done where steps of one operation can be done together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from shared.features.program import Program


def batches(program: Program) -> Iterator[list[int]]:
    """Numbers of steps of one operation whose operands are done, until every step is done.

    The fewest batches are hard to find. This rule comes close: take the operation that the longest chain of
    steps waits for, less the number of its steps that could still join if it were left for later.
    """
    steps = program.steps
    chains, followers = _look_ahead(program)
    waiting = [number for number, step in enumerate(steps) if step.reads]
    alike: dict[str, int] = defaultdict(int)
    for number in waiting:
        alike[steps[number].operation] |= 1 << number
    operands = [_bits(read.step for read in step.reads) for step in steps]
    undone = _bits(waiting)

    def urgency(batch: list[int]) -> int:
        behind = _bits(batch)
        for number in batch:
            behind |= followers[number]
        could_join = alike[steps[batch[0]].operation] & undone & ~behind
        return max(chains[number] for number in batch) - could_join.bit_count()

    while waiting:
        ready: dict[str, list[int]] = defaultdict(list)
        for number in waiting:
            if not operands[number] & undone:
                ready[steps[number].operation].append(number)
        batch = max(ready.values(), key=urgency)
        yield batch
        undone &= ~_bits(batch)
        waiting = [number for number in waiting if undone >> number & 1]


def _look_ahead(program: Program) -> tuple[list[int], list[int]]:
    """For each step the length of the longest chain of steps behind it, and the set of all behind it."""
    chains = [0] * len(program.steps)
    followers = [0] * len(program.steps)
    for number in reversed(range(len(program.steps))):
        for read in program.steps[number].reads:
            chains[read.step] = max(chains[read.step], chains[number] + 1)
            followers[read.step] |= followers[number] | 1 << number
    return chains, followers


def _bits(numbers: Iterable[int]) -> int:
    """A set of step numbers as the bits of an integer."""
    bits = 0
    for number in numbers:
        bits |= 1 << number
    return bits
