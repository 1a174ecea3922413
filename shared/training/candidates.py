"""The algorithms that compete, each as a pipeline with its preprocessing inside.

The same rows, parameters, seed and library versions give the same bits: thread counts are fixed here
and don't follow the machine, LightGBM and XGBoost run in their reproducible modes, a forest's votes
are summed in one order. Nothing holds back random rows for early stopping: that would leak the day.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from shared.problems.spec import Algorithm, Problem
from shared.tabular import Columns

THREADS: Final = 2
SMALL_ROWS: Final = 10_000
"""Fewer rows than that are fitted on one thread: handing them out takes longer than the work."""

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

_KINDS: Final[Mapping[str, str]] = {
    "number": "numbers",
    "integer": "numbers",
    "boolean": "booleans",
    "category": "categories",
}

Estimator = Any  # scikit-learn publishes no types
Parameters = Mapping[str, Any]
Step = tuple[str, Any]


@dataclass(frozen=True, slots=True)
class Variant:
    """A candidate with one choice of hyper-parameters."""

    name: str
    algorithm: Algorithm
    parameters: dict[str, Any]

    def fit(
        self, x: NDArray[np.float32], y: NDArray[np.integer], seed: int, columns: Columns | None = None
    ) -> Estimator:
        """Fitted on these rows; for `columns` see `build_pipeline`."""
        return fit(build_pipeline(self.algorithm, self.parameters, seed, len(x), columns), x, y)

    def for_fold(self, number: int) -> Variant:  # noqa: ARG002 - one that was searched differs by fold
        """What is fitted on the training rows of outer fold `number` (from 0)."""
        return self


def variants(problem: Problem, names: Collection[str]) -> tuple[Variant, ...]:
    """Who competes: those of the problem's variants that are named, or all where none is."""
    every = (Variant(*parts) for parts in problem.variants())
    return tuple(variant for variant in every if not names or variant.name in names)


def build_pipeline(
    algorithm: Algorithm, parameters: Parameters, seed: int, rows: int, columns: Columns | None = None
) -> Estimator:
    """An unfitted pipeline for `rows` training rows: preprocessing and classifier.

    `columns` says what the rows hold, as they are encoded; without them all are numbers. Numbers get the
    median where they are missing, booleans and categories what is most frequent; categories become one
    indicator each, all 0 for a value that is none of them. Linear models get scaled numbers.
    """
    from sklearn.pipeline import Pipeline

    chosen = _with_leaf_rows(algorithm, parameters, rows)
    scaled = algorithm is Algorithm.LOGISTIC_REGRESSION
    steps = _of_numbers(scaled=scaled) if columns is None else _of_columns(columns, scaled=scaled)
    return Pipeline([*steps, ("classifier", _CLASSIFIERS[algorithm](chosen, seed, threads_for(rows)))])


def _of_numbers(*, scaled: bool) -> list[Step]:
    from sklearn.impute import SimpleImputer
    from sklearn.preprocessing import StandardScaler

    imputer = ("imputer", SimpleImputer(strategy="median", keep_empty_features=True))
    return [imputer, ("scaler", StandardScaler())] if scaled else [imputer]


def _of_columns(columns: Columns, *, scaled: bool) -> list[Step]:
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OneHotEncoder

    kinds: dict[str, list[int]] = {"numbers": [], "booleans": [], "categories": []}
    for place, column in enumerate(columns.columns):
        kinds[_KINDS[column.type]].append(place)
    frequent = SimpleImputer(strategy="most_frequent", keep_empty_features=True)
    codes = [np.arange(len(columns.columns[i].categories), dtype=np.float32) for i in kinds["categories"]]
    encoder = OneHotEncoder(categories=codes, handle_unknown="ignore", sparse_output=False, dtype=np.float32)
    made = {
        "numbers": Pipeline(_of_numbers(scaled=scaled)),
        "booleans": frequent,
        "categories": Pipeline([("imputer", frequent), ("one_hot", encoder)]),
    }
    parts = [(kind, made[kind], places) for kind, places in kinds.items() if places]
    return [("columns", ColumnTransformer(parts))]


def threads_for(rows: int) -> int:
    """By the rows, never by the machine."""
    return 1 if rows < SMALL_ROWS else THREADS


def fit(pipeline: Estimator, x: NDArray[np.float32], y: NDArray[np.integer]) -> Estimator:
    """Fit on a fixed number of threads; gives the pipeline, ready to predict reproducibly."""
    with _limited(len(x)):
        pipeline.fit(x, y)
    classifier = pipeline[-1]
    if type(classifier).__name__ == "RandomForestClassifier":
        classifier.n_jobs = 1  # with threads, the trees' votes are summed in the order they arrive
    return pipeline


def probabilities(pipeline: Estimator, x: NDArray[np.float32]) -> NDArray[np.float64]:
    """The raw probability of each class, (n, classes)."""
    with _limited(len(x)):
        return np.asarray(pipeline.predict_proba(x), np.float64)


@contextmanager
def _limited(rows: int) -> Iterator[None]:
    """So many threads as rows are worth; idle ones of scikit-learn's would spin."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # publishes no types

    with threadpool_limits(threads_for(rows), user_api="openmp"), threadpool_limits(1, user_api="blas"):
        yield


def positive_score(pipeline: Estimator, x: NDArray[np.float32]) -> NDArray[np.float64]:
    """The raw probability of class 1, per row."""
    return probabilities(pipeline, x)[:, 1]


def _with_leaf_rows(algorithm: Algorithm, parameters: Parameters, rows: int) -> Parameters:
    """`min_leaf_share` as what the library calls it: a number of rows, or for XGBoost their Hessian's sum."""
    if MIN_LEAF_SHARE not in parameters:
        return parameters
    name, weight = _LEAF_PARAMETERS[algorithm]
    others = {key: value for key, value in parameters.items() if key != MIN_LEAF_SHARE}
    return {**others, name: weight(max(_MIN_LEAF_ROWS, round(parameters[MIN_LEAF_SHARE] * rows)))}


def _logistic_regression(parameters: Parameters, seed: int, _: int) -> Estimator:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(
        **{"solver": "newton-cholesky", "max_iter": 50, **parameters}, random_state=seed
    )


def _random_forest(parameters: Parameters, seed: int, threads: int) -> Estimator:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(**parameters, n_jobs=threads, random_state=seed)


def _hist_gradient_boosting(parameters: Parameters, seed: int, _: int) -> Estimator:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(**parameters, early_stopping=False, random_state=seed)


def _lightgbm(parameters: Parameters, seed: int, threads: int) -> Estimator:
    from lightgbm import LGBMClassifier

    return LGBMClassifier(
        **parameters, deterministic=True, force_row_wise=True, n_jobs=threads, random_state=seed, verbosity=-1
    )


def _xgboost(parameters: Parameters, seed: int, threads: int) -> Estimator:
    from xgboost import XGBClassifier

    return XGBClassifier(**parameters, tree_method="hist", n_jobs=threads, random_state=seed)


_CLASSIFIERS: Final[Mapping[Algorithm, Callable[[Parameters, int, int], Estimator]]] = {
    Algorithm.LOGISTIC_REGRESSION: _logistic_regression,
    Algorithm.RANDOM_FOREST: _random_forest,
    Algorithm.HIST_GRADIENT_BOOSTING: _hist_gradient_boosting,
    Algorithm.LIGHTGBM: _lightgbm,
    Algorithm.XGBOOST: _xgboost,
}
