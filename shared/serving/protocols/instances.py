"""Rows as KServe v1 and MLflow's scoring server take them: as objects, as lists, by columns, and as CSV.

Source: KServe, "V1 protocol"; MLflow, "Deployment: the inference server", its input formats.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final, Self, TypeAlias

from pydantic import ConfigDict, Field, PrivateAttr

from shared.errors import FieldError, InvalidInput, MalformedRequest
from shared.schema import Answer, Body
from shared.serving.protocols.tensors import faulty
from shared.serving.rows import MOST_ROWS, ROWS_LIMIT_BYTES
from shared.serving.tabular import Place, RowPrediction
from shared.tabular import Columns
from shared.tabular.text import value_of

CSV: Final = "text/csv"

Instances: TypeAlias = Annotated[list[Any], Field(max_length=MOST_ROWS)]


@dataclass(frozen=True, slots=True)
class ColumnPlace(Place):
    """Values that come as a list for each column."""

    def of(self, row: int, column: str) -> str:
        return f"{self.pointer}{column}/{row}"


class PredictionsAnswer(Answer):
    """The predictions of all rows, in their order."""

    predictions: list[RowPrediction]


class ModelNames(Answer):
    models: list[str]


class InstancesBody(Body):
    """Rows as objects of column names and values, or as lists in the order of the columns."""

    model_config = ConfigDict(extra="ignore")
    limit_bytes: ClassVar[int] = ROWS_LIMIT_BYTES

    instances: Instances

    def given(self, columns: Columns) -> tuple[list[Any], Place]:
        """The rows, and where the request has them."""
        return _named(self.instances, columns, "/instances"), Place("/instances")


class SplitFrame(Body):
    """A table as pandas writes it: names of columns, and rows of values."""

    columns: list[str]
    data: Annotated[list[list[Any]], Field(max_length=MOST_ROWS)]
    index: list[Any] | None = None


class InvocationsBody(Body):
    """One of MLflow's forms of rows: a frame, split or by records, a list of instances, inputs by columns or
    by rows, or CSV with a header line.
    """

    media_types: ClassVar[tuple[str, ...]] = ("application/json", CSV)
    limit_bytes: ClassVar[int] = ROWS_LIMIT_BYTES

    dataframe_split: SplitFrame | None = None
    dataframe_records: Instances | None = None
    instances: Instances | None = None
    inputs: dict[str, list[Any]] | Instances | None = None
    _cells: list[list[str]] = PrivateAttr([])  # of CSV

    @classmethod
    def is_needed(cls) -> bool:
        return True

    @classmethod
    def decode(cls, content: bytes, headers: Mapping[bytes, bytes]) -> Self:
        if headers.get(b"content-type", b"").split(b";")[0].strip().lower() == CSV.encode():
            body = cls()
            body._cells = _cells(content)
            return body
        body = cls.model_validate_json(content or b"{}")
        given = [name for name in body.model_fields_set if getattr(body, name) is not None]
        if len(given) != 1:
            found = ", ".join(sorted(given)) or "none"
            raise faulty("", f"must have exactly one of {', '.join(cls.model_fields)}, found {found}")
        return body

    @property
    def rows(self) -> Sequence[Any]:
        """As many as the call counts for."""
        if self.dataframe_split is not None:
            return self.dataframe_split.data
        if isinstance(self.inputs, dict):
            return next(iter(self.inputs.values()), [])
        return self.dataframe_records or self.instances or self.inputs or self._cells[1:]

    def given(self, columns: Columns) -> tuple[list[Any], Place]:
        """The rows, and where the request has them.

        Raises:
            InvalidInput: rows and names of columns that don't go together.
        """
        if self.dataframe_split is not None:
            split, pointer = self.dataframe_split, "/dataframe_split"
            return _under(split.columns, split.data, pointer), Place(f"{pointer}/data")
        if isinstance(self.inputs, dict):
            return _by_rows(self.inputs), ColumnPlace("/inputs")
        for name in ("dataframe_records", "instances", "inputs"):
            rows = getattr(self, name)
            if rows is not None:
                return _named(rows, columns, f"/{name}"), Place(f"/{name}")
        return _of_cells(self._cells, columns), Place("")


def _named(rows: Sequence[Any], columns: Columns, pointer: str) -> list[Any]:
    """Rows that are lists become objects; others are checked when they are encoded. Objects may have each
    value in a list of its own, as KServe's own samples of data frames have them.
    """
    if rows and isinstance(rows[0], dict) and isinstance(next(iter(rows[0].values()), None), list):
        return [_unlisted(row) for row in rows]
    for place, row in enumerate(rows):
        if isinstance(row, list) and len(row) != len(columns):
            raise faulty(f"{pointer}/{place}", f"must have {len(columns)} values, found {len(row)}")
    return [dict(zip(columns.names, row, strict=True)) if isinstance(row, list) else row for row in rows]


def _unlisted(row: Any) -> Any:
    if not isinstance(row, dict):
        return row
    return {
        name: value[0] if isinstance(value, list) and len(value) == 1 else value
        for name, value in row.items()
    }


def _under(names: Sequence[str], rows: Sequence[Sequence[Any]], pointer: str) -> list[Any]:
    """Rows of values under the names of columns."""
    if len(set(names)) != len(names):
        twice = ", ".join(sorted(name for name, count in Counter(names).items() if count > 1))
        raise faulty(f"{pointer}/columns", f"each column is there once; found twice: {twice[:200]}")
    for place, row in enumerate(rows):
        if len(row) != len(names):
            raise faulty(f"{pointer}/data/{place}", f"must have {len(names)} values, found {len(row)}")
    return [dict(zip(names, row, strict=True)) for row in rows]


def _by_rows(columns: Mapping[str, Sequence[Any]]) -> list[Any]:
    counts = {len(values) for values in columns.values()}
    if len(counts) > 1:
        raise faulty("/inputs", "must have lists of one length, one for each column")
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _cells(content: bytes) -> list[list[str]]:
    try:
        text = content.decode("utf-8-sig")
        cells = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise MalformedRequest(f"The body must be CSV in UTF-8: {error}.") from error
    if not 1 < len(cells) <= MOST_ROWS + 1:
        found = f"must have a header line and between 1 and {MOST_ROWS} rows, found {len(cells)} lines"
        raise InvalidInput(f"The CSV {found}.", errors=[FieldError("", found)])
    return cells


def _of_cells(cells: Sequence[Sequence[str]], columns: Columns) -> list[Any]:
    names = [name.strip() for name in cells[0]]
    by_name = columns.by_name
    rows = _under(names, cells[1:], "")
    return [
        {name: value_of(by_name[name], text) if name in by_name else text for name, text in row.items()}
        for row in rows
    ]
