"""Export of a fitted model to ONNX, refused unless graph and model agree.

`export` is what training calls; `export_onnx` converts and `verify_parity` compares.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from shared.errors import ExportRefused
from shared.registry.manifest import Parity
from shared.training.export.convert import export_onnx, split_points
from shared.training.export.extremes import extreme_rows
from shared.training.export.parity import verify_parity
from shared.training.fitted import FittedModel

__all__ = ["Parity", "export", "export_onnx", "verify_parity"]

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
    extremes = extreme_rows(validation_rows, *split_points(fitted))
    return onnx, verify_parity(fitted, onnx, np.concatenate([validation_rows, extremes]))


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
