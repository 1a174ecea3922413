"""Immutable named bytes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class BlobInfo:
    name: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class BlobPart:
    """Some of a blob's bytes, and how many it has in all."""

    content: bytes
    total_bytes: int


@dataclass(frozen=True, slots=True)
class UploadUrl:
    """How somebody without any other right puts one blob: one request with these headers, and the content as
    its body. Whoever has it may use it: it is a secret for as long as it is good.
    """

    url: str
    method: str
    headers: Mapping[str, str]


class Blobs(Protocol):
    """Immutable named bytes. A name is `/`-separated parts of letters, digits and `._=^-`.

    A name is written once; new content gets a new name.
    """

    def put(self, name: str, content: bytes) -> str:
        """Store under a free name, durable on return; gives the content's sha256 in hex.

        Raises:
            AlreadyExists: the name is taken, by whatever content.
            InvalidInput: not a name.
        """
        ...

    def get(self, name: str, *, sha256: str | None = None) -> bytes:
        """The content.

        Raises:
            NotFound: no such name.
            CorruptBlob: the content hasn't the sha256 asked for, or the one recorded when it was put.
        """
        ...

    def part(self, name: str, *, start: int, size_bytes: int) -> BlobPart:
        """At most `size_bytes` (1 or more) of the content from `start` on; none where it ends before.

        A checksum is of a whole, so a part is taken as it comes. It reads what `list` doesn't show, too.

        Raises:
            NotFound: no such name.
        """
        ...

    def list(self, prefix: str) -> Iterator[BlobInfo]:
        """Everything whose name begins with `prefix`, by name."""
        ...

    def delete(self, name: str) -> None:
        """Remove; nothing happens when it isn't there."""
        ...

    def upload_url(self, name: str, *, size_bytes: int, seconds: int) -> UploadUrl | None:
        """Lets somebody put a blob of this size under this free name by themselves, within so many seconds.
        None where the store has no address of its own.

        Nobody has checked what comes so: it isn't listed, and `get` needs to be told its sha256.

        Raises:
            InvalidInput: not a name.
        """
        ...
