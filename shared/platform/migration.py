"""Rewrites stored documents of older schemas, so that queries see the present shape."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from shared.errors import RevisionConflict
from shared.platform.collections import COLLECTIONS, is_outdated, stamped, upgrade
from shared.platform.ports import MAX_BATCH_WRITES, Document, Documents, Replace
from shared.platform.versioned import VersionedDocuments


@dataclass(frozen=True, slots=True)
class Migrated:
    """What was done in one collection. `contested` documents were written by others meanwhile, and so
    have the present schema already."""

    collection: str
    schema: int
    seen: int
    rewritten: int
    contested: int


def migrate(documents: VersionedDocuments, report: Callable[[Migrated], None]) -> None:
    """Rewrite what is outdated; tells of each collection.

    Idempotent, and safe while the engine runs: each document is replaced at the revision it was read at.
    """
    stored = documents.stored
    for name, collection in COLLECTIONS.items():
        seen = rewritten = contested = 0
        for document in every(stored, name):
            seen += 1
            if not is_outdated(name, document.data):
                continue
            data = stamped(name, upgrade(name, document.data))
            try:
                stored.commit([Replace(name, document.id, data, document.revision)])
                rewritten += 1
            except RevisionConflict:
                contested += 1
        report(Migrated(name, collection.schema, seen, rewritten, contested))


def every(documents: Documents, collection: str) -> Iterator[Document]:
    """All documents of a collection, by id."""
    cursor: str | None = None
    while True:
        page = documents.query(collection, limit=MAX_BATCH_WRITES, cursor=cursor)
        yield from page.documents
        if (cursor := page.cursor) is None:
            return
