"""The warehouse: every prediction as a row, for questions in SQL.

In the cloud the rows are a BigQuery table that a Pub/Sub subscription fills without code, from the
events of `predictions.made`: each member of an event's data is a column. The twin keeps the same rows as
Parquet and answers the same SQL from them with DuckDB.

Beside the modules lie what both places read: `predictions.schema.json` (the table's columns, as BigQuery's
API takes them), `predictions.table.json` (its name, partitions and clustering), `predictions.view.sql`
(what drops the duplicates) and `questions/*.sql`.

duckdb, sqlglot and pyarrow are imported at their first use.
"""

from shared.monitoring.warehouse.questions import Question, question, questions
from shared.monitoring.warehouse.reading import Answer, Warehouse
from shared.monitoring.warehouse.rows import row_of
from shared.monitoring.warehouse.statements import bq_command
from shared.monitoring.warehouse.table import FOLDER, TABLE, Column, Table

__all__ = [
    "FOLDER",
    "TABLE",
    "Answer",
    "Column",
    "Question",
    "Table",
    "Warehouse",
    "bq_command",
    "question",
    "questions",
    "row_of",
]
