"""Blobs as files: `a/b.json` is the folder `a/b.json@` with one file, named by the content's sha256.

A folder appears under its name by one rename, which fails where there is one: that makes a name
write-once, and its content, size and checksum appear together or not at all.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from shared.errors import AlreadyExists, CorruptBlob, NotFound, PlatformUnavailable
from shared.platform.local.files import publish_folder, sync_folder
from shared.platform.names import is_blob_name, is_blob_prefix, require_blob_name
from shared.platform.ports import BlobInfo, BlobPart, UploadUrl

_MAX_SUFFIX = 20  # people and their programs know files by it
_MARK = "@"  # not a character of names: no blob's folder is another's
_STAGING = "@staging"


class FolderBlobs:
    """The Blobs port on a folder. Its files are the contents as they were put."""

    def __init__(self, folder: Path) -> None:
        self._root = folder.absolute()
        self._staging = self._root / _STAGING

    def put(self, name: str, content: bytes) -> str:
        require_blob_name(name)
        sha256 = hashlib.sha256(content).hexdigest()
        file = sha256 + PurePosixPath(name).suffix[:_MAX_SUFFIX]
        with _translated(name):
            if not publish_folder(self._folder(name), {file: content}, staging=self._staging):
                raise AlreadyExists(f"The blob {name} exists already.")
        return sha256

    def get(self, name: str, *, sha256: str | None = None) -> bytes:
        with _translated(name):
            recorded, content = self._read(name)
        found = hashlib.sha256(content).hexdigest()
        for expected in (recorded, sha256 or recorded):
            if found != expected:
                raise CorruptBlob(f"The blob {name} has sha256 {found}, expected {expected}.")
        return content

    def part(self, name: str, *, start: int, size_bytes: int) -> BlobPart:
        with _translated(name), self._file(name).open("rb") as file:
            total = os.fstat(file.fileno()).st_size
            file.seek(start)
            return BlobPart(file.read(size_bytes), total)

    def list(self, prefix: str) -> Iterator[BlobInfo]:
        with _translated(prefix):
            found = sorted(self._walk(prefix), key=lambda info: info.name)
        return iter(found)

    def delete(self, name: str) -> None:
        target = self._folder(name)
        if not (is_blob_name(name) and target.exists()):
            return
        with _translated(name), tempfile.TemporaryDirectory(dir=self._staging) as trash:
            with suppress(FileNotFoundError):  # somebody else deleted it
                target.rename(trash)
            sync_folder(target.parent)

    def upload_url(
        self,
        name: str,
        *,
        size_bytes: int,  # noqa: ARG002 - the port's
        seconds: int,  # noqa: ARG002 - the port's
    ) -> UploadUrl | None:
        require_blob_name(name)
        return None  # a folder has no address

    def _folder(self, name: str) -> Path:
        return self._root / (name + _MARK)

    def _read(self, name: str) -> tuple[str, bytes]:
        """The recorded sha256 and the content."""
        file = self._file(name)
        try:
            return file.name[:64], file.read_bytes()
        except FileNotFoundError as error:  # deleted meanwhile
            raise NotFound(f"There is no blob {name}.") from error

    def _file(self, name: str) -> Path:
        try:
            return next(self._folder(name).iterdir() if is_blob_name(name) else iter(()))
        except (FileNotFoundError, StopIteration) as error:
            raise NotFound(f"There is no blob {name}.") from error

    def _walk(self, prefix: str) -> Iterator[BlobInfo]:
        if not is_blob_prefix(prefix):
            return
        for folder, inner, files in os.walk(self._root / prefix.rpartition("/")[0]):
            if _STAGING in inner:
                inner.remove(_STAGING)
            name = str(Path(folder).relative_to(self._root)).removesuffix(_MARK)
            if files and name.startswith(prefix):
                with suppress(FileNotFoundError):  # deleted meanwhile
                    size_bytes = (Path(folder) / files[0]).stat().st_size
                    yield BlobInfo(name, size_bytes, files[0][:64])


@contextmanager
def _translated(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise PlatformUnavailable(f"The folder of blobs failed at {name}: {error}.") from error
