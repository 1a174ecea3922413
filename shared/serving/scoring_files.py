"""The files that a scoring leaves in Blobs, for who may see it. Light: no library is imported.

::

    scores/<id>/task=0/part-00000.parquet            scores/task-0-part-00000.parquet
    scores/<id>/errors/task=0.json                   errors/task-0.json
    scores/<id>/errors/task=0/part-00000.jsonl       errors/task-0-part-00000.jsonl

What a blob is called, and the kind and name under which it is given: no name has a slash, so each is one part
of a path. What tasks only tell each other (the plan, the list of symbols) isn't given.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from shared.config import PlatformName, Settings
from shared.errors import NotFound, PayloadTooLarge
from shared.platform.ports import Blobs
from shared.serving.scoring_records import ScoringTask

MAX_FILE_BYTES: Final = 30_000_000
"""Cloud Run passes on answers of up to 32 MiB."""
PAGE_FILES: Final = 1_000
"""A page of the list ends with the task in which it gets so many."""

Kind: TypeAlias = Literal["scores", "errors"]

_MEDIA_TYPES: Final = {
    "parquet": "application/vnd.apache.parquet",
    "json": "application/json",
    "jsonl": "application/x-ndjson",
}
_NAME: Final = re.compile(r"task-([0-9]{1,2})(?:-part-([0-9]{5,9}))?\.(parquet|jsonl?)")


@dataclass(frozen=True, slots=True)
class ScoringFile:
    """Of a task: some of its scores, or of what has none and why. `blob` is its name in Blobs."""

    kind: Kind
    name: str
    task: int
    size_bytes: int
    sha256: str
    blob: str


@dataclass(frozen=True, slots=True)
class FilePage:
    files: Sequence[ScoringFile]
    cursor: str | None


def list_files(blobs: Blobs, tasks: Sequence[ScoringTask], cursor: str | None) -> FilePage:
    """The files that there are by now, task by task, from the task on that the cursor names."""
    files: list[ScoringFile] = []
    for task in tasks:
        if task.index < int(cursor or 0):
            continue
        if len(files) >= PAGE_FILES:
            return FilePage(files, str(task.index))
        files += _files_of(blobs, task)
    return FilePage(files, None)


def read_file(blobs: Blobs, settings: Settings, scoring_id: str, kind: str, name: str) -> tuple[str, bytes]:
    """The file's media type, and what it holds.

    Raises:
        NotFound: no such file.
        PayloadTooLarge: no answer holds so much.
    """
    parsed = _NAME.fullmatch(name)
    if parsed is None or kind not in ("scores", "errors"):
        raise _unknown(scoring_id, kind, name)
    task, part, ending = parsed.groups()
    folder = f"scores/{scoring_id}/" if kind == "scores" else f"scores/{scoring_id}/errors/"
    blob = f"{folder}task={task}{f'/part-{part}' if part else ''}.{ending}"
    try:
        size_bytes = blobs.part(blob, start=0, size_bytes=1).total_bytes
        if size_bytes > MAX_FILE_BYTES:
            raise PayloadTooLarge(
                f"{kind}/{name} has {size_bytes:,} bytes, an answer holds at most {MAX_FILE_BYTES:,}. Copy "
                f"it from where it rests: {_place_of(blob, settings)}."
            )
        return _MEDIA_TYPES[ending], blobs.get(blob)
    except NotFound as error:
        raise _unknown(scoring_id, kind, name) from error


def _files_of(blobs: Blobs, task: ScoringTask) -> Iterator[ScoringFile]:
    folder = f"scores/{task.scoring_id}/task={task.index}/"
    for blob in blobs.list(folder):
        name = f"task-{task.index}-{blob.name.removeprefix(folder)}"
        yield ScoringFile("scores", name, task.index, blob.size_bytes, blob.sha256, blob.name)
    if task.errors_file is None:
        return
    for blob in blobs.list(task.errors_file):  # one blob, or a folder
        name = blob.name.partition("/errors/task=")[2].replace("/", "-")
        yield ScoringFile("errors", f"task-{name}", task.index, blob.size_bytes, blob.sha256, blob.name)


def _place_of(blob: str, settings: Settings) -> str:
    if settings.blobs_url:
        return f"{settings.blobs_url}/{blob}"
    if settings.platform is PlatformName.LOCAL:
        return f"the one file in {settings.mlengine_home.absolute()}/blobs/{blob}@/"
    return f"the blob {blob}"


def _unknown(scoring_id: str, kind: str, name: str) -> NotFound:
    return NotFound(
        f"The scoring {scoring_id!r} has no file {f'{kind}/{name}'!r}; GET /predict/jobs/{scoring_id}/files "
        "lists those that it has."
    )
