"""What the scoring of files leaves in Blobs.

::

    scores/<id>/plan.json                          which shards there are
    scores/<id>/task=<i>/part-<n>.parquet          the scores of a shard's good rows
    scores/<id>/errors/task=<i>/part-<n>.jsonl     its bad rows, one JSON object a line; if there are any

Every name is written once, and a shard's errors before its part: so where the part is, both are.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from shared.errors import AlreadyExists, InvalidInput
from shared.jobs.score_plan import Batch
from shared.platform.ports import Blobs
from shared.serving.loaded import LoadedModel
from shared.serving.scoring_records import SHOWN_ERRORS, Part, RowError, item_error_of
from shared.tabular.deciding import decided

_METADATA: Final = b"mlengine"
FILE: Final = "file"
ROW: Final = "row"
LABEL: Final = "label"
PROBABILITY: Final = "probability"

GROUP_ROWS: Final = 131_072
"""Of a part's row groups."""


def class_column(name: str) -> str:
    return f"{PROBABILITY}_{name}"


@dataclass(frozen=True, slots=True)
class RowChunk:
    """A shard as it is written. Of its bad rows `shown` are the first few."""

    part: Part
    failed: int
    shown: tuple[RowError, ...]


class PartWriter:
    """Writes parts for one model: file and row, the id columns, the label and what is probable how much."""

    def __init__(self, scoring_id: str, model: LoadedModel, ids: pa.Schema) -> None:
        """
        Raises:
            InvalidInput: an id column is called as a column of the scores is.
        """
        self._facts = {
            "scoring_id": scoring_id,
            "model_id": model.version_id,
            "package_hash": model.package_hash,
            "feature_set_hash": model.manifest.feature_set_hash,
        }
        self._classes = model.manifest.classes
        self._threshold = model.manifest.threshold
        text = pa.dictionary(pa.int32(), pa.string())
        scores = [(class_column(name), pa.float32()) for name in self._classes]
        own = [(FILE, text), (ROW, pa.int64()), (LABEL, text), (PROBABILITY, pa.float32()), *scores]
        taken = sorted({name for name, _ in own} & set(ids.names))
        if taken:
            raise InvalidInput(f"The scores have a column of the name of an id column: {', '.join(taken)}.")
        fields = [pa.field(name, kind, nullable=False) for name, kind in own]
        self.schema = pa.schema([*fields[:2], *ids, *fields[2:]])

    @contextlib.contextmanager
    def part(self, file: str) -> Iterator[OpenPart]:
        """A part that is being written, of rows of this file."""
        with OpenPart(self, file) as part:
            yield part

    def table(self, file: str, batch: Batch, probabilities: NDArray[np.float32]) -> pa.Table:
        rows = len(probabilities)
        places = decided(probabilities, self._threshold)
        columns: list[Any] = [
            pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), pa.array([file])),
            batch.numbers,
            *batch.ids.columns,
            pa.DictionaryArray.from_arrays(pa.array(places.astype(np.int32)), pa.array(self._classes)),
            np.take_along_axis(probabilities, places[:, np.newaxis], axis=1)[:, 0],
            *np.ascontiguousarray(probabilities.T),
        ]
        return pa.table(columns, schema=self.schema)

    def facts(self, failed: int, shown: Sequence[RowError]) -> dict[str, str]:
        told = {**self._facts, "failed": failed, "shown": [asdict(error) for error in shown]}
        return {_METADATA.decode(): json.dumps(told)}


class OpenPart:
    """The scores and errors of one shard, encoded as they come."""

    def __init__(self, writer: PartWriter, file: str) -> None:
        self._writer = writer
        self._file = file
        self._sink = pa.BufferOutputStream()
        self._waiting: list[pa.Table] = []
        self._lines: list[tuple[int, bytes]] = []
        self._shown: list[RowError] = []
        self._rows = 0
        self._parquet = pq.ParquetWriter(
            self._sink,
            writer.schema,
            compression="zstd",
            use_dictionary=[FILE, LABEL],
            write_statistics=[ROW],
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._parquet.close()

    def scores(self, batch: Batch, probabilities: NDArray[np.float32]) -> None:
        """Add the scores (rows, classes) of the batch's good rows."""
        self._waiting.append(self._writer.table(self._file, batch, probabilities))
        self._rows += len(probabilities)
        if sum(map(len, self._waiting)) >= GROUP_ROWS:
            self._write()

    def errors(self, errors: Sequence[RowError]) -> None:
        """Add rows without a score."""
        self._shown += errors[: SHOWN_ERRORS - len(self._shown)]
        for error in errors:
            line = json.dumps(asdict(error), ensure_ascii=False).encode() + b"\n"
            self._lines.append((error.row, line))

    @property
    def failed(self) -> int:
        return len(self._lines)

    def finished(self) -> tuple[bytes, bytes, RowChunk]:
        """The part's bytes, those of its errors, and what it holds."""
        self._write()
        self._parquet.add_key_value_metadata(self._writer.facts(self.failed, self._shown))
        self._parquet.close()
        content: bytes = self._sink.getvalue().to_pybytes()
        part = Part("", "", self._rows, self._rows)
        chunk = RowChunk(part, self.failed, tuple(self._shown))
        return content, b"".join(line for _, line in sorted(self._lines)), chunk

    def _write(self) -> None:
        if self._waiting:
            self._parquet.write_table(pa.concat_tables(self._waiting))
            self._waiting.clear()


class RowFiles:
    """The blobs of one task of a scoring."""

    def __init__(self, blobs: Blobs, scoring_id: str, task: int) -> None:
        self._blobs = blobs
        self._folder = f"scores/{scoring_id}"
        self._task = task

    @property
    def plan_name(self) -> str:
        return f"{self._folder}/plan.json"

    @property
    def errors_folder(self) -> str:
        return f"{self._folder}/errors/task={self._task}/"

    def part_name(self, number: int) -> str:
        return f"{self._folder}/task={self._task}/part-{number:05d}.parquet"

    def written(self) -> frozenset[str]:
        """The names of the task's parts that there are."""
        return frozenset(blob.name for blob in self._blobs.list(f"{self._folder}/task={self._task}/"))

    def read(self, number: int) -> RowChunk:
        """A part that was written before, by this attempt or another.

        Raises:
            NotFound, CorruptBlob
        """
        name = self.part_name(number)
        content = self._blobs.get(name)
        found = pq.read_metadata(io.BytesIO(content))
        told = json.loads(found.metadata[_METADATA])
        shown = tuple(error for one in told["shown"] if isinstance(error := item_error_of(one), RowError))
        rows = found.num_rows
        return RowChunk(Part(name, hashlib.sha256(content).hexdigest(), rows, rows), told["failed"], shown)

    def write(self, number: int, part: OpenPart) -> RowChunk:
        """Write a shard. Where another attempt was quicker, its part counts."""
        name = self.part_name(number)
        content, errors, chunk = part.finished()
        if errors:
            with contextlib.suppress(AlreadyExists):  # the same shard gives the same errors
                self._blobs.put(f"{self.errors_folder}part-{number:05d}.jsonl", errors)
        try:
            sha256 = self._blobs.put(name, content)
        except AlreadyExists:
            return self.read(number)
        rows = chunk.part.rows
        return RowChunk(Part(name, sha256, rows, rows), chunk.failed, chunk.shown)
