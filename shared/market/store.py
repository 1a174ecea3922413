"""The candle store: Parquet parts in Blobs, one index entry and one tail per symbol in Documents.

The entry (collection `candles`) lists the parts; the tail (`candle_tails`) holds the last candles themselves,
so that serving reads one document and no Parquet; the tally (`candle-findings`) counts what was found, for
those who watch many symbols. All change together, by compare-and-swap on the entry: of two ingests at once
one wins and the other looks again at what there is. Part names carry their content's hash and are written
before the entry that names them; a part that a lost race or a crash leaves behind is unused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from shared.errors import AlreadyExists, CorruptBlob, NotFound, RevisionConflict, UpstreamInvalid
from shared.market import history
from shared.market.candles import Candles, rfc3339
from shared.market.checks import Checked
from shared.market.entry import Entry, Part, from_texts, to_texts
from shared.market.packing import pack, unpack
from shared.market.parts import Parts
from shared.market.tallies import COLLECTION as TALLIES
from shared.market.tallies import Tally
from shared.platform.ports import Blobs, Create, Documents, Filter, Put, Replace, Write

ENTRIES = "candles"
TAILS = "candle_tails"
TAIL_ROWS = 512

_ATTEMPTS = 50
_PARTS_BEFORE_COMPACTION = 16
_LARGE_PART_ROWS = 50_000


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """Candles as stored, the breaks among them, and whether there are no older ones."""

    candles: Candles
    breaks: tuple[int, ...]
    is_whole: bool


@dataclass(frozen=True, slots=True)
class Ingested:
    """What an ingest did. `first` and `last` are of all that is stored now, None when that is nothing.

    With `history_changed`, an `ingest` wrote nothing: the upstream contradicts what is stored and
    must be asked for everything (`CandleStore.replace`). From `replace` it says that it replaced.
    """

    added: int
    rows: int
    first: int | None
    last: int | None
    breaks: tuple[int, ...]
    history_changed: bool = False


class CandleStore:
    """Candles by (timeframe, symbol). Safe from many threads and processes; every call blocks."""

    def __init__(self, documents: Documents, blobs: Blobs) -> None:
        self._documents = documents
        self._parts = Parts(blobs)

    def ingest(self, symbol: str, timeframe: str, checked: Checked, *, since: int | None = None) -> Ingested:
        """Adds the candles that aren't stored yet; what is stored already changes nothing.

        `since` is the start the upstream was asked for; None means from the beginning.

        Raises:
            RevisionConflict: others kept changing the same symbol.
        """
        return self._swap(symbol, timeframe, lambda state: self._adding(state, checked, since))

    def replace(self, symbol: str, timeframe: str, checked: Checked, *, since: int | None = None) -> Ingested:
        """Puts the upstream's changed history in place of the stored one, as a new generation.

        What is older than the new history stays if both agree where the new one begins.

        Raises:
            UpstreamInvalid: the new history ends before the stored one: that is no correction.
            RevisionConflict: others kept changing the same symbol.
        """
        return self._swap(symbol, timeframe, lambda state: self._replacing(state, checked, since))

    def entry(self, symbol: str, timeframe: str) -> Entry | None:
        """What is known about the stored candles, or None where nothing was ever ingested."""
        state = self._state(symbol, timeframe)
        return None if state.revision is None else state.entry

    def tail(self, symbol: str, timeframe: str) -> Stored | None:
        """The last candles, at most 512, by one document read; None if none are stored."""
        document = self._documents.get(TAILS, _id(symbol, timeframe))
        if document is None or not document.data["rows"]:
            return None
        candles = unpack(document.data["columns"], symbol=symbol, timeframe=timeframe)
        breaks = from_texts(document.data["breaks"])
        return Stored(candles, breaks, is_whole=document.data["rows"] == len(candles))

    def read(self, symbol: str, timeframe: str) -> Stored:
        """All stored candles.

        Raises:
            NotFound: none are stored.
            CorruptBlob: a part is missing, or isn't what was written.
        """
        for _ in range(_ATTEMPTS):
            state = self._state(symbol, timeframe)
            if not state.entry.parts:
                raise NotFound(f"No {timeframe} candles of {symbol} are stored; ingest them first.")
            try:
                candles = self._load(state, state.entry.parts)
                return Stored(candles, state.entry.breaks, is_whole=True)
            except RevisionConflict:
                continue
        raise _contested(symbol)

    def symbols(self, timeframe: str) -> tuple[str, ...]:
        """All symbols with stored candles, in order."""
        return tuple(entry.symbol for entry in self.entries(timeframe))

    def entries(self, timeframe: str) -> Iterator[Entry]:
        """The entries of all symbols with stored candles, in order of the symbol."""
        cursor: str | None = None
        while True:
            page = self._documents.query(
                ENTRIES, where=[Filter("timeframe", "==", timeframe)], limit=500, cursor=cursor
            )
            entries = (Entry.from_data(document.data) for document in page.documents)
            yield from (entry for entry in entries if entry.parts)
            if (cursor := page.cursor) is None:
                return

    def _swap(self, symbol: str, timeframe: str, change: Callable[[_State], _Change]) -> Ingested:
        for _ in range(_ATTEMPTS):
            state = self._state(symbol, timeframe)
            try:
                planned = change(state)
                if planned.entry != state.entry:
                    self._documents.commit(_writes(state, planned))
            except (RevisionConflict, AlreadyExists):
                continue
            self._parts.delete_unused(state.entry, planned.entry)
            return planned.result
        raise _contested(symbol)

    def _adding(self, state: _State, checked: Checked, since: int | None) -> _Change:
        known = self._known(state, checked.candles)
        fresh = history.fresh_part(known, checked.candles)
        if fresh is None:
            return _Change(state.entry, None, added=0, history_changed=True)
        known_since = state.entry.since if state.revision is not None else since
        entry = history.noted(replace(state.entry, since=known_since), checked.findings, since)
        if not len(fresh):
            return _Change(entry, None, added=0)
        if not len(known) or fresh.timestamp[0] > known.timestamp[-1]:
            entry = history.appended(entry, fresh, known, checked.calendar)
            last = history.merged([known, fresh])[-TAIL_ROWS:]
        else:
            whole = history.merged([self._load(state, state.entry.parts), fresh])
            entry = history.inspected(entry, whole, checked.calendar)
            last = whole[-TAIL_ROWS:]
        entry = replace(entry, parts=self._parts_with(state, fresh))
        return _Change(entry, last, added=len(fresh))

    def _replacing(self, state: _State, checked: Checked, since: int | None) -> _Change:
        known, new = self._load(state, state.entry.parts), checked.candles
        if history.fresh_part(known, new) is not None:
            return self._adding(state, checked, since)
        if new.timestamp[-1] < known.timestamp[-1]:
            ends = [rfc3339(int(candles.timestamp[-1])) for candles in (new, known)]
            raise UpstreamInvalid(
                f"The upstream changed the history of {state.entry.symbol}, its new one ends at {ends[0]} "
                f"and the stored one at {ends[1]}: the stored one stays. Retrying may help later."
            )
        entry, whole = history.next_generation(state.entry, known, checked, since)
        entry = replace(entry, parts=(self._parts.put(entry, whole),))
        return _Change(entry, whole[-TAIL_ROWS:], added=len(whole), history_changed=True)

    def _known(self, state: _State, new: Candles) -> Candles:
        """The tail, or all candles if `new` begins before it."""
        tail = self.tail(state.entry.symbol, state.entry.timeframe)
        if tail is not None and (
            tail.is_whole or not len(new) or new.timestamp[0] >= tail.candles.timestamp[0]
        ):
            return tail.candles
        return self._load(state, state.entry.parts)

    def _parts_with(self, state: _State, fresh: Candles) -> tuple[Part, ...]:
        """The entry's parts and one for `fresh`, into which the small ones go when they have become many."""
        parts = state.entry.parts
        small = tuple(part for part in parts if part.rows < _LARGE_PART_ROWS)
        if len(small) < _PARTS_BEFORE_COMPACTION:
            return (*parts, self._parts.put(state.entry, fresh))
        compacted = history.merged([self._load(state, small), fresh])
        return (*(part for part in parts if part not in small), self._parts.put(state.entry, compacted))

    def _load(self, state: _State, parts: Sequence[Part]) -> Candles:
        """The candles of `parts`.

        Raises:
            RevisionConflict: a part is gone because the entry has changed since.
            CorruptBlob: a part is gone although the entry still names it, or isn't what was written.
        """
        try:
            return self._parts.load(state.entry, parts)
        except NotFound as error:
            symbol = state.entry.symbol
            if self._state(symbol, state.entry.timeframe).revision != state.revision:
                raise RevisionConflict("The parts were replaced meanwhile; read the entry again.") from error
            raise CorruptBlob(f"A part of the stored candles of {symbol} is missing.") from error

    def _state(self, symbol: str, timeframe: str) -> _State:
        document = self._documents.get(ENTRIES, _id(symbol, timeframe))
        if document is None:
            return _State(Entry(symbol, timeframe, 1, None, (), {}, ()), None)
        return _State(Entry.from_data(document.data), document.revision)


@dataclass(frozen=True, slots=True)
class _State:
    """An entry as read; an empty one with revision None where there is none."""

    entry: Entry
    revision: str | None


@dataclass(frozen=True, slots=True, eq=False)
class _Change:
    """The entry to write, and with it the tail, unless that stays as it is."""

    entry: Entry
    last: Candles | None
    added: int
    history_changed: bool = False

    @property
    def result(self) -> Ingested:
        entry = self.entry
        return Ingested(self.added, entry.rows, entry.first, entry.last, entry.breaks, self.history_changed)


def _id(symbol: str, timeframe: str) -> str:
    return f"{timeframe}:{symbol}"


def _writes(state: _State, change: _Change) -> list[Write]:
    key, data = _id(change.entry.symbol, change.entry.timeframe), change.entry.to_data()
    revision = state.revision
    first: Write = Replace(ENTRIES, key, data, revision) if revision else Create(ENTRIES, key, data)
    writes = [first]
    if change.last is not None:
        writes.append(Put(TAILS, key, _tail_data(change.entry, change.last)))
    if change.entry.findings or state.entry.findings:
        writes.append(Put(TALLIES, key, Tally.of(change.entry).to_data()))
    return writes


def _tail_data(entry: Entry, last: Candles) -> dict[str, Any]:
    begin = int(last.timestamp[0])
    return {
        "symbol": entry.symbol,
        "timeframe": entry.timeframe,
        "rows": entry.rows,
        "breaks": to_texts(stamp for stamp in entry.breaks if stamp >= begin),
        "columns": pack(last),
    }


def _contested(symbol: str) -> RevisionConflict:
    return RevisionConflict(f"Others keep changing the stored candles of {symbol}; retry later.")
