"""Models as users bring them: small real ones of each library, and what is said of them."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import skops.io
import xgboost
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from shared.uploads import Format, UploadRequest

Rows = NDArray[np.float32]

COLUMNS: tuple[dict[str, Any], ...] = (
    {"name": "age", "type": "integer", "minimum": 18, "maximum": 95},
    {"name": "sex", "type": "boolean"},
    {"name": "pain", "type": "category", "categories": [1, 2, 3, 4]},
    {"name": "pressure", "type": "number", "minimum": 80, "maximum": 220},
    {"name": "chol", "type": "number", "minimum": 100, "maximum": 600},
    {"name": "slope", "type": "category", "categories": ["up", "flat", "down"]},
    {"name": "peak", "type": "number", "minimum": 0, "maximum": 7},
    {"name": "vessels", "type": "integer", "minimum": 0, "maximum": 3},
)
"""Like those of the Cleveland data."""

BINARY = ("absent", "present")
THREE = ("none", "mild", "severe")


@functools.cache
def rows(count: int = 400, seed: int = 0) -> Rows:
    """Codes; some are missing."""
    rng = np.random.default_rng(seed)
    x = np.column_stack(
        [
            rng.integers(29, 78, count),
            rng.integers(2, size=count),
            rng.integers(4, size=count),
            rng.normal(131, 17, count).clip(80, 220),
            rng.normal(246, 51, count).clip(100, 600),
            rng.integers(3, size=count),
            rng.exponential(1.0, count).clip(0, 7),
            rng.integers(4, size=count),
        ]
    ).astype(np.float32)
    x[rng.random(x.shape) < 0.04] = np.nan
    return x


@functools.cache
def labels(classes: int, count: int = 400, seed: int = 0) -> NDArray[np.int64]:
    x = np.nan_to_num(rows(count, seed))
    risk = (
        0.05 * x[:, 0] + x[:, 2] + 0.8 * x[:, 6] + x[:, 7] + np.random.default_rng(seed).normal(0, 1, count)
    )
    return np.searchsorted(np.quantile(risk, np.arange(1, classes) / classes), risk)


def classes_of(count: int) -> tuple[str, ...]:
    return BINARY if count == 2 else THREE


def request(
    format: Format, probabilities: NDArray[Any], *, name: str = "mine", **changes: Any
) -> UploadRequest:
    """What is said of a model that answers `probabilities` (n, classes) to the first rows."""
    return UploadRequest.model_validate_json(json.dumps(said(format, probabilities, name=name, **changes)))


def said(format: str, probabilities: NDArray[Any], *, name: str = "mine", **changes: Any) -> dict[str, Any]:
    """As `request`, as JSON."""
    known = rows()[: len(probabilities)]
    document = {
        "name": name,
        "format": str(format),
        "columns": list(COLUMNS),
        "classes": list(classes_of(probabilities.shape[1])),
        "examples": [
            {"inputs": decoded(row), "probabilities": answer}
            for row, answer in zip(known.tolist(), probabilities.tolist(), strict=True)
        ],
    }
    return {**document, **changes}


def decoded(codes: Sequence[float]) -> dict[str, Any]:
    return {column["name"]: _value(column, code) for column, code in zip(COLUMNS, codes, strict=True)}


def _value(column: dict[str, Any], code: float) -> Any:
    if code != code:
        return None
    if column["type"] == "category":
        return column["categories"][int(code)]
    if column["type"] == "boolean":
        return bool(code)
    return int(code) if column["type"] == "integer" else code


def both(found: Any) -> NDArray[np.float64]:
    """Probabilities of all classes."""
    found = np.asarray(found, np.float64)
    return np.column_stack([1 - found, found]) if found.ndim == 1 else found


CATEGORIES: tuple[int, ...] = (2, 5)
"""The places of the columns of categories."""


def frame() -> pd.DataFrame:
    """The rows as pandas has them, with its own categories."""
    made = pd.DataFrame(rows(), columns=[column["name"] for column in COLUMNS])
    for column in (COLUMNS[place] for place in CATEGORIES):
        codes = made[column["name"]].fillna(-1).astype(int)
        made[column["name"]] = pd.Categorical.from_codes(codes, column["categories"])
    return made


@functools.cache
def lightgbm_model(
    classes: int = 2, trees: int = 20, categories: str = ""
) -> tuple[bytes, NDArray[np.float64]]:
    """The file, and what the library answers to the first ten rows. `categories`: splits on sets of them, by
    "codes" or in a "frame" of pandas.
    """
    chosen = {"objective": "binary"} if classes == 2 else {"objective": "multiclass", "num_class": classes}
    options = {**chosen, "verbose": -1, "num_leaves": 7, "num_threads": 1, "seed": 0}
    given = frame() if categories == "frame" else rows()
    known: Any = {"categorical_feature": list(CATEGORIES)} if categories == "codes" else {}
    if categories:
        options.update(min_data_per_group=5, cat_smooth=1, max_cat_to_onehot=1)
    booster = lightgbm.train(options, lightgbm.Dataset(given, labels(classes), **known), trees)
    return booster.model_to_string().encode(), both(booster.predict(given[:10]))


@functools.cache
def skops_model(kind: str = "logistic", classes: int = 2) -> tuple[bytes, NDArray[np.float64]]:
    """A pipeline of scikit-learn with its preprocessing."""
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    steps = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), [0, 1, 3, 4, 6, 7]),
            ("codes", make_pipeline(SimpleImputer(strategy="most_frequent"), encoder), [2, 5]),
        ]
    )
    if kind == "forest":
        model = make_pipeline(SimpleImputer(), RandomForestClassifier(10, max_depth=5, random_state=0))
    else:
        model = make_pipeline(
            steps if kind == "columns" else SimpleImputer(), LogisticRegression(max_iter=5_000)
        )
    model.fit(rows(), labels(classes))
    return skops.io.dumps(model), both(model.predict_proba(rows()[:10]))


@functools.cache
def xgboost_model(classes: int = 2, form: str = "json", **options: Any) -> tuple[bytes, NDArray[np.float64]]:
    objective = {"objective": "binary:logistic"}
    if classes > 2:
        objective = {"objective": "multi:softprob", "num_class": str(classes)}
    chosen = {**objective, "max_depth": 3, "nthread": 1, "seed": 0, **options}
    booster = xgboost.train(chosen, xgboost.DMatrix(rows(), labels(classes)), 15)
    return bytes(booster.save_raw(form)), both(booster.inplace_predict(rows()[:10]))


@functools.cache
def xgboost_of_categories(
    classes: int = 2, form: str = "json", framed: bool = False, **options: Any
) -> tuple[bytes, NDArray[np.float64]]:
    """It splits on sets of categories, which it knows by codes or, `framed`, from pandas."""
    objective = {"objective": "binary:logistic"}
    if classes > 2:
        objective = {"objective": "multi:softprob", "num_class": str(classes)}
    chosen = {**objective, "max_depth": 3, "nthread": 1, "seed": 0, "max_cat_to_onehot": 1, **options}
    types = ["c" if place in CATEGORIES else "q" for place in range(len(COLUMNS))]
    known: Any = {} if framed else {"feature_types": types}
    given = frame() if framed else rows()
    table = xgboost.DMatrix(given, labels(classes), enable_categorical=True, **known)
    booster = xgboost.train(chosen, table, 15)
    first = xgboost.DMatrix(given[:10], enable_categorical=True, **known)
    return bytes(booster.save_raw(form)), both(booster.predict(first))
