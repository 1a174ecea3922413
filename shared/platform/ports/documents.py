"""Small JSON documents with compare-and-swap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

from shared.platform.ports.values import Data

MAX_BATCH_WRITES = 500
MAX_DOCUMENT_BYTES = 1_000_000
MAX_IN_VALUES = 30
MAX_LIMIT = 10_000


@dataclass(frozen=True, slots=True)
class Document:
    """A document as it was read. `revision` changes with every write and is opaque."""

    id: str
    data: Data
    revision: str


@dataclass(frozen=True, slots=True)
class Create:
    """Write that fails with `AlreadyExists` if the document is there."""

    collection: str
    id: str
    data: Data


@dataclass(frozen=True, slots=True)
class Replace:
    """Compare-and-swap: fails with `RevisionConflict` unless the document is at `revision`."""

    collection: str
    id: str
    data: Data
    revision: str


@dataclass(frozen=True, slots=True)
class Put:
    """Write whatever was there: for facts that are the same whoever writes them."""

    collection: str
    id: str
    data: Data


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove. With `revision`, fails with `RevisionConflict` unless the document is at it."""

    collection: str
    id: str
    revision: str | None = None


Write: TypeAlias = Create | Replace | Put | Delete


@dataclass(frozen=True, slots=True)
class Filter:
    """Keep documents whose `field` (top level, or dotted) compares so. Missing fields never match.

    Values of different types never compare: only `!=` keeps the other types, all but null. `in` takes 1 to
    30 values. Of text, stores may compare the first 1,500 bytes only.
    """

    field: str
    op: Literal["==", "!=", "<", "<=", ">", ">=", "in"]
    value: Any


@dataclass(frozen=True, slots=True)
class Order:
    field: str
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """Part of an answer. `cursor` asks for what follows; None at the end."""

    documents: Sequence[Document]
    cursor: str | None


class Documents(Protocol):
    """Small JSON documents in collections, with compare-and-swap and atomic batches.

    Ids are 1 to 200 characters without `/`. A document holds at most 1,000,000 bytes: of JSON, and also
    where each number counts as 8 bytes and each map as 32. Integers have at most 64 bits.
    """

    def get(self, collection: str, id: str) -> Document | None:
        """The document, or None."""
        ...

    def query(
        self,
        collection: str,
        *,
        where: Sequence[Filter] = (),
        order_by: Sequence[Order] = (),
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page:
        """Matching documents in order, at most `limit` (up to 10,000).

        The order is `order_by`, then the fields compared by size or `!=` that it lacks, by name, then
        the id; what isn't in `order_by` goes in its last direction. Which type of values comes first is
        the store's own. Documents without an ordered field are left out. A cursor keeps its place by
        value: what is added or removed elsewhere never repeats or hides a document.

        Names of fields begin with a letter. A query takes one `!=`, and filters with `in` whose values
        give at most 30 combinations.

        Raises:
            InvalidInput: a query that not every store can answer, or the cursor isn't one of this query's.
        """
        ...

    def commit(self, writes: Sequence[Write]) -> Sequence[str]:
        """All of `writes`, or none: at most 500, one per document. Durable on return.

        Returns the new revisions in the order of `writes` ("" for a deletion).

        Raises:
            AlreadyExists: a `Create` found the document.
            RevisionConflict: a `Replace` or `Delete` found another revision, or nothing.
            InvalidInput: too many writes, too large a document, or not JSON.
        """
        ...
