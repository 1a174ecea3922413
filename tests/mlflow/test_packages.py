"""Real MLflow loads and serves a package's folder as it is, and predicts the same."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from infra.environments import Environment
from shared.registry import Package
from tests.mlflow.conftest import served
from tests.packages import market_package
from tests.tabular_packages import COLUMNS, tabular_package, tabular_rows

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

LOADED = """
import json, sys
import mlflow, numpy, onnx, onnxruntime
found = []
for folder in sys.argv[1:]:
    rows = numpy.array(json.load(open(f"{folder}/rows.json")), numpy.float32)
    model = mlflow.onnx.load_model(folder)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    raw = session.run(["probabilities"], {"input": rows})[0]
    function = mlflow.pyfunc.load_model(folder)
    predicted = function.predict(rows)["probabilities"]
    named = function.predict({"input": rows})["probabilities"]
    assert predicted.shape == raw.shape
    found.append([raw.tolist(), predicted.tolist(), named.tolist(), function.metadata.metadata])
print(json.dumps(found))
"""

PACKAGES: Mapping[str, Callable[[], Package]] = {
    "market": market_package,
    "tabular": tabular_package,
    "three": lambda: tabular_package(classes=("low", "mid", "high")),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Package, NDArray[np.float32]]]:
    """Packages as files, each with rows beside them."""
    made = {}
    for name, build in PACKAGES.items():
        package, folder = build(), tmp_path_factory.mktemp(name)
        for file, content in package.files().items():
            (folder / file).write_bytes(content)
        features = len(package.manifest.feature_names)
        rows = np.random.default_rng(0).normal(size=(40, features)).astype(np.float32)
        rows = rows if name == "market" else tabular_rows(40)
        (folder / "rows.json").write_text(json.dumps(as_json(rows)))
        made[name] = (folder, package, rows)
    return made


def as_json(rows: NDArray[np.float32]) -> list[list[float | None]]:
    return [[None if value != value else value for value in row] for row in rows.tolist()]


def test_loaded_by_mlflow_a_package_predicts_the_same(
    mlflow: Environment, folders: dict[str, tuple[Path, Package, NDArray[np.float32]]]
) -> None:
    told = json.loads(mlflow.run("-c", LOADED, *(str(folder) for folder, *_ in folders.values())))
    for (_, package, rows), (raw, predicted, named, metadata) in zip(folders.values(), told, strict=True):
        ours = package.verified_scorer().score(rows)
        for theirs in (raw, predicted, named):
            np.testing.assert_allclose(theirs, ours, rtol=0, atol=1e-6)
        facts = metadata["mlengine"]
        assert [column["name"] for column in facts["inputs"]] == list(package.manifest.feature_names)
        assert facts["classes"] == list(package.manifest.classes)
    assert told[1][3]["mlengine"]["inputs"][2] == {
        "name": "pain",
        "type": "category",
        "categories": list(COLUMNS.columns[2].categories),
    }


def test_served_by_mlflow_a_package_answers_the_same(
    mlflow: Environment,
    folders: dict[str, tuple[Path, Package, NDArray[np.float32]]],
    tmp_path: Path,
) -> None:
    folder, package, rows = folders["tabular"]
    ours = package.verified_scorer().score(rows)
    arguments = ["models", "serve", "--model-uri", str(folder), "--env-manager", "local"]
    with served(mlflow, arguments, tmp_path, "/ping") as url:
        for body in (
            {"inputs": as_json(rows)},
            {"inputs": {"input": as_json(rows)}},
            {"instances": as_json(rows)},
        ):
            answer: Any = httpx.post(f"{url}/invocations", json=body, timeout=30, trust_env=False)
            assert answer.status_code == 200, answer.text
            theirs = answer.json()["predictions"]["probabilities"]
            np.testing.assert_allclose(theirs, ours, rtol=0, atol=1e-6)
