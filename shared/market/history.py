"""How new candles join a symbol's history: what is fresh, what contradicts, what is found then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from shared.market.calendar import Calendar
from shared.market.candles import COLUMNS, Candles, join
from shared.market.checks import Checked, inspect
from shared.market.entry import Entry, Stamps, lasting, united
from shared.market.findings import Finding, Kind

_SAME = 1e-9
"""Relative: what an upstream's own rounding may move without having changed its history."""

_FROM_CONTEXT = frozenset(
    {
        Kind.GAP,
        Kind.OUTSIDE_SESSION,
        Kind.ZERO_VOLUME,
        Kind.STEP_CHANGE,
        Kind.SUSPECTED_SPLIT,
        Kind.BAD_PRINT,
        Kind.STALE_REPEAT,
    }
)
"""Findings about a candle among its neighbours: judged on all that is known, not on one answer."""


def fresh_part(known: Candles, new: Candles) -> Candles | None:
    """The candles of `new` that aren't in `known`; None if one that is in both differs."""
    if not len(known) or not len(new) or new.timestamp[0] > known.timestamp[-1]:
        return new
    at = np.minimum(np.searchsorted(known.timestamp, new.timestamp), len(known) - 1)
    is_known: NDArray[np.bool_] = known.timestamp[at] == new.timestamp
    at = at[is_known]
    for column in COLUMNS:
        before, now = getattr(known, column)[at], getattr(new, column)[is_known]
        if (np.abs(now - before) > _SAME * np.abs(before)).any():
            return None
    return new[~is_known]


def merged(pieces: Sequence[Candles]) -> Candles:
    """Candles of one symbol, none in two pieces, put in order of time."""
    columns = [np.concatenate([getattr(piece, c) for piece in pieces]) for c in ("timestamp", *COLUMNS)]
    order = np.argsort(columns[0], kind="stable")
    return Candles(pieces[0].symbol, pieces[0].timeframe, *(column[order] for column in columns))


def noted(entry: Entry, findings: Sequence[Finding], since: int | None) -> Entry:
    """`entry` with what an answer asked from `since` showed about its own candles."""
    own = _own(lasting(findings))
    earliest = None if entry.since is None or since is None else min(entry.since, since)
    return replace(entry, since=earliest, findings=united(entry.findings, own))


def appended(entry: Entry, fresh: Candles, known: Candles, calendar: Calendar) -> Entry:
    """`entry` with what is found about `fresh`, all of it later than `known`, the last candles before it."""
    oddities, breaks = inspect(fresh, calendar=calendar, previous=known)
    return replace(entry, findings=united(entry.findings, lasting(oddities)), breaks=entry.breaks + breaks)


def inspected(entry: Entry, whole: Candles, calendar: Calendar) -> Entry:
    """`entry` with its findings about neighbours made anew on the whole history."""
    oddities, breaks = inspect(whole, calendar=calendar)
    findings = united(_own(entry.findings), lasting(oddities))
    return replace(entry, findings=findings, breaks=breaks)


def next_generation(
    entry: Entry, known: Candles, checked: Checked, since: int | None
) -> tuple[Entry, Candles]:
    """The entry, still without parts, and the candles after the upstream changed its history.

    What is older in `known` stays if both agree on the first candle of the new history.
    """
    new = checked.candles
    overlap = fresh_part(known, new[:1])
    agree = overlap is not None and not len(overlap)
    older = known[known.timestamp < new.timestamp[0]] if agree else known[:0]
    whole = join(older, new)
    changed = {
        Kind.HISTORY_CHANGED: (*entry.findings.get(Kind.HISTORY_CHANGED, ()), int(known.timestamp[-1]))
    }
    kept = {
        kind: tuple(t for t in stamps if t < whole.timestamp[len(older)])
        for kind, stamps in entry.findings.items()
    }
    renewed = replace(
        entry,
        generation=entry.generation + 1,
        since=entry.since if len(older) else since,
        parts=(),
        findings=united(changed, _own(kept) if len(older) else {}),
    )
    return inspected(noted(renewed, checked.findings, renewed.since), whole, checked.calendar), whole


def _own(stamps: Stamps) -> Stamps:
    """Findings about candles for themselves."""
    return {kind: times for kind, times in stamps.items() if times and kind not in _FROM_CONTEXT}
