"""How far a run is, told as it goes, and how long each stage took."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol


class Progress(Protocol):
    """Takes reports. May raise to stop the run: training holds nothing that needs undoing."""

    def __call__(self, stage: str, done: int, total: int, message: str) -> None: ...


def silent(stage: str, done: int, total: int, message: str) -> None:
    """Progress for nobody."""


class Stages:
    """Names the stage at work, forwards its steps to `progress` and adds up seconds per stage."""

    def __init__(self, progress: Progress, clock: Callable[[], float]) -> None:
        self._progress = progress
        self._clock = clock
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str, total: int, message: str) -> Iterator[Callable[[int, str], None]]:
        """Gives the function that reports steps: `step(done, message)`."""
        began = self._clock()
        self._progress(name, 0, total, message)
        try:
            yield lambda done, words: self._progress(name, done, total, words)
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + self._clock() - began
        self._progress(name, total, total, message)
