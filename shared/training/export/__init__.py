"""Export of a fitted model to ONNX, refused unless graph and model agree.

`export` is what training calls: `export_onnx` converts, `prove` compares.

A model that comes as a file goes the same way. Trees: `lightgbm_ensemble` (of its text),
`xgboost_ensemble` (of its JSON) or `read_booster` (of a loaded one) give a `TreeEnsemble`, `export_ensemble`
its graph. An estimator of scikit-learn: `export_onnx` of a `FittedModel` around a pipeline of it. Then
`prove`, on rows of the caller's and at `ensemble_points` or `split_points`. Two classes or more; what has no
export is refused with its reason.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from shared.errors import ExportRefused
from shared.registry.manifest import Parity
from shared.training.export.convert import export_ensemble, export_onnx, split_points
from shared.training.export.ensemble import TreeEnsemble
from shared.training.export.extremes import extreme_rows
from shared.training.export.of_lightgbm import lightgbm_ensemble
from shared.training.export.of_xgboost import read_booster, xgboost_ensemble
from shared.training.export.parity import Answering, verify_parity
from shared.training.export.steps import Points
from shared.training.fitted import FittedModel

__all__ = [
    "Answering",
    "Parity",
    "Points",
    "TreeEnsemble",
    "ensemble_points",
    "export",
    "export_ensemble",
    "export_onnx",
    "lightgbm_ensemble",
    "prove",
    "read_booster",
    "split_points",
    "verify_parity",
    "xgboost_ensemble",
]

MIN_STEPS_PER_SD: Final = 10_000
"""float32 values that a standard deviation must span, lest rounding blurs a feature."""


def export(fitted: FittedModel, validation_rows: NDArray[np.float32]) -> tuple[bytes, Parity]:
    """The model's ONNX bytes, compared on the whole validation set and on rows at each feature's extremes.

    `validation_rows` is (n, features), float32 as served.

    Raises:
        ExportRefused: graph and model differ by more than 1e-5 on some row, the model takes no missing
            values, a feature is too large for float32, or there is no export for the model.
    """
    _check_rows(fitted, validation_rows)
    _check_missing(fitted, validation_rows)
    onnx = export_onnx(fitted)
    return onnx, prove(fitted, onnx, validation_rows, split_points(fitted))


def prove(model: Answering, onnx: bytes, rows: NDArray[np.float32], points: Points) -> Parity:
    """Compare model and graph on `rows` (n, features), at each feature's extremes and around `points`.

    Raises:
        ExportRefused: they differ by more than 1e-5 on some row.
        PackageRefused: the graph can't be loaded.
    """
    extremes = extreme_rows(rows, points.column, points.value)
    return verify_parity(model, onnx, np.concatenate([rows, extremes]))


def ensemble_points(ensemble: TreeEnsemble) -> Points:
    """The thresholds that trees compare with."""
    return Points(*ensemble.splits())


def _check_rows(fitted: FittedModel, rows: NDArray[np.float32]) -> None:
    features = len(fitted.feature_names)
    if rows.dtype != np.float32 or rows.ndim != 2 or rows.shape[1] != features or len(rows) == 0:
        raise ExportRefused(
            f"Expected at least one validation row, float32 of shape (n, {features}), as the model will be "
            f"served; found {rows.dtype} of shape {rows.shape}."
        )
    for name, column in zip(fitted.feature_names, rows.T, strict=True):
        _check_resolution(name, column[np.isfinite(column)])


def _check_resolution(name: str, values: NDArray[np.float32]) -> None:
    """A Unix time within one day, say, lies on a float32 grid of 128 s: its rows have been blurred."""
    if len(values) == 0:
        return
    step = float(np.spacing(np.median(np.abs(values))))
    spread = float(values.std(dtype=np.float64))
    if 0 < spread < MIN_STEPS_PER_SD * step:
        raise ExportRefused(
            f"Feature {name!r} is too large for float32: its values around "
            f"{float(np.median(values)):.6g} are {step:.3g} apart at least, and their standard deviation is "
            f"{spread:.3g}. Subtract a constant or take differences before training."
        )


def _check_missing(fitted: FittedModel, rows: NDArray[np.float32]) -> None:
    try:
        fitted.predict_proba(np.full_like(rows[:1], np.nan))
    except ValueError as error:
        raise ExportRefused(
            "The estimator takes no missing values, and a served row may hold some: put a SimpleImputer "
            f"before the model. It said: {error}"
        ) from error
