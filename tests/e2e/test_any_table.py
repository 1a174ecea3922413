"""On a running twin: from a CSV to answers over every protocol, and a model that was trained elsewhere."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import lightgbm
import numpy as np
import pytest

from tests.conftest import ADMIN_KEY
from tests.e2e.conftest import Prepared
from tests.e2e.twin import Twin, wait_until

HEADERS = {"x-api-key": ADMIN_KEY}
ROW = {"age": 45, "plan": "basic", "calls": 4}
PATIENT = {"age": 63, "sex": 1, "cp": 1, "trestbps": 145, "chol": 233, "fbs": 1, "restecg": 2, "thalach": 150}


@pytest.fixture(scope="module")
def twin(prepared: Prepared, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twin]:
    twin = prepared.twin(tmp_path_factory.mktemp("tables") / "home")
    twin.start()
    twin.wait_until_welcoming()
    yield twin
    twin.kill()


@pytest.fixture
def customers(tmp_path: Path) -> Path:
    """Who calls a lot leaves, on the basic plan more than on the full one."""
    rng, file = random.Random(1), tmp_path / "customers.csv"
    with file.open("w", newline="") as text:
        writer = csv.writer(text)
        writer.writerow(["customer", "age", "plan", "calls", "left"])
        for number in range(600):
            plan, calls = rng.choice(["basic", "full"]), rng.randrange(10)
            left = rng.random() < (0.06 + 0.09 * calls if plan == "basic" else 0.03 + 0.06 * calls)
            age = "" if number % 50 == 0 else rng.randrange(18, 90)
            writer.writerow([f"c{number:04}", age, plan, calls, "yes" if left else "no"])
    return file


def asked(twin: Twin, path: str, body: Any) -> Any:
    answer = httpx.post(f"{twin.url}{path}", json=body, headers=HEADERS, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_from_a_csv_to_answers_over_every_protocol(twin: Twin, customers: Path) -> None:
    declared = customers.with_suffix(".yaml")
    twin.mlengine("problem", "init", str(customers), "--target", "left", "--json")
    twin.mlengine("problem", "check", str(declared), "--json")
    twin.mlengine("problem", "apply", str(declared), "--json")
    run = twin.wait_for_run(
        twin.train(problem="customers", candidates=["logistic_regression"], cv_repeats=1), timeout_seconds=90
    )
    assert run["status"] in ("succeeded", "rejected"), run["error"]
    version = run["result"]["version_id"]
    said = asked(twin, f"/models/{version}/predict", {"inputs": [ROW]})
    [made] = said["predictions"]
    p = made["probabilities"]["yes"]
    infer = asked(twin, f"/v2/models/{version}/infer", {"inputs": tensors(ROW)})
    probabilities = next(one for one in infer["outputs"] if one["name"] == "probabilities")
    assert probabilities["data"][1] == p
    scored = asked(twin, f"/invocations?model={version}", {"dataframe_records": [ROW]})
    assert scored["predictions"][0]["probabilities"]["yes"] == p
    kserve = asked(twin, f"/v1/models/{version}:predict", {"instances": [ROW]})
    assert kserve["predictions"][0]["probabilities"]["yes"] == p
    kept = twin.wait_for(f"/predictions/{made['prediction_id']}")
    assert kept["prediction"]["label"] == made["label"]
    labels = {"outcomes": [{"prediction_id": made["prediction_id"], "label": "yes"}]}
    assert asked(twin, "/outcomes", labels)["succeeded"] == 1
    assert twin.get(f"/predictions/{made['prediction_id']}")["outcome"]["label"] == "yes"


def tensors(row: dict[str, Any]) -> list[dict[str, Any]]:
    kinds = {int: "INT64", str: "BYTES"}
    return [
        {"name": name, "shape": [1], "datatype": kinds[type(value)], "data": [value]}
        for name, value in row.items()
    ]


def test_heart_disease_goes_live_by_its_gates(twin: Twin) -> None:
    asked_for = {
        "problem": "heart_disease",
        "candidates": ["logistic_regression", "lightgbm"],
        "activate": True,
    }
    run = twin.wait_for_run(twin.train(**asked_for), timeout_seconds=200)
    assert run["status"] == "succeeded", run["error"]
    assert run["result"]["activated"]
    [made] = asked(twin, "/predict", {"model": "heart-disease", "inputs": [PATIENT]})["predictions"]
    assert made["label"] in ("absent", "present")
    wrong = httpx.post(
        f"{twin.url}/predict",
        json={"model": "heart-disease", "inputs": [{**PATIENT, "chol": "high"}]},
        headers=HEADERS,
    )
    assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (422, "/inputs/0/chol")


def test_an_uploaded_model_answers_as_it_did_where_it_was_trained(twin: Twin, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(400, 2))
    booster = lightgbm.train(
        {"objective": "binary", "num_leaves": 7, "verbose": -1, "num_threads": 1},
        lightgbm.Dataset(x, (x[:, 0] + x[:, 1] > 0).astype(int)),
        num_boost_round=10,
    )
    rows = np.float32(x[:3]).astype(float)
    examples: list[dict[str, Any]] = [
        {"inputs": dict(zip("ab", row, strict=True)), "probabilities": [1 - p, p]}
        for row, p in zip(rows.tolist(), np.asarray(booster.predict(rows)).tolist(), strict=True)
    ]
    metadata = {
        "name": "sum",
        "format": "lightgbm",
        "classes": ["below", "above"],
        "columns": [{"name": "a", "type": "number"}, {"name": "b", "type": "number"}],
        "examples": examples,
    }
    form = {"metadata": (None, json.dumps(metadata)), "file": ("model.txt", booster.model_to_string())}
    taken = httpx.post(f"{twin.url}/models/upload", files=form, headers=HEADERS, timeout=30)
    assert taken.status_code == 202, taken.text
    path = f"/models/uploads/{taken.json()['upload_id']}"
    ended = wait_for_end(twin, path)
    assert ended["status"] == "succeeded", ended
    [made] = asked(twin, "/models/sum-v1/predict", {"inputs": [examples[0]["inputs"]]})["predictions"]
    assert made["probabilities"]["above"] == pytest.approx(examples[0]["probabilities"][1], abs=1e-6)
    refused = httpx.post(
        f"{twin.url}/models/upload",
        files={**form, "file": ("model.pkl", b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00.")},
        headers=HEADERS,
    )
    assert refused.status_code == 422
    assert "pickle" in refused.json()["detail"].lower()


def wait_for_end(twin: Twin, path: str) -> dict[str, Any]:
    def ended() -> dict[str, Any] | None:
        found: dict[str, Any] = twin.get(path)
        return found if found["status"] not in ("queued", "running") else None

    found: dict[str, Any] = wait_until(ended, "the upload has ended")
    return found
