"""Files of rows, CSV or Parquet, into the same codes that single rows get: column by column, with Arrow."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from typing import Any, Final, Literal, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import csv, parquet

from shared.errors import FieldError, InvalidInput
from shared.tabular.columns import MAX_NUMBER, Column, Columns
from shared.tabular.rows import Encoded
from shared.tabular.text import FALSE_TEXT, MISSING_TEXT, NUMBER_TEXT, TRUE_TEXT

Format: TypeAlias = Literal["csv", "parquet"]
Mask: TypeAlias = NDArray[np.bool_]
Codes: TypeAlias = tuple[NDArray[np.float64], Mask, Mask]
"""The codes of a column's values, which of them are good, and which are missing."""


_SHOWN: Final = 60
"""Characters of a wrong value that a message repeats."""

_HEADER_BYTES: Final = 1 << 20
_ZIP: Final = b"PK\x03\x04"
_UTF16: Final = (b"\xff\xfe", b"\xfe\xff")
_DIVIDERS: Final = {b";": "semicolons", b"\t": "tabs", b"|": "bars"}
_NOT_UTF8: Final = "The file isn't UTF-8, as CSV is here: save it as UTF-8."


def read_table(content: bytes, format: Format) -> pa.Table:
    """The file's table. CSV has a header line and is UTF-8; its cells stay text, what is missing is null.

    Raises:
        InvalidInput: not such a file, or a column's name comes twice.
    """
    try:
        table = _read_csv(content) if format == "csv" else parquet.read_table(io.BytesIO(content))
        names = table.column_names
    except UnicodeDecodeError as error:
        raise InvalidInput(_NOT_UTF8) from error
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        why = _NOT_UTF8 if "invalid UTF8" in str(error) else f"The file can't be read as {format}: {error}"
        raise InvalidInput(why) from error
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InvalidInput(f"The file has two columns of one name: {', '.join(twice)}.")
    return table


def _read_csv(content: bytes) -> pa.Table:
    _refuse_others(content)
    names = _names(content)
    texts = csv.ConvertOptions(
        column_types={name: pa.string() for name in names},
        null_values=list(MISSING_TEXT),
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
    return csv.read_csv(io.BytesIO(content), convert_options=texts)


def _refuse_others(content: bytes) -> None:
    """What is taken for CSV, and isn't as it is here, in words that say what to do."""
    if not content.strip():
        raise InvalidInput("The file is empty.")
    if content.startswith(_ZIP):
        raise InvalidInput("The file is a workbook or an archive, and no CSV: export its rows as CSV.")
    if content.startswith(_UTF16):
        raise InvalidInput(_NOT_UTF8)
    header = content[:_HEADER_BYTES].split(b"\n", 1)[0]
    divider = next(
        (words for mark, words in _DIVIDERS.items() if mark in header and b"," not in header), None
    )
    if divider is not None:
        raise InvalidInput(
            f"The file's columns are divided by {divider}, not by commas: save it with commas between "
            "columns, and with points in numbers."
        )


def _names(content: bytes) -> list[str]:
    """The names in the header, which may go over lines where they stand in quotes."""
    header = csv.ReadOptions(block_size=_HEADER_BYTES, use_threads=False)
    with csv.open_csv(io.BytesIO(content), read_options=header) as reader:
        return list(reader.schema.names)


def check_names(columns: Columns, table: pa.Table) -> None:
    """
    Raises:
        InvalidInput: the file lacks a column that must have values. Others count as missing; columns that the
            model doesn't know are left alone.
    """
    lacking = [c.name for c in columns.columns if not c.nullable and c.name not in table.column_names]
    if lacking:
        raise InvalidInput(
            f"The file lacks columns: {', '.join(lacking)}. It has {', '.join(table.column_names)}.",
            errors=[FieldError(f"/{name}", "must be there") for name in lacking],
        )


def encode_table(columns: Columns, table: pa.Table, *, pointer: str = "") -> Encoded:
    """Each row right or wrong alone, as `Columns.encode`; pointers are `<pointer>/<row>/<column>`.

    Text is read as CSV writes it: `63.0` is the integer 63, and `true`, `1` and `yes` are true. It goes
    column by column: a few thousand rows at a time stay in the processor's cache.
    """
    x = np.empty((len(table), len(columns)), np.float32)
    wrong = np.zeros(len(table), np.bool_)
    bad: list[tuple[Column, Mask]] = []
    known = frozenset(table.column_names)
    with np.errstate(over="ignore", invalid="ignore"):  # what is too large, or no number, is no good
        for place, column in enumerate(columns.columns):
            if column.name in known:
                codes, good, missing = _codes(column, table.column(column.name))
            else:
                codes, good, missing = _nothing(len(table))
            x[:, place] = codes
            if good.all():
                continue
            x[missing, place] = np.nan
            is_bad = ~(good | missing) if column.nullable else ~good
            if is_bad.any():
                bad.append((column, is_bad))
                wrong |= is_bad
    if not bad:
        return Encoded(x, np.arange(len(table)), {})
    rows = np.flatnonzero(~wrong)
    return Encoded(x[rows], rows, dict(_complaints(table, bad, wrong, pointer)))


def _complaints(
    table: pa.Table, bad: list[tuple[Column, Mask]], wrong: Mask, pointer: str
) -> Iterator[tuple[int, tuple[FieldError, ...]]]:
    found: dict[int, list[FieldError]] = {row: [] for row in np.flatnonzero(wrong).tolist()}
    for column, is_bad in bad:
        rows = np.flatnonzero(is_bad)
        end = column.name.replace("~", "~0").replace("/", "~1")
        for row, cell in zip(rows.tolist(), _cells(table, column.name, rows), strict=True):
            told = f"must be {column.expected}, found {cell}"
            found[row].append(FieldError(f"{pointer}/{row}/{end}", told))
    for row, errors in found.items():
        yield row, tuple(errors)


def _cells(table: pa.Table, name: str, rows: NDArray[np.int64]) -> list[str]:
    """What is written there."""
    if name not in table.column_names:
        return ["nothing"] * len(rows)
    values = table.column(name).take(pa.array(rows)).to_pylist()
    return ["nothing" if value is None else repr(value)[:_SHOWN] for value in values]


def _codes(column: Column, values: pa.ChunkedArray) -> Codes:
    """The codes of one column."""
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if pa.types.is_null(values.type):
        return _nothing(len(values))
    if column.type == "boolean":
        return _of_booleans(values)
    if column.type == "category":
        return _of_categories(column, values)
    return _of_numbers(column, values)


def _nothing(rows: int) -> Codes:
    return np.full(rows, np.nan), np.zeros(rows, np.bool_), np.ones(rows, np.bool_)


def _no_codes(values: pa.ChunkedArray) -> Codes:
    """Of values of another type: all wrong, but those that are missing."""
    missing = np.asarray(pc.is_null(values, nan_is_null=True))
    return np.full(len(values), np.nan), np.zeros(len(values), np.bool_), missing


def _of_numbers(column: Column, values: pa.ChunkedArray) -> Codes:
    numbers = _numbers(values)
    if numbers is None:
        return _no_codes(values)
    found, missing = numbers
    low, high = column.bounds
    if found.dtype.kind in "iu":  # integers compare as what they are, not as the floats they may round to
        good = (found >= math.ceil(low)) & (found <= math.floor(high))
        return found.astype(np.float64), _without(good, missing), missing
    good = (found >= low) & (found <= high)
    if column.type == "integer":
        good &= found == np.trunc(found)
    return found, _without(good, missing), missing


def _without(good: Mask, missing: Mask) -> Mask:
    return good & ~missing if missing.any() else good


def _numbers(values: pa.ChunkedArray) -> tuple[NDArray[Any], Mask] | None:
    """The numbers as integers or in float64, and which are missing; None where these aren't numbers."""
    if _is_text(values.type):
        parsed = _parsed(values)
        return np.array(pc.fill_null(parsed, math.nan), np.float64), np.asarray(pc.is_null(values))
    if pa.types.is_integer(values.type):
        missing = np.asarray(pc.is_null(values))
        return np.asarray(pc.fill_null(values, 0) if values.null_count else values), missing
    if pa.types.is_floating(values.type) or pa.types.is_decimal(values.type):
        floats = values if pa.types.is_float64(values.type) else values.cast(pa.float64(), safe=False)
        found = np.asarray(floats, np.float64)  # null comes as NaN
        return found, np.isnan(found)
    return None


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _parsed(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Text as float64: infinite or NaN, or null, where it is no number."""
    try:
        return pc.cast(values, pa.float64())
    except pa.ArrowInvalid:  # some aren't, or have white space around
        trimmed = pc.utf8_trim_whitespace(values)
        is_number = pc.match_substring_regex(trimmed, NUMBER_TEXT)
        texts = pc.if_else(pc.fill_null(is_number, False), trimmed, pa.scalar(None, trimmed.type))
        return pc.cast(texts, pa.float64())


def _of_booleans(values: pa.ChunkedArray) -> Codes:
    missing = np.asarray(pc.is_null(values, nan_is_null=True))
    if pa.types.is_boolean(values.type):
        codes = np.asarray(pc.fill_null(values, False)).astype(np.float64)
        return codes, ~missing, missing
    if _is_text(values.type):
        lower = pc.utf8_lower(pc.utf8_trim_whitespace(values))
        is_true = np.asarray(pc.is_in(lower, pa.array(TRUE_TEXT, lower.type)))
        is_false = np.asarray(pc.is_in(lower, pa.array(FALSE_TEXT, lower.type)))
        return is_true.astype(np.float64), is_true | is_false, missing
    numbers = _numbers(values)
    if numbers is None:
        return _no_codes(values)
    codes = numbers[0].astype(np.float64)
    return codes, ((codes == 0) | (codes == 1)) & ~missing, missing


def _of_categories(column: Column, values: pa.ChunkedArray) -> Codes:
    if isinstance(column.categories[0], int):
        return _of_integer_categories(column, values)
    if not _is_text(values.type):
        return _no_codes(values)
    places = pc.index_in(values, pa.array(column.categories, values.type))
    codes = np.asarray(pc.fill_null(places, -1)).astype(np.float64)
    return codes, codes >= 0, np.asarray(pc.is_null(values))


def _of_integer_categories(column: Column, values: pa.ChunkedArray) -> Codes:
    """3.0 is found where 3 is."""
    numbers = _numbers(values)
    if numbers is None:
        return _no_codes(values)
    found, missing = numbers
    known = [
        (key, place)
        for place, one in enumerate(column.categories)
        if (key := _key(one, found.dtype)) is not None
    ]
    if not known:
        return np.full(len(found), np.nan), np.zeros(len(found), np.bool_), missing
    keys = np.concatenate([key for key, _ in known])
    order = np.argsort(keys)
    keys, places = keys[order], np.array([place for _, place in known], np.float64)[order]
    at = np.minimum(np.searchsorted(keys, found), len(keys) - 1)
    return places[at], (keys[at] == found) & ~missing, missing


def _key(category: Any, kind: np.dtype[Any]) -> NDArray[Any] | None:
    """The category as a number of this kind; None where it can't be one."""
    if kind.kind == "f":
        is_there = abs(category) <= MAX_NUMBER and float(category) == category
    else:
        is_there = np.iinfo(kind).min <= category <= np.iinfo(kind).max
    return np.array([category], kind) if is_there else None
