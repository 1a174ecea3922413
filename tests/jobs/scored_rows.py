"""What the tests of scored files start from, and what they look at in the end."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

from shared.instance import Instance
from shared.jobs.score import ScoringJob
from shared.jobs.task import Exit, Task
from shared.platform.ports import Platform
from shared.serving.scoring_records import RowsRequest, Scoring
from tests.jobs.scored import part_names
from tests.tabular_packages import COLUMNS, tabular_rows

MODEL = "heart-disease-v1"
PLATFORM = Task(is_by_hand=False, retries=3)


def rows_table(rows: int, seed: int = 0) -> pa.Table:
    """Good rows as people keep them, with an id before and something else behind."""
    x = tabular_rows(rows, COLUMNS, seed)
    columns: dict[str, Any] = {"patient": [f"p{seed}-{row}" for row in range(rows)]}
    for place, column in enumerate(COLUMNS.columns):
        columns[column.name] = [column.decoded(code) for code in x[:, place].tolist()]
    return pa.table({**columns, "note": ["a, b"] * rows})


def spoilt(table: pa.Table, name: str, values: dict[int, Any]) -> pa.Table:
    """The table with other values in some rows."""
    cells = table.column(name).to_pylist()
    for row, value in values.items():
        cells[row] = value
    return table.set_column(table.column_names.index(name), name, pa.array(cells))


def as_parquet(table: pa.Table, row_group_size: int | None = None) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, row_group_size=row_group_size)
    return sink.getvalue()


def as_csv(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    csv.write_csv(table, sink)
    return sink.getvalue()


def asked(instance: Instance, input: str, scoring_id: str = "s1", **options: Any) -> Scoring:
    """A scoring of a file that was asked for, without an event."""
    given = {"model": MODEL, "input": input, "id_columns": ("patient",), **options}
    return instance.scorings.create(scoring_id, RowsRequest(**given))


def work(instance: Instance, scoring_id: str = "s1", *, by: Task = PLATFORM) -> Exit:
    return ScoringJob(instance, by).work_on(scoring_id)


def scores(platform: Platform, scoring_id: str = "s1") -> list[dict[str, Any]]:
    """The rows of all parts, by file and row."""
    parts = [platform.blobs.get(name) for name in part_names(platform, scoring_id)]
    found = [row for part in parts for row in pq.read_table(io.BytesIO(part)).to_pylist()]
    return sorted(found, key=lambda row: (row["file"], row["row"]))


def bad_rows(platform: Platform, scoring_id: str = "s1") -> list[dict[str, Any]]:
    """The lines of all files of errors, by file and row."""
    names = [blob.name for blob in platform.blobs.list(f"scores/{scoring_id}/errors/")]
    found = [json.loads(line) for name in names for line in platform.blobs.get(name).splitlines()]
    return sorted(found, key=lambda error: (error["file"], error["row"]))


def probabilities(instance: Instance, table: pa.Table) -> np.ndarray[Any, Any]:
    """What the predictor answers for these rows."""
    package = instance.registry.open_package(MODEL)
    rows = table.select(COLUMNS.names).to_pylist()
    return package.verified_scorer().score(COLUMNS.encode(rows).x)
