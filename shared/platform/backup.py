"""Backups: all kept documents and all blobs in one folder, and the way back.

::

    manifest.json             when, which schemas, and how many documents of which sha256; written last
    documents/<name>.jsonl    a line {"id", "data"} per document, by id
    blobs/                    the blobs, as the twin keeps them: each under its name and checksum

A backup is made while the engine runs. Documents are read before blobs, and pointers before what they
point to, so what a document names is there. The registry's four collections are read again until nothing
changed meanwhile: they agree with each other.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from shared.errors import AlreadyExists, Conflict, InvalidInput, NotFound
from shared.platform.collections import COLLECTIONS, SCHEMA_FIELD, kept, upgrade
from shared.platform.local.blobs import FolderBlobs
from shared.platform.local.files import sync_folder, write_durably
from shared.platform.migration import every
from shared.platform.ports import Blobs, Create, Data, Documents, Platform

FORMAT: Final = 1
REGISTRY: Final = ("active-models", "promotions", "model-versions", "model-counters")
_REREADS = 20
_BATCH_BYTES = 4_000_000
_BATCH_WRITES = 100
_SHOWN = 5

Report = Callable[[str, int, int], None]
"""Told of progress: what, how many are done, of how many (0: not known)."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What a backup holds, or a platform: documents by collection, blobs, and their bytes."""

    documents: Mapping[str, int]
    blobs: int
    blob_bytes: int

    def json(self) -> dict[str, Any]:
        return {"documents": dict(self.documents), "blobs": self.blobs, "blob_bytes": self.blob_bytes}


def backup(platform: Platform, folder: Path, report: Report) -> Contents:
    """Write a backup into `folder`. One that was broken off is gone on with; blobs that are there stay.

    Raises:
        Conflict: the folder holds a finished backup, or the registry kept changing.
    """
    if (folder / "manifest.json").exists():
        raise Conflict(f"{folder} holds a backup already: choose another folder.")
    (folder / "documents").mkdir(parents=True, exist_ok=True)
    started = platform.now()
    collections = _back_up_documents(platform.documents, folder / "documents", report)
    count, size_bytes = _copy_blobs(platform.blobs, FolderBlobs(folder / "blobs"), report)
    manifest = {
        "format": FORMAT,
        "made_at": started.isoformat(),
        "collections": collections,
        "blobs": count,
        "blob_bytes": size_bytes,
    }
    _write(folder / "manifest.json", json.dumps(manifest, indent=2).encode())
    return Contents({name: facts["documents"] for name, facts in collections.items()}, count, size_bytes)


def restore(platform: Platform, folder: Path, report: Report) -> Contents:
    """Put a backup into an empty platform, then compare item by item. Again after it was broken off is fine.

    Raises:
        NotFound: no finished backup is there.
        InvalidInput: its files aren't what its manifest says.
        Conflict: the platform holds something else under the name of an item; nothing was overwritten.
    """
    manifest = read_manifest(folder)
    saved = {name: _read(folder, name, facts) for name, facts in manifest["collections"].items()}
    _refuse_others(platform, saved)
    _copy_blobs(FolderBlobs(folder / "blobs"), platform.blobs, report)
    for name in reversed(saved):  # what is pointed to, before its pointer
        _restore_collection(platform.documents, name, saved[name], report)
    return compare(platform, folder, report)


def compare(platform: Platform, folder: Path, report: Report) -> Contents:
    """Check that each item of a backup is on the platform, with its very content.

    Raises:
        NotFound, InvalidInput: as `restore`.
        Conflict: names what differs.
    """
    manifest = read_manifest(folder)
    differing: list[str] = []
    counts: dict[str, int] = {}
    for name, facts in manifest["collections"].items():
        items = _read(folder, name, facts)
        for done, (document_id, data) in enumerate(items.items()):
            found = platform.documents.get(name, document_id)
            if found is None or found.data != data:
                differing.append(f"{name}/{document_id}")
            report(f"comparing {name}", done + 1, len(items))
        counts[name] = len(items)
    there = {info.name: info for info in platform.blobs.list("")}
    size_bytes = total = 0
    for info in FolderBlobs(folder / "blobs").list(""):
        total += 1
        size_bytes += info.size_bytes
        if there.get(info.name) != info:
            differing.append(f"blob {info.name}")
        report("comparing blobs", total, manifest["blobs"])
    if total != manifest["blobs"]:
        raise InvalidInput(f"{folder} holds {total} blobs, its manifest says {manifest['blobs']}.")
    if differing:
        more = f" and {len(differing) - _SHOWN} more" if len(differing) > _SHOWN else ""
        raise Conflict(f"Not as in the backup: {', '.join(differing[:_SHOWN])}{more}.")
    return Contents(counts, total, size_bytes)


def read_manifest(folder: Path) -> dict[str, Any]:
    """
    Raises:
        NotFound: no finished backup is there.
        InvalidInput: one that this version can't read.
    """
    try:
        manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_bytes())
    except FileNotFoundError as error:
        raise NotFound(
            f"{folder} holds no finished backup: its manifest.json is missing. "
            "'mlengine backup' with the same folder goes on with one that was broken off."
        ) from error
    except ValueError as error:
        raise InvalidInput(f"{folder}/manifest.json isn't JSON: {error}.") from error
    if manifest.get("format") != FORMAT:
        raise InvalidInput(
            f"{folder} has backup format {manifest.get('format')!r}, this version reads {FORMAT}."
        )
    return manifest


def _back_up_documents(documents: Documents, folder: Path, report: Report) -> dict[str, Any]:
    registry = _registry(documents, report)
    facts = {}
    for name in kept():
        items = registry[name] if name in registry else _items(documents, name, report)
        lines = "".join(
            json.dumps({"id": key, "data": data}, ensure_ascii=False, sort_keys=True) + "\n"
            for key, data in items.items()
        ).encode()
        _write(folder / f"{name}.jsonl", lines)
        facts[name] = {
            "schema": COLLECTIONS[name].schema,
            "documents": len(items),
            "sha256": hashlib.sha256(lines).hexdigest(),
        }
    return facts


def _registry(documents: Documents, report: Report) -> dict[str, dict[str, Data]]:
    """The registry's collections as they were at one moment: between two readings, nothing changed."""
    last: dict[str, dict[str, Data]] = {}
    for _ in range(_REREADS):
        found = {name: _items(documents, name, report) for name in REGISTRY}
        if found == last:
            return found
        last = found
    raise Conflict("The registry changed at each of 20 readings: back up when less is activated.")


def _write(file: Path, content: bytes) -> None:
    """The whole file or none, over what a backup that was broken off left."""
    fresh = file.with_name(f"{file.name}.new")
    fresh.unlink(missing_ok=True)
    write_durably(fresh, content)
    fresh.rename(file)
    sync_folder(file.parent)


def _items(documents: Documents, name: str, report: Report) -> dict[str, Data]:
    items: dict[str, Data] = {}
    for document in every(documents, name):
        items[document.id] = document.data
        report(name, len(items), 0)
    return items


def _read(folder: Path, name: str, facts: Mapping[str, Any]) -> dict[str, Data]:
    """The saved documents of a collection in its present shape."""
    if name not in COLLECTIONS:
        raise InvalidInput(f"The backup has a collection {name!r} that this version doesn't know.")
    content = (folder / "documents" / f"{name}.jsonl").read_bytes()
    if hashlib.sha256(content).hexdigest() != facts["sha256"]:
        raise InvalidInput(f"{folder}/documents/{name}.jsonl isn't what was saved: its sha256 differs.")
    rows = [json.loads(line) for line in content.splitlines()]
    return {row["id"]: upgrade(name, {**row["data"], SCHEMA_FIELD: facts["schema"]}) for row in rows}


def _refuse_others(platform: Platform, saved: Mapping[str, Mapping[str, Data]]) -> None:
    for name, items in saved.items():
        for document in every(platform.documents, name):
            if items.get(document.id) != document.data:
                raise Conflict(
                    f"The platform isn't empty: {name}/{document.id} isn't in the backup, or differs. "
                    "Restore into an empty state folder (MLENGINE_HOME) or project."
                )


def _restore_collection(documents: Documents, name: str, items: Mapping[str, Data], report: Report) -> None:
    done = 0
    for batch in _batches(items):
        fresh = [Create(name, key, data) for key, data in batch if documents.get(name, key) is None]
        documents.commit(fresh)
        done += len(batch)
        report(name, done, len(items))


def _batches(items: Mapping[str, Data]) -> Iterator[Sequence[tuple[str, Data]]]:
    batch: list[tuple[str, Data]] = []
    size_bytes = 0
    for key, data in items.items():
        own_bytes = len(json.dumps(data))
        if batch and (len(batch) == _BATCH_WRITES or size_bytes + own_bytes > _BATCH_BYTES):
            yield batch
            batch, size_bytes = [], 0
        batch.append((key, data))
        size_bytes += own_bytes
    if batch:
        yield batch


def _copy_blobs(source: Blobs, target: Blobs, report: Report) -> tuple[int, int]:
    """Copy what isn't there yet; gives how many there are and their bytes.

    Raises:
        Conflict: another content is there under the same name.
    """
    there = {info.name: info for info in target.list("")}
    every_blob = list(source.list(""))
    size_bytes = 0
    for done, info in enumerate(every_blob):
        size_bytes += info.size_bytes
        if info.name not in there:
            try:
                target.put(info.name, source.get(info.name, sha256=info.sha256))
            except AlreadyExists:
                there = {found.name: found for found in target.list(info.name)} | there
        if there.get(info.name, info) != info:
            raise Conflict(f"There is another blob {info.name} already.")
        report("blobs", done + 1, len(every_blob))
    return len(every_blob), size_bytes
