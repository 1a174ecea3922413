"""The history of what was watched: one point per check, for plots, in one collection for all kinds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from shared.platform.names import key
from shared.platform.ports import Documents, Filter, Order, Put
from shared.platform.times import utc

COLLECTION: Final = "monitoring-history"


class HistoryKind(StrEnum):
    """What was watched."""

    DRIFT = "drift"
    PERFORMANCE = "performance"
    FRESHNESS = "freshness"
    LATENCY = "latency"
    QUALITY = "quality"


@dataclass(frozen=True, slots=True)
class Point:
    """What was found about `subject` (a model, a function, a symbol) at a time, RFC 3339 text in UTC.

    `values` are JSON values under the names that the kind uses: numbers for plots, words for their legend.
    """

    kind: HistoryKind
    subject: str
    at: str
    values: Mapping[str, Any]

    def json(self) -> dict[str, Any]:
        return {**asdict(self), "kind": str(self.kind), "values": dict(self.values)}


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Newest first. `cursor` asks for what follows; None at the end."""

    points: Sequence[Point]
    cursor: str | None


class History:
    """Points by kind, subject and time. A point that comes again replaces itself."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    def add(self, kind: HistoryKind, subject: str, at: datetime, values: Mapping[str, Any], id: str) -> None:
        """Keep a point; durable on return. The same `kind`, `subject` and `id` are the same point.

        `id` is that of the check, the event or the window that it comes from.

        Raises:
            InvalidInput: values that aren't JSON, or too large for a document.
        """
        self._documents.commit([History.write(kind, subject, at, values, id)])

    @staticmethod
    def write(kind: HistoryKind, subject: str, at: datetime, values: Mapping[str, Any], id: str) -> Put:
        """The write that keeps the point: for a batch with the record that it comes from."""
        point = Point(kind, subject, utc(at), values)
        return Put(COLLECTION, key(str(kind), subject, id), point.json())

    def page(
        self,
        *,
        kind: HistoryKind | None,
        subject: str | None,
        start: datetime | None,
        end: datetime | None,
        limit: int,
        cursor: str | None,
    ) -> HistoryPage:
        """Points from `start` to `end`, both included, newest first; None is no restriction.

        Raises:
            InvalidInput: not a cursor of this listing.
        """
        equal = {"kind": kind and str(kind), "subject": subject}
        where = [Filter(field, "==", value) for field, value in equal.items() if value is not None]
        if start is not None:
            where.append(Filter("at", ">=", _bound(start)))
        if end is not None:
            where.append(Filter("at", "<=", _bound(end)))
        page = self._documents.query(
            COLLECTION, where=where, order_by=[Order("at", descending=True)], limit=limit, cursor=cursor
        )
        return HistoryPage(tuple(_point(document.data) for document in page.documents), page.cursor)


def _point(data: Mapping[str, Any]) -> Point:
    return Point(HistoryKind(data["kind"]), data["subject"], data["at"], data["values"])


def _bound(moment: datetime) -> str:
    """A bound in UTC; at the ends of the calendar, where UTC has no such hour, the end itself."""
    try:
        return utc(moment)
    except OverflowError:
        return utc(moment.replace(tzinfo=UTC))
