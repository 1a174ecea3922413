"""Goals and whether they are met."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Goal:
    """Something measured and the bound it should keep: exactly one of `at_most` and `at_least` is given."""

    what: str
    measured: float
    at_most: float | None = None
    at_least: float | None = None

    @property
    def is_met(self) -> bool:
        above = self.at_least is None or self.measured >= self.at_least
        return above and (self.at_most is None or self.measured <= self.at_most)

    @property
    def bound(self) -> str:
        return f">= {self.at_least:g}" if self.at_least is not None else f"<= {self.at_most:g}"


def table(goals: Sequence[Goal]) -> str:
    """One line per goal."""
    lines = [f"{'goal':<52}{'wanted':>10}{'measured':>12}"]
    for goal in goals:
        verdict = "met" if goal.is_met else "NOT MET"
        lines.append(f"{goal.what:<52}{goal.bound:>10}{goal.measured:>12.3g}   {verdict}")
    return "\n".join(lines)
