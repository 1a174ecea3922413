"""Ports that count what is billed of their use."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from shared.platform.ports import BlobPart, Blobs, Documents, Page, Platform, UploadUrl, Write


@dataclass(slots=True)
class Operations:
    """Calls of the ports, as they are billed: by document, and by request of the blobs."""

    reads: int = 0
    writes: int = 0
    blobs_written: int = 0
    blobs_read: int = 0


@dataclass(slots=True)
class CountedDocuments:
    """A Documents port whose billed operations are counted."""

    inner: Documents
    seen: Operations = field(default_factory=Operations)

    def get(self, collection: str, id: str) -> Any:
        self.seen.reads += 1
        return self.inner.get(collection, id)

    def query(self, collection: str, **asked: Any) -> Page:
        page = self.inner.query(collection, **asked)
        self.seen.reads += max(len(page.documents), 1)
        return page

    def commit(self, writes: Sequence[Write]) -> Sequence[str]:
        self.seen.writes += len(writes)
        return self.inner.commit(writes)


@dataclass(slots=True)
class CountedBlobs:
    """A Blobs port whose billed operations are counted. Deletes are free."""

    inner: Blobs
    seen: Operations

    def put(self, name: str, content: bytes) -> str:
        self.seen.blobs_written += 1
        return self.inner.put(name, content)

    def get(self, name: str, *, sha256: str | None = None) -> bytes:
        self.seen.blobs_read += 1
        return self.inner.get(name, sha256=sha256)

    def part(self, name: str, *, start: int, size_bytes: int) -> BlobPart:
        self.seen.blobs_read += 1
        return self.inner.part(name, start=start, size_bytes=size_bytes)

    def list(self, prefix: str) -> Iterator[Any]:
        self.seen.blobs_written += 1  # billed like a write
        return self.inner.list(prefix)

    def delete(self, name: str) -> None:
        self.inner.delete(name)

    def upload_url(self, name: str, *, size_bytes: int, seconds: int) -> UploadUrl | None:
        return self.inner.upload_url(name, size_bytes=size_bytes, seconds=seconds)


def counted(platform: Platform) -> tuple[Platform, Operations]:
    """The platform with its documents and blobs counted."""
    documents = CountedDocuments(platform.documents)
    blobs = CountedBlobs(platform.blobs, documents.seen)
    return replace(platform, documents=documents, blobs=blobs), documents.seen
