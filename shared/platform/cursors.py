"""Cursors of queries: where a page ended, by value. Opaque, safe in a URL, good for one query only."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from shared.errors import InvalidInput
from shared.platform.checks import is_text
from shared.platform.ports import Filter, Order

T = TypeVar("T")


def fingerprint(collection: str, where: Sequence[Filter], order_by: Sequence[Order]) -> str:
    """What tells a query from others."""
    parts = [(part.field, part.op, part.value) for part in where]
    orders = [(order.field, order.descending) for order in order_by]
    return hashlib.sha256(repr((collection, parts, orders)).encode()).hexdigest()[:16]


def cursor_at(query: str, last_id: str, values: Sequence[Any]) -> str:
    """The place of the document `last_id`, whose ordered fields are `values`, in JSON, for a fingerprint."""
    place = json.dumps([query, last_id, *values], separators=(",", ":"))
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def place_of(cursor: str, query: str, count: int, unpack: Callable[[Any], T]) -> tuple[str, list[T]]:
    """The id and the `count` values that `cursor` holds, each as `unpack` gives it.

    Raises:
        InvalidInput: not a cursor of this query; `unpack` raises ValueError for what is no value.
    """
    try:
        content = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        found, last_id, *packed = json.loads(content)
        values = [unpack(one) for one in packed]
    except (ValueError, TypeError, RecursionError):
        found, last_id, values = None, None, []
    if found != query or len(values) != count or not (isinstance(last_id, str) and is_text(last_id)):
        raise InvalidInput("The cursor isn't one of this query's: start without one.")
    return last_id, values
