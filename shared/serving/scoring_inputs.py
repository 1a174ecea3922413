"""The files that scorings read: CSV or Parquet in Blobs, below one folder. Light: no library is imported.

    inputs/customers.parquet       one file
    inputs/2024/                   all files below: the scoring numbers the rows of each

    inputs/by=<user id>/a.csv      what a user has sent

Nothing outside the folder can be named. What a user sends is theirs: only they and admins have it scored, or
see what came of it. The rest, which those without a user's account or other programs put there, is for
whoever may start a scoring. In a folder names that begin with `_` or `.` are markers of those who wrote it,
and left alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from shared.access.identity import Identity
from shared.access.roles import Role
from shared.errors import AlreadyExists, FieldError, InvalidInput, NotFound
from shared.platform.names import is_blob_name
from shared.platform.ports import BlobInfo, Blobs, UploadUrl

FOLDER: Final = "inputs/"
MAX_FILES: Final = 1_000
OWNED: Final = f"{FOLDER}by="
"""Behind it comes whose a folder is."""
URL_SECONDS: Final = 3_600
"""How long a signed URL is good."""

Format: TypeAlias = Literal["csv", "parquet"]

_ENDINGS: Final[dict[str, Format]] = {".csv": "csv", ".parquet": "parquet"}
_EXPECTED: Final = (
    f"must be a file below {FOLDER} that ends in .csv or .parquet, or a folder of such files, as "
    f"'{FOLDER}2024/'"
)


@dataclass(frozen=True, slots=True)
class InputFile:
    name: str
    size_bytes: int
    format: Format


@dataclass(frozen=True, slots=True)
class InputBytes:
    """What is in a file, as long as it is the one that was planned with."""

    blobs: Blobs
    file: InputFile

    def read(self, start: int, size_bytes: int) -> bytes:
        """At most so many bytes (1 or more) from `start` on; none behind the end.

        Raises:
            NotFound: the file isn't there any more.
            InvalidInput: another file has come in its place.
        """
        part = self.blobs.part(self.file.name, start=start, size_bytes=size_bytes)
        if part.total_bytes != self.file.size_bytes:
            raise InvalidInput(
                f"{self.file.name} was replaced while it was scored: it had {self.file.size_bytes:,} bytes "
                f"and has {part.total_bytes:,} now. Ask for a new scoring, of a file that stays."
            )
        return part.content


def is_visible(identity: Identity, input: str) -> bool:
    """Whether the caller may have this file or folder scored, and see what came of it."""
    if identity.role >= Role.ADMIN:
        return True
    if not input.startswith(OWNED):
        return input != FOLDER  # in which everybody's are
    return identity.user_id is not None and input.startswith(_folder_of(identity.user_id))


def _folder_of(user_id: str) -> str:
    return f"{OWNED}{user_id}/"


def require_input(name: str) -> None:
    """Whether it may be an input, be it there or not.

    Raises:
        InvalidInput: pointing at `/input`.
    """
    inner = name.removesuffix("/")
    is_inside = name.startswith(FOLDER) and (is_blob_name(inner) or name == FOLDER)
    if not is_inside or not (name.endswith("/") or _format(name)):
        raise _refused(f"{_EXPECTED}; found {name[:80]!r}")


def input_files(blobs: Blobs, name: str) -> Sequence[InputFile]:
    """The files that `name` means, by name.

    Raises:
        InvalidInput: as `require_input`; there is no such file, or there are others below the folder.
    """
    require_input(name)
    return _below(blobs, name) if name.endswith("/") else [_alone(blobs, name)]


def put_input(blobs: Blobs, identity: Identity, name: str, content: bytes) -> BlobInfo:
    """Keep a file under a free name, a user's in their own folder. The same file may be sent again.

    Raises:
        InvalidInput: not such a name.
        AlreadyExists: another file has the name.
    """
    sha256 = hashlib.sha256(content).hexdigest()
    kept = BlobInfo(_kept_name(identity, name, "?name"), len(content), sha256)
    try:
        blobs.put(kept.name, content)
    except AlreadyExists:
        if kept not in blobs.list(kept.name):
            raise
    return kept


def input_url(blobs: Blobs, identity: Identity, name: str, size_bytes: int) -> tuple[str, UploadUrl]:
    """By which the caller puts a large file there without the engine in between; and its name then.

    Raises:
        InvalidInput: not a name of an input; or the store of blobs has no address, as the twin's.
    """
    kept = _kept_name(identity, name, "/name")
    found = blobs.upload_url(kept, size_bytes=size_bytes, seconds=URL_SECONDS)
    if found is None:
        raise InvalidInput(
            "The store of blobs has no URLs here: send the file as the body of POST /predict/jobs/inputs, "
            f"a larger one in pieces below one folder, as {name.rpartition('.')[0]}/1.csv."
        )
    return kept, found


def _kept_name(identity: Identity, name: str, pointer: str) -> str:
    """Where the caller's file of that name is."""
    if not (name.startswith(FOLDER) and is_blob_name(name) and _format(name)):
        found = f"must be a name below {FOLDER} that ends in .csv or .parquet, found {name[:80]!r}"
        raise InvalidInput(f"The name {found}.", errors=[FieldError(pointer, found)])
    if not is_visible(identity, name):
        found = f"must not be in somebody else's folder, found {name[:80]!r}"
        raise InvalidInput(f"The name {found}.", errors=[FieldError(pointer, found)])
    if identity.user_id is not None and not name.startswith(OWNED):
        return _folder_of(identity.user_id) + name.removeprefix(FOLDER)
    return name


def _alone(blobs: Blobs, name: str) -> InputFile:
    try:
        size_bytes = blobs.part(name, start=0, size_bytes=1).total_bytes
    except NotFound as error:
        raise no_file(name) from error
    return InputFile(name, size_bytes, _known_format(name))


def _below(blobs: Blobs, folder: str) -> list[InputFile]:
    found = []
    for blob in blobs.list(folder):
        if blob.name.rpartition("/")[2].startswith(("_", ".")):
            continue
        found.append(InputFile(blob.name, blob.size_bytes, _known_format(blob.name)))
        if len(found) > MAX_FILES:
            raise _refused(f"at most {MAX_FILES} files at a time, {folder} has more: name a folder within")
    if not found:
        raise no_file(folder)
    return found


def _known_format(name: str) -> Format:
    if (found := _format(name)) is None:
        raise _refused(f"{name} isn't .csv or .parquet: nothing else may be in that folder")
    return found


def _format(name: str) -> Format | None:
    return next((known for ending, known in _ENDINGS.items() if name.endswith(ending)), None)


def no_file(name: str) -> InvalidInput:
    """There is none, or none that the caller is told of."""
    return _refused(
        f"isn't there: {name}. Send it with POST /predict/jobs/inputs, which says what it is called"
    )


def _refused(found: str) -> InvalidInput:
    return InvalidInput(f"The input {found}.", errors=[FieldError("/input", found)])
