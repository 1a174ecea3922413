"""Reads the tree ensembles of scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.errors import ExportRefused
from shared.training.export.ensemble import Scale, Tree, TreeEnsemble, float32_at_most


def read_random_forest(model: Any) -> TreeEnsemble:
    """A `RandomForestClassifier`: the mean of its trees' class shares."""
    classes = len(model.classes_)
    wanted = slice(1, 2) if classes == 2 else slice(None)
    trees = [_sklearn_tree(each.tree_, wanted, 1.0 / len(model.estimators_)) for each in model.estimators_]
    return TreeEnsemble(tuple(trees), np.zeros(trees[0].value.shape[1]), Scale.PROBABILITY)


def _sklearn_tree(tree: Any, wanted: slice, weight: float) -> Tree:
    counts = tree.value[:, 0, :]
    shares = counts / counts.sum(axis=1, keepdims=True)
    return Tree(
        feature=tree.feature,
        threshold=float32_at_most(tree.threshold),
        left=tree.children_left,
        right=tree.children_right,
        missing_left=tree.missing_go_to_left.astype(np.bool_),
        value=shares[:, wanted] * weight,
    )


def read_hist_gradient_boosting(model: Any) -> TreeEnsemble:
    """A `HistGradientBoostingClassifier`, from its predictors' node tables."""
    trees = [
        _predictor_tree(predictor.nodes, output)
        for iteration in model._predictors  # noqa: SLF001 - scikit-learn publishes its trees nowhere else
        for output, predictor in enumerate(iteration)
    ]
    base = model._baseline_prediction.ravel()  # noqa: SLF001 - the same
    return TreeEnsemble(tuple(trees), base.astype(np.float64), Scale.LOGIT)


def _predictor_tree(nodes: NDArray[Any], output: int) -> Tree:
    if nodes["is_categorical"].any():
        raise ExportRefused(
            "HistGradientBoosting split on a categorical feature, which has no export; encode categories as "
            "numbers."
        )
    leaf = nodes["is_leaf"].astype(np.bool_)
    return Tree(
        feature=nodes["feature_idx"].astype(np.int64),
        threshold=float32_at_most(nodes["num_threshold"]),
        left=np.where(leaf, -1, nodes["left"].astype(np.int64)),
        right=np.where(leaf, -1, nodes["right"].astype(np.int64)),
        missing_left=nodes["missing_go_to_left"].astype(np.bool_),
        value=nodes["value"][:, None],
        first_output=output,
    )
