"""How the rows of a scoring's files are parted: into shards, the same for every task and attempt.

The plan is written once, as `scores/<id>/plan.json`, by whichever task is first: what is added to a folder
afterwards isn't scored, and no shard moves. A shard is some row groups of a Parquet file, or some records of
a CSV file, and becomes one part. Tasks take them in turn.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Final

import numpy as np
import pyarrow as pa

from shared.errors import AlreadyExists, FieldError, InvalidInput, NotFound
from shared.jobs.score_csv import BLOCK_BYTES, CsvReader, Header, pieces, read_header
from shared.jobs.score_parquet import Groups, ParquetInput
from shared.platform.ports import Blobs
from shared.serving.scoring_inputs import InputBytes, InputFile, input_files
from shared.serving.scoring_records import RowError, RowsRequest
from shared.tabular import Columns
from shared.tabular.rows import Encoded
from shared.tabular.table import encode_table

SHARD_ROWS: Final = 262_144
SHARD_BYTES: Final = 16_777_216
"""Of CSV."""
MAX_SHARDS: Final = 2_000
"""Of a task: its document names the part of each."""
BATCH_ROWS: Final = 8_192
"""Rows that are decoded, encoded and scored together: so they stay in the processor's cache."""


@dataclass(frozen=True, slots=True)
class Shard:
    """Rows of one file: `rows` from `first_row` on. `start` and `end` are of row groups, or of bytes."""

    file: int
    start: int
    end: int
    first_row: int
    rows: int


@dataclass(frozen=True, slots=True)
class Plan:
    files: tuple[InputFile, ...]
    shards: tuple[Shard, ...]

    def to_json(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @staticmethod
    def from_json(content: bytes) -> Plan:
        told = json.loads(content)
        return Plan(
            tuple(InputFile(**file) for file in told["files"]),
            tuple(Shard(**shard) for shard in told["shards"]),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Some rows of a file. `numbers` are the places in it of the good ones, `ids` what goes with those."""

    encoded: Encoded
    numbers: pa.Array
    ids: pa.Table
    errors: Sequence[RowError]


class InputFiles:
    """The files of one scoring, read for a model with these columns."""

    def __init__(self, blobs: Blobs, request: RowsRequest, columns: Columns) -> None:
        self._blobs = blobs
        self._request = request
        self._columns = columns
        self._open: dict[int, _Csv | _Parquet] = {}

    def plan(self, name: str, check: Callable[[], None]) -> Plan:
        """The plan that is written under `name`, or else a new one, written there. `check` is called often.

        Raises:
            InvalidInput: a file isn't what it should be, or lacks columns; or there are too many shards.
        """
        try:
            return Plan.from_json(self._blobs.get(name))
        except NotFound:
            files = tuple(input_files(self._blobs, self._request.input))
        shards: list[Shard] = []
        for place, file in enumerate(files):
            for shard in self._opened(place, file).shards(place):
                check()
                shards.append(shard)
        most = MAX_SHARDS * self._request.tasks
        if len(shards) > most:
            tasks = self._request.tasks
            found = f"{len(shards)} shards are too many for {tasks} tasks: at most {MAX_SHARDS} each"
            raise InvalidInput(f"{found}.", errors=[FieldError("/tasks", found)])
        plan = Plan(files, tuple(shards))
        try:
            self._blobs.put(name, plan.to_json())
        except AlreadyExists:
            return Plan.from_json(self._blobs.get(name))
        return plan

    def batches(self, plan: Plan, shard: Shard) -> Iterator[Batch]:
        """The rows of a shard, in order.

        Raises:
            InvalidInput: they can't be read.
        """
        file = plan.files[shard.file]
        yield from self._opened(shard.file, file).batches(shard)

    def open(self, plan: Plan) -> None:
        """Open all files, so that threads find them open.

        Raises:
            InvalidInput
        """
        for place, file in enumerate(plan.files):
            self._opened(place, file)

    def id_schema(self, plan: Plan) -> pa.Schema:
        """The types of the columns that go with the scores.

        Raises:
            InvalidInput: they aren't the same in all files.
        """
        schemas = [self._opened(place, file).id_schema for place, file in enumerate(plan.files)]
        for file, schema in zip(plan.files, schemas, strict=True):
            if schema != schemas[0]:
                raise InvalidInput(
                    f"The id columns of {file.name} have other types than those of {plan.files[0].name}."
                )
        return schemas[0]

    def _opened(self, place: int, file: InputFile) -> _Csv | _Parquet:
        if place not in self._open:
            kind = _Csv if file.format == "csv" else _Parquet
            self._open[place] = kind(self._blobs, file, self._columns, self._request.id_columns)
        return self._open[place]


class _Csv:
    def __init__(self, blobs: Blobs, file: InputFile, columns: Columns, ids: Sequence[str]) -> None:
        self._content = InputBytes(blobs, file)
        self._file = file
        self._columns = columns
        self._ids = ids
        self._header: Header = read_header(file.name, self._read)
        _require_names(file.name, columns, ids, self._header.names)
        self.id_schema = pa.schema([(name, pa.string()) for name in ids])

    def shards(self, place: int) -> Iterator[Shard]:
        first_row = 0
        for piece in pieces(self._file.name, self._read, self._header, SHARD_BYTES):
            if piece.rows:
                yield Shard(place, piece.start, piece.end, first_row, piece.rows)
            first_row += piece.rows

    def batches(self, shard: Shard) -> Iterator[Batch]:
        size_bytes = shard.end - shard.start
        found = self._reader.read(self._read(shard.start, size_bytes), shard.rows)
        for place, told in found.wrong.items():
            error = RowError(self._file.name, shard.first_row + place, ({"pointer": "", "detail": told},))
            yield _nothing_but(error, self._columns, self.id_schema)
        for first in range(0, len(found.table), BATCH_ROWS):
            numbers = shard.first_row + found.places[first : first + BATCH_ROWS]
            table = found.table.slice(first, BATCH_ROWS)
            yield _batch(self._file.name, self._columns, table, pa.array(numbers), self.id_schema)

    @cached_property
    def _reader(self) -> CsvReader:
        return CsvReader(self._header, self._columns, self._ids)

    def _read(self, start: int, size_bytes: int) -> bytes:
        """A store may take less than a block at a time, and has only so long for each."""
        found = []
        for at in range(start, min(start + size_bytes, self._file.size_bytes), BLOCK_BYTES):
            size = min(BLOCK_BYTES, start + size_bytes - at)
            found.append(self._content.read(at, size))
        return b"".join(found)


class _Parquet:
    def __init__(self, blobs: Blobs, file: InputFile, columns: Columns, ids: Sequence[str]) -> None:
        self._file = file
        self._columns = columns
        self._input = ParquetInput(InputBytes(blobs, file))
        _require_names(file.name, columns, ids, self._input.schema.names)
        self._wanted = tuple(dict.fromkeys((*columns.names, *ids)))
        self.id_schema = pa.schema([self._input.schema.field(name).remove_metadata() for name in ids])

    def shards(self, place: int) -> Iterator[Shard]:
        first_row = 0
        for groups in self._input.groups(SHARD_ROWS):
            yield Shard(place, groups.start, groups.end, first_row, groups.rows)
            first_row += groups.rows

    def batches(self, shard: Shard) -> Iterator[Batch]:
        groups = Groups(shard.start, shard.end, shard.rows)
        at = shard.first_row
        for table in self._input.batches(groups, self._wanted, BATCH_ROWS):
            numbers = pa.array(np.arange(at, at + len(table)))
            yield _batch(self._file.name, self._columns, table, numbers, self.id_schema)
            at += len(table)


def _batch(file: str, columns: Columns, table: pa.Table, numbers: pa.Array, ids: pa.Schema) -> Batch:
    encoded = encode_table(columns, table)
    chosen = table.select(ids.names).cast(ids)
    if not encoded.errors:
        return Batch(encoded, numbers, chosen, ())
    errors = []
    for row, found in encoded.errors.items():
        skipped = len(f"/{row}")
        faults = tuple({"pointer": error.pointer[skipped:], "detail": error.detail} for error in found)
        errors.append(RowError(file, numbers[row].as_py(), faults))
    good = pa.array(encoded.rows)
    return Batch(encoded, numbers.take(good), chosen.take(good), errors)


def _nothing_but(error: RowError, columns: Columns, ids: pa.Schema) -> Batch:
    return Batch(columns.encode(()), pa.array((), pa.int64()), ids.empty_table(), (error,))


def _require_names(file: str, columns: Columns, ids: Sequence[str], found: Sequence[str]) -> None:
    """
    Raises:
        InvalidInput: the file lacks columns that must have values, or that shall go with the scores.
    """
    lacking = [c.name for c in columns.columns if not c.nullable and c.name not in found]
    unknown = [(place, name) for place, name in enumerate(ids) if name not in found]
    if not (lacking or unknown):
        return
    names = ", ".join([*lacking, *(name for _, name in unknown)])
    errors = [FieldError("/input", f"the column {name} must be there") for name in lacking]
    errors += [FieldError(f"/id_columns/{place}", "is no column of the file") for place, _ in unknown]
    raise InvalidInput(f"{file} lacks columns: {names}. It has {', '.join(found)}.", errors=errors)
