"""From a fitted model to an ONNX graph: preprocessing, the model itself, and the calibration.

Every step rounds where scikit-learn rounds: preprocessing is float32, what follows the model's raw
score is float64. The trees are written here rather than by skl2onnx and onnxmltools, whose forests
send missing values the wrong way, whose LightGBM thresholds round the wrong way, and which fail on
HistGradientBoosting.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from shared.errors import ExportRefused
from shared.training.calibration import CLIP, Calibration
from shared.training.export.ensemble import Scale, TreeEnsemble
from shared.training.export.graph import Graph, add_trees
from shared.training.export.of_lightgbm import read_lightgbm
from shared.training.export.of_sklearn import read_hist_gradient_boosting, read_random_forest
from shared.training.export.of_xgboost import read_xgboost
from shared.training.export.steps import Points, add_steps, points_before
from shared.training.fitted import FittedModel

READERS: Final[dict[str, Callable[[Any], TreeEnsemble]]] = {
    "random_forest": read_random_forest,
    "hist_gradient_boosting": read_hist_gradient_boosting,
    "lightgbm": read_lightgbm,
    "xgboost": read_xgboost,
}

_CLIP_LOGIT: Final = float(np.log((1.0 - CLIP) / CLIP))
_BOTH_SIDES: Final = np.array([-1.0, 1.0])
"""A binary score times this is the score of each class."""


@dataclass(frozen=True, slots=True)
class _Raw:
    """Raw scores (rows, outputs) in float64 within the graph, and what they are."""

    name: str
    outputs: int
    scale: Scale


def export_onnx(fitted: FittedModel) -> bytes:
    """The model as ONNX: `input` float32 (rows, features) to `probabilities` float32 (rows, classes).

    Equal models give equal bytes. Nothing is checked here: see `export`.

    Raises:
        ExportRefused: an algorithm, a step or an option without an export.
    """
    *steps, (_, model) = fitted.estimator.steps
    graph = Graph()
    raw = _add_model(graph, add_steps(graph, "input", steps), fitted.algorithm, model)
    probabilities = _add_calibration(graph, raw, fitted.calibration)
    return graph.finish(probabilities, features=len(fitted.feature_names), classes=len(fitted.classes))


def export_ensemble(ensemble: TreeEnsemble, *, features: int) -> bytes:
    """Trees alone as ONNX: `input` float32 (rows, features) to `probabilities` float32 (rows, classes).

    For models that come as files: `lightgbm_ensemble` and `xgboost_ensemble` read those. Nothing is checked
    here: see `prove`.
    """
    graph = Graph()
    raw = _add_ensemble(graph, "input", ensemble)
    return graph.finish(_add_calibration(graph, raw, None), features=features, classes=max(2, raw.outputs))


def split_points(fitted: FittedModel) -> Points:
    """Where the model's answer may jump, in units of its input: the thresholds that its trees compare with,
    and the codes of categories.
    """
    *steps, (_, model) = fitted.estimator.steps
    points = Points.none()
    if fitted.algorithm in READERS:
        points = Points(*READERS[fitted.algorithm](model).splits())
    return points_before(steps, points)


def _add_model(graph: Graph, x: str, algorithm: str, model: Any) -> _Raw:
    if algorithm == "logistic_regression":
        return _add_linear(graph, x, model)
    if algorithm not in READERS:
        known = ", ".join(["logistic_regression", *READERS])
        raise ExportRefused(f"Algorithm {algorithm!r} has no export; known: {known}.")
    return _add_ensemble(graph, x, READERS[algorithm](model))


def _add_ensemble(graph: Graph, x: str, ensemble: TreeEnsemble) -> _Raw:
    scores = graph.to_float64(add_trees(graph, x, ensemble))
    return _Raw(scores, len(ensemble.base), ensemble.scale)


def _add_linear(graph: Graph, x: str, model: Any) -> _Raw:
    weights = np.asarray(model.coef_, np.float64)
    product = graph.add("MatMul", graph.to_float64(x), weights.T.copy())
    scores = graph.add("Add", product, np.asarray(model.intercept_, np.float64))
    return _Raw(scores, len(weights), Scale.LOGIT)


def _add_calibration(graph: Graph, raw: _Raw, calibration: Calibration | None) -> str:
    """Probabilities (rows, classes) in float64."""
    if raw.outputs == 1:
        return _add_binary(graph, raw, calibration)
    if calibration is not None:
        raise ExportRefused(f"Sigmoid calibration is for two classes; found {raw.outputs}.")
    return raw.name if raw.scale is Scale.PROBABILITY else graph.add("Softmax", raw.name, axis=1)


def _add_binary(graph: Graph, raw: _Raw, calibration: Calibration | None) -> str:
    if calibration is not None:
        logit = _add_clipped_logit(graph, raw)
        scaled = graph.add("Mul", logit, _BOTH_SIDES * calibration.slope)
        return graph.add("Sigmoid", graph.add("Add", scaled, _BOTH_SIDES * calibration.intercept))
    both = graph.add("Mul", raw.name, _BOTH_SIDES)
    if raw.scale is Scale.LOGIT:
        return graph.add("Sigmoid", both)
    return graph.add("Add", both, np.array([1.0, 0.0]))


def _add_clipped_logit(graph: Graph, raw: _Raw) -> str:
    """Log odds, clipped as the calibration clips: the same bound before the logit or behind it."""
    if raw.scale is Scale.LOGIT:
        return graph.add("Clip", raw.name, np.array(-_CLIP_LOGIT), np.array(_CLIP_LOGIT))
    p = graph.add("Clip", raw.name, np.array(CLIP), np.array(1.0 - CLIP))
    return graph.add("Log", graph.add("Div", p, graph.add("Sub", np.array(1.0), p)))
