"""The table of predictions as its files describe it: the ones that Terraform reads."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from string import Template
from typing import Any, Final, Literal, TypeAlias

HERE: Final = Path(__file__).resolve().parent
FOLDER: Final = "warehouse"
"""Where the twin keeps its Parquet files, below its state folder."""

Kind: TypeAlias = Literal["STRING", "FLOAT", "INTEGER", "BOOLEAN", "TIMESTAMP"]


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    type: Kind
    is_required: bool
    description: str


class Table:
    """`<name>.schema.json`, `<name>.table.json` and `<name>.view.sql`, read at first use."""

    def __init__(self, name: str, folder: Path = HERE) -> None:
        self._file = folder / name

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """In the order of the table."""
        fields = json.loads(self._text("schema.json"))
        return tuple(
            Column(field["name"], field["type"], field["mode"] == "REQUIRED", field["description"])
            for field in fields
        )

    @property
    def dataset(self) -> str:
        return str(self._facts["dataset"])

    @property
    def name(self) -> str:
        """The table itself: rows as they were delivered, at least once."""
        return str(self._facts["table"])

    @property
    def view(self) -> str:
        """The view that has every row once."""
        return str(self._facts["view"])

    @property
    def view_sql(self) -> str:
        """The query of the view, in BigQuery's SQL."""
        return Template(self._text("view.sql")).substitute(table=self.name)

    @cached_property
    def _facts(self) -> dict[str, Any]:
        facts: dict[str, Any] = json.loads(self._text("table.json"))
        return facts

    def _text(self, kind: str) -> str:
        return self._file.with_name(f"{self._file.name}.{kind}").read_text()


TABLE: Final = Table("predictions")
