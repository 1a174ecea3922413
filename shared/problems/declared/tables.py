"""A file of rows against a declaration: which rows fit, and what is wrong with the others."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from shared.errors import FieldError, InvalidInput
from shared.problems.declared.declaration import Declaration
from shared.tabular import Columns
from shared.tabular.table import Format, check_names, encode_table, read_table

SHOWN: Final = 20
"""Findings that an answer holds; their number says how many rows there are besides."""


@dataclass(frozen=True, slots=True)
class CheckedTable:
    """A file as far as it fits: `good` of its `rows` do, `classes` says how many of them are of each class.

    `errors` are the first findings, `/<row>/<column>` with rows from 0; `absent` the columns that the file
    doesn't have at all.
    """

    table: pa.Table
    good_rows: np.ndarray[tuple[int], np.dtype[np.int64]]
    classes: Mapping[str, int]
    errors: tuple[FieldError, ...]
    absent: tuple[str, ...]

    @property
    def rows(self) -> int:
        return len(self.table)

    @property
    def good(self) -> int:
        return len(self.good_rows)

    @property
    def bad(self) -> int:
        return self.rows - self.good

    def require_good(self) -> None:
        """
        Raises:
            InvalidInput: a row doesn't fit.
        """
        if self.bad:
            first = self.errors[0]
            raise InvalidInput(
                f"{self.bad} of {self.rows} rows don't fit the problem's columns; the first: {first.pointer} "
                f"{first.detail}. Correct the file or the columns, or have such rows left out "
                "(bad_rows=leave_out).",
                errors=self.errors,
            )

    def require_enough(self, folds: int) -> None:
        """
        Raises:
            InvalidInput: a class has fewer good rows than there are folds.
        """
        few = {name: count for name, count in self.classes.items() if count < folds}
        if few:
            words = ", ".join(f"{name} has {count}" for name, count in few.items())
            raise InvalidInput(
                f"Each class needs at least {folds} rows that fit, one per fold; {words}.",
                errors=[FieldError(f"/target/classes/{name}", f"has {n} rows") for name, n in few.items()],
            )

    def parquet(self) -> bytes:
        """The good rows as a file of their own."""
        written = io.BytesIO()
        parquet.write_table(self.table.take(self.good_rows), written)
        return written.getvalue()


def check_table(declaration: Declaration, content: bytes, format: Format) -> CheckedTable:
    """Every row against the columns and the target, as training reads it.

    Raises:
        InvalidInput: no such file, or it lacks a column that must have values, or the target.
    """
    table = read_table(content, format)
    columns, label = declaration.all_columns, Columns((declaration.label,))
    for needed in (columns, label):
        check_names(needed, table)
    rows, labels = encode_table(columns, table), encode_table(label, table)
    good = np.intersect1d(rows.rows, labels.rows)
    codes = labels.x[np.isin(labels.rows, good), 0].astype(np.int64)
    return CheckedTable(
        table=table,
        good_rows=good,
        classes=_counts(declaration, codes),
        errors=tuple(_first([rows.errors, labels.errors])),
        absent=tuple(name for name in columns.names if name not in table.column_names),
    )


def _counts(declaration: Declaration, codes: np.ndarray[tuple[int], np.dtype[np.int64]]) -> dict[str, int]:
    """Good rows per class. A code is the place of a value among those of all classes."""
    per_value = np.bincount(codes, minlength=len(declaration.label.categories)).tolist()
    counts: dict[str, int] = {}
    for name, values in declaration.target.in_order.items():
        counts[name] = sum(per_value[: len(values)])
        per_value = per_value[len(values) :]
    return counts


def _first(found: list[Mapping[int, tuple[FieldError, ...]]]) -> list[FieldError]:
    """The first findings of all, by row."""
    rows = sorted({row for errors in found for row in errors})[:SHOWN]
    return [error for row in rows for errors in found for error in errors.get(row, ())][:SHOWN]
