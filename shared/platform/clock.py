"""The two clocks of a process, `Platform.now` and `Platform.wall`, and how a twin can replay history.

`now` is the time that the engine works at: what candles are closed, what is recorded as made, when schedules
fire, how old models and candles are, what has expired. `wall` is the machine's: leases, heartbeats, retries,
the notes on deliveries, how fast answers are, credentials and signatures: whatever waits for machines or
people.

They are the same but in a replay. Then `now` reads a small file in the state folder, which the replay alone
writes (`infra.local.replay`), so that all processes of the twin agree without talking to each other.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

from shared.errors import PlatformUnavailable

CLOCK_FILE: Final = "replay.json"
"""In the state folder of a replay, and in no other."""

CLOCK_HEADER: Final = "x-mlengine-clock"
"""Stands in every answer of a twin that replays: `replay; now=2008-09-15T13:05:00Z`."""

_REPLAY: Final = "replay; now="


def machine_now() -> datetime:
    """The machine's time, in UTC."""
    return datetime.now(UTC)


def told(replay_now: Callable[[], datetime]) -> str:
    """What `CLOCK_HEADER` says."""
    try:
        return f"{_REPLAY}{replay_now():%Y-%m-%dT%H:%M:%SZ}"
    except PlatformUnavailable:
        return f"{_REPLAY}unknown"


def replay_time(header: str | None) -> datetime | None:
    """The reverse of `told`; None where no replay, or no time, is told."""
    try:
        return datetime.fromisoformat((header or "").removeprefix(_REPLAY))
    except ValueError:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """The clock goes evenly from `start` to `stop` within `seconds`, and stands there until the next leg.

    `began` is on the machine's monotonic clock, which all its processes share. The next leg starts where
    this one stops; so whoever still reads this one is never ahead of who reads the next. It begins when all
    that is due at `stop` is done: a replay that was killed goes on there.
    """

    start: datetime
    stop: datetime
    began: float
    seconds: float

    def at(self, monotonic: float) -> datetime:
        """What the clock says. Before `began`, which another start of the machine has set, it stands."""
        elapsed = monotonic - self.began
        if elapsed < 0 or elapsed >= self.seconds:
            return self.stop
        return self.start + (self.stop - self.start) * (elapsed / self.seconds)

    def json(self) -> dict[str, Any]:
        return {
            "start": self.start.isoformat(),
            "stop": self.stop.isoformat(),
            "began": self.began,
            "seconds": self.seconds,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        times = {name: datetime.fromisoformat(data[name]) for name in ("start", "stop")}
        return cls(**{**data, **times})


class ReplayClock:
    """Reads the clock of a replay. It never goes back: not here, not between processes, not by a restart.

    The file is read each time: what it says may have changed, and reading it takes some 20 microseconds.
    """

    def __init__(self, file: Path, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.file = file
        self._monotonic = monotonic

    def now(self) -> datetime:
        """
        Raises:
            PlatformUnavailable: the file can't be read.
        """
        return self.leg().at(self._monotonic())

    def leg(self) -> Leg:
        """
        Raises:
            PlatformUnavailable: the file can't be read.
        """
        try:
            return Leg.from_json(json.loads(self.file.read_bytes()))
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise PlatformUnavailable(
                f"The replay's clock can't be read from {self.file}: {error}. "
                "Without it this state can't go on: remove the folder and begin anew."
            ) from error
