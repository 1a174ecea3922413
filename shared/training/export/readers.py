"""Reads the tree ensembles of scikit-learn, LightGBM and XGBoost into one form."""

from __future__ import annotations

import json
from typing import Any, Final

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
        raise _categories("HistGradientBoosting")
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


_LIGHTGBM_CATEGORICAL: Final = 1
_LIGHTGBM_DEFAULT_LEFT: Final = 2
_LIGHTGBM_MISSING_NONE, _LIGHTGBM_MISSING_ZERO = 0, 1
_LIGHTGBM_ZERO: Final = np.float32(1e-35)


def read_lightgbm(model: Any) -> TreeEnsemble:
    """An `LGBMClassifier`, from its text form: the one LightGBM itself loads, with all digits."""
    text: str = model.booster_.model_to_string()
    head, *blocks = [_fields(block) for block in text.split("end of trees")[0].split("\n\n")]
    _expect(
        "LightGBM",
        head.get("objective", "its own objective"),
        ("binary sigmoid:1", f"multiclass num_class:{head['num_class']}"),
    )
    outputs = int(head["num_tree_per_iteration"])
    trees = [_lightgbm_tree(block, index % outputs) for index, block in enumerate(filter(None, blocks))]
    return TreeEnsemble(tuple(trees), np.zeros(outputs), Scale.LOGIT)


def _fields(block: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in block.splitlines() if "=" in line)


def _lightgbm_tree(block: dict[str, str], output: int) -> Tree:
    """Inner nodes come first, then leaves; the model's text numbers leaf `i` as child `~i`."""

    def column(name: str, type: Any) -> NDArray[Any]:
        return np.array(block[name].split(), type)

    value = column("leaf_value", np.float64)
    leaves = len(value)
    inner = leaves - 1
    threshold, kinds = column("threshold", np.float64), column("decision_type", np.int64)
    left, right = column("left_child", np.int64), column("right_child", np.int64)
    return Tree(
        feature=_padded(column("split_feature", np.int64), leaves, 0),
        threshold=_padded(_lightgbm_float32(threshold), leaves, 0),
        left=_padded(np.where(left < 0, ~left + inner, left), leaves, -1),
        right=_padded(np.where(right < 0, ~right + inner, right), leaves, -1),
        missing_left=_padded(_lightgbm_missing_left(threshold, kinds), leaves, False),
        value=np.concatenate([np.zeros(inner), value])[:, None],
        first_output=output,
    )


def _padded(values: NDArray[Any], count: int, value: Any) -> NDArray[Any]:
    return np.concatenate([values, np.full(count, value, values.dtype)])


def _lightgbm_float32(threshold: NDArray[np.float64]) -> NDArray[np.float32]:
    """LightGBM reads values within +-1e-35 as 0, so no threshold may part them."""
    rounded = float32_at_most(threshold)
    below_zero = np.nextafter(-_LIGHTGBM_ZERO, np.float32(-np.inf))
    nearest = np.where(threshold < 0, below_zero, _LIGHTGBM_ZERO)
    return np.where(np.abs(rounded) <= _LIGHTGBM_ZERO, nearest, rounded)


def _lightgbm_missing_left(threshold: NDArray[np.float64], kinds: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Where training saw no missing value in the feature, LightGBM takes a missing one for 0."""
    missing = kinds >> 2
    if (kinds & _LIGHTGBM_CATEGORICAL).any():
        raise _categories("LightGBM")
    if (missing == _LIGHTGBM_MISSING_ZERO).any():
        raise ExportRefused("LightGBM with `zero_as_missing` can't be exported; train it without.")
    default_left = (kinds & _LIGHTGBM_DEFAULT_LEFT) > 0
    return np.where(missing == _LIGHTGBM_MISSING_NONE, threshold >= 0, default_left)


def read_xgboost(model: Any) -> TreeEnsemble:
    """An `XGBClassifier` of trees, from its JSON form. XGBoost's splits are strict: `x < threshold`."""
    booster = model.get_booster()
    best = booster.attr("best_iteration")
    if best is not None:
        booster = booster[: int(best) + 1]
    learner = json.loads(booster.save_raw("json"))["learner"]
    objective, boosted = learner["objective"]["name"], learner["gradient_booster"]
    _expect("XGBoost", objective, ("binary:logistic", "multi:softprob"))
    _expect("XGBoost", boosted["name"], ("gbtree",))
    base = np.array(json.loads(learner["learner_model_param"]["base_score"]), np.float64)
    if objective == "binary:logistic":
        base = np.log(base / (1.0 - base))
    trees = zip(boosted["model"]["trees"], boosted["model"]["tree_info"], strict=True)
    return TreeEnsemble(
        tuple(_xgboost_tree(tree, output) for tree, output in trees), base, Scale.LOGIT, strict=True
    )


def _xgboost_tree(tree: dict[str, Any], output: int) -> Tree:
    """A leaf keeps its value where an inner node keeps its threshold."""
    if any(tree["split_type"]):
        raise _categories("XGBoost")
    conditions = np.array(tree["split_conditions"], np.float32)
    return Tree(
        feature=np.array(tree["split_indices"], np.int64),
        threshold=conditions,
        left=np.array(tree["left_children"], np.int64),
        right=np.array(tree["right_children"], np.int64),
        missing_left=np.array(tree["default_left"], np.bool_),
        value=conditions.astype(np.float64)[:, None],
        first_output=output,
    )


def _expect(library: str, found: str, known: tuple[str, ...]) -> None:
    if found not in known:
        raise ExportRefused(f"{library}: expected {' or '.join(known)}; found {found}, which has no export.")


def _categories(library: str) -> ExportRefused:
    return ExportRefused(
        f"{library} split on a categorical feature, which has no export; encode categories as numbers."
    )
