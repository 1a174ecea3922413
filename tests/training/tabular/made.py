"""A small tabular problem with a table that fits it: what is learnt is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from shared.problems.spec import Algorithm, Candidate, Gate, TabularProblem, Target
from shared.tabular import Column, Columns

LINEAR = Candidate(Algorithm.LOGISTIC_REGRESSION, {"C": 1.0})
TREES = Candidate(Algorithm.LIGHTGBM, {"n_estimators": 20, "num_leaves": 4, "min_child_samples": 10})

COLUMNS = Columns(
    (
        Column(name="size", type="number", minimum=0, maximum=1000, unit="cm"),
        Column(name="count", type="integer", minimum=0, nullable=False),
        Column(name="colour", type="category", categories=("red", "green", "blue")),
        Column(name="grade", type="category", categories=(3, 6, 7)),
        Column(name="new", type="boolean"),
    )
)


def problem(names: tuple[str, ...] = ("no", "yes"), **changes: Any) -> TabularProblem:
    given: dict[str, Any] = {
        "name": "made",
        "model_name": "made",
        "title": "Made up",
        "classes": names,
        "candidates": (LINEAR, TREES),
        "primary_metric": "f1",
        "gates": (
            Gate("f1", "f1.low", 0.6, "F1 is above 0.6"),
            Gate("majority", "accuracy_gain.low", 0.0, "it beats the majority"),
        ),
        "leak_auc": 0.99,
        "schedule": "",
        "data": "blobs:made.csv",
        "columns": COLUMNS,
        "target": Target("answer", {name: (place,) for place, name in enumerate(names)}),
        "folds": 3,
        "repeats": 2,
    }
    return TabularProblem(**{**given, **changes})


def table(rows: int = 240, classes: int = 2, seed: int = 0, *, noise: float = 0.7) -> pa.Table:
    """As a CSV file gives it: text. The answer follows from size, colour and grade, and some luck."""
    rng = np.random.default_rng(seed)
    size, count = rng.uniform(0, 1000, rows), rng.integers(0, 50, rows)
    colour, grade, new = rng.integers(3, size=rows), rng.integers(3, size=rows), rng.integers(2, size=rows)
    signal = (size / 1000 - 0.5) * 3 + (colour == 1) * 1.5 - (grade == 2) * 1.0
    signal += rng.normal(0, noise, rows)
    answer = np.digitize(signal, np.quantile(signal, np.arange(1, classes) / classes))
    text: dict[str, list[str | None]] = {
        "size": [f"{value:.2f}" for value in size],
        "count": [str(value) for value in count],
        "colour": [("red", "green", "blue")[value] for value in colour],
        "grade": [f"{(3, 6, 7)[value]}.0" for value in grade],
        "new": [("no", "yes")[value] for value in new],
        "answer": [str(value) for value in answer],
    }
    for place in range(0, rows, 17):
        text["size"][place] = None
    for place in range(5, rows, 23):
        text["colour"][place] = None
    return pa.table(text)


def changed(table: pa.Table, column: str, values: dict[int, str | None]) -> pa.Table:
    """With other cells."""
    cells = table.to_pydict()
    for row, value in values.items():
        cells[column][row] = value
    return pa.table(cells)
