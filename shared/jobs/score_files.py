"""What a scoring leaves in Blobs: Parquet parts, the errors of each task, and the symbols as they were.

::

    scores/<id>/symbols.json                   all stored symbols, written by whoever is first
    scores/<id>/task=<i>/part-<n>.parquet      the scores of one chunk of a task's symbols
    scores/<id>/errors/task=<i>.json           the symbols of a task without scores, and why; if there are any

Every name is written once. A part also tells, in its metadata, which symbols of its chunk failed and why:
so one write settles a chunk, and the errors of a task are what its parts say, whoever reads them.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from shared.errors import AlreadyExists, NotFound
from shared.platform.ports import Blobs
from shared.serving.prediction import Signal
from shared.serving.scoring import Scores
from shared.serving.scoring_records import Part, SymbolError

if TYPE_CHECKING:
    import pyarrow as pa

_METADATA: Final = b"mlengine"
_MILLISECONDS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Stamp:
    """What is the same for every row."""

    scoring_id: str
    model_id: str
    feature_set_hash: str
    horizon: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """A chunk of a task's symbols as it is written."""

    part: Part
    errors: tuple[SymbolError, ...]


class ScoreFiles:
    """The blobs of one task of a scoring."""

    def __init__(self, blobs: Blobs, stamp: Stamp, task: int) -> None:
        self._blobs = blobs
        self._stamp = stamp
        self._folder = f"scores/{stamp.scoring_id}"
        self._task = task

    def symbols(self, stored: Callable[[], Sequence[str]]) -> tuple[str, ...]:
        """The symbols of a scoring of all that are stored: the same for every task and attempt."""
        name = f"{self._folder}/symbols.json"
        try:
            content = self._blobs.get(name)
        except NotFound:
            content = json.dumps(list(stored())).encode()
            try:
                self._blobs.put(name, content)
            except AlreadyExists:
                content = self._blobs.get(name)
        return tuple(json.loads(content))

    def written(self) -> frozenset[str]:
        """The names of the task's parts that there are."""
        return frozenset(blob.name for blob in self._blobs.list(f"{self._folder}/task={self._task}/"))

    def part_name(self, number: int) -> str:
        return f"{self._folder}/task={self._task}/part-{number:05d}.parquet"

    def read(self, number: int) -> Chunk:
        """A part that was written before, by this attempt or another.

        Raises:
            NotFound, CorruptBlob
        """
        import pyarrow.parquet as pq

        name = self.part_name(number)
        content = self._blobs.get(name)
        found = pq.read_metadata(io.BytesIO(content))
        told = json.loads(found.metadata[_METADATA])
        errors = tuple(SymbolError(**error) for error in told["errors"])
        sha256 = hashlib.sha256(content).hexdigest()
        return Chunk(Part(name, sha256, found.num_rows, len(told["symbols"])), errors)

    def write(
        self, number: int, scores: Scores, signals: Sequence[Signal], errors: Sequence[SymbolError]
    ) -> Chunk:
        """Write a part. Where another attempt was quicker, its part counts."""
        name = self.part_name(number)
        try:
            sha256 = self._blobs.put(name, self._encoded(scores, signals, errors))
        except AlreadyExists:
            return self.read(number)
        return Chunk(Part(name, sha256, len(scores), len(scores.symbols)), tuple(errors))

    def write_errors(self, errors: Sequence[SymbolError]) -> str | None:
        """Write the errors of all the task's parts; gives the blob's name, or None if there are no errors."""
        if not errors:
            return None
        name = f"{self._folder}/errors/task={self._task}.json"
        content = json.dumps([asdict(error) for error in errors], indent=1).encode()
        with contextlib.suppress(AlreadyExists):  # written once, the parts say always the same
            self._blobs.put(name, content)
        return name

    def _encoded(self, scores: Scores, signals: Sequence[Signal], errors: Sequence[SymbolError]) -> bytes:
        import pyarrow as pa
        import pyarrow.parquet as pq

        told = {
            "scoring_id": self._stamp.scoring_id,
            "task": self._task,
            "symbols": list(scores.symbols),
            "errors": [asdict(error) for error in errors],
        }
        table = self._table(scores, signals).replace_schema_metadata({_METADATA: json.dumps(told)})
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd")
        content: bytes = sink.getvalue().to_pybytes()
        return content

    def _table(self, scores: Scores, signals: Sequence[Signal]) -> pa.Table:
        import pyarrow as pa

        stamp, rows = self._stamp, len(scores)
        columns: dict[str, tuple[Any, Any]] = {
            "symbol": (np.repeat(np.asarray(scores.symbols, object), scores.counts), pa.string()),
            "as_of": (scores.as_of * _MILLISECONDS, pa.timestamp("ms", tz="UTC")),
            "probability": (scores.probability, pa.float64()),
            "signal": (list(signals), pa.string()),
            "model_id": ([stamp.model_id] * rows, pa.string()),
            "feature_set_hash": ([stamp.feature_set_hash] * rows, pa.string()),
            "horizon": (np.full(rows, stamp.horizon, np.int32), pa.int32()),
        }
        schema = pa.schema([pa.field(name, kind, nullable=False) for name, (_, kind) in columns.items()])
        return pa.table([pa.array(values, kind) for values, kind in columns.values()], schema=schema)
