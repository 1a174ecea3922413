"""Parquet files by their row groups, without more of one in memory than is needed."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
from pyarrow import parquet

from shared.errors import InvalidInput
from shared.serving.scoring_inputs import InputBytes

MAX_GROUP_ROWS: Final = 2_097_152
READ_AHEAD_BYTES: Final = 67_108_864
"""Row groups up to this size are fetched at once; of larger ones so much is held at a time."""


class BlobFile(io.RawIOBase):
    """A blob as a file that can be read at any place."""

    def __init__(self, content: InputBytes) -> None:
        super().__init__()
        self._content = content
        self._size_bytes = content.file.size_bytes
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size_bytes}[whence]
        self._at = start + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        left = max(self._size_bytes - self._at, 0)
        wanted = left if size is None or size < 0 else min(size, left)
        if not wanted:
            return b""
        found = self._content.read(self._at, wanted)
        self._at += len(found)
        return found


@dataclass(frozen=True, slots=True)
class Groups:
    """Row groups of a file, from `start` to before `end`, and how many rows they are."""

    start: int
    end: int
    rows: int


class ParquetInput:
    """One Parquet file in Blobs."""

    def __init__(self, content: InputBytes) -> None:
        """
        Raises:
            InvalidInput: it isn't Parquet, or a column's name comes twice.
        """
        self._content = content
        self._name = content.file.name
        with self._opened() as file:
            self._metadata = file.metadata
            self.schema = pa.schema([_as_text(field) for field in file.schema_arrow])
        twice = sorted({one for one in self.schema.names if self.schema.names.count(one) > 1})
        if twice:
            raise InvalidInput(f"{self._name} has two columns of one name: {', '.join(twice)}.")

    def groups(self, rows: int) -> Iterator[Groups]:
        """The row groups, joined until there are so many rows.

        Raises:
            InvalidInput: one is too large.
        """
        start = count = 0
        for group in range(self._metadata.num_row_groups):
            found = self._metadata.row_group(group).num_rows
            if found > MAX_GROUP_ROWS:
                raise InvalidInput(
                    f"{self._name} has a row group of {found:,} rows; at most {MAX_GROUP_ROWS:,} are read at "
                    "a time: write the file with smaller ones (row_group_size in pyarrow and pandas)."
                )
            if count + found > rows and count:
                yield Groups(start, group, count)
                start, count = group, 0
            count += found
        if count:
            yield Groups(start, self._metadata.num_row_groups, count)

    def batches(self, groups: Groups, columns: Sequence[str], rows: int) -> Iterator[pa.Table]:
        """These row groups' rows, about so many at a time, of the `columns` that there are.

        Raises:
            InvalidInput: it can't be read.
        """
        wanted = [name for name in columns if name in self.schema.names]
        if not wanted:  # nothing of the file is read, but it has rows all the same
            for first in range(0, groups.rows, rows):
                count = min(rows, groups.rows - first)
                yield pa.Table.from_struct_array(pa.nulls(count, pa.struct([])))
            return
        is_small = self._size_of(groups) <= READ_AHEAD_BYTES
        buffer_bytes = 0 if is_small else max(READ_AHEAD_BYTES // len(wanted), 65_536)
        with self._opened(metadata=self._metadata, pre_buffer=is_small, buffer_size=buffer_bytes) as file:
            found = file.iter_batches(
                batch_size=rows, row_groups=range(groups.start, groups.end), columns=wanted, use_threads=False
            )
            schema = pa.schema([self.schema.field(name) for name in wanted])
            for batch in found:
                table = pa.Table.from_batches([batch]).select(wanted)
                yield table if table.schema.equals(schema) else table.cast(schema)

    def _size_of(self, groups: Groups) -> int:
        return sum(self._metadata.row_group(one).total_byte_size for one in range(groups.start, groups.end))

    @contextmanager
    def _opened(self, **options: Any) -> Iterator[parquet.ParquetFile]:
        source = pa.PythonFile(BlobFile(self._content), mode="r")
        try:
            with parquet.ParquetFile(source, **options) as file:
                yield file
        except (pa.ArrowException, OSError) as error:
            raise InvalidInput(f"{self._name} can't be read as Parquet: {error}") from error


def _as_text(field: pa.Field) -> pa.Field:
    """Text as it is computed with: Arrow has no functions for views of it."""
    return field.with_type(pa.string()) if pa.types.is_string_view(field.type) else field
