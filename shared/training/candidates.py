"""The algorithms that compete, each as a pipeline with its preprocessing inside.

The same rows, parameters, seed and library versions give the same bits: thread counts are fixed here
and don't follow the machine, LightGBM and XGBoost run in their reproducible modes, a forest's votes
are summed in one order. Nothing holds back random rows for early stopping: that would leak the day.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from shared.problems.spec import Algorithm

THREADS: Final = 2

MIN_LEAF_SHARE: Final = "min_leaf_share"
"""Least share of the training rows in a leaf. A panel's day is hundreds of rows that move together: a leaf
of a hundred rows may be half a day, so what is enough depends on how many rows there are."""

_MIN_LEAF_ROWS: Final = 20
_LEAF_PARAMETERS: Final[Mapping[Algorithm, tuple[str, Callable[[int], float]]]] = {
    Algorithm.RANDOM_FOREST: ("min_samples_leaf", int),
    Algorithm.HIST_GRADIENT_BOOSTING: ("min_samples_leaf", int),
    Algorithm.LIGHTGBM: ("min_child_samples", int),
    Algorithm.XGBOOST: ("min_child_weight", lambda rows: rows / 4),  # p (1 - p) is about 1/4
}

Estimator = Any  # scikit-learn publishes no types
Parameters = Mapping[str, Any]


def build_pipeline(algorithm: Algorithm, parameters: Parameters, seed: int, rows: int) -> Estimator:
    """An unfitted pipeline for `rows` training rows: imputer, scaler where needed, classifier."""
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    chosen = _with_leaf_rows(algorithm, parameters, rows)
    steps = [("imputer", SimpleImputer(strategy="median", keep_empty_features=True))]
    if algorithm is Algorithm.LOGISTIC_REGRESSION:
        steps.append(("scaler", StandardScaler()))
    return Pipeline([*steps, ("classifier", _CLASSIFIERS[algorithm](chosen, seed))])


def fit(pipeline: Estimator, x: NDArray[np.float32], y: NDArray[np.int8]) -> Estimator:
    """Fit on a fixed number of threads; gives the pipeline, ready to predict reproducibly."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # publishes no types

    with threadpool_limits(THREADS, user_api="openmp"), threadpool_limits(1, user_api="blas"):
        pipeline.fit(x, y)
    classifier = pipeline[-1]
    if type(classifier).__name__ == "RandomForestClassifier":
        classifier.n_jobs = 1  # with threads, the trees' votes are summed in the order they arrive
    return pipeline


def positive_score(pipeline: Estimator, x: NDArray[np.float32]) -> NDArray[np.float64]:
    """The raw probability of class 1, per row."""
    return np.asarray(pipeline.predict_proba(x)[:, 1], np.float64)


def _with_leaf_rows(algorithm: Algorithm, parameters: Parameters, rows: int) -> Parameters:
    """`min_leaf_share` as what the library calls it: a number of rows, or for XGBoost their Hessian's sum."""
    if MIN_LEAF_SHARE not in parameters:
        return parameters
    name, weight = _LEAF_PARAMETERS[algorithm]
    others = {key: value for key, value in parameters.items() if key != MIN_LEAF_SHARE}
    return {**others, name: weight(max(_MIN_LEAF_ROWS, round(parameters[MIN_LEAF_SHARE] * rows)))}


def _logistic_regression(parameters: Parameters, seed: int) -> Estimator:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(
        **{"solver": "newton-cholesky", "max_iter": 50, **parameters}, random_state=seed
    )


def _random_forest(parameters: Parameters, seed: int) -> Estimator:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(**parameters, n_jobs=THREADS, random_state=seed)


def _hist_gradient_boosting(parameters: Parameters, seed: int) -> Estimator:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(**parameters, early_stopping=False, random_state=seed)


def _lightgbm(parameters: Parameters, seed: int) -> Estimator:
    from lightgbm import LGBMClassifier

    return LGBMClassifier(
        **parameters, deterministic=True, force_row_wise=True, n_jobs=THREADS, random_state=seed, verbosity=-1
    )


def _xgboost(parameters: Parameters, seed: int) -> Estimator:
    from xgboost import XGBClassifier

    return XGBClassifier(**parameters, tree_method="hist", n_jobs=THREADS, random_state=seed)


_CLASSIFIERS: Final[Mapping[Algorithm, Callable[[Parameters, int], Estimator]]] = {
    Algorithm.LOGISTIC_REGRESSION: _logistic_regression,
    Algorithm.RANDOM_FOREST: _random_forest,
    Algorithm.HIST_GRADIENT_BOOSTING: _hist_gradient_boosting,
    Algorithm.LIGHTGBM: _lightgbm,
    Algorithm.XGBOOST: _xgboost,
}
