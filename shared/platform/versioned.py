"""Documents that know their schema: stamped when written, brought up to date when read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from shared.platform.collections import stamped, upgrade
from shared.platform.ports import Delete, Document, Documents, Filter, Order, Page, Write


class VersionedDocuments:
    """The Documents port over another one. Its callers never see a schema's number nor an old shape.

    Filters and orders see documents as they are stored: after a migration of a field that is queried,
    run `mlengine migrate`.
    """

    def __init__(self, stored: Documents) -> None:
        self.stored = stored

    def get(self, collection: str, id: str) -> Document | None:
        found = self.stored.get(collection, id)
        return None if found is None else _upgraded(collection, found)

    def query(
        self,
        collection: str,
        *,
        where: Sequence[Filter] = (),
        order_by: Sequence[Order] = (),
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page:
        page = self.stored.query(collection, where=where, order_by=order_by, limit=limit, cursor=cursor)
        return Page([_upgraded(collection, document) for document in page.documents], page.cursor)

    def commit(self, writes: Sequence[Write]) -> Sequence[str]:
        return self.stored.commit([_stamped(write) for write in writes])


def _upgraded(collection: str, document: Document) -> Document:
    return Document(document.id, upgrade(collection, document.data), document.revision)


def _stamped(write: Write) -> Write:
    if isinstance(write, Delete):
        return write
    return replace(write, data=stamped(write.collection, write.data))
