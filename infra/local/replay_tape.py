"""Which times a replay goes through: its sessions, and between them the times at which schedules fire."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import takewhile
from pathlib import Path
from typing import Final, Self

from shared.platform.ports import ScheduleState
from shared.platform.scheduling import fires

FIRST_SESSION: Final = date(2008, 1, 2)
"""Of the sample: 1,970 sessions to learn from lie before it. 177 sessions after it, three minutes at 60 a
minute, Lehman Brothers fails, and the daily moves of all four symbols triple until October; in the summer
of 2009 they are calm again. A first model that learns until here isn't suspected of a leak; those that learn
until May, August or September are."""

ASKED_AT: Final = time(13, 5, tzinfo=UTC)
"""When predictions are asked for, each session: before New York opens, in summer and in winter. The session
before it has closed; a session of the replay begins and ends here."""

DAY_SHARE: Final = 2 / 3
"""How much of a session's time goes to its day, until its candle closes at midnight; the night that follows,
or the weekend, gets the rest."""

AFTER_THE_LAST: Final = timedelta(days=4)
"""The replay ends so long after its last session has begun: whatever the weekday, that is ingested then."""


@dataclass(frozen=True, slots=True)
class Tape:
    """`mornings` is when each session begins, in order; the last one is the end of the replay."""

    mornings: tuple[datetime, ...]

    @classmethod
    def of(cls, days: Iterable[date]) -> Self:
        """Raises ValueError where there is no session."""
        begin = [datetime.combine(day, ASKED_AT) for day in sorted(set(days))]
        if not begin:
            raise ValueError("a replay needs a session")
        return cls((*begin, begin[-1] + AFTER_THE_LAST))

    @property
    def sessions(self) -> int:
        return len(self.mornings) - 1

    @property
    def end(self) -> datetime:
        return self.mornings[-1]

    def begins_session(self, moment: datetime) -> bool:
        return moment in self.mornings[:-1]

    def position(self, moment: datetime) -> float:
        """How many sessions have passed, with the part of the one that is on: evenly by day, and by night."""
        index = self._index(moment)
        if index < 0:
            return 0.0
        if index == self.sessions:
            return float(self.sessions)
        morning, following = self.mornings[index : index + 2]
        midnight = datetime.combine(morning.date() + timedelta(days=1), time(0), UTC)
        if moment <= midnight:
            return index + DAY_SHARE * ((moment - morning) / (midnight - morning))
        return index + DAY_SHARE + (1 - DAY_SHARE) * ((moment - midnight) / (following - midnight))

    def next_stop(self, moment: datetime, schedules: Sequence[ScheduleState]) -> datetime | None:
        """Where the clock stands next, for what is due there: the latest time of each schedule within the
        session, or the next morning. None: the tape has ended.
        """
        index = max(0, self._index(moment))
        if index == self.sessions:
            return None
        morning, following = self.mornings[index : index + 2]
        stops = {following}
        for schedule in schedules:
            times = fires(schedule.cron, schedule.timezone, morning)
            stops.update(list(takewhile(lambda at: at <= following, times))[-1:])
        return min(stop for stop in stops if stop > moment)

    def _index(self, moment: datetime) -> int:
        """The session that `moment` is in; -1 before the first."""
        return bisect_right(self.mornings, moment) - 1


def read_tape(candles: Path, first: date = FIRST_SESSION) -> Tape:
    """The sessions from `first` on that a Parquet file of candles has."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    stamps = pc.unique(pq.read_table(candles, columns=["timestamp"]).column("timestamp")).to_pylist()
    days = {datetime.fromisoformat(stamp).date() for stamp in stamps}
    return Tape.of(day for day in days if day >= first)
