"""What is wrong with the rows that are to be trained on: which column, which rows, what was expected."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from shared.errors import FieldError, InvalidInput
from shared.problems.spec import TabularProblem
from shared.tabular import Column, Columns
from shared.tabular.table import check_names, encode_table

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from pandera.pandas import DataFrameSchema

MAX_BAD_SHARE: Final = 0.2
"""With a larger share of rows that can't be used, the data aren't what the problem says they are."""

_SHOWN_ROWS: Final = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with a column: in how many rows, the first of them (from 0) and their values."""

    column: str
    expected: str
    count: int
    rows: tuple[int, ...]
    found: tuple[str, ...]

    @property
    def places(self) -> str:
        return ", ".join(map(str, self.rows)) + (", ..." if self.count > len(self.rows) else "")

    def words(self) -> str:
        """`rows 3, 17: must be an integer from 0 to 120, found 'old'`"""
        return f"rows {self.places}: must be {self.expected}, found {', '.join(self.found)}"


@dataclass(frozen=True, slots=True)
class Validation:
    """What a table was found to be. `dropped` of its `rows` can't be used; `missing` are values per column.

    `duplicates` counts rows that repeat an earlier one in every column and the target: they stay, since two
    patients may be alike, but a copied row is in a training part and in its test part at once. `unknown` are
    columns of the file that the problem doesn't have; they are passed over.
    """

    rows: int
    dropped: int
    findings: tuple[Finding, ...]
    duplicates: int
    missing: dict[str, int]
    unknown: tuple[str, ...]

    def json(self) -> dict[str, Any]:
        """Counts alone: values of single rows have no place in a manifest."""
        findings = [{"column": f.column, "expected": f.expected, "count": f.count} for f in self.findings]
        return {**asdict(self), "findings": findings, "unknown": list(self.unknown)}


def validate(problem: TabularProblem, table: pa.Table) -> tuple[Validation, NDArray[np.int64]]:
    """The account of a table, and the places of the rows that can be used.

    Raises:
        InvalidInput: it lacks a column that it must have, or more than a fifth of its rows can't be used.
    """
    columns, target = problem.columns, target_column(problem)
    needed = Columns((*columns.columns, target))
    check_names(needed, table)
    present = [column for column in needed.columns if column.name in table.column_names]
    frame = table.select([column.name for column in present]).to_pandas(types_mapper=_arrow)
    failures = _failures(_schema(present), frame)
    bad = np.unique([row for _, row, _ in failures]).astype(np.int64)
    good = np.setdiff1d(np.arange(len(table)), bad)
    found = Validation(
        rows=len(table),
        dropped=len(bad),
        findings=tuple(_findings(present, failures)),
        duplicates=int(frame.iloc[good].duplicated().sum()),
        missing={c.name: int(frame[c.name].isna().sum()) for c in present if c.nullable},
        unknown=tuple(name for name in table.column_names if name not in needed.names),
    )
    _require_enough(found)
    return found, good


def target_column(problem: TabularProblem) -> Column:
    """The target as a column whose categories are the values of all classes, in their order."""
    values = tuple(value for found in problem.target.values.values() for value in found)
    return Column(name=problem.target.column, type="category", categories=values, nullable=False)


_Failure = tuple[str, int, Any]
"""(column, row, value)"""


def _arrow(type: pa.DataType) -> Any:
    """Values stay as the file has them: integers don't become floats where some are missing."""
    import pandas as pd

    return pd.ArrowDtype(type)


def _schema(columns: Iterable[Column]) -> DataFrameSchema:
    """One check per column: that the value can be encoded."""
    from pandera.pandas import Check, DataFrameSchema
    from pandera.pandas import Column as Checked

    def check(column: Column) -> Check:
        return Check(lambda values: _is_right(column, values), ignore_na=False, error=column.expected)

    return DataFrameSchema({one.name: Checked(checks=check(one), nullable=True) for one in columns})


def _is_right(column: Column, values: pd.Series[Any]) -> pd.Series[bool]:
    """Decided by the encoding that serves the model."""
    import pandas as pd
    import pyarrow as pa

    alone = pa.table({column.name: pa.chunked_array(values.array.__arrow_array__())})
    right = np.zeros(len(values), np.bool_)
    right[encode_table(Columns((column,)), alone).rows] = True
    return pd.Series(right, index=values.index)


def _failures(schema: DataFrameSchema, frame: pd.DataFrame) -> list[_Failure]:
    from pandera.errors import SchemaErrors

    try:
        schema.validate(frame, lazy=True)
    except SchemaErrors as errors:
        cases = errors.failure_cases
        return [
            (str(column), int(row), value)
            for column, row, value in zip(cases["column"], cases["index"], cases["failure_case"], strict=True)
        ]
    return []


def _findings(columns: Iterable[Column], failures: list[_Failure]) -> Iterable[Finding]:
    """By column, in their order."""
    for column in columns:
        mine = sorted(((row, value) for name, row, value in failures if name == column.name))
        if mine:
            distinct = dict.fromkeys(_shown(value) for _, value in mine)
            yield Finding(
                column=column.name,
                expected=column.expected,
                count=len(mine),
                rows=tuple(row for row, _ in mine[:_SHOWN_ROWS]),
                found=tuple(distinct)[:_SHOWN_ROWS],
            )


def _shown(value: Any) -> str:
    import pandas as pd

    return "nothing" if pd.isna(value) else repr(value)[:60]


def _require_enough(found: Validation) -> None:
    if found.dropped > MAX_BAD_SHARE * found.rows:
        raise InvalidInput(
            f"{found.dropped} of {found.rows} rows can't be used; at most {MAX_BAD_SHARE:.0%} may be left "
            "out. Correct the data, or the columns of the problem.",
            errors=[FieldError(f"/{one.column}", one.words()) for one in found.findings],
        )
