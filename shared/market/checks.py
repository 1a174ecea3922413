"""Checks on the way in: raw candles become `Candles` and findings. Nothing is repaired silently.

Two stages. `screen` looks at each candle for itself and lets only sound ones out, in order of time.
`inspect` looks at each candle against the `CONTEXT` before it, never after: a candle is judged the same
when it arrives alone with its past as inside ten years of history.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from shared.market.calendar import Calendar
from shared.market.candles import COLUMNS, Candles, RawCandles, closing_delay_seconds, join, timeframe_seconds
from shared.market.findings import POLICIES, Finding, Kind, Policy, found
from shared.market.prints import bad_prints
from shared.market.splits import returns, step_changes, suspected_splits

CONTEXT = 256
"""How many candles before a candle its findings depend on, at most."""

FAR_OUTSIDE_RANGE = 0.05
"""Up to this part of the close, open and close may lie outside low to high and still be flagged only."""

_ROUNDING = 1e-9
_VOLUME_WINDOW = 250
_REPEAT_WINDOW = 24

_Rows: TypeAlias = NDArray[np.bool_]
_Fault: TypeAlias = tuple[Kind, _Rows, Any]
"""A kind, the rows it is at, and its measure there (`Kind`)."""


@dataclass(frozen=True, slots=True, eq=False)
class Checked:
    """Sound candles, what was found, and the timestamps at which prices change their basis (`breaks`)."""

    candles: Candles
    findings: tuple[Finding, ...]
    breaks: tuple[int, ...]
    calendar: Calendar

    def summary(self) -> list[dict[str, Any]]:
        """The findings for people and JSON."""
        return [finding.summary() for finding in self.findings]


def check(
    raw: RawCandles,
    *,
    timeframe: str,
    now_seconds: float,
    calendar: Calendar,
    previous: Candles | None = None,
) -> Checked:
    """Screen `raw`, then inspect what is left against `previous`, the candles known before it."""
    candles, faults = screen(raw, timeframe=timeframe, now_seconds=now_seconds)
    oddities, breaks = inspect(candles, calendar=calendar, previous=previous)
    return Checked(candles, (*faults, *oddities), breaks, calendar)


def screen(raw: RawCandles, *, timeframe: str, now_seconds: float) -> tuple[Candles, list[Finding]]:
    """Sound, closed candles in order of time, each timestamp once, and what was wrong with the rest."""
    findings: list[Finding] = []
    with np.errstate(over="ignore"):  # absurd but finite prices are judged, not raised
        raw = _without(raw, _value_faults(raw), findings)
        raw = _without(raw, _order_faults(raw), findings)
        raw = _without(raw, _unfinished(raw, timeframe, now_seconds), findings)
        raw = _in_order(raw, findings)
        raw = _without(raw, _duplicates(raw), findings)
    columns = (getattr(raw, c) for c in ("timestamp", *COLUMNS))
    return Candles(raw.symbol, timeframe, *columns), findings


def inspect(
    candles: Candles, *, calendar: Calendar, previous: Candles | None = None
) -> tuple[list[Finding], tuple[int, ...]]:
    """What is odd about sound candles, given those before them; and the breaks among them."""
    if not len(candles):
        return [], ()
    context = _before(candles, previous)
    series = join(context, candles) if context is not None else candles
    first = len(series) - len(candles)
    findings: list[Finding] = []
    with np.errstate(over="ignore", invalid="ignore"):  # as above
        splits = suspected_splits(series, first)
        for kind, rows, values in _oddities(series, calendar, splits):
            rows[:first] = False
            findings += found(kind, rows, series.timestamp, values)
    return findings, tuple(series.timestamp[splits].tolist())


def _without(raw: RawCandles, faults: Iterator[_Fault], findings: list[Finding]) -> RawCandles:
    """`raw` without what is rejected for `faults`, which join the `findings`."""
    kept = None
    for kind, rows, values in faults:
        if rows.any():
            findings += found(kind, rows, raw.timestamp, values)
            if POLICIES[kind] is Policy.REJECT:
                kept = ~rows if kept is None else kept & ~rows
    return raw if kept is None else raw[kept]


def _value_faults(raw: RawCandles) -> Iterator[_Fault]:
    finite = [np.isfinite(getattr(raw, c)) for c in COLUMNS]
    missing = ~np.logical_and.reduce(finite)
    if missing.any():
        yield Kind.MISSING_VALUE, missing, len(COLUMNS) - np.sum(finite, axis=0)
    lowest = np.minimum(np.minimum(raw.open, raw.high), np.minimum(raw.low, raw.close))
    yield Kind.NON_POSITIVE_PRICE, lowest <= 0, lowest
    yield Kind.NEGATIVE_VOLUME, raw.volume < 0, raw.volume


def _order_faults(raw: RawCandles) -> Iterator[_Fault]:
    crossed = raw.low - raw.high > _ROUNDING * raw.low
    if crossed.any():
        yield Kind.HIGH_LOW_ORDER, crossed, raw.high / raw.low - 1
    body_low, body_high = np.minimum(raw.open, raw.close), np.maximum(raw.open, raw.close)
    outside = np.maximum(raw.low - body_low, body_high - raw.high)
    beyond = outside > _ROUNDING * raw.close
    if beyond.any():
        far = outside > FAR_OUTSIDE_RANGE * raw.close
        yield Kind.OPEN_CLOSE_OUTSIDE_RANGE, beyond & ~far, outside / raw.close
        yield Kind.OPEN_CLOSE_FAR_OUTSIDE_RANGE, far, outside / raw.close


def _unfinished(raw: RawCandles, timeframe: str, now_seconds: float) -> Iterator[_Fault]:
    closes_in = raw.timestamp + closing_delay_seconds(timeframe) - now_seconds
    if closes_in.max(initial=0) <= 0:
        return
    # The session dated tomorrow may have begun east of Greenwich: only what is further ahead is nonsense.
    ahead = raw.timestamp - now_seconds
    is_future = ahead > timeframe_seconds(timeframe)
    yield Kind.FUTURE_TIMESTAMP, is_future, ahead
    yield Kind.UNCLOSED_CANDLE, (closes_in > 0) & ~is_future, closes_in


def _in_order(raw: RawCandles, findings: list[Finding]) -> RawCandles:
    latest = np.maximum.accumulate(raw.timestamp)
    late = raw.timestamp < latest
    if not late.any():
        return raw
    findings += found(Kind.OUT_OF_ORDER, late, raw.timestamp, latest - raw.timestamp)
    return raw[np.argsort(raw.timestamp, kind="stable")]


def _duplicates(raw: RawCandles) -> Iterator[_Fault]:
    again = np.zeros(len(raw), np.bool_)
    again[1:] = raw.timestamp[1:] == raw.timestamp[:-1]
    if not again.any():
        return
    differs = np.zeros(len(raw), np.bool_)
    differs[1:] = again[1:] & np.any([getattr(raw, c)[1:] != getattr(raw, c)[:-1] for c in COLUMNS], axis=0)
    group = np.cumsum(~again) - 1
    is_disputed = np.bincount(group, weights=differs)[group] > 0
    yield Kind.DUPLICATE_IDENTICAL, again & ~is_disputed, raw.close
    yield Kind.DUPLICATE_CONFLICTING, is_disputed, raw.close


def _before(candles: Candles, previous: Candles | None) -> Candles | None:
    """The part of `previous` that findings about `candles` depend on."""
    if previous is None:
        return None
    end = int(np.searchsorted(previous.timestamp, candles.timestamp[0]))
    return previous[max(0, end - CONTEXT) : end]


def _oddities(series: Candles, calendar: Calendar, splits: NDArray[np.int64]) -> Iterator[_Fault]:
    missing = calendar.missing_before(series.timestamp, series.timeframe)
    yield Kind.GAP, missing > 0, missing
    yield Kind.OUTSIDE_SESSION, calendar.is_outside(series.timestamp, series.timeframe), series.close
    if not series.volume.all():
        yield from _volume_faults(series)
    steps = _as_mask(step_changes(series), len(series))
    if len(splits):
        steps[splits] = False
        yield Kind.SUSPECTED_SPLIT, _as_mask(splits, len(series)), _ratio(series)
    change = returns(series.close)
    yield Kind.STEP_CHANGE, steps, change
    printed = bad_prints(series)
    if len(printed):
        yield Kind.BAD_PRINT, _as_mask(printed, len(series)), np.roll(change, 1)
    lag = _repeated_after(series)
    yield Kind.STALE_REPEAT, lag > 0, lag


def _volume_faults(series: Candles) -> Iterator[_Fault]:
    place = np.arange(len(series))
    last_traded = np.maximum.accumulate(np.where(series.volume > 0, place, -_VOLUME_WINDOW - 1))
    is_traded = place - last_traded <= _VOLUME_WINDOW
    is_zero = series.volume == 0
    yield Kind.ZERO_VOLUME, is_zero & is_traded, 0
    yield Kind.NO_VOLUME, is_zero & ~is_traded, 0


def _ratio(series: Candles) -> NDArray[np.float64]:
    ratio = np.ones(len(series))
    ratio[1:] = series.open[1:] / series.close[:-1]
    return ratio


def _repeated_after(series: Candles) -> NDArray[np.int64]:
    """How many candles ago the same five numbers stood, up to `_REPEAT_WINDOW`; 0 where they didn't."""
    key = series.close.view(np.int64) * 0x9E3779B97F4A7C1 + series.volume.view(np.int64)
    order = np.argsort(key, kind="stable")
    pairs = np.flatnonzero(key[order[1:]] == key[order[:-1]])
    lag = np.zeros(len(series), np.int64)
    if len(pairs):
        later, earlier = order[pairs + 1], order[pairs]
        moved = (series.high[later] > series.low[later]) | (series.volume[later] > 0)
        same = np.all([getattr(series, c)[later] == getattr(series, c)[earlier] for c in COLUMNS], axis=0)
        lag[later] = np.where(moved & same & (later - earlier <= _REPEAT_WINDOW), later - earlier, 0)
    return lag


def _as_mask(rows: NDArray[np.int64], length: int) -> _Rows:
    mask = np.zeros(length, np.bool_)
    mask[rows] = True
    return mask
