"""Small fitted models of every algorithm, each fitted once."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # publishes no types

from shared.training.calibration import Calibration
from shared.training.fitted import FittedModel

FEATURES = 8
CALIBRATION = Calibration(slope=1.3, intercept=-0.2)

Rows = NDArray[np.float32]


class Fit(Protocol):
    def __call__(
        self, algorithm: str, *, missing: bool = ..., calibrated: bool = ..., classes: int = ...
    ) -> FittedModel: ...


class Make(Protocol):
    def __call__(self, algorithm: str, *steps: Any, data: tuple[Rows, NDArray[np.int64]]) -> FittedModel: ...


def make_rows(n: int, seed: int, *, missing: bool) -> Rows:
    """Features of different sizes, some of whose values are shared by many rows."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, FEATURES)) * 10.0 ** np.arange(-3, FEATURES - 3)
    x[:, 3] = rng.integers(0, 3, n)
    x[:, 4] = np.round(x[:, 4], 0)
    if missing:
        x[rng.random(x.shape) < 0.08] = np.nan
    return x.astype(np.float32)


def make_labels(x: Rows, classes: int) -> NDArray[np.int64]:
    rng = np.random.default_rng(7)
    scaled = np.nan_to_num(x / np.nanstd(x, axis=0))
    z = scaled[:, 0] + 0.5 * scaled[:, 1] * scaled[:, 2] + 0.5 * x.shape[1] * np.isnan(x[:, 5])
    z += scaled[:, 3] + rng.normal(size=len(x))
    labels: NDArray[np.int64] = np.digitize(z, np.quantile(z, np.arange(1, classes) / classes))
    return labels


def make_model(algorithm: str, *steps: Any, data: tuple[Rows, NDArray[np.int64]]) -> FittedModel:
    """A pipeline of the steps, fitted."""
    x, y = data
    pipeline = Pipeline([(type(step).__name__, step) for step in steps]).fit(x, y)
    names = tuple(f"f{i}" for i in range(x.shape[1]))
    return FittedModel(algorithm, pipeline, None, names, tuple(map(str, np.unique(y))), {})


def classifier(algorithm: str) -> Any:
    from lightgbm import LGBMClassifier
    from xgboost import XGBClassifier

    made: dict[str, Callable[[], Any]] = {
        "logistic_regression": LogisticRegression,
        "random_forest": lambda: RandomForestClassifier(20, min_samples_leaf=10, random_state=0),
        "hist_gradient_boosting": lambda: HistGradientBoostingClassifier(
            max_iter=30, early_stopping=False, random_state=0
        ),
        "lightgbm": lambda: LGBMClassifier(n_estimators=30, verbosity=-1, n_jobs=1, random_state=0),
        "xgboost": lambda: XGBClassifier(n_estimators=30, max_depth=4, n_jobs=1, random_state=0),
    }
    return made[algorithm]()


@functools.cache
def _fitted(algorithm: str, missing: bool, calibrated: bool, classes: int) -> FittedModel:
    x = make_rows(4_000, 1, missing=missing)
    steps = [SimpleImputer(strategy="median"), StandardScaler()] if algorithm == "logistic_regression" else []
    model = make_model(algorithm, *steps, classifier(algorithm), data=(x, make_labels(x, classes)))
    calibration = CALIBRATION if calibrated else None
    return FittedModel(
        algorithm, model.estimator, calibration, model.feature_names, model.classes, model.parameters
    )


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Idle threads of HistGradientBoosting spin: on a busy machine that costs seconds per call."""
    with threadpool_limits(1, user_api="openmp"):
        yield


@pytest.fixture(scope="session")
def fit() -> Fit:
    """`fit(algorithm, missing=, calibrated=, classes=)`: a fitted model, the same one each time."""

    def fit(
        algorithm: str, *, missing: bool = True, calibrated: bool = True, classes: int = 2
    ) -> FittedModel:
        return _fitted(algorithm, missing, calibrated, classes)

    return fit


@pytest.fixture(scope="session")
def make() -> Make:
    return make_model


@pytest.fixture(scope="session")
def training_data() -> tuple[Rows, NDArray[np.int64]]:
    x = make_rows(3_000, 2, missing=True)
    return x, make_labels(x, 2)


@pytest.fixture(scope="session")
def unseen_rows() -> Rows:
    return make_rows(20_000, 3, missing=True)


@pytest.fixture(scope="session")
def complete_rows() -> Rows:
    return make_rows(20_000, 4, missing=False)
