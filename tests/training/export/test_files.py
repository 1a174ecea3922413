"""Trees that come as files: read from their text alone, and proved against the library that wrote them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from shared.errors import ExportRefused
from shared.registry import Scorer
from shared.training.export import (
    ensemble_points,
    export_ensemble,
    lightgbm_ensemble,
    prove,
    read_booster,
    xgboost_ensemble,
)
from shared.training.export.ensemble import Scale, Tree, TreeEnsemble
from shared.training.fitted import FittedModel

Change = Any


def _text(fitted: FittedModel) -> str:
    text: str = fitted.estimator[-1].booster_.model_to_string()
    return text


def _document(fitted: FittedModel) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(fitted.estimator[-1].get_booster().save_raw("json"))
    return document


@pytest.mark.parametrize("classes", [2, 3])
def test_lightgbm_is_read_from_its_text(fit: Any, unseen_rows: Any, classes: int) -> None:
    fitted = fit("lightgbm", calibrated=False, classes=classes)
    ensemble = lightgbm_ensemble(_text(fitted))
    onnx = export_ensemble(ensemble, features=8)
    assert prove(fitted, onnx, unseen_rows, ensemble_points(ensemble)).max_abs_difference <= 1e-6
    assert Scorer(onnx).classes == classes


@pytest.mark.parametrize("form", ["json", "ubj"])
@pytest.mark.parametrize("classes", [2, 3])
def test_xgboost_is_read_from_its_files(fit: Any, unseen_rows: Any, classes: int, form: str) -> None:
    from xgboost import Booster

    fitted = fit("xgboost", calibrated=False, classes=classes)
    booster = Booster()
    booster.load_model(bytearray(fitted.estimator[-1].get_booster().save_raw(form)))
    ensemble = read_booster(booster)
    onnx = export_ensemble(ensemble, features=8)
    assert prove(fitted, onnx, unseen_rows, ensemble_points(ensemble)).max_abs_difference <= 1e-6
    same = xgboost_ensemble(_document(fitted))
    assert export_ensemble(same, features=8) == onnx


@pytest.mark.parametrize("classes", [2, 3])
def test_the_single_base_score_of_older_files_is_read(fit: Any, unseen_rows: Any, classes: int) -> None:
    fitted = fit("xgboost", calibrated=False, classes=classes)
    document = _document(fitted)
    document["learner"]["learner_model_param"]["base_score"] = "5E-1"
    found = xgboost_ensemble(document)
    expected = np.zeros(1) if classes == 2 else np.full(3, 0.5)
    np.testing.assert_allclose(found.base, expected)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda text: text.replace("max_feature_idx=7", "features=7"), "isn't a model that LightGBM saved"),
        (lambda text: "tree\nversion=v4\n", "isn't a model that LightGBM saved"),
        (lambda text: "", "isn't a model that LightGBM saved"),
        (lambda text: text.replace("objective=binary sigmoid:1", "objective=regression"), "no export"),
        (lambda text: text.replace("objective=", "average_output\nobjective="), "trees are summed"),
        (lambda text: text.replace("is_linear=0", "is_linear=1", 1), "leaves are constant"),
        (lambda text: text.replace("max_feature_idx=7", "max_feature_idx=1"), "isn't one of the 2"),
        (lambda text: text.replace("left_child=1 ", "left_child=0 ", 1), "no parent, or with two"),
        (lambda text: text.replace("num_tree_per_iteration=1", "num_tree_per_iteration=0"), "for 0 outputs"),
        (lambda text: text.split("Tree=0")[0] + "end of trees\n", "0 trees for 1"),
    ],
)
def test_text_that_is_no_model_is_refused(fit: Any, change: Change, complaint: str) -> None:
    text = _text(fit("lightgbm", calibrated=False))
    changed = change(text)
    assert changed != text
    with pytest.raises(ExportRefused, match=complaint):
        lightgbm_ensemble(changed)


def _set(*path: Any, to: Any) -> Change:
    def change(document: Any) -> None:
        for step in path[:-1]:
            document = document[step]
        document[path[-1]] = to

    return change


TREES = ("learner", "gradient_booster", "model", "trees")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (_set("learner", to={}), "isn't a model that XGBoost saved"),
        (_set("learner", "gradient_booster", "model", "tree_info", to=[0]), "isn't a model"),
        (_set("learner", "objective", "name", to="reg:squarederror"), "no export"),
        (_set("learner", "gradient_booster", "name", to="dart"), "no export"),
        (_set(*TREES, 0, "left_children", 0, to=10_000), "no parent, or with two"),
        (_set(*TREES, 0, "left_children", 0, to=0), "no parent, or with two"),
        (_set(*TREES, 0, "split_indices", 0, to=99), "isn't one of the 8"),
        (_set(*TREES, 1, "split_conditions", to=[1.0]), "lacks some"),
        (_set(*TREES, 0, "split_conditions", 0, to=float("nan")), "no number"),
        (_set("learner", "learner_model_param", "base_score", to="2"), "base score must be finite"),
        (_set("learner", "gradient_booster", "model", "tree_info", 0, to=4), "isn't one of the 1"),
        (_set("learner", "learner_model_param", "num_class", to="9999999999"), "9999999999 outputs"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value encountered")
def test_documents_that_are_no_model_are_refused(fit: Any, change: Change, complaint: str) -> None:
    document = _document(fit("xgboost", calibrated=False))
    change(document)
    with pytest.raises(ExportRefused, match=complaint):
        xgboost_ensemble(document)


def _tree(**changes: Any) -> Tree:
    """A root with a leaf and an inner node below it."""
    tree = Tree(
        feature=np.array([0, 0, 1, 0, 0]),
        threshold=np.zeros(5, np.float32),
        left=np.array([1, -1, 3, -1, -1]),
        right=np.array([2, -1, 4, -1, -1]),
        missing_left=np.zeros(5, np.bool_),
        value=np.ones((5, 1)),
    )
    return replace(tree, **changes)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"left": np.array([1, -1, 0, -1, -1])}, "no parent, or with two"),
        ({"left": np.array([1, -1, 2, -1, -1])}, "no parent, or with two"),
        ({"left": np.array([1, 3, -1, 2, -1]), "right": np.array([4, 2, -1, -1, -1])}, "no parent"),
        ({"left": np.array([-1, -1, 3, 2, -1]), "right": np.array([-1, -1, 4, 1, -1])}, "doesn't lead to"),
        ({"value": np.full((5, 1), np.inf)}, "no number"),
        ({"value": np.ones((4, 1))}, "lacks some"),
        ({"feature": np.array([2, 0, 0, 0, 0])}, "isn't one of the 2"),
    ],
)
def test_arrays_that_are_no_tree_are_refused(changes: dict[str, Any], complaint: str) -> None:
    TreeEnsemble((_tree(),), np.zeros(1), Scale.LOGIT).check(2)
    with pytest.raises(ExportRefused, match=complaint):
        TreeEnsemble((_tree(**changes),), np.zeros(1), Scale.LOGIT).check(2)
