"""Splits on sets of categories: as LightGBM and XGBoost themselves answer, at every code."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from shared.errors import ExportRefused
from shared.registry.scorer import Scorer
from shared.training.export import (
    TreeEnsemble,
    ensemble_points,
    export_ensemble,
    lightgbm_ensemble,
    xgboost_ensemble,
)

CODES = 40
Rows = NDArray[np.float32]
Answers = Callable[[Rows], NDArray[np.float64]]


def data(classes: int, seed: int = 0) -> tuple[Rows, NDArray[np.int64]]:
    """A number, a code that decides by no order, another code of few, and missing values in all."""
    rng = np.random.default_rng(seed)
    number, code, few = rng.normal(size=3_000), rng.integers(0, CODES, 3_000), rng.integers(0, 3, 3_000)
    effect = rng.normal(size=CODES)[code] + 0.5 * number + (few == 1)
    x = np.stack([number, code, few], axis=1).astype(np.float32)
    x[rng.random(x.shape) < 0.05] = np.nan
    return x, np.digitize(effect, np.quantile(effect, np.arange(1, classes) / classes))


def of_lightgbm(classes: int) -> tuple[str, Answers]:
    import lightgbm

    x, y = data(classes)
    objective = {"objective": "binary"} if classes == 2 else {"objective": "multiclass", "num_class": classes}
    options = {**objective, "verbosity": -1, "num_threads": 1, "min_data_per_group": 5, "cat_smooth": 1}
    booster = lightgbm.train(options, lightgbm.Dataset(x, y, categorical_feature=[1, 2]), 15)
    return booster.model_to_string(), lambda rows: np.asarray(booster.predict(rows.astype(np.float64)))


def of_xgboost(classes: int) -> tuple[dict[str, Any], Answers]:
    import xgboost

    x, y = data(classes)
    several = {"objective": "multi:softprob", "num_class": classes}
    objective = {"objective": "binary:logistic"} if classes == 2 else several
    options = {**objective, "nthread": 1, "max_cat_to_onehot": 2, "max_depth": 4}
    types = ["q", "c", "c"]
    table = xgboost.DMatrix(x, y, feature_types=types, enable_categorical=True)
    booster = xgboost.train(options, table, 15)
    document: dict[str, Any] = json.loads(booster.save_raw("json"))

    def answers(rows: Rows) -> NDArray[np.float64]:
        found = booster.predict(xgboost.DMatrix(rows, feature_types=types, enable_categorical=True))
        return np.asarray(found, np.float64)

    return document, answers


def every_code() -> Rows:
    """All codes and what lies between, below and above them, beside several numbers, and missing values."""
    codes = np.concatenate([np.arange(-3, CODES + 100, 0.5), [np.nan, 1e18, -1e18, 1e-45, -1e-45]])
    grid = np.stack(np.meshgrid([-1.0, 0.3, np.nan], codes, [-1.0, 0.0, 1.0, 2.0, 7.0, np.nan]), axis=-1)
    return grid.reshape(-1, 3).astype(np.float32)


def assert_equal(ensemble: TreeEnsemble, answers: Answers) -> None:
    found = Scorer(export_ensemble(ensemble, features=3)).score(every_code())
    expected = answers(every_code())
    if expected.ndim == 1:
        expected = np.stack([1 - expected, expected], axis=1)
    np.testing.assert_allclose(found, expected, atol=1e-6, rtol=0)
    assert expected.std(axis=0).min() > 0.05  # it depends on the code


@pytest.mark.parametrize("classes", [2, 3])
def test_lightgbms_categories(classes: int) -> None:
    text, answers = of_lightgbm(classes)
    ensemble = lightgbm_ensemble(text)
    assert len(ensemble.memberships) > 10
    assert_equal(ensemble, answers)


@pytest.mark.parametrize("classes", [2, 3])
def test_xgboosts_categories(classes: int) -> None:
    document, answers = of_xgboost(classes)
    ensemble = xgboost_ensemble(document)
    assert len(ensemble.memberships) > 10
    assert_equal(ensemble, answers)


def test_a_model_is_tried_at_each_category_that_it_asks_for() -> None:
    points = ensemble_points(lightgbm_ensemble(of_lightgbm(2)[0]))
    assert (points.column >= 0).all()
    assert set(points.value[points.column == 1]) >= set(range(CODES - 5))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda text: text.replace("cat_boundaries=0 ", "cat_boundaries=1 ", 1), "fill their words"),
        (lambda text: text.replace("num_cat=", "num_cat=1", 1), "fill their words"),
        (lambda text: text.replace("cat_threshold=", "cat_threshold=7 ", 1), "fill their words"),
        (lambda text: text.replace("cat_threshold=", "cat_threshold=-", 1), "isn't a model"),
        (lambda text: text.replace("cat_threshold=", "cat_threshold=9", 1), "isn't a model"),
        (lambda text: text.replace("\nthreshold=0 ", "\nthreshold=0.5 ", 1), "a split on set 0.5"),
        (lambda text: text.replace("\nthreshold=0 ", "\nthreshold=99 ", 1), "a split on set 99"),
        (lambda text: text.replace("\nthreshold=0 ", "\nthreshold=nan ", 1), "isn't a model"),
        (lambda text: text.replace("split_feature=1", "split_feature=-1", 1), "split on feature -1"),
        (lambda text: re.sub(r"\nthreshold=(\S+) .*", r"\nthreshold=\1", text, count=1), "a tree of"),
        (lambda text: text.replace("split_feature=1", "split_feature=9", 1), "isn't one of the 3"),
    ],
)
def test_sets_that_are_not_where_lightgbm_says_are_refused(
    change: Callable[[str], str], complaint: str
) -> None:
    text, _ = of_lightgbm(2)
    assert change(text) != text
    with pytest.raises(ExportRefused, match=complaint):
        lightgbm_ensemble(change(text))


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("categories_nodes", [], "aren't those of its splits"),
        ("categories_nodes", [10_000], "aren't those of its splits"),
        ("categories_sizes", [10_000], "sets of categories|isn't a model"),
        ("categories_segments", [-1], "sets of categories|isn't a model"),
        ("categories", [-1] * 500, "a split on the categories"),
        ("categories", [4_000_000] * 500, "number the categories from 0 on"),
    ],
)
def test_sets_that_are_not_where_xgboost_says_are_refused(
    name: str, value: list[int], complaint: str
) -> None:
    document, _ = of_xgboost(2)
    document["learner"]["gradient_booster"]["model"]["trees"][0][name] = value
    with pytest.raises(ExportRefused, match=complaint):
        xgboost_ensemble(document)


def test_a_table_that_grows_too_large_is_refused() -> None:
    document, _ = of_xgboost(2)
    for tree in document["learner"]["gradient_booster"]["model"]["trees"]:
        tree["categories"] = [code + 3_000_000 for code in tree["categories"]]
    with pytest.raises(ExportRefused, match="a table of"):
        export_ensemble(xgboost_ensemble(document), features=3)
