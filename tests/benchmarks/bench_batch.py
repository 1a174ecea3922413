"""Rows per second and core of a scoring of files, beside what the model's graph alone can do.

    python -m tests.benchmarks.bench_batch [--rows 1000000] [--rounds 3] [--json]

A model of 200 boosted trees on 24 numbers scores the same rows raw, from memory in batches of the best size,
and as the whole job: Parquet (and CSV) read from blobs, checked, encoded, scored, and Parquet written. All on
one core, round about. The seconds are the processor's, of all threads: what else the machine does is not in
them, nor is waiting for a disk. Each figure is the median of the rounds, a share that of each round's two.
"""

from __future__ import annotations

import argparse
import functools
import io
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyarrow import csv

from shared.config import load_settings
from shared.instance import Instance
from shared.jobs.score import ScoringJob
from shared.jobs.score_plan import BATCH_ROWS
from shared.jobs.task import Exit, Task
from shared.platform.connect import connect
from shared.problems.spec import Algorithm
from shared.registry import Package, Scorer, build_examples
from shared.serving.scoring_records import RowsRequest
from shared.tabular import Column, Columns
from shared.training.candidates import build_pipeline, fit
from shared.training.export import export
from shared.training.fitted import FittedModel
from tests.benchmarks.goals import Goal, table
from tests.tabular_packages import tabular_package

TREES: Final = 200
LEAVES: Final = 31
FEATURES: Final = 24
FITTED_ROWS: Final = 20_000
FILE_ROWS: Final = 500_000
CLASSES: Final = ("no", "yes")
COLUMNS: Final = Columns(tuple(Column(name=f"x{i:02}", type="number") for i in range(FEATURES)))


def main() -> int:
    arguments = _arguments()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    figures = measure(arguments.rows, arguments.rounds, arguments.csv)
    goals = [
        Goal("batch, rows/s per core: share of the graph's own", figures["parquet_share"], at_least=0.85),
        Goal("batch, Parquet: rows/s per core", figures["parquet_rows_per_s"], at_least=200_000),
    ]
    told = {**figures, "goals": [asdict(goal) for goal in goals]}
    text = json.dumps(told, indent=1) if arguments.json else f"{_lines(figures)}\n{table(goals)}"
    sys.stdout.write(text + "\n")
    return 0


def measure(rows: int, rounds: int, is_csv: bool) -> dict[str, Any]:
    """Each round: the graph alone, the job on Parquet, the job on CSV."""
    x = numbers(rows, seed=1)
    with tempfile.TemporaryDirectory(prefix="bench-batch-") as folder:
        settings = load_settings(mlengine_home=Path(folder))
        instance = Instance(settings, connect(settings))
        package = boosted()
        version = instance.registry.register(package, created_by="benchmark")
        scorer = package.verified_scorer()
        best = best_batch(scorer, x)
        contestants: dict[str, Callable[[], object]] = {"graph": lambda: _raw(scorer, x, best)}
        kinds = ("parquet", "csv") if is_csv else ("parquet",)
        for kind in kinds:
            _put(instance, kind, x)
            contestants[kind] = functools.partial(_job, instance, version.id, kind, rows)
        found: dict[str, list[float]] = {name: [] for name in contestants}
        for number in range(rounds):
            for name in contestants if number % 2 == 0 else reversed(contestants):
                found[name].append(rows / _seconds(contestants[name]))
    figures: dict[str, Any] = {}
    for name, values in found.items():
        figures |= _quartiles(f"{name}_rows_per_s", values, None)
    for kind in kinds:
        shares = [one / raw for one, raw in zip(found[kind], found["graph"], strict=True)]
        figures |= _quartiles(f"{kind}_share", shares, 3)
    return {"rows": rows, "rounds": rounds, "best_batch_rows": best, "batch_rows": BATCH_ROWS, **figures}


def _quartiles(name: str, values: list[float], digits: int | None) -> dict[str, float | list[float]]:
    """The median, and the quartiles on both sides of it."""
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return {name: round(middle, digits), f"{name}_quartiles": [round(low, digits), round(high, digits)]}


def boosted() -> Package:
    """A package of the size that is measured."""
    x = numbers(FITTED_ROWS, seed=0)
    y = (x[:, :6].sum(axis=1) + np.sin(3 * x[:, 6]) * x[:, 7] > 0).astype(np.int64)
    parameters = {"n_estimators": TREES, "num_leaves": LEAVES}
    pipeline = fit(build_pipeline(Algorithm.LIGHTGBM, parameters, 0, len(x), COLUMNS), x, y)
    fitted = FittedModel("lightgbm", pipeline, None, COLUMNS.names, CLASSES, parameters)
    model, parity = export(fitted, x[:2_000])
    other = tabular_package(columns=COLUMNS, classes=CLASSES)
    changes = {"algorithm": "lightgbm", "hyper_parameters": parameters, "parity": parity, "files": {}}
    return Package.build(
        other.manifest.model_copy(update=changes),
        model=model,
        examples=build_examples(Scorer(model), x[:100]),
        profile=other.file("profile.json"),
        report=other.file("report.html"),
    )


def numbers(rows: int, seed: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=(rows, FEATURES)).astype(np.float32)


def best_batch(scorer: Scorer, x: NDArray[np.float32]) -> int:
    """Of a few sizes, the one by which the graph is quickest."""
    some = x[:131_072]
    sizes = (1_024, 4_096, 8_192, 32_768)
    seconds = {size: _seconds(functools.partial(_raw, scorer, some, size)) for size in sizes}
    return min(seconds, key=seconds.__getitem__)


def _raw(scorer: Scorer, x: NDArray[np.float32], batch: int) -> None:
    for first in range(0, len(x), batch):
        scorer.score(x[first : first + batch])


def _put(instance: Instance, kind: str, x: NDArray[np.float32]) -> None:
    """Files of float64, as people's are."""
    for first in range(0, len(x), FILE_ROWS):
        piece = x[first : first + FILE_ROWS].astype(np.float64)
        rows = pa.table(
            {"id": np.arange(first, first + len(piece)), **dict(zip(COLUMNS.names, piece.T, strict=True))}
        )
        sink = io.BytesIO()
        if kind == "csv":
            csv.write_csv(rows, sink)
        else:
            pq.write_table(rows, sink)
        instance.platform.blobs.put(f"inputs/{kind}/{first:09}.{kind}", sink.getvalue())


def _job(instance: Instance, model: str, kind: str, rows: int) -> None:
    """The whole job by hand, in this process."""
    scoring_id = instance.platform.new_id()
    request = RowsRequest(input=f"inputs/{kind}/", id_columns=("id",), model=model)
    instance.scorings.create(scoring_id, request)
    if ScoringJob(instance, Task()).work_on(scoring_id) is not Exit.DONE:
        raise SystemExit("the scoring has failed")
    (task,) = instance.scorings.tasks(scoring_id)
    if task.scored != rows:
        raise SystemExit(f"{task.scored} of {rows} rows were scored: {task.errors[:1]}")


def _seconds(act: Callable[[], object]) -> float:
    began = time.process_time()
    act()
    return time.process_time() - began


def _lines(figures: dict[str, Any]) -> str:
    return "\n".join(f"{name:<28}{_text(value):>24}" for name, value in figures.items())


def _text(value: float | list[float]) -> str:
    return " to ".join(f"{one:,}" for one in value) if isinstance(value, list) else f"{value:,}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3, help="at least 2")
    parser.add_argument("--csv", action=argparse.BooleanOptionalAction, default=True, help="score CSV, too")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
