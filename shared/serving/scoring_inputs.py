"""The files that scorings read: CSV or Parquet in Blobs, below one folder. Light: no library is imported.

    inputs/customers.parquet       one file
    inputs/2024/                   all files below: the scoring numbers the rows of each

What is below the folder, whoever may start a scoring may have scored; nothing outside can be named. In a
folder names that begin with `_` or `.` are markers of those who wrote it, and left alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from shared.errors import FieldError, InvalidInput, NotFound
from shared.platform.names import is_blob_name
from shared.platform.ports import Blobs, UploadUrl

FOLDER: Final = "inputs/"
MAX_FILES: Final = 1_000
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


def put_input(blobs: Blobs, name: str, content: bytes) -> str:
    """Keep a file under a free name below `inputs/`; gives its sha256.

    Raises:
        InvalidInput: not such a name.
        AlreadyExists: the name is taken.
    """
    _require_file(name, "?name")
    return blobs.put(name, content)


def input_url(blobs: Blobs, name: str, size_bytes: int) -> UploadUrl:
    """By which the caller puts a large file there without the engine in between.

    Raises:
        InvalidInput: not a name of an input; or the store of blobs has no address, as the twin's.
    """
    _require_file(name, "/name")
    found = blobs.upload_url(name, size_bytes=size_bytes, seconds=URL_SECONDS)
    if found is None:
        raise InvalidInput(
            "The store of blobs has no URLs here: send the file as the body of POST /predict/jobs/inputs, "
            f"a larger one in pieces below one folder, as {name.rpartition('.')[0]}/1.csv."
        )
    return found


def _require_file(name: str, pointer: str) -> None:
    if not (name.startswith(FOLDER) and is_blob_name(name) and _format(name)):
        found = f"must be a name below {FOLDER} that ends in .csv or .parquet, found {name[:80]!r}"
        raise InvalidInput(f"The name {found}.", errors=[FieldError(pointer, found)])


def _alone(blobs: Blobs, name: str) -> InputFile:
    try:
        size_bytes = blobs.part(name, start=0, size_bytes=1).total_bytes
    except NotFound as error:
        raise _refused(f"there is no file {name}: send it with POST /predict/jobs/inputs") from error
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
        raise _refused(f"there are no files below {folder}")
    return found


def _known_format(name: str) -> Format:
    if (found := _format(name)) is None:
        raise _refused(f"{name} isn't .csv or .parquet: nothing else may be in that folder")
    return found


def _format(name: str) -> Format | None:
    return next((known for ending, known in _ENDINGS.items() if name.endswith(ending)), None)


def _refused(found: str) -> InvalidInput:
    return InvalidInput(f"The input {found}.", errors=[FieldError("/input", found)])
