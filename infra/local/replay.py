"""The clock of a replay: the one hand that moves it, and the state folder that it belongs to.

Any process reads it (`shared.platform.clock`); only the twin that holds the folder may move it.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from infra.local.replay_tape import Tape, read_tape
from infra.local.upstream import SAMPLE
from shared.config import Settings
from shared.errors import ConfigurationError
from shared.platform.clock import CLOCK_FILE, Leg, ReplayClock
from shared.platform.local.files import sync_folder

STATE_FILE = "documents.sqlite3"
"""Where there is one, the folder holds somebody's state."""


class ClockHand:
    """Moves the clock of one replay, leg by leg. Each position is on the disk before anybody reads it."""

    def __init__(self, home: Path, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.clock = ReplayClock(home / CLOCK_FILE, monotonic)
        self._monotonic = monotonic

    def begin(self, first: datetime) -> None:
        """Let the clock stand: at `first`, or where the replay before was on its way to when it ended.

        On its way there nothing was due, so that nothing is left out.
        """
        leg = self.clock.leg() if self.clock.file.exists() else _standing(first)
        self._write(replace(leg, start=leg.stop, began=self._monotonic(), seconds=0.0))

    def advance(self, stop: datetime, seconds: float) -> None:
        """Let the clock go on to `stop` within `seconds` from now, and stand there: what was due is done."""
        start = self.clock.leg().stop
        self._write(Leg(start=start, stop=stop, began=self._monotonic(), seconds=seconds))

    def _write(self, leg: Leg) -> None:
        fresh = self.clock.file.with_suffix(".new")
        with fresh.open("w") as file:
            json.dump(leg.json(), file)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self.clock.file)
        sync_folder(fresh.parent)


class Pace:
    """So many sessions a minute, as long as the work keeps up. Time that was lost isn't caught up on."""

    def __init__(self, sessions_a_minute: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._seconds_a_session = 60 / sessions_a_minute
        self._monotonic = monotonic
        self._due = monotonic()

    def seconds(self, sessions: float) -> float:
        """How long to take for the next `sessions`, which may be a part of one."""
        now = self._monotonic()
        self._due = max(self._due + sessions * self._seconds_a_session, now)
        return self._due - now


@dataclass(frozen=True, slots=True)
class Replay:
    """What is played, by which hand, and how fast."""

    hand: ClockHand
    tape: Tape
    sessions_a_minute: float


def open_replay(settings: Settings, home: Path) -> Replay | None:
    """The replay that the settings ask for, its clock standing; None where they ask for none.

    Raises:
        ConfigurationError: the state in `home` is of the other kind, or what is asked for can't be played.
    """
    _check(settings, home)
    if settings.replay is None:
        return None
    tape = read_tape(SAMPLE)
    hand = ClockHand(home)
    hand.begin(tape.mornings[0])
    return Replay(hand, tape, settings.replay)


def _check(settings: Settings, home: Path) -> None:
    """That a replay goes on where a replay was, and a twin on the machine's time where none was.

    Raises:
        ConfigurationError
    """
    was_replay, had_state = (home / CLOCK_FILE).exists(), (home / STATE_FILE).exists()
    if settings.replay is None and was_replay:
        raise ConfigurationError(
            f"{home} holds the state of a replay, whose times aren't real. Go on with it by "
            "'make up REPLAY=60', or set MLENGINE_HOME to another folder."
        )
    if settings.replay is not None and had_state and not was_replay:
        raise ConfigurationError(
            f"{home} holds the state of a twin on real time: a replay would mix its own into it. Leave "
            "MLENGINE_HOME out, or set it to another folder."
        )
    if settings.replay is not None and "market_data_url" in settings.model_fields_set:
        raise ConfigurationError("REPLAY plays the sample candles: leave MARKET_DATA_URL out.")


def _standing(moment: datetime) -> Leg:
    return Leg(start=moment, stop=moment, began=0.0, seconds=0.0)
