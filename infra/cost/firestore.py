"""How many bytes Firestore counts for a document and for its index entries.

Source: https://cloud.google.com/firestore/docs/storage-size, read 2026-11-21.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from infra.catalogue import ROOT

INDEXES_FILE: Final = ROOT / "infra" / "firestore.indexes.json"

_NAME_BYTES = 16
_DOCUMENT_BYTES = 32
_ENTRY_BYTES = 32
_FIXED = {"booleanValue": 1, "nullValue": 1, "integerValue": 8, "doubleValue": 8, "timestampValue": 8}


def text_bytes(text: str) -> int:
    return len(text.encode()) + 1


def value_bytes(value: Mapping[str, Any]) -> int:
    """Of a value as the REST API gives it: `{"stringValue": ...}`."""
    ((kind, content),) = value.items()
    if kind in _FIXED:
        return _FIXED[kind]
    if kind == "arrayValue":
        return sum(value_bytes(one) for one in content.get("values", ()))
    if kind == "mapValue":
        members = content.get("fields", {})
        return _DOCUMENT_BYTES + sum(field_bytes(name, one) for name, one in members.items())
    return text_bytes(str(content))


def field_bytes(name: str, value: Mapping[str, Any]) -> int:
    """Of the field's name and its value."""
    return text_bytes(name) + value_bytes(value)


def name_bytes(collection: str, id: str) -> int:
    return text_bytes(collection) + text_bytes(id) + _NAME_BYTES


def document_bytes(name: int, fields: Mapping[str, int]) -> int:
    """`name` as of `name_bytes`; `fields` as of `field_bytes`."""
    return name + sum(fields.values()) + _DOCUMENT_BYTES


def index_bytes(
    name: int, fields: Mapping[str, int], single: Sequence[str], composite: Sequence[Sequence[str]]
) -> int:
    """Of all index entries of a document: two, up and down, for each of the `single` fields, and one for each
    of the `composite` indexes whose fields it has."""
    entry = name + _NAME_BYTES + _ENTRY_BYTES
    once = sum(entry + fields[field] for field in single)
    values = {field: size - text_bytes(field) for field, size in fields.items()}
    several = sum(
        entry + sum(values[field] for field in index) for index in composite if set(index) <= fields.keys()
    )
    return 2 * once + several


class Indexes:
    """The composite indexes and the exempted fields of a collection, as Terraform makes them."""

    def __init__(self, collection: str, file: Path = INDEXES_FILE) -> None:
        listed = json.loads(file.read_text())
        self.composite = [
            tuple(field["fieldPath"] for field in index["fields"])
            for index in listed["indexes"]
            if index["collectionGroup"] == collection
        ]
        self._overrides = {
            override["fieldPath"]: bool(override["indexes"])
            for override in listed["fieldOverrides"]
            if override["collectionGroup"] == collection
        }

    def single(self, fields: Mapping[str, int]) -> list[str]:
        """Those of `fields` that Firestore indexes by itself."""
        others = self._overrides.get("*", True)
        return [field for field in fields if self._overrides.get(field, others)]
