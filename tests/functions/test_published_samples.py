"""Requests that KServe and MLServer publish as samples, word by word: answered as by the model itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shared.instance import use_instance
from shared.tabular import Column, Columns
from tests.functions.engine import Engine, ok, problem
from tests.functions.inferring import outputs
from tests.tabular_packages import active_tabular, tabular_package

PUBLISHED = Path(__file__).with_name("published")
SPECIES = ("setosa", "versicolor", "virginica")


def numbers(*names: str) -> Columns:
    return Columns(tuple(Column(name=name, type="number") for name in names))


def _homes() -> Columns:
    texts = {
        "MSZoning": ("RL", "RM"), "LotShape": ("Reg", "IR1"), "Utilities": ("AllPub",),
        "Neighborhood": ("CollgCr", "Veenker"), "SaleType": ("WD", "New"),
    }  # fmt: skip
    order = (
        "MSZoning", "LotArea", "LotShape", "Utilities", "YrSold", "Neighborhood", "OverallQual", "YearBuilt",
        "SaleType", "GarageArea",
    )  # fmt: skip
    return Columns(
        tuple(
            Column(name=name, type="category", categories=texts[name])
            if name in texts
            else Column(name=name, type="integer")
            for name in order
        )
    )


MODELS = {
    "iris": (
        numbers("sepal_length_(cm)", "sepal_width_(cm)", "petal_length_(cm)", "petal_width_(cm)"),
        SPECIES,
    ),
    "three": (numbers("a", "b", "c"), ("no", "yes")),
    "homes": (_homes(), ("cheap", "dear")),
}
HOME = {
    "MSZoning": "RL", "LotArea": 8450, "LotShape": "Reg", "Utilities": "AllPub", "YrSold": 2008,
    "Neighborhood": "CollgCr", "OverallQual": 7, "YearBuilt": 2003, "SaleType": "WD", "GarageArea": 548,
}  # fmt: skip


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    home = tmp_path_factory.mktemp("published") / "home"
    with Engine(home, market_data_url="http://127.0.0.1:9") as engine:
        for name, (columns, classes) in MODELS.items():
            active_tabular(
                engine.instance.registry, columns=columns, classes=classes, name=name, problem=name
            )
        yield engine


def post(engine: Engine, model: str, file: str) -> Any:
    use_instance(engine.instance)
    path = f"/v1/models/{model}:predict" if file.endswith("_v1.json") else f"/v2/models/{model}/infer"
    content = (PUBLISHED / file).read_bytes()
    return engine["inference"].post(path, content=content, headers={"content-type": "application/json"})


def probabilities(answer: dict[str, Any]) -> np.ndarray[Any, np.dtype[np.float32]]:
    if "predictions" in answer:
        rows = [list(one["probabilities"].values()) for one in answer["predictions"]]
        return np.array(rows, np.float32)
    output = outputs(answer)["probabilities"]
    return np.array(output["data"], np.float32).reshape(output["shape"])


@pytest.mark.parametrize(
    ("file", "model", "rows"),
    [
        ("kserve_sklearn_v2.json", "iris", [[6.8, 2.8, 4.8, 1.4], [6.0, 3.4, 4.5, 1.6]]),
        ("kserve_catboost_v1.json", "iris", [[6.8, 2.8, 4.8, 1.4], [6.0, 3.4, 4.5, 1.6]]),
        ("kserve_lightgbm_v1.json", "iris", [[5.1, 3.5, 1.4, 0.2]]),
        ("kserve_mixedtype_v1.json", "homes", [list(HOME.values())]),
        ("mlserver_iris_v2.json", "iris", [[1, 2, 3, 4]]),
        ("mlserver_xgboost_v2.json", "three", [[1, 2, 3]]),
    ],
)
def test_a_published_sample_is_answered(engine: Engine, file: str, model: str, rows: list[list[Any]]) -> None:
    columns, classes = MODELS[model]
    x = columns.encode([dict(zip(columns.names, row, strict=True)) for row in rows]).x
    package = tabular_package(columns=columns, classes=classes, name=model, problem=model)
    found = probabilities(ok(post(engine, model, file)))
    assert found.tobytes() == package.verified_scorer().score(x).tobytes()


def test_a_published_fault_is_refused_with_its_place(engine: Engine) -> None:
    refusal = problem(post(engine, "three", "mlserver_invalid_datatype_v2.json"), 422, "invalid-input")
    assert refusal["errors"][0]["pointer"] == "/inputs/0/datatype"


def test_a_matrix_of_any_name_is_no_way_around_categories(engine: Engine) -> None:
    use_instance(engine.instance)
    tensor = {"name": "input-0", "shape": [1, 10], "datatype": "FP32", "data": [0.0] * 10}
    refusal = problem(
        engine["inference"].post("/v2/models/homes/infer", json={"inputs": [tensor]}), 422, "invalid-input"
    )
    assert "encoded rows come in 'input'" in refusal["detail"]
