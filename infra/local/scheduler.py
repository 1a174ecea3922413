"""Fires schedules at their times, as Cloud Scheduler does in the cloud.

Of the times that passed while nobody looked (the twin was down, the machine asleep), only the latest is made
up for, and only within an hour.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import datetime
from typing import Final, Protocol

from shared.errors import EngineError
from shared.logs import LOGGER
from shared.platform.ports import Now

LONGEST_WAIT_SECONDS: Final = 2.0
"""How soon a change of the schedules or of the machine's clock is noticed; also the wait after a failure."""


class Firing(Protocol):
    """Schedules that can be fired, by any number of schedulers."""

    def due(self) -> Sequence[tuple[str, datetime]]:
        """The names and times that are to be fired now."""
        ...

    def fire_due(self, name: str, at: datetime) -> None:
        """Fire one of these, unless another scheduler did meanwhile."""
        ...

    def next_at(self) -> datetime | None:
        """When to look again; None: there is nothing to wait for."""
        ...


class Scheduler:
    """One thread that fires what is due and sleeps until the next time."""

    def __init__(self, schedules: Firing, now: Now) -> None:
        self._schedules = schedules
        self._now = now
        self._stopping = threading.Event()
        self._woken = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="scheduler", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Returns when the fire under way is done."""
        self._stopping.set()
        self.wake()
        self._thread.join()

    def wake(self) -> None:
        """Look at the clock again: it was turned."""
        self._woken.set()

    def turn(self) -> float:
        """Fire what is due; gives the seconds to wait. One that fails doesn't hold up the others."""
        try:
            has_fired = [self._fired(name, at) for name, at in self._schedules.due()]
            next_at = self._schedules.next_at()
        except EngineError as error:
            LOGGER.error("schedules can't be read", extra={"facts": {"why": error.detail}})
            return LONGEST_WAIT_SECONDS
        if not all(has_fired) or next_at is None:
            return LONGEST_WAIT_SECONDS
        return min(max(0.0, (next_at - self._now()).total_seconds()), LONGEST_WAIT_SECONDS)

    def _fired(self, name: str, at: datetime) -> bool:
        facts = {"schedule": name, "at": at.isoformat()}
        try:
            self._schedules.fire_due(name, at)
        except EngineError as error:
            LOGGER.error("schedule failed to fire", extra={"facts": {**facts, "why": error.detail}})
            return False
        return True

    def _serve(self) -> None:
        while not self._stopping.is_set():
            self._woken.wait(self.turn())
            self._woken.clear()
