"""A small, real model package of market-signal: a fitted pipeline through the real export."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.drift.profile import build_profile
from shared.features import FeatureSet, feature_set
from shared.market.candles import Candles, Panel
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
from shared.tabular import Column
from shared.training.calibration import Calibration
from shared.training.candidates import build_pipeline, fit
from shared.training.export import export
from shared.training.fitted import FittedModel
from tests.market.made import candles

FEATURES = feature_set("technical")
CLASSES = ("down", "up")
REPORT = "<!doctype html><title>A report</title><p>market-signal"

Rows = NDArray[np.float32]
Labels = NDArray[np.int8]


def market_package(
    seed: int = 0, *, features: FeatureSet = FEATURES, gates_passed: bool = True, **changes: Any
) -> Package:
    """Packages of different seeds hold different models; `changes` are of the manifest.

    One that is said to be tabular has a column for each feature.
    """
    if changes.get("kind") == "tabular":
        changes = {"columns": number_columns(features.names), **changes}
    model, parity = _exported(seed, features)
    x, y = _rows(seed, features)
    return Package.build(
        Manifest(**{**_manifest(x, features, gates_passed, parity), **changes}),
        model=model,
        examples=build_examples(Scorer(model), x),
        profile=build_profile(x, features.names, Scorer(model).score(x)[:, 1], CLASSES, y).to_json(),
        report=REPORT.encode(),
    )


def number_columns(names: Sequence[str]) -> tuple[Column, ...]:
    return tuple(Column(name=name, type="number") for name in names)


def registered(registry: Registry, seed: int = 0, **options: Any) -> Version:
    return registry.register(market_package(seed, **options), created_by="test")


def active(registry: Registry, seed: int = 0, **options: Any) -> Version:
    """A version that is live."""
    version = registered(registry, seed, **options)
    registry.activate(version.id, by="test", allow_failed_gates=True)
    return version


def spoil(home: Path, package: Package, name: str) -> None:
    """Flip one byte in the middle of a stored file of a package, as a bad disk would."""
    folder = home / "blobs" / "models" / package.manifest.name / package.hash
    (file,) = folder.glob(f"{name}@/*")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.chmod(0o600)
    file.write_bytes(content)


def mend(home: Path, package: Package, name: str) -> None:
    """The stored bytes as they should be."""
    folder = home / "blobs" / "models" / package.manifest.name / package.hash
    (file,) = folder.glob(f"{name}@/*")
    file.write_bytes(package.files()[name])


@functools.cache
def _rows(seed: int, features: FeatureSet) -> tuple[Rows, Labels]:
    """Rows with their labels: the direction of the next close."""
    series = candles(400, seed=100 + seed)
    x = features.matrix(Panel.of([series]), dtype=np.float32)
    y = (series.close[1:] > series.close[:-1]).astype(np.int8)
    return x[features.memory : -1], y[features.memory :]


@functools.cache
def _exported(seed: int, features: FeatureSet) -> tuple[bytes, Parity]:
    x, y = _rows(seed, features)
    pipeline = fit(build_pipeline(Algorithm.LOGISTIC_REGRESSION, {"C": 1e-2}, seed, len(x)), x, y)
    calibration = Calibration(slope=0.8, intercept=0.01)
    fitted = FittedModel("logistic_regression", pipeline, calibration, features.names, CLASSES, {"C": 1e-2})
    return export(fitted, x)


def _manifest(x: Rows, features: FeatureSet, gates_passed: bool, parity: Parity) -> dict[str, Any]:
    low = 0.51 if gates_passed else 0.49
    gate = GateResult(
        name="auc_above_chance", quantity="auc.low", value=low, bound=0.5, passed=gates_passed, why="made so"
    )
    return {
        "name": "market-signal",
        "problem": "market_signal",
        "kind": "market",
        "feature_set": features.name,
        "feature_set_hash": features.hash,
        "feature_names": features.names,
        "classes": CLASSES,
        "threshold": 0.5,
        "horizon": 1,
        "timeframe": "1d",
        "memory": features.memory,
        "algorithm": "logistic_regression",
        "hyper_parameters": {"C": 1e-2},
        "metrics": {"auc": 0.52},
        "gates": (gate,),
        "gates_passed": gates_passed,
        "suspected_leak": False,
        "rows": len(x),
        "dataset_fingerprint": hashlib.sha256(x.tobytes()).hexdigest(),
        "code_revision": "sha256:0",
        "libraries": {"python": "3.11.7", "onnx": "1.23.2"},
        "parity": parity,
    }


def last_row(series: Candles, features: FeatureSet = FEATURES) -> Rows:
    """The row that a model is asked about when `series` are the latest candles."""
    row: Rows = features.latest(series).astype(np.float32)[np.newaxis]
    return row
