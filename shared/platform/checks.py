"""What every adapter of the Documents port takes and refuses, so that all of them agree."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from shared.errors import InvalidInput
from shared.platform.encoding import to_json
from shared.platform.ports import (
    MAX_BATCH_WRITES,
    MAX_DOCUMENT_BYTES,
    MAX_IN_VALUES,
    MAX_LIMIT,
    Create,
    Delete,
    Filter,
    Order,
    Put,
    Replace,
    Write,
)

_COLLECTION = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,99}\Z")
_ID = re.compile(r"(?!\.{1,2}\Z)(?!__.*__\Z)[^/\ud800-\udfff]{1,200}\Z", re.DOTALL)  # no lone surrogates
_FIELD = re.compile(r"(?=.{1,200}\Z)[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*){0,9}\Z")
_LONG_NUMBER = re.compile(r"\d{19}")
_SURELY_SMALL_BYTES: Final = 30_000  # of JSON: no value is counted as more than 32 times its JSON
_MAP_BYTES: Final = 32


def check_collection(collection: str) -> None:
    """
    Raises:
        InvalidInput: not a collection's name.
    """
    if not _COLLECTION.match(collection):
        raise InvalidInput(f"A collection is 1 to 100 letters, digits, '_' and '-', not {collection!r}.")


def is_key(collection: str, id: str) -> bool:
    """Whether there can be such a document."""
    return _COLLECTION.match(collection) is not None and _ID.match(id) is not None


def check_writes(writes: Sequence[Write]) -> list[str]:
    """The document of each write as JSON text ("" for a deletion).

    Raises:
        InvalidInput: not a batch that the port takes.
    """
    if len(writes) > MAX_BATCH_WRITES:
        raise InvalidInput(f"A batch holds at most {MAX_BATCH_WRITES} writes, this one has {len(writes)}.")
    keys = [(write.collection, write.id) for write in writes]
    for collection, document_id in keys:
        check_collection(collection)
        if not _ID.match(document_id):
            raise InvalidInput(f"A document's id is 1 to 200 characters without '/', not {document_id!r}.")
    if len(set(keys)) < len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise InvalidInput(f"A batch writes each document once, but {'/'.join(twice)} twice or more.")
    return ["" if isinstance(write, Delete) else _encode(write) for write in writes]


def check_query(
    collection: str, where: Sequence[Filter], order_by: Sequence[Order], limit: int
) -> Sequence[Order]:
    """The orders that the answer has in truth, before the id: see `Documents.query`.

    Raises:
        InvalidInput: not a query that every store can answer.
    """
    check_collection(collection)
    if not 1 <= limit <= MAX_LIMIT:
        raise InvalidInput(f"A query's limit must be 1 to {MAX_LIMIT:,}, not {limit}.")
    for field in [part.field for part in where] + [order.field for order in order_by]:
        _check_field(field)
    for part in where:
        _check_operand(part)
    if sum(part.op == "!=" for part in where) > 1:
        raise InvalidInput("A query takes one filter with !=.")
    combinations = math.prod(len(part.value) for part in where if part.op == "in")
    if combinations > MAX_IN_VALUES:
        raise InvalidInput(
            f"The values of all filters with 'in' give {combinations} combinations; "
            f"a query takes at most {MAX_IN_VALUES}."
        )
    fields = [order.field for order in order_by]
    if len(set(fields)) < len(fields):
        raise InvalidInput(f"A query orders by each field once, not by {', '.join(fields)}.")
    return complete(where, order_by)


def complete(where: Sequence[Filter], order_by: Sequence[Order]) -> Sequence[Order]:
    """`order_by`, and the fields compared by size or `!=` that it lacks: what follows from an index."""
    ordered = {order.field for order in order_by}
    lacking = {part.field for part in where if not is_equality(part)} - ordered
    return [*order_by, *(Order(field, is_descending(order_by)) for field in sorted(lacking))]


def is_equality(part: Filter) -> bool:
    return part.op in ("==", "in")


def is_descending(order_by: Sequence[Order]) -> bool:
    """The direction of what comes after `order_by`."""
    return bool(order_by) and order_by[-1].descending


def is_text(value: str) -> bool:
    """Whether it can be stored: no lone surrogates."""
    return value.encode(errors="ignore").decode() == value


def is_int64(value: int) -> bool:
    return -(2**63) <= value < 2**63


def _encode(write: Create | Replace | Put) -> str:
    what = f"The document {write.collection}/{write.id}"
    text = to_json(write.data, what=what)
    size_bytes = len(text.encode())
    if size_bytes <= MAX_DOCUMENT_BYTES and (size_bytes > _SURELY_SMALL_BYTES or _LONG_NUMBER.search(text)):
        size_bytes = max(size_bytes, _counted(write.data, what) - _MAP_BYTES)
    if size_bytes > MAX_DOCUMENT_BYTES:
        raise InvalidInput(
            f"{what} has {size_bytes:,} bytes, where a number counts as 8 and a map as {_MAP_BYTES}; "
            f"at most {MAX_DOCUMENT_BYTES:,} fit."
        )
    return text


def _counted(value: Any, what: str) -> int:
    """Bytes, as Firestore counts them."""
    match value:
        case None | bool():
            return 1
        case str():
            return len(value.encode()) + 1
        case int() if not is_int64(value):
            raise InvalidInput(f"{what} holds the number {value}: integers have at most 64 bits.")
        case Mapping():
            return _MAP_BYTES + sum(
                len(name.encode()) + 1 + _counted(one, what) for name, one in value.items()
            )
        case list() | tuple():
            return sum(_counted(one, what) for one in value)
    return 8


def _check_field(field: str) -> None:
    if not _FIELD.match(field):
        raise InvalidInput(
            "A field is up to 10 names of letters, digits and '_', each beginning with a letter, "
            f"joined by dots, not {field!r}."
        )


def _check_operand(part: Filter) -> None:
    if part.op != "in":
        _check_scalar(part, part.value)
        return
    if isinstance(part.value, str) or not isinstance(part.value, Sequence):
        raise InvalidInput(f"The filter {part.field} in ... needs a list of values.")
    if not 1 <= len(part.value) <= MAX_IN_VALUES:
        raise InvalidInput(
            f"The filter {part.field} in ... takes 1 to {MAX_IN_VALUES} values, not {len(part.value)}."
        )
    for value in part.value:
        _check_scalar(part, value)


def _check_scalar(part: Filter, value: Any) -> None:
    match value:
        case bool():
            return
        case str() if is_text(value):
            return
        case None if part.op in ("==", "!="):
            return
        case int() if is_int64(value):
            return
        case float() if math.isfinite(value):
            return
    raise InvalidInput(
        f"The filter {part.field} {part.op} needs text, a finite number of at most 64 bits, true or false"
        f" (null only with == and !=), not {value!r}."
    )
