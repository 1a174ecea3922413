"""How many of the defects that the development data is known for are found, and what else is.

Two kinds of truth: the list of known defects that comes with the data, and the same values seen from
elsewhere (the data's own `split` column, a plain second computation). `injected` puts in more by hand.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from shared.market.calendar import CalendarName
from shared.market.candles import COLUMNS, RawCandles, Values, rfc3339
from shared.market.checks import Checked
from shared.market.findings import POLICIES, Kind, Policy
from tests.market.made import checked, from_parquet

Places = set[tuple[str, str]]
"""Symbols and dates."""

PANEL, LONG = "sp500_daily_5y", "us_long_unadjusted_daily"

MISSING: Places = {
    ("BHF", "2017-07-26"),
    ("DHR", "2015-07-17"),
    ("DHR", "2016-01-12"),
    ("ES", "2015-07-17"),
    ("FTV", "2016-07-01"),
    ("O", "2015-07-17"),
    ("O", "2016-01-12"),
    ("REGN", "2015-06-09"),
    ("UA", "2016-04-07"),
    ("VRTX", "2015-05-12"),
    ("WRK", "2015-06-26"),
}
ZERO_VOLUME: Places = {
    ("DHR", "2016-01-12"),
    ("O", "2016-01-12"),
    ("FTV", "2016-07-01"),
    ("UA", "2016-04-07"),
}
HOLES: Mapping[str, int] = {"DHR": 15, "O": 15, "ES": 10, "ICE": 4, "ORCL": 2, "BMY": 1}
LEVEL_ERRORS: Places = {
    ("BEN", "2013-07-23"),
    ("BEN", "2013-07-26"),
    ("DISCA", "2014-08-07"),
    ("DISCK", "2014-08-07"),
    ("PNR", "2018-05-01"),
    ("HPE", "2017-04-03"),
}
BAD_PRINT_DATES = ("2014-10-29", "2014-10-30", "2017-08-01", "2017-09-14", "2017-11-15")

FALL = 0.15
"""A day's fall from here on is called a crash, unless it is a split."""

_SIGMA_WINDOW = 60


@dataclass(frozen=True)
class Measured:
    """Of `known` defects `found` were found; `flagged` is all that was called so, `right` of it rightly.

    `flagged` is None where the truth about the rest isn't known.
    """

    defect: str
    kind: str
    known: int
    found: int
    flagged: int | None = None
    right: int = 0

    @property
    def recall(self) -> float:
        return self.found / self.known

    @property
    def precision(self) -> float | None:
        return None if self.flagged is None else self.right / self.flagged if self.flagged else 1.0

    @staticmethod
    def of(defect: str, kind: str, known: Places, flagged: Places) -> Measured:
        """Where the truth is known everywhere."""
        right = len(known & flagged)
        return Measured(defect, kind, len(known), right, len(flagged), right)


Judged = tuple[RawCandles, Checked]


@cache
def judged(folder: Path, name: str, calendar: CalendarName = "XNYS") -> tuple[Judged, ...]:
    """The series of a file, each with what is found about it."""
    series = from_parquet(folder / f"{name}.parquet")
    return tuple((one, checked(one, calendar=calendar)) for one in series)


def measure(folder: Path) -> Iterator[Measured]:
    """Every defect that is known."""
    yield from on_the_panel(folder)
    yield from on_splits_and_crashes(folder)
    yield from on_hours(folder)


def places(series: Iterable[Judged], *kinds: Kind) -> Places:
    """Where findings of `kinds` are."""
    return {
        (raw.symbol, rfc3339(int(stamp))[:10])
        for raw, result in series
        for finding in result.findings
        if finding.kind in kinds
        for stamp in finding.timestamp
    }


def on_the_panel(folder: Path) -> Iterator[Measured]:
    panel = judged(folder, PANEL)
    rejecting = [kind for kind, policy in POLICIES.items() if policy is Policy.REJECT]
    yield Measured.of("missing values", "missing_value", MISSING, places(panel, Kind.MISSING_VALUE))
    rejected = places(panel, *rejecting)
    yield Measured(
        "zero volume (all beside missing values)", "rejected", len(ZERO_VOLUME), len(ZERO_VOLUME & rejected)
    )
    orders = Kind.OPEN_CLOSE_OUTSIDE_RANGE, Kind.OPEN_CLOSE_FAR_OUTSIDE_RANGE, Kind.HIGH_LOW_ORDER
    yield Measured.of(
        "open, high, low, close out of order", "..._range", _disordered(panel), places(panel, *orders)
    )
    holes, counted = _holes(panel), _gaps(panel)
    right = sum(min(holes.get(symbol, 0), count) for symbol, count in counted.items())
    total = sum(counted.values())
    yield Measured("missing sessions", "gap", sum(holes.values()), right, total, right)
    splits, steps = places(panel, Kind.SUSPECTED_SPLIT), places(panel, Kind.STEP_CHANGE)
    yield Measured.of("level errors, as breaks", "suspected_split", LEVEL_ERRORS, splits)
    yield Measured(
        "level errors, at all", "suspected_split, step_change", 6, len(LEVEL_ERRORS & (splits | steps))
    )
    printed = prints(panel)
    listed = {place for place in printed if place[1] in BAD_PRINT_DATES}
    large = large_reversals(panel, BAD_PRINT_DATES)
    yield Measured(
        "large moves taken back, on the five dates",
        "bad_print",
        len(large),
        len(large & printed),
        len(printed),
        len(listed),
    )


def prints(series: Iterable[Judged]) -> Places:
    """The candles that are called bad prints: each stands before the candle that has the finding."""
    return {
        (raw.symbol, rfc3339(int(result.candles.timestamp[row - 1]))[:10])
        for raw, result in series
        for finding in result.findings
        if finding.kind is Kind.BAD_PRINT
        for row in np.searchsorted(result.candles.timestamp, finding.timestamp).tolist()
    }


def large_reversals(series: Iterable[Judged], dates: Iterable[str]) -> Places:
    """Closes on `dates` more than six robust deviations and 3 % off, whose move is undone to a fifth a day
    later: what a reader of the closes alone, who may look ahead, would call bad prints.
    """
    wanted, found = set(dates), set()
    for raw, result in series:
        change = np.diff(np.log(result.candles.close))
        for row in range(_SIGMA_WINDOW, len(change) - 1):
            date = rfc3339(int(result.candles.timestamp[row + 1]))[:10]
            is_undone = abs(change[row] + change[row + 1]) < abs(change[row]) / 5
            if is_undone and date in wanted and abs(change[row]) > max(6 * _sigma(change, row), 0.03):
                found.add((raw.symbol, date))
    return found


def _sigma(change: Values, row: int) -> float:
    before = change[row - _SIGMA_WINDOW : row]
    return float(1.4826 * np.median(np.abs(before - np.median(before))))


def on_splits_and_crashes(folder: Path) -> Iterator[Measured]:
    import pyarrow.parquet as pq

    table = pq.read_table(folder / f"{LONG}.parquet", columns=["symbol", "timestamp", "split"]).to_pydict()
    rows = zip(table["symbol"], table["timestamp"], table["split"], strict=True)
    known = {(symbol, stamp) for symbol, stamp, split in rows if split != 1}
    long = judged(folder, LONG)
    yield Measured.of(
        "splits of twelve large stocks", "suspected_split", known, places(long, Kind.SUSPECTED_SPLIT)
    )
    sample = judged(folder, "public_domain_5_symbols_daily")
    listed = {("AAPL", "2000-06-21"), ("AAPL", "2005-02-28"), ("MSFT", "2003-02-18")}
    yield Measured.of("splits of the sample", "suspected_split", listed, places(sample, Kind.SUSPECTED_SPLIT))
    fallen = falls(long) - known | falls(sample) - listed
    called = places((*long, *sample), Kind.SUSPECTED_SPLIT)
    yield Measured("falls of 15 % in a day, not called splits", "-", len(fallen), len(fallen - called))


def falls(series: Iterable[Judged]) -> Places:
    """Where the close is 15 % below the one before."""
    return {
        (one.symbol, rfc3339(int(one.timestamp[row + 1]))[:10])
        for one, _ in series
        for row in np.flatnonzero(one.close[1:] / one.close[:-1] <= 1 - FALL)
    }


def on_hours(folder: Path) -> Iterator[Measured]:
    coin, result = next(
        one for one in judged(folder, "intraday_hourly", "24/7") if one[0].symbol == "BTC-USD"
    )
    copied = {coin.timestamp[row] for row in _copied(coin)}
    yield _at("copied hours, five later", Kind.STALE_REPEAT, copied, result)
    yield _at("hours without volume", Kind.ZERO_VOLUME, set(coin.timestamp[coin.volume == 0]), result)
    for calendar in ("XNYS", "24/7"):
        series = judged(folder, "intraday_hourly", calendar)
        euro, result = next(one for one in series if one[0].symbol == "EURUSD")
        gaps = sum(finding.count for finding in result.findings if finding.kind is Kind.GAP)
        yield Measured(f"hours of EURUSD, no gap called ({calendar})", "-", len(euro), len(euro) - gaps)


def _at(defect: str, kind: Kind, known: set[Any], result: Checked) -> Measured:
    flagged = {stamp for finding in result.findings if finding.kind is kind for stamp in finding.timestamp}
    right = len(known & flagged)
    return Measured(defect, kind.value, len(known), right, len(flagged), right)


def _disordered(series: Iterable[Judged]) -> Places:
    found: Places = set()
    for one, _ in series:
        high, low = one.high * (1 + 1e-9), one.low * (1 - 1e-9)
        wrong = (one.open > high) | (one.open < low) | (one.close > high) | (one.close < low)
        found |= {(one.symbol, rfc3339(int(stamp))[:10]) for stamp in one.timestamp[wrong]}
    return found


def _holes(series: Iterable[Judged]) -> Mapping[str, int]:
    """Per symbol, the listed missing sessions and the rejected candles with others around them."""
    found = dict(HOLES)
    for one, result in series:
        kept = result.candles.timestamp
        inside = (one.timestamp > kept[0]) & (one.timestamp < kept[-1])
        lost = int(np.sum(~np.isin(one.timestamp[inside], kept)))
        if lost:
            found[one.symbol] = found.get(one.symbol, 0) + lost
    return found


def _gaps(series: Iterable[Judged]) -> Mapping[str, int]:
    return {
        one.symbol: int(finding.values.sum())
        for one, result in series
        for finding in result.findings
        if finding.kind is Kind.GAP
    }


def _copied(source: RawCandles) -> list[int]:
    """Rows whose five numbers stood within the day before, and moved."""
    rows = np.stack([getattr(source, name) for name in COLUMNS], axis=1)
    order = np.argsort(source.timestamp)
    rows = rows[order]
    return [
        int(order[at])
        for at in range(1, len(order))
        if rows[at, 4] > 0 and (rows[max(0, at - 24) : at] == rows[at]).all(axis=1).any()
    ]
