"""A small, real model package of a tabular problem: a fitted pipeline through the real export."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.drift.profile import build_profile
from shared.problems.spec import Algorithm
from shared.registry import (
    GateResult,
    Manifest,
    Package,
    Parity,
    Registry,
    Scorer,
    Version,
    build_examples,
)
from shared.tabular import Column, Columns
from shared.training.calibration import Calibration
from shared.training.candidates import build_pipeline, fit
from shared.training.export import export
from shared.training.fitted import FittedModel

NAME = "heart-disease"
COLUMNS = Columns(
    (
        Column(name="age", type="integer", minimum=0, maximum=120, nullable=False, unit="years"),
        Column(name="pressure", type="number", minimum=0, description="Blood pressure at rest"),
        Column(name="pain", type="category", categories=("typical", "atypical", "none")),
        Column(name="exercise", type="boolean", description="Pain when moving"),
    )
)
ROW = {"age": 63, "pressure": 145.0, "pain": "typical", "exercise": False}
"""A row that fits `COLUMNS`."""

REPORT = "<!doctype html><title>A report</title><p>heart-disease"


def tabular_package(
    seed: int = 0,
    classes: tuple[str, ...] = ("absent", "present"),
    columns: Columns | Sequence[Column] | None = None,
    *,
    gates_passed: bool = True,
    **changes: Any,
) -> Package:
    """Packages of different seeds hold different models; `changes` are of the manifest.

    The columns are `COLUMNS` unless given: an integer, a number, a category and a boolean. Models of two
    classes are calibrated logistic regressions, others are not calibrated.
    """
    chosen = columns if isinstance(columns, Columns) else Columns(tuple(columns or COLUMNS.columns))
    model, parity = _exported(seed, classes, chosen)
    x, y = _rows(seed, len(classes), chosen)
    categorical = [column.name for column in chosen.columns if column.type in ("category", "boolean")]
    scores = Scorer(model).score(x)[:, 1]
    profile = build_profile(x, chosen.names, scores, classes, y, categorical=categorical)
    return Package.build(
        Manifest(**{**_manifest(x, classes, chosen, gates_passed, parity), **changes}),
        model=model,
        examples=build_examples(Scorer(model), x),
        profile=profile.to_json(),
        report=REPORT.encode(),
    )


def registered_tabular(registry: Registry, seed: int = 0, **options: Any) -> Version:
    return registry.register(tabular_package(seed, **options), created_by="test")


def active_tabular(registry: Registry, seed: int = 0, **options: Any) -> Version:
    """A version that is live."""
    version = registered_tabular(registry, seed, **options)
    registry.activate(version.id, by="test", allow_failed_gates=True)
    return version


def tabular_rows(rows: int, columns: Columns = COLUMNS, seed: int = 0) -> NDArray[np.float32]:
    """Encoded rows that fit the columns; a tenth of what may be missing is."""
    rng = np.random.default_rng(seed)
    x = np.column_stack([_values(column, rows, rng) for column in columns.columns]).astype(np.float32)
    nullable = np.array([column.nullable for column in columns.columns])
    x[(rng.random(x.shape) < 0.1) & nullable] = np.nan
    return x


def _values(column: Column, rows: int, rng: np.random.Generator) -> NDArray[np.float64]:
    if column.type == "category":
        return rng.integers(len(column.categories), size=rows).astype(np.float64)
    if column.type == "boolean":
        return rng.integers(2, size=rows).astype(np.float64)
    low, high = (-100.0 if column.minimum is None else column.minimum, column.maximum)
    values = rng.uniform(low, low + 200.0 if high is None else high, rows)
    return np.floor(values) if column.type == "integer" else values


@functools.cache
def _rows(seed: int, classes: int, columns: Columns) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Rows, and labels that follow from the first column and some luck."""
    x = tabular_rows(600, columns, 100 + seed)
    rank = np.argsort(np.argsort(np.nan_to_num(x).sum(axis=1)))
    shifted = rank + np.random.default_rng(seed).normal(0, 150, len(x))
    y = np.searchsorted(np.quantile(shifted, np.arange(1, classes) / classes), shifted)
    return x, y.astype(np.int64)


@functools.cache
def _exported(seed: int, classes: tuple[str, ...], columns: Columns) -> tuple[bytes, Parity]:
    x, y = _rows(seed, len(classes), columns)
    pipeline = build_pipeline(Algorithm.LOGISTIC_REGRESSION, {"C": 0.3}, seed, len(x), columns)
    calibration = Calibration(slope=0.9, intercept=0.05) if len(classes) == 2 else None
    fitted = FittedModel(
        "logistic_regression", fit(pipeline, x, y), calibration, columns.names, classes, {"C": 0.3}
    )
    return export(fitted, x)


def _manifest(
    x: NDArray[np.float32], classes: tuple[str, ...], columns: Columns, gates_passed: bool, parity: Parity
) -> dict[str, Any]:
    low = 0.8 if gates_passed else 0.7
    gate = GateResult(
        name="f1_high_enough", quantity="f1.low", value=low, bound=0.75, passed=gates_passed, why="made so"
    )
    return {
        "name": NAME,
        "problem": "heart_disease",
        "kind": "tabular",
        "feature_set": "columns",
        "feature_set_hash": columns.hash,
        "feature_names": columns.names,
        "columns": columns.columns,
        "classes": classes,
        "threshold": 0.4 if len(classes) == 2 else 0.5,
        "algorithm": "logistic_regression",
        "hyper_parameters": {"C": 0.3},
        "metrics": {"f1": 0.82},
        "gates": (gate,),
        "gates_passed": gates_passed,
        "suspected_leak": False,
        "rows": len(x),
        "dataset_fingerprint": hashlib.sha256(x.tobytes()).hexdigest(),
        "code_revision": "sha256:0",
        "libraries": {"python": "3.11.7", "onnx": "1.23.2"},
        "parity": parity,
    }
