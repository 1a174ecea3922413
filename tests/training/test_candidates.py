from __future__ import annotations

import numpy as np
import pytest

from shared.problems import problem
from shared.problems.spec import Algorithm
from shared.training.candidates import Estimator, build_pipeline, fit, positive_score
from tests.tabular_packages import COLUMNS, tabular_rows

RNG = np.random.default_rng(0)
X = RNG.normal(size=(3_000, 6)).astype(np.float32)
Y = (X[:, 0] + RNG.normal(size=3_000) > 0).astype(np.int8)
NEW = RNG.normal(size=(500, 6)).astype(np.float32)


def _fitted(algorithm: Algorithm) -> Estimator:
    """With the problem's own parameters, but few trees."""
    parameters = next(p for _, a, p in problem("market_signal").variants() if a is algorithm)
    few: dict[str, object] = {key: 20 for key in ("n_estimators", "max_iter") if key in parameters}
    return fit(build_pipeline(algorithm, {**parameters, **few}, seed=7, rows=len(X)), X, Y)


@pytest.mark.parametrize("algorithm", Algorithm)
def test_same_data_and_seed_give_the_same_bits(algorithm: Algorithm) -> None:
    first, second = (positive_score(_fitted(algorithm), NEW) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("algorithm", Algorithm)
def test_candidate_learns_and_answers_with_probabilities(algorithm: Algorithm) -> None:
    score = positive_score(_fitted(algorithm), NEW)
    assert ((score > 0) & (score < 1)).all()
    assert np.corrcoef(score, NEW[:, 0])[0, 1] > 0.8


@pytest.mark.parametrize("algorithm", Algorithm)
def test_missing_values_are_answered(algorithm: Algorithm) -> None:
    pipeline = _fitted(algorithm)
    assert np.isfinite(positive_score(pipeline, np.full((2, 6), np.nan, np.float32))).all()


def test_preprocessing_is_fitted_on_the_training_rows_alone() -> None:
    pipeline = fit(
        build_pipeline(Algorithm.LOGISTIC_REGRESSION, {}, seed=0, rows=1_000), X[:1_000], Y[:1_000]
    )
    np.testing.assert_allclose(pipeline["imputer"].statistics_, np.median(X[:1_000], axis=0), rtol=1e-6)
    np.testing.assert_allclose(pipeline["scaler"].mean_, X[:1_000].mean(axis=0), atol=1e-6)


@pytest.mark.parametrize(
    ("algorithm", "name", "value"),
    [
        (Algorithm.RANDOM_FOREST, "min_samples_leaf", 100),
        (Algorithm.HIST_GRADIENT_BOOSTING, "min_samples_leaf", 100),
        (Algorithm.LIGHTGBM, "min_child_samples", 100),
        (Algorithm.XGBOOST, "min_child_weight", 25),
    ],
)
def test_share_of_a_leaf_becomes_the_librarys_parameter(algorithm: Algorithm, name: str, value: int) -> None:
    pipeline = build_pipeline(algorithm, {"min_leaf_share": 0.01}, seed=0, rows=10_000)
    assert pipeline[-1].get_params()[name] == value


def test_leaf_keeps_twenty_rows_where_the_share_is_less() -> None:
    pipeline = build_pipeline(Algorithm.LIGHTGBM, {"min_leaf_share": 0.01}, seed=0, rows=100)
    assert pipeline[-1].min_child_samples == 20


def test_every_column_of_every_type_reaches_the_model() -> None:
    x = tabular_rows(400, seed=3)
    y = (np.nan_to_num(x).sum(axis=1) > np.median(np.nan_to_num(x).sum(axis=1))).astype(np.int8)
    pipeline = fit(build_pipeline(Algorithm.LOGISTIC_REGRESSION, {}, 0, len(x), COLUMNS), x, y)
    row = np.array([[50, 100, 0, 0]], np.float32)
    before = positive_score(pipeline, row)
    for column in range(len(COLUMNS)):
        changed = row.copy()
        changed[0, column] += 1
        assert positive_score(pipeline, changed) != before


def test_few_rows_are_fitted_on_one_thread_whatever_the_machine_has() -> None:
    few, many = (
        build_pipeline(Algorithm.LIGHTGBM, {}, seed=0, rows=rows)[-1].n_jobs for rows in (9_999, 10_000)
    )
    assert (few, many) == (1, 2)
