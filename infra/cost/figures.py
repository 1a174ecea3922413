"""What was measured: `infra/measurements.yaml`, written by `tests.benchmarks.bench_cost --write`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Final

import yaml
from pydantic import BaseModel, ConfigDict, Field

from infra.catalogue import ROOT

MEASUREMENTS_FILE: Final = ROOT / "infra" / "measurements.yaml"
_HEAD = "# Written by `python -m tests.benchmarks.bench_cost --write`. The cost model reads it.\n"


class Figure(BaseModel):
    """Something measured: its value, when and how it was found, and the command that finds it again."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float = Field(ge=0)
    unit: str
    when: date
    how: str
    command: str


class Measurements(BaseModel):
    """`audit_fields` are the fields of an audit document, with the bytes that Firestore counts for each."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    figures: Mapping[str, Figure]
    audit_fields: Mapping[str, int]

    def __getitem__(self, name: str) -> float:
        return self.figures[name].value


def read_measurements(file: Path = MEASUREMENTS_FILE) -> Measurements:
    return Measurements.model_validate(yaml.safe_load(file.read_text()))


def write_measurements(measurements: Measurements, file: Path = MEASUREMENTS_FILE) -> None:
    document = measurements.model_dump(mode="json")
    file.write_text(_HEAD + yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110))
