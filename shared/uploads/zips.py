"""What a zip holds, as far as its directory and its members' first bytes tell. Nothing is unpacked beyond."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from dataclasses import dataclass
from typing import Final

PEEK_BYTES: Final = 4_096
MOST_MEMBERS: Final = 50_000
"""A forest of 2,000 trees that skops saved has 11,000."""

_PEEK_MEMBERS: Final = 100
_ENTRY: Final = b"PK\x01\x02"
_UNSOUND: Final = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    OSError,
    RuntimeError,
    ValueError,
)


class UnreadableZip(Exception):
    """It isn't sound, or too large to look at; `str(error)` says which, of "a zip that"."""


@dataclass(frozen=True, slots=True)
class Members:
    """The names of all, as they are written there, and the first bytes of the first ones."""

    names: tuple[str, ...]
    starts: tuple[bytes, ...]


def read_members(content: bytes) -> Members | None:
    """None where it is no zip. It may begin anywhere in the file.

    Raises:
        UnreadableZip
    """
    if content.count(_ENTRY) > MOST_MEMBERS:  # seen before they are read: an object is made of each
        raise UnreadableZip(f"has more than {MOST_MEMBERS} members")
    try:
        if not zipfile.is_zipfile(io.BytesIO(content)):
            return None
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            starts = tuple(_start(archive, member) for member in members[:_PEEK_MEMBERS])
            return Members(tuple(member.orig_filename for member in members), starts)
    except _UNSOUND as error:
        raise UnreadableZip("isn't sound") from error


def _start(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """Of what is packed otherwise than usual nothing is read: bzip2 and LZMA give all that their first bytes
    unpack to, which may be gigabytes.
    """
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return b""
    with archive.open(member) as opened:
        return opened.read(PEEK_BYTES)
