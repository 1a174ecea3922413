"""Documents in one SQLite table of JSON text."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from shared.errors import AlreadyExists, CorruptBlob, RevisionConflict
from shared.platform.checks import check_query, check_writes, is_key
from shared.platform.local.queries import Plan, plan
from shared.platform.local.sqlite import Database
from shared.platform.ports import (
    Create,
    Data,
    Delete,
    Document,
    Filter,
    Order,
    Page,
    Put,
    Replace,
    Write,
)

_SCHEMA = """
CREATE TABLE documents (
    collection TEXT NOT NULL, id TEXT NOT NULL, revision INTEGER NOT NULL, data TEXT NOT NULL,
    UNIQUE (collection, id)
);
CREATE TABLE clock (revision INTEGER NOT NULL);
INSERT INTO clock VALUES (0);
"""
_GET = "SELECT data, revision FROM documents WHERE collection = ? AND id = ?"
_CREATE = "INSERT INTO documents VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
_PUT = (
    "INSERT INTO documents VALUES (?, ?, ?, ?) "
    "ON CONFLICT DO UPDATE SET revision = excluded.revision, data = excluded.data"
)
_REPLACE = "UPDATE documents SET revision = ?, data = ? WHERE collection = ? AND id = ? AND revision = ?"
_DELETE = "DELETE FROM documents WHERE collection = ? AND id = ?"
_DELETE_AT = _DELETE + " AND revision = ?"
_TICK = "UPDATE clock SET revision = revision + ? RETURNING revision"


class SqliteDocuments:
    """The Documents port on one file. Revisions grow by one with every write to the file.

    The first query of a shape makes the index it needs, so the newest of 100,000 documents are a seek away.
    """

    def __init__(self, path: Path) -> None:
        self._database = Database(path, schema=_SCHEMA, version=1)
        self._indexes: set[str] = set()

    def get(self, collection: str, id: str) -> Document | None:
        if not is_key(collection, id):
            return None
        with self._database.read() as connection:
            row = connection.execute(_GET, (collection, id)).fetchone()
        return None if row is None else Document(id, _read(collection, id, row[0]), str(row[1]))

    def query(
        self,
        collection: str,
        *,
        where: Sequence[Filter] = (),
        order_by: Sequence[Order] = (),
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page:
        orders = check_query(collection, where, order_by, limit)
        planned = plan(collection, where, orders, cursor)
        self._make_index(planned)
        with self._database.read() as connection:
            rows = connection.execute(planned.sql, (*planned.values, limit + 1)).fetchall()
        documents = [Document(row[0], _read(collection, row[0], row[1]), str(row[2])) for row in rows[:limit]]
        return Page(documents, planned.cursor_after(rows[limit - 1]) if len(rows) > limit else None)

    def commit(self, writes: Sequence[Write]) -> Sequence[str]:
        prepared = list(zip(writes, check_writes(writes), strict=True))
        if not prepared:
            return []
        with self._database.write() as connection:
            last: int = connection.execute(_TICK, (len(writes),)).fetchone()[0]
            first = last - len(writes) + 1
            return [
                _write(connection, write, text, first + place) for place, (write, text) in enumerate(prepared)
            ]

    def close(self) -> None:
        """Close the idle connections. The next call opens again."""
        self._database.close()

    def _make_index(self, planned: Plan) -> None:
        if planned.index_name in self._indexes:
            return
        with self._database.write() as connection:
            connection.execute(planned.index_sql)
        self._indexes.add(planned.index_name)


def _read(collection: str, id: str, text: str) -> Data:
    """
    Raises:
        CorruptBlob: the disk gave other bytes back than were written.
    """
    try:
        data: Data = json.loads(text)
    except ValueError as error:
        raise CorruptBlob(f"The document {collection}/{id} isn't JSON any more: restore a backup.") from error
    return data


def _write(connection: sqlite3.Connection, write: Write, text: str, revision: int) -> str:
    key = (write.collection, write.id)
    match write:
        case Create():
            if connection.execute(_CREATE, (*key, revision, text)).rowcount == 0:
                raise AlreadyExists(f"{write.collection}/{write.id} exists already.")
        case Put():
            connection.execute(_PUT, (*key, revision, text))
        case Replace():
            found = connection.execute(_REPLACE, (revision, text, *key, _number(write.revision))).rowcount
            _check_swapped(found, write)
        case Delete():
            _delete(connection, write)
            return ""
    return str(revision)


def _delete(connection: sqlite3.Connection, write: Delete) -> None:
    if write.revision is None:
        connection.execute(_DELETE, (write.collection, write.id))
        return
    values = (write.collection, write.id, _number(write.revision))
    _check_swapped(connection.execute(_DELETE_AT, values).rowcount, write)


def _number(revision: str) -> int:
    """A revision as stored; what was never one of ours matches nothing."""
    return int(revision) if revision.isascii() and revision.isdigit() and len(revision) < 19 else -1


def _check_swapped(found: int, write: Replace | Delete) -> None:
    if found == 0:
        raise RevisionConflict(
            f"{write.collection}/{write.id} isn't at revision {write.revision} any more: read it again."
        )
