"""Candle findings by kind, session and symbol, from the tallies that ingest keeps."""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

from shared.errors import FieldError, InvalidInput
from shared.market.calendar import DAY_SECONDS, Calendar
from shared.market.candles import rfc3339
from shared.market.findings import POLICIES, Kind, Policy
from shared.market.tallies import Tallies, Tally
from shared.monitoring.quality.rates import RECENT, SESSIONS, Rate, rate_of
from shared.platform.ports import Now

MADE_BY_MARKETS: Final = frozenset({Kind.STEP_CHANGE, Kind.NO_VOLUME})
"""Shown, and never alarmed on: more large moves are news, not a fault of the data."""

USUAL_DAYS: Final = 90
MOST_DAYS: Final = 3_660
MOST_SYMBOLS: Final = 5_000
WORST: Final = 10
EXAMPLES: Final = 20
_DAYS_OF_RATE: Final = 2 * SESSIONS  # no market is closed for half of all days


class QualityVerdict(StrEnum):
    """Rising: more than the past explains. Not judged: a market's own doing, or of one symbol only."""

    OK = "ok"
    RISING = "rising"
    NOT_JUDGED = "not_judged"


@dataclass(frozen=True, slots=True)
class SessionCount:
    session: str
    count: int


@dataclass(frozen=True, slots=True)
class SymbolCount:
    """`kinds` are those found, the most frequent first."""

    symbol: str
    count: int
    kinds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Example:
    """`count` candles of a session have it."""

    symbol: str
    kind: str
    session: str
    count: int


@dataclass(frozen=True, slots=True)
class KindFindings:
    """How many candles had this finding, by session where there were any, oldest first, and at how many
    symbols. `rate` says what the verdict rests on; `worst` are the symbols with most in its recent sessions.
    """

    kind: Kind
    policy: Policy
    count: int
    symbols: int
    sessions: tuple[SessionCount, ...]
    worst: tuple[str, ...]
    rate: Rate | None
    verdict: QualityVerdict
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityReport:
    """What was found about sessions from `start` to `end` (dates, both included). The most frequent kind
    comes first, of examples the newest session. With `is_cut` more symbols have findings than were looked at.
    """

    timeframe: str
    start: str
    end: str
    verdict: QualityVerdict
    symbols: int
    is_cut: bool
    kinds: tuple[KindFindings, ...]
    worst: tuple[SymbolCount, ...]
    examples: tuple[Example, ...]


@dataclass(frozen=True, slots=True)
class _Range:
    """The dates asked for, and the sessions up to the last of them that a rate goes by."""

    start: str
    end: str
    sessions: Sequence[str]

    def has(self, session: str) -> bool:
        return self.start <= session <= self.end

    def rated(self, counts: Mapping[str, int]) -> Iterator[tuple[int, int]]:
        """The counts by their place in `sessions`; that of a day without a session goes to the next one."""
        for day, count in counts.items():
            if self.sessions[0] <= day <= self.sessions[-1]:
                yield bisect.bisect_left(self.sessions, day), count


class Quality:
    """Answers what was found about the stored candles; reads only."""

    def __init__(self, tallies: Tallies, *, timeframe: str, calendar: Calendar, now: Now) -> None:
        self._tallies = tallies
        self._timeframe = timeframe
        self._calendar = calendar
        self._now = now

    def report(
        self,
        *,
        symbol: str | None = None,
        kind: Kind | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> QualityReport:
        """The findings of the last 90 days, or from `start` to `end`; of one symbol or kind where asked.

        Raises:
            InvalidInput: it ends before it starts, or spans more than ten years.
        """
        asked = self._range(start, end)
        tallies, is_cut = self._found(symbol, min(asked.start, asked.sessions[0]))
        kinds = [one for one in Kind if kind in (None, one)]
        found = [self._of_kind(one, tallies, asked, is_judged=symbol is None and not is_cut) for one in kinds]
        found = sorted((one for one in found if one.count), key=lambda one: -one.count)
        named = [one.kind for one in found]
        is_rising = any(one.verdict is QualityVerdict.RISING for one in found)
        worst = [one for one in (_of_symbol(tally, named, asked) for tally in tallies) if one.count]
        return QualityReport(
            timeframe=self._timeframe,
            start=asked.start,
            end=asked.end,
            verdict=QualityVerdict.RISING if is_rising else QualityVerdict.OK,
            symbols=len(worst),
            is_cut=is_cut,
            kinds=tuple(found),
            worst=tuple(sorted(worst, key=lambda one: (-one.count, one.symbol))[:WORST]),
            examples=tuple(_examples(tallies, named, asked)[:EXAMPLES]),
        )

    def _range(self, start: datetime | None, end: datetime | None) -> _Range:
        last = self._now() if end is None else end
        first = last - timedelta(days=USUAL_DAYS) if start is None else start
        if first > last or last - first > timedelta(days=MOST_DAYS):
            found = f"from {first:%Y-%m-%d} to {last:%Y-%m-%d}"
            raise InvalidInput(
                f"A report spans 0 to {MOST_DAYS} days, found {found}.",
                errors=[FieldError("?start", f"0 to {MOST_DAYS} days before the end, found {found}")],
            )
        until = int(min(last, self._now() - timedelta(days=1)).timestamp())  # whose day is over
        sessions = self._calendar.sessions_between(until - _DAYS_OF_RATE * DAY_SECONDS, until)[-SESSIONS:]
        dates = [rfc3339(int(session))[:10] for session in sessions]
        return _Range(_date(first), _date(last), dates)

    def _found(self, symbol: str | None, since: str) -> tuple[Sequence[Tally], bool]:
        if symbol is None:
            return self._tallies.since(self._timeframe, since, limit=MOST_SYMBOLS)
        tally = self._tallies.of(self._timeframe, symbol)
        return ([] if tally is None else [tally]), False

    def _of_kind(
        self, kind: Kind, tallies: Sequence[Tally], asked: _Range, *, is_judged: bool
    ) -> KindFindings:
        shown: Counter[str] = Counter()
        recent: Counter[str] = Counter()
        rated = [0] * len(asked.sessions)
        symbols = 0
        for tally in tallies:
            if (counts := tally.counts.get(kind)) is None:
                continue
            inside = {session: count for session, count in counts.items() if asked.has(session)}
            shown.update(inside)
            symbols += bool(inside)
            is_whole = tally.complete_from.get(kind, "") <= asked.sessions[0]  # else its past is forgotten
            for session, count in asked.rated(counts) if is_whole else ():
                rated[session] += count
                if session >= len(asked.sessions) - RECENT:
                    recent[tally.symbol] += count
        rate = rate_of(rated) if is_judged else None
        verdict, why = _judged(kind, rate)
        return KindFindings(
            kind=kind,
            policy=POLICIES[kind],
            count=shown.total(),
            symbols=symbols,
            sessions=tuple(SessionCount(session, shown[session]) for session in sorted(shown)),
            worst=tuple(symbol for symbol, _ in recent.most_common(WORST)),
            rate=rate,
            verdict=verdict,
            why=why,
        )


def _judged(kind: Kind, rate: Rate | None) -> tuple[QualityVerdict, str]:
    if kind in MADE_BY_MARKETS:
        return QualityVerdict.NOT_JUDGED, "markets make these by themselves"
    if rate is None:
        return QualityVerdict.NOT_JUDGED, "only the findings of all symbols are judged"
    found = f"{rate.recent:,} in {RECENT} sessions, {rate.expected:.1f} usual"
    if rate.has_risen:
        return QualityVerdict.RISING, f"{found}: at or above the limit of {rate.limit:,}"
    return QualityVerdict.OK, f"{found}, the limit is {rate.limit:,}"


def _of_symbol(tally: Tally, kinds: Sequence[Kind], asked: _Range) -> SymbolCount:
    counts = {kind.value: _total(tally.counts.get(kind, {}), asked) for kind in kinds}
    ordered = sorted((name for name, count in counts.items() if count), key=lambda name: -counts[name])
    return SymbolCount(tally.symbol, sum(counts.values()), tuple(ordered))


def _total(counts: Mapping[str, int], asked: _Range) -> int:
    return sum(count for session, count in counts.items() if asked.has(session))


def _examples(tallies: Sequence[Tally], kinds: Sequence[Kind], asked: _Range) -> list[Example]:
    found = [
        Example(tally.symbol, kind.value, session, count)
        for tally in tallies
        for kind in kinds
        for session, count in tally.counts.get(kind, {}).items()
        if asked.has(session)
    ]
    newest_first = sorted(found, key=lambda one: (one.symbol, one.kind))
    return sorted(newest_first, key=lambda one: one.session, reverse=True)


def _date(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d")
