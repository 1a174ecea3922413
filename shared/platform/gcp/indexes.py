"""Which indexes queries need on Firestore.

Firestore keeps an index of each single field by itself, and refuses a query that needs another one until
somebody makes it; its emulator answers all the same. `infra/firestore.indexes.json` has the ones to make.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from shared.platform.checks import complete, is_equality
from shared.platform.ports import Filter, Order


@dataclass(frozen=True, slots=True, order=True)
class Index:
    """A composite index: fields, and whether each descends. The id follows, as the last field goes."""

    collection: str
    fields: tuple[tuple[str, bool], ...]

    def json(self) -> dict[str, Any]:
        """As an entry of `firestore.indexes.json`."""
        fields = [
            {"fieldPath": field, "order": "DESCENDING" if descending else "ASCENDING"}
            for field, descending in self.fields
        ]
        return {"collectionGroup": self.collection, "queryScope": "COLLECTION", "fields": fields}


def index_for(collection: str, where: Sequence[Filter], order_by: Sequence[Order]) -> Index | None:
    """The composite index that a query needs, or None where the single fields' own do.

    Equal fields alone are looked up one by one and intersected. One ordered or compared field alone has its
    own index. Both together, or several ordered ones, need an index of them all: the equal ones first, whose
    direction doesn't matter, then the ordered ones in their directions.
    """
    equal = sorted({part.field for part in where if is_equality(part)})
    orders = [order for order in complete(where, order_by) if order.field not in equal]
    if not orders or len(equal) + len(orders) == 1:
        return None
    ordered = [(order.field, order.descending) for order in orders]
    return Index(collection, (*((field, False) for field in equal), *ordered))


def single_fields(where: Sequence[Filter], order_by: Sequence[Order]) -> frozenset[str]:
    """The fields whose own index a query reads if it needs no composite one."""
    return frozenset(part.field for part in where) | {order.field for order in order_by}
