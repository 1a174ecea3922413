"""The age of each symbol's newest candle, in sessions that it has missed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from shared.errors import NotFound
from shared.market.calendar import Calendar
from shared.market.candles import closing_delay_seconds, rfc3339, seconds_since_1970, timeframe_seconds
from shared.market.store import ENTRIES
from shared.monitoring.freshness.subjects import Subject, SubjectKind, Verdict
from shared.platform.ports import Documents, Filter, Now, Order

GONE_SESSIONS: Final = 60
"""Who has missed more, while others are up to date, is taken for delisted: shown, and not alarmed on."""

MOST_COUNTED: Final = 5_000
WORST: Final = 10
_PAGE: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class CandleLimits:
    """How many sessions (24/7: candles) may be missed, and how long after its end one isn't missed yet."""

    missed: int
    grace_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CandleFreshness:
    """All symbols at once. `newest` is the stamp of the newest candle, None where none is stored.

    `stale` counts the symbols beyond what is borne, those that are gone left out, up to `MOST_COUNTED`: then
    `is_cut`. `worst` are the first ten. `is_any_late`: a symbol is overdue, stale or not.
    """

    newest: str | None
    stale: int
    is_cut: bool
    worst: tuple[Subject, ...]
    is_any_late: bool


@dataclass(frozen=True, slots=True)
class _Moment:
    """A look at all symbols: at what time, up to when sessions count, and the newest candle of all."""

    seconds: float
    settled: float
    newest: str | None


class CandleAges:
    """Reads the index of the candle store; one query for each page, and one for the newest candle of all."""

    def __init__(
        self, documents: Documents, *, timeframe: str, calendar: Calendar, limits: CandleLimits, now: Now
    ) -> None:
        self.timeframe = timeframe
        self.calendar = calendar
        self._step = timeframe_seconds(timeframe)
        self._documents = documents
        self._limits = limits
        self._now = now

    def page(self, *, is_all: bool, limit: int, cursor: str | None) -> tuple[Sequence[Subject], str | None]:
        """The symbols that have missed a session, or with `is_all` all, those that are gone included; the
        longest overdue first.

        Raises:
            InvalidInput: not a cursor of this listing.
        """
        moment = self._moment()
        between = (None, None) if is_all else (self._since(moment), self._due(moment, 0))
        found, following = self._ascending(between, limit, cursor)
        return [self._subject(symbol, last, moment) for symbol, last in found], following

    def verdict(self) -> Verdict:
        """That of the symbol that is longest overdue, unless it is gone."""
        moment = self._moment()
        if moment.newest is None:
            return Verdict.MISSING
        found, _ = self._ascending((self._since(moment), self._due(moment, 0)), 1, None)
        return self._subject(*found[0], moment).verdict if found else Verdict.FRESH

    def of(self, symbol: str) -> Subject:
        """
        Raises:
            NotFound: no candles of the symbol are stored.
        """
        document = self._documents.get(ENTRIES, f"{self.timeframe}:{symbol}")
        if document is None or document.data["last"] is None:
            raise NotFound(f"No {self.timeframe} candles of {symbol} are stored; ingest them first.")
        return self._subject(symbol, document.data["last"], self._moment())

    def summary(self) -> CandleFreshness:
        """How many symbols are stale, and the worst of them."""
        moment = self._moment()
        since, stale_before = self._since(moment), self._due(moment, self._limits.missed)
        stale: list[tuple[str, str]] = []
        cursor: str | None = None
        while True:
            found, cursor = self._ascending((since, stale_before), _PAGE, cursor)
            stale += found
            if cursor is None or len(stale) >= MOST_COUNTED:
                break
        late = stale or self._ascending((since, self._due(moment, 0)), 1, None)[0]
        return CandleFreshness(
            newest=moment.newest,
            stale=len(stale),
            is_cut=cursor is not None,
            worst=tuple(self._subject(symbol, last, moment) for symbol, last in stale[:WORST]),
            is_any_late=bool(late),
        )

    def _moment(self) -> _Moment:
        page = self._documents.query(
            ENTRIES,
            where=[Filter("timeframe", "==", self.timeframe)],
            order_by=[Order("last", descending=True)],
            limit=1,
        )
        newest = page.documents[0].data["last"] if page.documents else None
        seconds = self._now().timestamp()
        # In whole candles, on whose grid the stamps stand: so that a query stays the same from page to page.
        settled = (seconds - self._limits.grace_seconds) // self._step * self._step
        return _Moment(seconds, settled, newest)

    def _ascending(
        self, between: tuple[str | None, str | None], limit: int, cursor: str | None
    ) -> tuple[Sequence[tuple[str, str]], str | None]:
        """Symbols with the stamp of their newest candle: from the first of `between` to before the second."""
        since, until = between
        where = [Filter("timeframe", "==", self.timeframe)]
        if since is not None:
            where.append(Filter("last", ">=", since))
        if until is not None:
            where.append(Filter("last", "<", until))
        page = self._documents.query(
            ENTRIES, where=where, order_by=[Order("last")], limit=limit, cursor=cursor
        )
        found = ((one.data["symbol"], one.data["last"]) for one in page.documents)
        return [(symbol, last) for symbol, last in found if last is not None], page.cursor

    def _since(self, moment: _Moment) -> str | None:
        """The stamp from which on symbols aren't gone; None where none is, as nobody is up to date."""
        return None if self._is_stale(moment.newest, moment) else self._due(moment, GONE_SESSIONS)

    def _due(self, moment: _Moment, missed: int) -> str:
        """The least stamp with which at most `missed` have been missed."""
        return rfc3339(self.calendar.due(self.timeframe, moment.settled, missed=missed))

    def _is_stale(self, last: str | None, moment: _Moment) -> bool:
        return last is not None and last < self._due(moment, self._limits.missed)

    def _subject(self, symbol: str, last_text: str, moment: _Moment) -> Subject:
        last = seconds_since_1970(last_text)
        missed = self.calendar.missed_after(last, self.timeframe, moment.settled)
        closed_at = last + closing_delay_seconds(self.timeframe)
        expected_at = self.calendar.next_over_at(last, self.timeframe) + self._limits.grace_seconds
        verdict, why = self._judged(missed, moment)
        return Subject(
            subject=symbol,
            kind=SubjectKind.CANDLES,
            at=rfc3339(closed_at),
            age_seconds=moment.seconds - closed_at,
            expected_at=rfc3339(int(expected_at)),
            missed_sessions=missed,
            verdict=verdict,
            why=why,
        )

    def _judged(self, missed: int, moment: _Moment) -> tuple[Verdict, str]:
        most = self._limits.missed
        one = "candle" if self.calendar.sessions is None else "session"
        found = f"{missed:,} {one}{'s' if missed != 1 else ''} missed"
        if not missed:
            return Verdict.FRESH, "the newest candle that should be there is"
        if missed <= most:
            return Verdict.LATE, f"{found}, up to {most} are borne"
        if missed > GONE_SESSIONS and not self._is_stale(moment.newest, moment):
            return Verdict.GONE, f"{found} while others are up to date: delisted, or renamed"
        return Verdict.STALE, f"{found}, up to {most} are borne"
