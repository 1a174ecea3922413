"""CSV files in pieces: where records end, found in one pass, and the records of a piece as a table.

A file is UTF-8, with a header line, commas, and quotes as RFC 4180 has them. Of a large file no more than a
piece is ever in memory. Where records end is found as Arrow's own parser does: a quote counts at the start of
a field alone, and empty lines are no records.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import csv

from shared.errors import InvalidInput
from shared.tabular import Columns
from shared.tabular.text import MISSING_TEXT

BLOCK_BYTES: Final = 8_388_608
MAX_RECORD_BYTES: Final = 4_194_304

_MARK: Final = b"\xef\xbb\xbf"  # which some programs begin UTF-8 with
_QUOTED: Final = re.compile(rb'(?<![^,\r\n])"[^"]*(?:""[^"]*)*(?:"|\Z)')

ReadBytes = Callable[[int, int], bytes]
"""So many bytes of the file from a place on: `(start, size_bytes)`."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Whole records of a file: its bytes from `start` to `end`, and how many rows they are."""

    start: int
    end: int
    rows: int


@dataclass(frozen=True, slots=True)
class Header:
    """The names of the columns, and where the first record begins."""

    names: tuple[str, ...]
    end: int


def read_header(name: str, read: ReadBytes) -> Header:
    """
    Raises:
        InvalidInput: none, or one name comes twice.
    """
    block = read(0, MAX_RECORD_BYTES)
    ends = _ends(block.removeprefix(_MARK), is_last=len(block) < MAX_RECORD_BYTES)
    start = len(_MARK) if block.startswith(_MARK) else 0
    if not ends.size:
        raise InvalidInput(f"{name} has no header line.")
    line = block[start : start + int(ends[0])]
    if not line.strip():
        raise InvalidInput(f"{name} begins with an empty line: its first line must have the columns' names.")
    try:
        names = csv.read_csv(pa.BufferReader(line + b"\n"), parse_options=_PARSED).column_names
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{name} isn't UTF-8, as CSV is here: save it as UTF-8.") from error
    except pa.ArrowInvalid as error:
        raise InvalidInput(f"The header of {name} can't be read: {error}") from error
    twice = sorted({one for one in names if names.count(one) > 1})
    if twice:
        raise InvalidInput(f"{name} has two columns of one name: {', '.join(twice)}.")
    return Header(tuple(names), start + int(ends[0]))


def pieces(name: str, read: ReadBytes, header: Header, size_bytes: int) -> Iterator[Piece]:
    """The file's records in pieces of about so many bytes, or some more.

    Raises:
        InvalidInput: a record is too long, or doesn't end.
    """
    start = at = header.end
    rows, rest = 0, b""
    while True:
        fresh = read(at + len(rest), BLOCK_BYTES)
        block, is_last = rest + fresh, len(fresh) < BLOCK_BYTES
        ends = _ends(block, is_last=is_last)
        first = 0
        _require_short(name, at, np.append(ends, len(block)))
        for end, count in _cuts(block, ends, size_bytes - (at - start)):
            rows += count
            if at + end - start >= size_bytes:
                yield Piece(start, at + end, rows)
                start, rows = at + end, 0
            first = end
        rest, at = block[first:], at + first
        if is_last:
            break
    if at > start:
        yield Piece(start, at, rows)


def _require_short(name: str, start: int, ends: NDArray[np.int64]) -> None:
    """Of the records that end there, from `start` on in the file: that a block can hold each.

    Raises:
        InvalidInput
    """
    sizes = np.diff(ends, prepend=0)
    longest = int(sizes.argmax())
    if sizes[longest] > MAX_RECORD_BYTES:
        at = start + int(ends[longest] - sizes[longest])
        raise InvalidInput(
            f"{name} has a record of more than {MAX_RECORD_BYTES:,} bytes, from byte {at:,} on: "
            "is a quote not closed?"
        )


def _cuts(block: bytes, ends: NDArray[np.int64], first_bytes: int) -> Iterator[tuple[int, int]]:
    """The block's records in one or two steps: to where the piece at hand is full, and the rest.

    Gives where each step ends, and its rows.
    """
    if not ends.size:
        return
    is_record = ~_is_empty(block, ends)
    full = int(np.searchsorted(ends, first_bytes))
    if full < ends.size - 1:
        yield int(ends[full]), int(is_record[: full + 1].sum())
        yield int(ends[-1]), int(is_record[full + 1 :].sum())
    else:
        yield int(ends[-1]), int(is_record.sum())


def _ends(block: bytes, *, is_last: bool) -> NDArray[np.int64]:
    """Behind each record's line end, in a block that begins where a record does. The file's last record
    may lack one.
    """
    found = np.frombuffer(block, np.uint8)
    is_end = found == 0x0A
    if b"\r" in block:  # a line end of its own, where no line feed follows
        lone = found == 0x0D
        lone[:-1] &= found[1:] != 0x0A
        lone[-1] &= is_last
        is_end = is_end | lone
    ends = np.flatnonzero(is_end) + 1
    if b'"' in block:
        ends = ends[~_are_quoted(block, ends - 1)]
    if is_last and block and (not ends.size or ends[-1] < len(block)):
        ends = np.append(ends, len(block))
    return ends


def _are_quoted(block: bytes, places: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which places are within a quoted field."""
    spans = np.array([match.span() for match in _QUOTED.finditer(block)], np.int64).reshape(-1, 2)
    at = np.searchsorted(spans[:, 0], places, "right") - 1
    return (at >= 0) & (places < spans[:, 1][at] if len(spans) else False)


def _is_empty(block: bytes, ends: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which records have nothing before their line end."""
    found = np.frombuffer(block, np.uint8)
    lengths = np.diff(ends, prepend=0)
    is_ended = np.isin(found[ends - 1], (0x0A, 0x0D))
    is_two = is_ended & (lengths == 2)  # a carriage return and a line feed, or one character and an end
    is_two[is_two] = found[ends[is_two] - 2] == 0x0D
    empty: NDArray[np.bool_] = (is_ended & (lengths == 1)) | is_two
    return empty


_PARSED: Final = csv.ParseOptions(newlines_in_values=True)


@dataclass(frozen=True, slots=True)
class CsvRows:
    """The rows of a piece that have the right number of cells, and what is wrong with the others.

    `places` are those rows' places in the piece, `wrong` is by place.
    """

    table: pa.Table
    places: NDArray[np.int64]
    wrong: dict[int, str]


class CsvReader:
    """Reads pieces of files of one header. Columns that nobody asked for aren't looked at."""

    def __init__(self, header: Header, columns: Columns, extra: Sequence[str]) -> None:
        known = frozenset(header.names)
        self._names = header.names
        self._numbers = [
            c.name for c in columns.columns if c.name in known and c.type in ("number", "integer")
        ]
        self._wanted = list(dict.fromkeys(name for name in (*columns.names, *extra) if name in known))
        self._extra = frozenset(extra)

    def read(self, content: bytes, rows: int) -> CsvRows:
        """The rows of a piece. What isn't UTF-8 in it comes as U+FFFD.

        Numbers are read as such where all of a piece are some, which is quicker, and else as text.

        Raises:
            InvalidInput: it has not as many rows as were counted.
        """
        if not (content.isascii() or _is_utf8(content)):
            content = content.decode(errors="replace").encode()
        as_numbers = [name for name in self._numbers if name not in self._extra]
        try:
            found = self._parsed(content, as_numbers)
        except pa.ArrowInvalid:
            found = self._parsed(content, ())
        else:
            if any(_has_nan(found.table.column(name)) for name in as_numbers):
                found = self._parsed(content, ())
        if (readable := len(found.table) + len(found.wrong)) != rows:
            raise InvalidInput(
                f"A piece of the file has {rows} records, and {readable} can be read: it isn't CSV with "
                "quotes as RFC 4180 has them."
            )
        return found

    def _parsed(self, content: bytes, as_numbers: Sequence[str]) -> CsvRows:
        wrong: dict[int, str] = {}

        def note(row: Any) -> str:
            wrong[row.number - 1] = f"must have {row.expected_columns} cells, found {row.actual_columns}"
            return "skip"

        # in blocks it is quicker; but of a quoted line end that two of them share, Arrow drops a half
        is_quoted = b'"' in content
        texts = dict.fromkeys(self._wanted, pa.string())
        table = csv.read_csv(
            pa.BufferReader(content),
            read_options=csv.ReadOptions(
                use_threads=False,
                column_names=self._names,
                block_size=max(len(content), 1) if is_quoted else MAX_RECORD_BYTES,
            ),
            parse_options=csv.ParseOptions(newlines_in_values=is_quoted, invalid_row_handler=note),
            convert_options=csv.ConvertOptions(
                column_types={**texts, **dict.fromkeys(as_numbers, pa.float64())},
                include_columns=self._wanted,
                null_values=MISSING_TEXT,
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )
        places = np.delete(np.arange(len(table) + len(wrong)), list(wrong))
        return CsvRows(table, places, wrong)


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def _has_nan(values: pa.ChunkedArray) -> bool:
    """Whether some text was read as NaN that stands for nothing missing."""
    return bool(pc.any(pc.is_nan(values)).as_py())
