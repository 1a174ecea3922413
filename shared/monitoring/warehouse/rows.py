"""Events as rows, by the rules of a BigQuery subscription that uses its table's schema.

Each member of the data goes into the column of its name: text into STRING, a number into FLOAT, a whole
number into INTEGER, true and false into BOOLEAN, RFC 3339 text into TIMESTAMP. Members without a column are
dropped; a row without a required value, or with one of another type, is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from shared.errors import FieldError, InvalidInput
from shared.monitoring.warehouse.table import TABLE, Column, Kind, Table
from shared.platform.ports import Data

if TYPE_CHECKING:
    import pyarrow as pa

Row: TypeAlias = dict[str, Any]

_INT64 = range(-(2**63), 2**63)


def row_of(data: Data, table: Table = TABLE) -> Row:
    """The row that an event's data is; times are aware, in UTC.

    Raises:
        InvalidInput: naming each column whose value is missing or isn't one that it takes.
    """
    row: Row = {}
    wrong: list[FieldError] = []
    for column in table.columns:
        value = data.get(column.name)
        if value is None:
            row[column.name] = None
            if column.is_required:
                wrong.append(_wrong(column, "a value", "none"))
            continue
        taken = _CONVERSIONS[column.type](value)
        if taken is None:
            wrong.append(_wrong(column, _EXPECTED[column.type], repr(value)[:80]))
        row[column.name] = taken
    if wrong:
        raise InvalidInput(
            "This isn't a row of the table of predictions: " + "; ".join(error.detail for error in wrong),
            errors=wrong,
        )
    return row


def arrow_table(rows: Sequence[Row], table: Table = TABLE) -> pa.Table:
    """The rows, in memory and by columns."""
    import pyarrow as pa

    return pa.Table.from_pylist(list(rows), schema=arrow_schema(table))


def arrow_schema(table: Table = TABLE) -> pa.Schema:
    """The types that the twin keeps: DuckDB reads of them what BigQuery has."""
    import pyarrow as pa

    types: Mapping[Kind, pa.DataType] = {
        "STRING": pa.string(),
        "FLOAT": pa.float64(),
        "INTEGER": pa.int64(),
        "BOOLEAN": pa.bool_(),
        "TIMESTAMP": pa.timestamp("us", tz="UTC"),
    }
    return pa.schema([pa.field(c.name, types[c.type], nullable=not c.is_required) for c in table.columns])


def _wrong(column: Column, expected: str, found: str) -> FieldError:
    return FieldError(f"/{column.name}", f"{column.name} must be {expected}, found {found}")


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _whole_number(value: object) -> int | None:
    is_one = isinstance(value, int) and not isinstance(value, bool) and value in _INT64
    return value if is_one else None  # type: ignore[return-value]  # is_one says so


def _truth(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _time(value: object) -> datetime | None:
    try:
        time = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return time.astimezone(UTC) if time is not None and time.tzinfo is not None else None


_CONVERSIONS: Final[Mapping[Kind, Callable[[object], Any]]] = {
    "STRING": _text,
    "FLOAT": _number,
    "INTEGER": _whole_number,
    "BOOLEAN": _truth,
    "TIMESTAMP": _time,
}
"""None where the column doesn't take the value."""

_EXPECTED: Final[Mapping[Kind, str]] = {
    "STRING": "text",
    "FLOAT": "a number",
    "INTEGER": "a whole number of 64 bits",
    "BOOLEAN": "true or false",
    "TIMESTAMP": "a time in RFC 3339 with an offset",
}
