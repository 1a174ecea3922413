"""The administrators' audit: who changed what, when, from where; what it was before, and what after.

An entry is written before the change is made and completed after it: what was begun and killed in the middle
stands there without an outcome.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

from shared.platform.ports import (
    MAX_BATCH_WRITES,
    Create,
    Data,
    Delete,
    Document,
    Documents,
    Filter,
    NewId,
    Now,
    Order,
    Replace,
)
from shared.platform.times import utc

COLLECTION: Final = "admin-audit"
CLEARED: Final = "DELETE /admin/audit/clear"
_PAGE: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """What somebody asked for. `path` has the ids; `via` says by which key or session."""

    who: str
    role: str
    user_id: str | None
    ip: str
    function: str
    route: str
    path: str
    request_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry(Action):
    """An action with its outcome. `status` is that of the answer, None where it was never told.

    `before` and `after` are what was changed, as far as the action says so; `reason` is the caller's.
    """

    id: str
    at: str
    status: int | None
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    reason: str | None

    def json(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True, slots=True)
class Begun:
    """An entry that waits for its outcome."""

    id: str
    revision: str
    data: Data


@dataclass(frozen=True, slots=True)
class EntryPage:
    entries: Sequence[Entry]
    cursor: str | None


class AdminAudit:
    """Entries are added, completed once, and removed by `clear` alone, which leaves one of its own."""

    def __init__(self, documents: Documents, now: Now, new_id: NewId) -> None:
        self._documents = documents
        self._now = now
        self._new_id = new_id

    def begin(self, action: Action) -> Begun:
        """Write down what is about to be done; durable on return."""
        entry_id = self._new_id()
        data = {
            **{field.name: getattr(action, field.name) for field in fields(action)},
            "at": utc(self._now()),
            "status": None,
            "before": None,
            "after": None,
            "reason": None,
        }
        return Begun(entry_id, self._documents.commit([Create(COLLECTION, entry_id, data)])[0], data)

    def complete(
        self,
        begun: Begun,
        status: int,
        *,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
        reason: str | None = None,
    ) -> None:
        """Write down how it ended. JSON values; never a secret."""
        data = {**begun.data, "status": status, "before": before, "after": after, "reason": reason}
        self._documents.commit([Replace(COLLECTION, begun.id, data, begun.revision)])

    def list(
        self,
        *,
        who: str | None = None,
        route: str | None = None,
        start: str | None = None,
        end: str | None = None,
        limit: int,
        cursor: str | None,
    ) -> EntryPage:
        """The newest first; by one caller or of one route, from `start` until before `end` where asked."""
        where = [Filter(field, "==", value) for field, value in (("who", who), ("route", route)) if value]
        where += [Filter("at", ">=", start)] if start else []
        where += [Filter("at", "<", end)] if end else []
        page = self._documents.query(
            COLLECTION, where=where, order_by=[Order("at", descending=True)], limit=limit, cursor=cursor
        )
        return EntryPage([_entry(document) for document in page.documents], page.cursor)

    def all(self) -> Iterator[Entry]:
        """Every entry, the newest first, page by page."""
        cursor = None
        while True:
            page = self.list(limit=_PAGE, cursor=cursor)
            yield from page.entries
            if page.cursor is None:
                return
            cursor = page.cursor

    def clear(self, *, spare: str) -> int:
        """Remove every entry but `spare`, the id of this very action; gives how many those were.

        The promotion log is another collection, and nothing here can reach it.
        """
        removed = 0
        while True:
            page = self._documents.query(COLLECTION, order_by=[Order("at")], limit=MAX_BATCH_WRITES)
            doomed = [document.id for document in page.documents if document.id != spare]
            if not doomed:
                return removed
            self._documents.commit([Delete(COLLECTION, one) for one in doomed])
            removed += len(doomed)


def _entry(document: Document) -> Entry:
    return Entry(id=document.id, **document.data)
