"""Files of rows, CSV or Parquet, into the same codes that single rows get: column by column, with Arrow."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import csv, parquet

from shared.errors import FieldError, InvalidInput
from shared.tabular.columns import Column, Columns
from shared.tabular.rows import Encoded

Format: TypeAlias = Literal["csv", "parquet"]

MISSING_TEXT: Final = ("", "?", "NA", "N/A", "NaN", "nan", "null", "NULL", "None")
"""What stands for a missing value in CSV."""

TRUE_TEXT: Final = ("true", "1", "yes")
FALSE_TEXT: Final = ("false", "0", "no")


def read_table(content: bytes, format: Format) -> pa.Table:
    """The file's table. CSV has a header line and is UTF-8; its cells stay text, what is missing is null.

    Raises:
        InvalidInput: not such a file, or a column's name comes twice.
    """
    try:
        table = _read_csv(content) if format == "csv" else parquet.read_table(io.BytesIO(content))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"The file can't be read as {format}: {error}") from error
    names = table.column_names
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InvalidInput(f"The file has two columns of one name: {', '.join(twice)}.")
    return table


def _read_csv(content: bytes) -> pa.Table:
    header = content.removeprefix(b"\xef\xbb\xbf").split(b"\n", 1)[0].decode().strip("\r")
    names = csv.read_csv(io.BytesIO(header.encode() + b"\n")).column_names
    texts = csv.ConvertOptions(
        column_types={name: pa.string() for name in names},
        null_values=list(MISSING_TEXT),
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
    return csv.read_csv(io.BytesIO(content), convert_options=texts)


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

    Text is read as CSV writes it: `63.0` is the integer 63, and `true`, `1` and `yes` are true.
    """
    x = np.full((len(table), len(columns)), np.nan, np.float32)
    wrong = np.zeros(len(table), np.bool_)
    bad: list[tuple[Column, NDArray[np.bool_]]] = []
    for place, column in enumerate(columns.columns):
        if column.name in table.column_names:
            codes, good = _codes(column, table.column(column.name))
        else:
            codes, good = np.full(len(table), np.nan), np.full(len(table), column.nullable)
        x[:, place] = codes
        if not good.all():
            bad.append((column, ~good))
            wrong |= ~good
    rows = np.flatnonzero(~wrong)
    return Encoded(x[rows], rows, dict(_complaints(table, bad, wrong, pointer)))


def _complaints(
    table: pa.Table, bad: list[tuple[Column, NDArray[np.bool_]]], wrong: NDArray[np.bool_], pointer: str
) -> Iterator[tuple[int, tuple[FieldError, ...]]]:
    for row in np.flatnonzero(wrong).tolist():
        yield (
            row,
            tuple(
                FieldError(
                    f"{pointer}/{row}/{column.name.replace('~', '~0').replace('/', '~1')}",
                    f"must be {column.expected}, found {_cell(table, column.name, row)}",
                )
                for column, is_bad in bad
                if is_bad[row]
            ),
        )


def _cell(table: pa.Table, name: str, row: int) -> str:
    value = table.column(name)[row].as_py() if name in table.column_names else None
    return "nothing" if value is None else repr(value)[:60]


def _codes(column: Column, values: pa.ChunkedArray) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The codes of one column, and which of them are right. Missing values are NaN."""
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    missing = np.asarray(pc.is_null(values, nan_is_null=True))
    if column.type == "category":
        codes = _of_categories(column, values)
    elif column.type == "boolean":
        codes = _of_booleans(values)
    else:
        codes = _of_numbers(values)
    good = ~np.isnan(codes)
    if column.type in ("number", "integer"):
        low, high = column.bounds
        with np.errstate(invalid="ignore"):
            good &= (codes >= low) & (codes <= high)
            if column.type == "integer":
                good &= codes == np.trunc(codes)
    return np.where(missing, np.nan, codes), (good & ~missing) | (missing & column.nullable)


def _of_numbers(values: pa.ChunkedArray) -> NDArray[np.float64]:
    """Numbers in float64; NaN where a value is none."""
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        return _of_text(values)
    if pa.types.is_boolean(values.type) or not (
        pa.types.is_integer(values.type)
        or pa.types.is_floating(values.type)
        or pa.types.is_decimal(values.type)
    ):
        return np.full(len(values), np.nan)
    floats = values.cast(pa.float64(), safe=False)
    return np.array(pc.fill_null(floats, float("nan")), np.float64)


def _of_text(values: pa.ChunkedArray) -> NDArray[np.float64]:
    trimmed = pc.utf8_trim_whitespace(values)
    is_number = pc.match_substring_regex(trimmed, r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$")
    texts = pc.if_else(pc.fill_null(is_number, False), trimmed, pa.scalar(None, trimmed.type))
    texts = pc.replace_substring_regex(texts, r"^\+", "")
    return np.array(pc.fill_null(pc.cast(texts, pa.float64()), float("nan")), np.float64)


def _of_booleans(values: pa.ChunkedArray) -> NDArray[np.float64]:
    if pa.types.is_boolean(values.type):
        return np.array(pc.fill_null(values.cast(pa.uint8()).cast(pa.float64()), float("nan")), np.float64)
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        lower = pc.utf8_lower(pc.utf8_trim_whitespace(values))
        is_true = pc.is_in(lower, pa.array(TRUE_TEXT, lower.type))
        is_false = pc.is_in(lower, pa.array(FALSE_TEXT, lower.type))
        codes = np.where(np.asarray(is_true), 1.0, np.where(np.asarray(is_false), 0.0, np.nan))
        return codes.astype(np.float64)
    numbers = _of_numbers(values)
    return np.where((numbers == 0) | (numbers == 1), numbers, np.nan)


def _of_categories(column: Column, values: pa.ChunkedArray) -> NDArray[np.float64]:
    codes: Mapping[Any, float] = {category: float(i) for i, category in enumerate(column.categories)}
    if isinstance(column.categories[0], int):
        keys: list[Any] = _of_numbers(values).tolist()  # 3.0 is found where 3 is
    elif pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        keys = values.to_pylist()
    else:
        return np.full(len(values), np.nan)
    distinct = {key: codes.get(key, np.nan) for key in set(keys)}
    return np.array([distinct[key] for key in keys], np.float64)
