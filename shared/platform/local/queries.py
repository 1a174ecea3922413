"""Queries over JSON text as SQL, each with the index that answers it.

A field's *key* is what SQLite compares: numbers and text as they are; null below every number; false,
true, arrays and objects, in this order, as bytes above every text; NULL where the field is missing, which
no comparison matches.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from shared.platform.checks import is_descending, is_int64, is_text
from shared.platform.cursors import cursor_at, fingerprint, place_of
from shared.platform.ports import Filter, Order

Key: TypeAlias = float | str | bytes
Clause: TypeAlias = tuple[str, list[Any]]  # SQL and what it binds
Column: TypeAlias = tuple[str, bool]  # SQL, and whether it descends

_NULL = float("-inf")


@dataclass(frozen=True, slots=True)
class Plan:
    """`sql` takes `values` and a limit; its rows are id, data, revision and the keys in order."""

    sql: str
    values: Sequence[Any]
    index_name: str
    index_sql: str
    fingerprint: str

    def cursor_after(self, row: Sequence[Any]) -> str:
        """The place of `row`."""
        return cursor_at(self.fingerprint, row[0], [_pack(key) for key in row[3:]])


def plan(collection: str, where: Sequence[Filter], order_by: Sequence[Order], cursor: str | None) -> Plan:
    """How to answer a checked query, with all its orders but the id.

    Raises:
        InvalidInput: a cursor of another query.
    """
    query = fingerprint(collection, where, order_by)
    keys = [_key(order.field) for order in order_by]
    columns = [(key, order.descending) for key, order in zip(keys, order_by, strict=True)]
    columns.append(("id", is_descending(order_by)))
    clauses = [_filter(part) for part in where] + [(f"{key} IS NOT NULL", []) for key in keys]
    if cursor is not None:
        last_id, place = place_of(cursor, query, len(keys), _unpack)
        clauses.append(_after(columns, [*place, last_id]))
    index_name, index_sql = _index(collection, where, columns)
    conditions = "".join(f" AND {sql}" for sql, _ in clauses)
    sql = (
        f"SELECT {', '.join(['id', 'data', 'revision', *keys])} FROM documents "  # noqa: S608 - names are checked, values are bound
        f"INDEXED BY {index_name} WHERE collection = '{collection}'{conditions} "
        f"ORDER BY {_listed(columns)} LIMIT ?"
    )
    return Plan(sql, [value for _, values in clauses for value in values], index_name, index_sql, query)


def _key(field: str) -> str:
    path = "'$" + "".join(f'."{part}"' for part in field.split(".")) + "'"
    value = f"json_extract(data, {path})"
    return (
        f"CASE json_type(data, {path}) "
        "WHEN 'null' THEN -9e999 WHEN 'false' THEN x'00' WHEN 'true' THEN x'01' "
        f"WHEN 'array' THEN CAST({value} AS BLOB) WHEN 'object' THEN CAST({value} AS BLOB) ELSE {value} END"
    )


def _listed(columns: Sequence[Column]) -> str:
    return ", ".join(f"{key} {'DESC' if descending else 'ASC'}" for key, descending in columns)


def _filter(part: Filter) -> Clause:
    key = _key(part.field)
    if part.op == "in":
        return _one_of(key, part)
    value, bound = _operand(part.value)
    if part.op == "==":
        return f"{key} = {value}", [bound]
    if part.op == "!=":
        return f"({key} > -9e999 AND {key} <> {value})", [bound]  # as in Firestore, null is unlike nothing
    low, high = _same_type(part)
    edge = f"{key} > {low}" if part.op.startswith("<") else f"{key} < {high}"
    return f"({key} {part.op} {value} AND {edge})", [bound]


def _one_of(key: str, part: Filter) -> Clause:
    operands = [_operand(value) for value in part.value]
    return f"{key} IN ({', '.join(sql for sql, _ in operands)})", [bound for _, bound in operands]


def _operand(value: Any) -> tuple[str, Key]:
    """A filter's value as SQL and what it binds. SQLite's parser reads numbers, as in documents."""
    match value:
        case bool():
            return "?", bytes([value])
        case str():
            return "?", value
        case None:
            return "?", _NULL
    return "json_extract(?, '$')", json.dumps(value)


def _same_type(part: Filter) -> tuple[str, str]:
    """Keys just below and just above those of the value's type."""
    match part.value:
        case bool():
            return "x''", "x'02'"
        case str():
            return "9e999", "x''"
    return "-9e999", "''"


def _after(columns: Sequence[Column], place: Sequence[Any]) -> Clause:
    """What comes after `place` in lexicographic order. The outer bound lets the index seek."""
    sql = ""
    values: list[Any] = []
    for (key, descending), value in reversed(list(zip(columns, place, strict=True))):
        beyond = "<" if descending else ">"
        rest = f" OR ({key} = ? AND {sql})" if sql else ""
        sql = f"({key} {beyond} ?{rest})"
        values = [value, value, *values] if rest else [value]
    (key, descending), value = columns[0], place[0]
    return f"{key} {'<=' if descending else '>='} ? AND {sql}", [value, *values]


def _index(collection: str, where: Sequence[Filter], columns: Sequence[Column]) -> tuple[str, str]:
    """Equal fields first, then the order; without one, the first field with `in` after the equal ones."""
    equal = list(dict.fromkeys(_key(part.field) for part in where if part.op == "=="))
    listed_in = [_key(part.field) for part in where if part.op == "in"] if len(columns) == 1 else []
    parts = [(key, False) for key in (*sorted(equal), *listed_in[:1])]
    flip = columns[0][1]  # an index is read in both directions: keep one for both
    parts += [(key, descending != flip) for key, descending in columns]
    listed = _listed(parts)
    name = "by_" + hashlib.sha256(f"{collection}: {listed}".encode()).hexdigest()[:20]
    return (
        name,
        f"CREATE INDEX IF NOT EXISTS {name} ON documents ({listed}) WHERE collection = '{collection}'",
    )


def _pack(key: Key) -> list[Any]:
    if isinstance(key, bytes):
        return ["bytes", key.hex()]
    return ["null"] if key == _NULL else ["value", key]


def _unpack(packed: Any) -> Key:
    match packed:
        case ["bytes", str(digits)]:
            return bytes.fromhex(digits)
        case ["null"]:
            return _NULL
        case ["value", str(text)] if is_text(text):
            return text
        case ["value", (int() | float()) as number] if isinstance(number, float) or is_int64(number):
            return number
    raise ValueError(packed)
