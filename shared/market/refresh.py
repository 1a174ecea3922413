"""Asking the upstream only for what is new, and noticing when it has changed what was known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from shared.errors import UpstreamInvalid
from shared.market.calendar import Calendar
from shared.market.candles import Candles, RawCandles, rfc3339
from shared.market.checks import Checked, check
from shared.market.findings import Kind, Policy
from shared.market.history import fresh_part
from shared.market.upstream import Upstream


@dataclass(frozen=True, slots=True, eq=False)
class Refreshed:
    """Checked candles: all from the start asked for (`is_whole`), or those from the last known one on."""

    checked: Checked
    is_whole: bool


async def refresh(
    upstream: Upstream,
    symbol: str,
    known: Candles | None,
    *,
    timeframe: str,
    calendar: Calendar,
    now_seconds: float,
    start: int | None = None,
    end: int | None = None,
    ends_after: int | None = None,
    headers: Mapping[str, str] | None = None,
) -> Refreshed:
    """Asks from the last of `known` on, it included; and for all from `start`, where nothing is known or the
    answer contradicts it: splits and dividends make upstreams rewrite their past.

    Raises:
        UnknownSymbol, UpstreamRejected, UpstreamInvalid, UpstreamUnavailable: as the upstream's; a whole
            history without one sound candle, or one that ends before `ends_after`, is invalid too.
    """
    if known is not None and len(known):
        last = int(known.timestamp[-1])
        raw = await upstream.candles(symbol, timeframe=timeframe, start=last, end=end, headers=headers)
        checked = _check(raw, calendar, now_seconds, previous=known)
        if _continues(known, checked.candles):
            return Refreshed(checked, is_whole=False)
    raw = await upstream.candles(symbol, timeframe=timeframe, start=start, end=end, headers=headers)
    checked = _check(raw, calendar, now_seconds)
    _expect_sound(raw, checked)
    _expect_until(ends_after, checked.candles)
    return Refreshed(checked, is_whole=True)


def _check(
    raw: RawCandles, calendar: Calendar, now_seconds: float, previous: Candles | None = None
) -> Checked:
    return check(raw, timeframe=raw.timeframe, now_seconds=now_seconds, calendar=calendar, previous=previous)


def _continues(known: Candles, new: Candles) -> bool:
    """Whether the last of `known` is in `new`, unchanged."""
    fresh = fresh_part(known, new)
    return fresh is not None and bool(np.isin(known.timestamp[-1], new.timestamp))


def _expect_sound(raw: RawCandles, checked: Checked) -> None:
    faults = [
        f"{fault.kind} ({fault.count})"
        for fault in checked.findings
        if fault.policy is Policy.REJECT and fault.kind is not Kind.UNCLOSED_CANDLE
    ]
    if faults and not len(checked.candles):
        raise UpstreamInvalid(
            f"None of the upstream's {len(raw)} candles of {raw.symbol} is sound: {', '.join(faults)}. "
            "Retrying won't help."
        )


def _expect_until(ends_after: int | None, candles: Candles) -> None:
    last = int(candles.timestamp[-1]) if len(candles) else None
    if ends_after is not None and (last is None or last < ends_after):
        found = "no sound candle" if last is None else f"candles until {rfc3339(last)}"
        raise UpstreamInvalid(
            f"The upstream answered {found} for {candles.symbol}, of which candles until "
            f"{rfc3339(ends_after)} are stored. Retrying may help later."
        )
