"""The history of versions: what was done to which, when, by whom and why. Kept for ever.

Each entry is written in one batch with the change that it tells of, so that there is none without the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from shared.platform.ports import Create, Data, Documents, Filter, Order
from shared.platform.times import utc

COLLECTION = "model-history"


class Deed(StrEnum):
    """Archived: another version went live in its place."""

    REGISTERED = "registered"
    ACTIVATED = "activated"
    ROLLED_BACK = "rolled_back"
    RELOADED = "reloaded"
    ARCHIVED = "archived"
    EDITED = "edited"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One thing that was done to a version. Rolled back: the version went live again."""

    id: str
    name: str
    version_id: str
    deed: Deed
    at: datetime
    by: str
    reason: str = ""

    def write(self) -> Create:
        data = {**{name: getattr(self, name) for name in self.__slots__}, "at": utc(self.at)}
        return Create(COLLECTION, self.id, data)

    @staticmethod
    def from_data(data: Data) -> HistoryEntry:
        return HistoryEntry(**{**data, "deed": Deed(data["deed"]), "at": datetime.fromisoformat(data["at"])})


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Part of a history, newest first; `cursor` asks for what follows, None at the end."""

    entries: Sequence[HistoryEntry]
    cursor: str | None


def of_version(documents: Documents, version_id: str, *, limit: int, cursor: str | None) -> HistoryPage:
    """What was done to one version, newest first."""
    page = documents.query(
        COLLECTION,
        where=[Filter("version_id", "==", version_id)],
        order_by=[Order("at", descending=True)],
        limit=limit,
        cursor=cursor,
    )
    return HistoryPage([HistoryEntry.from_data(document.data) for document in page.documents], page.cursor)


def of_model(documents: Documents, name: str, *, limit: int, cursor: str | None) -> HistoryPage:
    """What was done to all versions of a model, newest first."""
    page = documents.query(
        COLLECTION,
        where=[Filter("name", "==", name)],
        order_by=[Order("at", descending=True)],
        limit=limit,
        cursor=cursor,
    )
    return HistoryPage([HistoryEntry.from_data(document.data) for document in page.documents], page.cursor)
