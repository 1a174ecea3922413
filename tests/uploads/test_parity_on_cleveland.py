"""Converted models beside their own libraries: on all of the Cleveland data, and on 10,000 rows at random."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from importlib import resources
from typing import Any

import lightgbm
import numpy as np
import pytest
import skops.io
import xgboost
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from shared.jobs.conversion.of_lightgbm import from_lightgbm
from shared.jobs.conversion.of_onnx import from_onnx
from shared.jobs.conversion.of_skops import from_skops
from shared.jobs.conversion.of_xgboost import from_json, from_ubj
from shared.jobs.conversion.outcome import Converted
from shared.jobs.conversion.rows import random_rows
from shared.problems.heart_disease import PROBLEM
from shared.registry.scorer import Scorer
from shared.tabular.table import encode_table, read_table
from shared.uploads import Example, Format, UploadRequest
from tests.uploads.made import Rows, both, classes_of

COLUMNS = PROBLEM.columns
TOLERANCE = 1e-6
Labels = NDArray[np.int64]
Answer = Callable[[Rows], Any]


@functools.cache
def cleveland(classes: int) -> tuple[Rows, Labels]:
    """All 303 rows as codes; of the five stages of the disease the worst are one class."""
    table = read_table((resources.files("shared.problems") / "data" / "cleveland.csv").read_bytes(), "csv")
    stages = np.array(table["num"].to_pylist()).astype(np.float64).astype(np.int64)
    return encode_table(COLUMNS, table).x, np.minimum(stages, classes - 1)


def of_lightgbm(x: Rows, y: Labels, classes: int) -> tuple[bytes, Answer]:
    model = lightgbm.LGBMClassifier(n_estimators=100, num_leaves=15, n_jobs=1, verbose=-1).fit(x, y)
    return model.booster_.model_to_string().encode(), model.predict_proba


def of_xgboost(form: str) -> Callable[[Rows, Labels, int], tuple[bytes, Answer]]:
    def made(x: Rows, y: Labels, classes: int) -> tuple[bytes, Answer]:
        model = xgboost.XGBClassifier(n_estimators=100, max_depth=4, n_jobs=1).fit(x, y)
        return bytes(model.get_booster().save_raw(form)), model.predict_proba

    return made


def of_skops(estimator: Any) -> Callable[[Rows, Labels, int], tuple[bytes, Answer]]:
    def made(x: Rows, y: Labels, classes: int) -> tuple[bytes, Answer]:
        model = make_pipeline(SimpleImputer(), StandardScaler(), estimator).fit(x, y)
        return skops.io.dumps(model), model.predict_proba

    return made


Maker = Callable[[Rows, Labels, int], tuple[bytes, Answer]]
Read = Callable[[bytes, UploadRequest], Converted]
MODELS: Mapping[str, tuple[Format, Read, Maker]] = {
    "lightgbm": (Format.LIGHTGBM, from_lightgbm, of_lightgbm),
    "xgboost-json": (Format.XGBOOST_JSON, from_json, of_xgboost("json")),
    "xgboost-ubj": (Format.XGBOOST_UBJ, from_ubj, of_xgboost("ubj")),
    "skops-logistic": (Format.SKOPS, from_skops, of_skops(LogisticRegression(max_iter=5_000))),
    "skops-forest": (Format.SKOPS, from_skops, of_skops(RandomForestClassifier(100, random_state=0))),
}


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("name", MODELS)
def test_every_row_gets_what_its_own_library_answers(name: str, classes: int) -> None:
    form, read, make = MODELS[name]
    x, y = cleveland(classes)
    content, answer = make(x, y, classes)
    converted = read(content, _request(form, x[:3], both(answer(x[:3]))))
    as_graph = from_onnx(converted.onnx, _request(Format.ONNX, x[:3], both(answer(x[:3]))))
    rows = np.concatenate([x, random_rows(COLUMNS, x, 10_000)])
    assert len(rows) == 10_303
    expected = both(answer(rows))
    differences = [
        float(np.abs(Scorer(graph).score(rows) - expected).max()) for graph in (converted.onnx, as_graph.onnx)
    ]
    told = " and ".join(f"{difference:.2g}" for difference in differences)
    print(f"{name}, {classes} classes: max |dp| {told} (as ONNX) on {len(rows)} rows")  # noqa: T201 - a figure
    assert max(differences) <= TOLERANCE


def _request(form: Format, rows: Rows, answers: NDArray[np.float64]) -> UploadRequest:
    decoded: list[dict[str, Any]] = [
        {column.name: column.decoded(code) for column, code in zip(COLUMNS.columns, row, strict=True)}
        for row in rows.tolist()
    ]
    examples = [
        Example(inputs=row, probabilities=tuple(answer))
        for row, answer in zip(decoded, answers.tolist(), strict=True)
    ]
    return UploadRequest(
        name="heart",
        format=form,
        columns=COLUMNS.columns,
        classes=classes_of(answers.shape[1]),
        examples=tuple(examples),
    )
