"""Preprocessing of columns of several types in the graph: one-hot, imputing, parts of columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from shared.errors import ExportRefused
from shared.problems.spec import Algorithm
from shared.registry import Scorer
from shared.training.candidates import build_pipeline, fit
from shared.training.export import export, export_onnx, split_points, verify_parity
from shared.training.fitted import FittedModel
from tests.tabular_packages import COLUMNS, tabular_rows

PAIN = COLUMNS.names.index("pain")


def _fitted(algorithm: Algorithm, classes: int = 2, **parameters: Any) -> FittedModel:
    x = tabular_rows(500, seed=1)
    rng = np.random.default_rng(0)
    signal = np.nan_to_num(x[:, 0]) / 60 + (x[:, PAIN] == 1) - (x[:, 3] == 1) + rng.normal(0, 0.5, len(x))
    y = np.digitize(signal, np.quantile(signal, np.arange(1, classes) / classes))
    pipeline = fit(build_pipeline(algorithm, parameters, 0, len(x), COLUMNS), x, y)
    names = tuple(map(str, range(classes)))
    return FittedModel(str(algorithm), pipeline, None, COLUMNS.names, names, dict(parameters))


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("algorithm", Algorithm)
def test_unknown_codes_and_missing_values_are_answered_as_fitted(algorithm: Algorithm, classes: int) -> None:
    few = {"n_estimators": 8} if "boosting" not in algorithm and "regression" not in algorithm else {}
    fitted = _fitted(algorithm, classes, **few)
    rows = tabular_rows(3_000, seed=2)
    rows[:100, PAIN] = 7.0
    rows[100:200, PAIN] = 0.5
    rows[200:300, PAIN] = -1.0
    rows[300:400] = np.nan
    rows[400:500, PAIN] = np.nan
    assert export(fitted, rows)[1].max_abs_difference <= 1e-6


def test_an_unknown_category_is_none_of_the_known_ones() -> None:
    """Not the first one, and not the most frequent, which stands for what is missing."""
    fitted = _fitted(Algorithm.LOGISTIC_REGRESSION)
    rows = np.repeat(np.array([[50, 120, 0, 0]], np.float32), 5, axis=0)
    rows[:, PAIN] = [0, 1, 2, 7, np.nan]
    answers = Scorer(export_onnx(fitted)).score(rows)[:, 1]
    assert len(np.unique(answers[:4])) == 4
    assert answers[4] in answers[:3]


def test_each_category_is_a_point_at_which_the_answer_may_jump() -> None:
    for algorithm in (Algorithm.LOGISTIC_REGRESSION, Algorithm.LIGHTGBM):
        points = split_points(_fitted(algorithm))
        assert points.value[points.column == PAIN].tolist() == [0.0, 1.0, 2.0]


def test_points_of_parts_are_told_of_the_columns_that_they_are_of() -> None:
    """The trees' first inputs are the scaled numbers, which are the last columns here."""
    rng = np.random.default_rng(0)
    x = np.column_stack([rng.integers(3, size=400), rng.normal(1_000, 50, 400)]).astype(np.float32)
    parts = ColumnTransformer(
        [
            ("numbers", Pipeline([("imputer", SimpleImputer()), ("scaler", StandardScaler())]), [1]),
            ("rest", SimpleImputer(), [0]),
        ]
    )
    from lightgbm import LGBMClassifier

    model = Pipeline([("parts", parts), ("model", LGBMClassifier(n_estimators=5, verbosity=-1, n_jobs=1))])
    model.fit(x, (x[:, 1] > 1_000) ^ (x[:, 0] == 1))
    fitted = FittedModel("lightgbm", model, None, ("a", "b"), ("no", "yes"), {})
    points = split_points(fitted)
    assert set(points.column.tolist()) == {0, 1}
    assert points.value[points.column == 1].min() > 800
    assert points.value[points.column == 0].max() < 2.5
    assert export(fitted, x)[1].max_abs_difference <= 1e-6


@pytest.mark.parametrize(
    "options",
    [
        {"drop": "first"},
        {"handle_unknown": "error"},
        {"sparse_output": True},
        {"min_frequency": 0.2},
        {"max_categories": 2},
    ],
)
def test_one_hot_in_another_manner_is_refused(options: dict[str, Any]) -> None:
    given = {"handle_unknown": "ignore", "sparse_output": False, **options}
    x = np.repeat(np.arange(3), 40)[:, None].astype(np.float32)
    model = Pipeline([("one_hot", OneHotEncoder(**given)), ("model", LogisticRegression())])
    fitted = FittedModel("logistic_regression", model.fit(x, x[:, 0] > 1), None, ("a",), ("no", "yes"), {})
    with pytest.raises(ExportRefused, match="OneHotEncoder can be exported"):
        export_onnx(fitted)


def test_categories_that_are_text_or_missing_are_refused() -> None:
    x = np.array([[0.0], [1.0], [np.nan]] * 30, np.float32)
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    model = Pipeline([("one_hot", encoder), ("model", LogisticRegression())]).fit(x, x[:, 0] == 1)
    with pytest.raises(ExportRefused, match="none missing"):
        export_onnx(FittedModel("logistic_regression", model, None, ("a",), ("no", "yes"), {}))


def test_columns_that_are_passed_through_stay_as_they_are() -> None:
    x = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
    parts = ColumnTransformer([("some", SimpleImputer(), [2])], remainder="passthrough")
    model = Pipeline([("parts", parts), ("last", SimpleImputer()), ("model", LogisticRegression())])
    fitted = FittedModel(
        "logistic_regression", model.fit(x, x[:, 0] > 0), None, ("a", "b", "c"), ("no", "yes"), {}
    )
    assert export(fitted, x)[1].max_abs_difference <= 1e-6


def test_functions_of_columns_are_refused() -> None:
    x = np.random.default_rng(0).normal(size=(60, 2)).astype(np.float32)
    parts = ColumnTransformer([("some", FunctionTransformer(np.abs), [0])])
    model = Pipeline([("parts", parts), ("model", LogisticRegression())]).fit(x, x[:, 0] > 0)
    with pytest.raises(ExportRefused, match="'some' is a function"):
        export_onnx(FittedModel("logistic_regression", model, None, ("a", "b"), ("no", "yes"), {}))


@pytest.mark.parametrize("wrong", [0.0, 2.0])
def test_a_graph_with_another_code_is_found_out(wrong: float) -> None:
    """Only a row of that very category shows it."""
    fitted = _fitted(Algorithm.LOGISTIC_REGRESSION)
    model = onnx.load_model_from_string(export_onnx(fitted))
    equal = next(node for node in model.graph.node if node.op_type == "Equal")
    codes = next(one for one in model.graph.initializer if one.name == equal.input[1])
    changed = onnx.numpy_helper.to_array(codes).copy()
    changed[changed == wrong] = 9.0
    codes.CopyFrom(onnx.numpy_helper.from_array(changed, codes.name))
    with pytest.raises(ExportRefused, match="differs from the fitted one"):
        verify_parity(fitted, model.SerializeToString(), tabular_rows(50, seed=3))
