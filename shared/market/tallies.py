"""Findings counted by session: one small document per symbol, written together with its index entry.

It says nothing that the entry doesn't: it is the entry's findings, counted by day, where many symbols can be
asked for by the day of their newest finding. So whatever is ingested, however often, gives the same counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.market.candles import rfc3339
from shared.market.entry import MOST_STAMPS, Entry
from shared.market.findings import Kind
from shared.platform.ports import Data, Documents, Filter, Order

COLLECTION = "candle-findings"

_PAGE = 1_000


@dataclass(frozen=True, slots=True)
class Tally:
    """How many candles of a symbol each kind of finding is at, by session ("2017-09-14").

    `last` is the newest session with any; None where there is none. Of a kind in `complete_from` the findings
    before that session are forgotten, and some of it may be.
    """

    symbol: str
    timeframe: str
    last: str | None
    counts: Mapping[Kind, Mapping[str, int]]
    complete_from: Mapping[Kind, str]

    @staticmethod
    def of(entry: Entry) -> Tally:
        by_day = {kind: [rfc3339(stamp)[:10] for stamp in stamps] for kind, stamps in entry.findings.items()}
        counts = {kind: dict(Counter(days)) for kind, days in by_day.items() if days}
        complete_from = {kind: days[0] for kind, days in by_day.items() if len(days) >= MOST_STAMPS}
        last = max((day for days in by_day.values() for day in days), default=None)
        return Tally(entry.symbol, entry.timeframe, last, counts, complete_from)

    def to_data(self) -> dict[str, Any]:
        kinds = {
            kind.value: {
                "sessions": list(days),
                "counts": list(days.values()),
                "complete_from": self.complete_from.get(kind),
            }
            for kind, days in self.counts.items()
        }
        return {"symbol": self.symbol, "timeframe": self.timeframe, "last": self.last, "kinds": kinds}

    @staticmethod
    def from_data(data: Data) -> Tally:
        kinds = {Kind(name): found for name, found in data["kinds"].items()}
        return Tally(
            data["symbol"],
            data["timeframe"],
            data["last"],
            {k: dict(zip(found["sessions"], found["counts"], strict=True)) for k, found in kinds.items()},
            {k: found["complete_from"] for k, found in kinds.items() if found["complete_from"]},
        )


class Tallies:
    """The tallies of all symbols, as the candle store wrote them."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    def since(self, timeframe: str, session: str, *, limit: int) -> tuple[Sequence[Tally], bool]:
        """Of the symbols with findings at `session` or later, those with the newest first, at most `limit`;
        and whether there are more.
        """
        found: list[Tally] = []
        for tally in self._newest(timeframe, session):
            if len(found) == limit:
                return found, True
            found.append(tally)
        return found, False

    def of(self, timeframe: str, symbol: str) -> Tally | None:
        """Those of one symbol; None where nothing was ever found."""
        document = self._documents.get(COLLECTION, f"{timeframe}:{symbol}")
        return None if document is None else Tally.from_data(document.data)

    def _newest(self, timeframe: str, session: str) -> Iterator[Tally]:
        cursor: str | None = None
        while True:
            page = self._documents.query(
                COLLECTION,
                where=[Filter("timeframe", "==", timeframe), Filter("last", ">=", session)],
                order_by=[Order("last", descending=True)],
                limit=_PAGE,
                cursor=cursor,
            )
            yield from (Tally.from_data(document.data) for document in page.documents)
            if (cursor := page.cursor) is None:
                return
