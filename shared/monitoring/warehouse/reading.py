"""Answers questions from the twin's Parquet files with DuckDB: in memory, and shut off from all else."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from shared.errors import InvalidInput, PlatformUnavailable
from shared.monitoring.warehouse.statements import duckdb_sql
from shared.monitoring.warehouse.table import TABLE, Kind, Table

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

MEMORY: Final = "2GB"
SPILL: Final = "2GB"
TIMEOUT_SECONDS: Final = 60.0
_CHUNK_ROWS: Final = 10_000
_ATTEMPTS: Final = 5
_DUCKDB_TYPES: Final[Mapping[Kind, str]] = {
    "STRING": "VARCHAR",
    "FLOAT": "DOUBLE",
    "INTEGER": "BIGINT",
    "BOOLEAN": "BOOLEAN",
    "TIMESTAMP": "TIMESTAMPTZ",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """Rows of JSON values, times as RFC 3339 text; `is_more` says that the limit cut some off."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    is_more: bool


class Warehouse:
    """The rows below one folder: `<table>/date=<day of made_at>/*.parquet`.

    Each query sees the rows of its start.
    """

    def __init__(self, folder: Path, table: Table = TABLE) -> None:
        self._folder = folder / table.name
        self._table = table

    @property
    def is_there(self) -> bool:
        """Whether any row was ever written."""
        return self._folder.is_dir()

    def query(
        self,
        sql: str,
        parameters: Mapping[str, int] | None = None,
        *,
        limit: int = 1_000,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> Answer:
        """The answer to one SELECT in BigQuery's SQL, at most `limit` rows of it.

        Raises:
            InvalidInput: not such a statement, or one that can't be answered, or not in time or memory.
            PlatformUnavailable: the files can't be read.
        """
        given = dict(parameters or {})
        statement = duckdb_sql(sql, given, self._table)
        for attempt in range(1, _ATTEMPTS + 1):
            answer = self._attempt(statement, given, limit, timeout_seconds, is_last=attempt == _ATTEMPTS)
            if answer is not None:
                break
        assert answer is not None  # noqa: S101 - the last attempt answers or raises
        return answer

    def _attempt(
        self, statement: str, given: Mapping[str, int], limit: int, timeout_seconds: float, *, is_last: bool
    ) -> Answer | None:
        """None where a file went away meanwhile: small ones are replaced by a larger one now and then."""
        import duckdb

        files = self._files()
        try:
            with self._connection(files) as connection, _interrupting(connection, timeout_seconds):
                # a parameter that isn't used would be refused
                used = {name: value for name, value in given.items() if f"${name}" in statement}
                return _answer(connection.sql(statement, params=used).to_arrow_reader(_CHUNK_ROWS), limit)
        except duckdb.InterruptException as error:
            raise InvalidInput(
                f"There was no answer within {timeout_seconds:g} seconds: ask for less."
            ) from error
        except duckdb.OutOfMemoryException as error:
            raise InvalidInput(f"The answer needs more than {MEMORY} of memory: ask for less.") from error
        except (duckdb.IOException, duckdb.FatalException) as error:
            if not is_last and files != self._files():
                return None
            raise PlatformUnavailable(f"The warehouse in {self._folder} can't be read: {error}") from error
        except duckdb.Error as error:
            raise InvalidInput(f"This can't be answered: {error}") from error

    def _files(self) -> Sequence[Path]:
        return sorted(self._folder.glob("*/*.parquet"))

    @contextmanager
    def _connection(self, files: Sequence[Path]) -> Iterator[duckdb.DuckDBPyConnection]:
        """A database with nothing but the table and its view, that reads no other file and writes none."""
        import duckdb

        with TemporaryDirectory() as own, duckdb.connect(":memory:") as connection:
            rows = Path(own) / "rows"  # a name without the characters that are patterns to DuckDB
            rows.symlink_to(self._folder.absolute())
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute(f"SET memory_limit = '{MEMORY}'")
            connection.execute(f"SET temp_directory = {_quoted(own)}")
            connection.execute(f"SET max_temp_directory_size = '{SPILL}'")
            connection.execute("SET allow_community_extensions = false")
            connection.execute("SET autoinstall_known_extensions = false")
            connection.execute("SET autoload_known_extensions = false")
            connection.execute(f"SET allowed_directories = [{_quoted(str(rows))}]")
            connection.execute("SET enable_external_access = false")
            names = [rows / file.relative_to(self._folder) for file in files]
            connection.execute(self._table_sql(names))
            connection.execute(f'CREATE VIEW "{self._table.view}" AS {duckdb_sql(self._table.view_sql)}')
            connection.execute("SET lock_configuration = true")
            yield connection

    def _table_sql(self, files: Sequence[Path]) -> str:
        """The table has all its columns, also where there is no file yet, or only older ones with fewer."""
        columns = ", ".join(
            f'CAST(NULL AS {_DUCKDB_TYPES[column.type]}) AS "{column.name}"' for column in self._table.columns
        )
        sql = f'CREATE VIEW "{self._table.name}" AS SELECT {columns} WHERE FALSE'
        if files:
            names = ", ".join(_quoted(str(file)) for file in files)
            options = "union_by_name = true, hive_partitioning = false"
            sql += f" UNION ALL BY NAME SELECT * FROM read_parquet([{names}], {options})"  # noqa: S608 - quoted
        return sql


@contextmanager
def _interrupting(connection: duckdb.DuckDBPyConnection, seconds: float) -> Iterator[None]:
    timer = threading.Timer(seconds, connection.interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _answer(reader: pa.RecordBatchReader, limit: int) -> Answer:
    names = reader.schema.names
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InvalidInput(
            f"Each column of the answer needs a name of its own: {', '.join(twice)} is there twice."
        )
    found = list(islice(_rows(reader), limit + 1))
    return Answer(names, found[:limit], len(found) > limit)


def _rows(reader: pa.RecordBatchReader) -> Iterator[Sequence[Any]]:
    for batch in reader:
        columns = [column.to_pylist() for column in batch.columns]
        yield from ([_json(value) for value in row] for row in zip(*columns, strict=True))


def _json(value: Any) -> Any:
    """The value as JSON has it; numbers that it hasn't are text."""
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, list):
        return [_json(item) for item in value]
    if isinstance(value, dict):
        return {name: _json(item) for name, item in value.items()}
    return value if isinstance(value, (str, int, type(None))) else str(value)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
