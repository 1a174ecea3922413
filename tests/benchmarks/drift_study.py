"""How often the rule alarms on quiet candles, and how often on what is broken in them on purpose."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shared.drift import CurrentWindow, DriftResult, Profile, Verdict, build_profile, check_drift
from shared.market.candles import PRICES, Candles
from tests.benchmarks.drift_data import (
    CALENDAR,
    FEATURES,
    Inject,
    Table,
    broken,
    copied,
    exchanged,
    scaled,
    seconds,
    stuck,
    table_of,
    wilder,
)
from tests.benchmarks.drift_rules import alarms, rates

LENGTHS: Final = (1, 5, 20, 60)
OURS: Final = "ours"
MOST_WINDOWS: Final = 60
RIVAL_ROWS: Final = 10_000


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """A reference period and a later one, of the same symbols."""

    name: str
    series: list[Candles]
    reference: Table
    later: Table
    profile: Profile

    @staticmethod
    def of(name: str, series: list[Candles], start: str, split: str, end: str) -> Ground:
        table = table_of(series)
        reference = table.between(seconds(start), seconds(split) - 1)
        later = table.between(seconds(split), seconds(end) - 1)
        return Ground(name, series, reference, later, profile_of(reference))

    def windows(self, sessions: int, most: int) -> Iterator[Table]:
        """At most so many windows of the later period, evenly spread; they overlap where they must."""
        every = self.later.sessions()
        places = len(every) - sessions + 1
        for i in np.unique(np.linspace(0, places - 1, min(most, places)).astype(int)) if places > 0 else ():
            yield self.later.between(int(every[i]), int(every[i + sessions - 1]))


def profile_of(table: Table) -> Profile:
    none = np.zeros(0)
    return build_profile(
        table.x, FEATURES.names, none, ("down", "up"), np.zeros(len(table), int), sessions=table.stamp
    )


def judged(profile: Profile, table: Table) -> DriftResult:
    return check_drift(profile, CurrentWindow(table.x, sessions=table.stamp))


def found(profile: Profile, table: Table) -> bool:
    return judged(profile, table).verdict is Verdict.DRIFT


def false_alarms(ground: Ground, *, rivals: bool, seed: int = 0) -> dict[str, dict[str, float]]:
    """Share of the later windows that alarm, by window length and rule; and how many windows there were.

    The other rules see the reference by a random sample of 10,000 of its rows.
    """
    rng = np.random.default_rng(seed)
    sample = rng.choice(len(ground.reference), min(RIVAL_ROWS, len(ground.reference)), replace=False)
    rows = ground.reference.x[sample]
    told: dict[str, dict[str, float]] = {}
    for sessions in LENGTHS:
        each: list[Mapping[str, bool]] = [
            {OURS: found(ground.profile, w), **(alarms(rows, w.x) if rivals else {})}
            for w in ground.windows(sessions, MOST_WINDOWS)
        ]
        if each:
            told[str(sessions)] = {**rates(each), "windows": len(each)}
    return told


def shifted(ground: Ground, sessions: int, most: int) -> dict[str, float]:
    """Share of windows in which half a deviation in that feature is found, by feature."""
    count = len(FEATURES.names) - CALENDAR
    windows = list(ground.windows(sessions, most))
    return {
        FEATURES.names[j]: float(
            np.mean([found(ground.profile, _moved(ground, w, [j], 0.5)) for w in windows])
        )
        for j in range(count)
    }


def half_shifted(ground: Ground, sessions: int, most: int, seed: int = 0) -> float:
    """Share of windows in which a quarter of a deviation in a random half of the features is found."""
    rng, count = np.random.default_rng(seed), len(FEATURES.names) - CALENDAR
    chosen = (rng.choice(count, count // 2, replace=False) for _ in iter(int, 1))
    windows = [w for w in ground.windows(sessions, most) for _ in range(3)]
    return float(
        np.mean(
            [found(ground.profile, _moved(ground, w, j, 0.25)) for w, j in zip(windows, chosen, strict=False)]
        )
    )


def _moved(ground: Ground, table: Table, columns: Sequence[int] | NDArray[np.int64], by: float) -> Table:
    x = table.x.copy()
    x[:, columns] += (by * ground.reference.x[:, columns].std(0, dtype=np.float64)).astype(np.float32)
    return Table(x, table.stamp, table.symbol)


def faults(seed: int) -> dict[str, Inject]:
    """What is done to the candles, for the window of that number: it picks the symbols."""
    rng = np.random.default_rng(seed)
    one, other = (int(n) for n in rng.choice(1_000, 2, replace=False))
    other += (other - one) % 7 == 0
    return {
        "volatility x1.5": wilder(1.5),
        "volatility x2": wilder(2.0),
        "every feed stuck": stuck,
        "volume x100": scaled(("volume",), 100.0),
        "prices in cents": scaled(PRICES, 100.0),
        "prices in cents, one symbol": scaled(PRICES, 100.0, one),
        "one symbol's feed is another's copy": copied(one, other),
        "two symbols' feeds exchanged": exchanged(one, other),
    }


def power(ground: Ground, sessions: int, most: int) -> dict[str, float]:
    """Share of windows found, by what is done to the candles from the window's first session on."""
    hits: dict[str, list[bool]] = {}
    for number, window in enumerate(ground.windows(sessions, most)):
        first, last = int(window.stamp[0]), int(window.stamp[-1])
        for name, inject in faults(number).items():
            now = broken(ground.series, inject, first, last)
            # candles that the market-data checks would drop leave no rows: nothing to judge is not "found"
            hits.setdefault(name, []).append(len(now) > 0 and found(ground.profile, now))
    return {name: float(np.mean(one)) for name, one in hits.items()}


def missing(ground: Ground, most: int, seed: int = 0) -> dict[str, dict[str, float]]:
    """Share of windows found when 10 % of the cells are missing, and when 1 % are, as in the reference."""
    rng = np.random.default_rng(seed)
    reference = _holes(ground.reference, 0.01, rng)
    profile = profile_of(reference)
    return {
        str(sessions): {
            f"missing {share:.0%}": float(
                np.mean([found(profile, _holes(w, share, rng)) for w in ground.windows(sessions, most)])
            )
            for share in (0.01, 0.1)
        }
        for sessions in LENGTHS
    }


def _holes(table: Table, share: float, rng: np.random.Generator) -> Table:
    x = table.x.copy()
    x[rng.random(x.shape) < share] = np.nan
    return Table(x, table.stamp, table.symbol)


def regime(ground: Ground, sessions: int, start: str, end: str) -> dict[str, float]:
    """Share of the windows that end in a period and alarm."""
    first, last = seconds(start), seconds(end)
    ends = [int(s) for s in ground.later.sessions() if first <= s <= last]
    every = ground.later.sessions()
    hits = [
        found(ground.profile, ground.later.between(int(every[place - sessions + 1]), int(every[place])))
        for place in np.searchsorted(every, ends)
        if place + 1 >= sessions
    ]
    return {"windows": len(hits), "share": float(np.mean(hits)) if hits else 0.0}


def days_until(ground: Ground, sessions: int, event: str) -> int | None:
    """Sessions from an event until a window that ends then alarms."""
    every = ground.later.sessions()
    start = int(np.searchsorted(every, seconds(event)))
    for passed, stamp in enumerate(every[start : start + 120]):
        before = every[max(start + passed - sessions + 1, 0)]
        if found(ground.profile, ground.later.between(int(before), int(stamp))):
            return passed
    return None
