"""Predictions of rows: POST /predict, POST /models/{id}/predict and POST /predict/batch."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from shared.access.roles import Role
from shared.errors import PlatformUnavailable
from shared.instance import Instance, use_instance
from shared.monitoring.drift.windows import tabular_rows as audited_rows
from shared.monitoring.warehouse import row_of
from shared.platform.ports import Put
from shared.registry import Package, Scorer, build_examples
from shared.serving.rows import ROWS_LIMIT_BYTES
from shared.tabular import Column, Columns
from tests.functions.engine import KEY, Engine, ok, pointers, problem
from tests.functions.test_predict import BrokenEvents
from tests.packages import active, spoil
from tests.tabular_packages import COLUMNS, NAME, ROW, active_tabular, registered_tabular, tabular_package

OTHER: dict[str, Any] = {"age": 40, "pressure": None, "pain": "none", "exercise": True}
CLASSES = ("absent", "present")


@pytest.fixture
def engine(start: Callable[..., Engine]) -> Engine:
    engine = start()
    active_tabular(engine.instance.registry)
    return engine


def ask(engine: Engine, *rows: Any, **options: Any) -> dict[str, Any]:
    body = {"model": NAME, "inputs": list(rows)}
    answer: dict[str, Any] = ok(engine["predict"].post("/predict", json=body, **options))
    return answer


def scores(*rows: dict[str, Any], seed: int = 0, **options: Any) -> list[list[float]]:
    """What the package itself gives, row by row."""
    package = tabular_package(seed, **options)
    scorer = package.verified_scorer()
    x = Columns(package.manifest.columns).encode(rows).x
    found: list[list[float]] = np.concatenate([scorer.score(x[i : i + 1]) for i in range(len(x))]).tolist()
    return found


def test_a_prediction_says_all_that_clients_rely_on(engine: Engine) -> None:
    answer = ask(engine, ROW, OTHER)
    assert answer.keys() == {"model_id", "predictions", "request_id"}
    assert answer["model_id"] == f"{NAME}-v1"
    for prediction, (absent, present) in zip(answer["predictions"], scores(ROW, OTHER), strict=True):
        assert re.fullmatch("[0-9a-f]{32}", prediction.pop("prediction_id"))
        label = "present" if present >= 0.4 else "absent"
        shares = {"absent": absent, "present": present}
        assert prediction == {"label": label, "probability": shares[label], "probabilities": shares}


def test_a_model_is_asked_by_its_name_or_by_a_version(engine: Engine) -> None:
    registered_tabular(engine.instance.registry, 1)
    expected = {NAME: 0, f"{NAME}-v1": 0, f"{NAME}-v2": 1}
    for model, seed in expected.items():
        for path, body in (
            (f"/models/{model}/predict", {"inputs": [ROW]}),
            ("/predict", {"model": model, "inputs": [ROW]}),
            ("/api/v1/predict", {"model": model, "inputs": [ROW]}),
        ):
            answer = ok(engine["predict"].post(path, json=body))
            assert answer["model_id"] == f"{NAME}-v{seed + 1}"
            assert [list(p["probabilities"].values()) for p in answer["predictions"]] == scores(
                ROW, seed=seed
            )


def test_the_label_follows_from_the_threshold_of_the_model(engine: Engine) -> None:
    present = scores(ROW)[0][1]
    labels = []
    for threshold in (present, np.nextafter(present, 2)):
        version = active_tabular(engine.instance.registry, threshold=float(threshold))
        (prediction,) = ask(engine, ROW)["predictions"]
        labels.append(prediction["label"])
        assert prediction["probability"] == prediction["probabilities"][prediction["label"]]
        assert ask(engine, ROW)["model_id"] == version.id
    assert labels == ["present", "absent"]


def test_of_three_classes_the_most_probable_one_is_the_label(engine: Engine) -> None:
    classes = ("low", "middle", "high")
    active_tabular(engine.instance.registry, classes=classes)
    rows = [
        {**ROW, "age": age, "pressure": float(pressure)} for age, pressure in ((1, 0), (60, 99), (120, 200))
    ]
    answer = ask(engine, *rows)
    assert [list(p["probabilities"]) for p in answer["predictions"]] == [list(classes)] * 3
    for prediction, shares in zip(answer["predictions"], scores(*rows, classes=classes), strict=True):
        assert list(prediction["probabilities"].values()) == shares
        assert prediction["label"] == classes[int(np.argmax(shares))]
        assert prediction["probability"] == max(shares)
    assert engine.deliver("audit") == 3
    assert engine.instance.verifier.verify().has_passed


def test_each_row_is_in_the_audit_with_what_it_was_made_of(engine: Engine) -> None:
    answer = ask(engine, ROW, OTHER, headers=KEY)
    engine.deliver("audit")
    registry = engine.instance.registry
    for prediction, row in zip(answer["predictions"], (ROW, OTHER), strict=True):
        stored = ok(engine["monitoring"].get(f"/predictions/{prediction['prediction_id']}"))
        kept = stored["prediction"]
        assert {name: kept[name] for name in ("label", "probability", "prediction_id")} == {
            name: prediction[name] for name in ("label", "probability", "prediction_id")
        }
        assert kept["probabilities"] == list(prediction["probabilities"].values())
        codes = np.array([kept["features"]], np.float64).astype(np.float32)
        assert np.array_equal(codes, COLUMNS.encode([row]).x, equal_nan=True)
        assert kept["package_hash"] == registry.open_package(kept["model_id"]).hash
        facts = (kept["kind"], kept["problem"], kept["caller"], kept["function"], kept["threshold"])
        assert facts == ("tabular", "heart_disease", "admin", "predict", 0.4)
        assert stored["lineage"]["notes"] == []
        assert stored["lineage"]["was_live"] is True
    assert len(ok(engine["monitoring"].get("/predictions/recent"))["predictions"]) == 2


def test_its_events_are_rows_of_the_warehouse(engine: Engine) -> None:
    ask(engine, ROW, OTHER)
    for event in engine.heard("predictions.made"):
        row = row_of(event.data)
        assert {name for name, value in row.items() if value is not None} == set(event.data)
        assert len(json.loads(row["features"])) == 4
        assert len(json.loads(row["probabilities"])) == 2


def test_it_is_settled_by_its_label(engine: Engine) -> None:
    prediction_id = ask(engine, ROW)["predictions"][0]["prediction_id"]
    engine.deliver("audit")
    told = {"outcomes": [{"prediction_id": prediction_id, "label": "present"}]}
    answer = ok(engine["outcomes"].post("/outcomes", json=told, headers=KEY))
    assert (answer["succeeded"], answer["results"][0]["outcome"]["label"]) == (1, "present")
    outcome = engine.instance.outcomes.get(prediction_id)
    assert outcome is not None
    assert outcome["probabilities"] == scores(ROW)[0]
    performance = engine.instance.performance.report(NAME)
    assert performance.measured is not None


def test_drift_looks_at_the_rows_that_were_asked_about(engine: Engine) -> None:
    ask(engine, ROW, OTHER, ROW)
    engine.deliver("audit")
    manifest = engine.instance.registry.open_package(f"{NAME}-v1").manifest
    rows = audited_rows(engine.instance.audit, manifest, f"{NAME}-v1")
    assert (len(rows.x), rows.problems) == (3, {})
    asked: list[dict[str, Any]] = [ROW, OTHER, ROW]
    expected = sorted(map(str, COLUMNS.encode(asked).x.tolist()))
    assert sorted(map(str, rows.x.tolist())) == expected


def test_it_is_replayed_bit_for_bit_and_what_was_altered_is_found(engine: Engine) -> None:
    made = ask(engine, *[ROW, OTHER] * 5)["predictions"]
    engine.deliver("audit")
    found = engine.instance.verifier.verify()
    assert (found.has_passed, found.checked) == (True, 10)
    documents = engine.instance.platform.documents
    alterations: list[tuple[dict[str, Any], str]] = [
        ({"label": "absent" if made[0]["label"] == "present" else "present"}, "label: stored"),
        ({"probability": 0.123}, "probability: stored 0.123"),
        ({"probabilities": [0.5, 0.5]}, "score: stored"),
        ({"threshold": 0.41}, "threshold: stored 0.41"),
        ({"features": [1.0, 2.0]}, "features: they aren't 4"),
        ({"features": [41.0, 3.0, 1.0, 0.0]}, "score: stored"),
    ]
    for prediction, (change, words) in zip(made, alterations, strict=False):
        stored = documents.get("predictions", prediction["prediction_id"])
        assert stored is not None
        documents.commit([Put("predictions", prediction["prediction_id"], {**stored.data, **change})])
        why = {d.prediction_id: d.why for d in engine.instance.verifier.verify().differences}
        assert any(words in one for one in why[prediction["prediction_id"]]), change
    assert len(engine.instance.verifier.verify().differences) == len(alterations)


@pytest.mark.parametrize("path", ["/predict", f"/models/{NAME}/predict"])
def test_every_fault_of_every_row_is_pointed_at_and_nothing_is_scored(engine: Engine, path: str) -> None:
    rows = [
        ROW,
        {"pressure": -1, "pain": "often", "exercise": 1},
        {**ROW, "age": 63.5, "paim": "none"},
        [1, 2, 3, 4],
        {**ROW, "age": float("nan")},
        {**ROW, "age/~": 3},
    ]
    body = {"inputs": rows} if "models" in path else {"inputs": rows, "model": NAME}
    content = json.dumps(body)  # with NaN, as careless clients write it
    response = engine["predict"].post(path, content=content, headers={"content-type": "application/json"})
    document = problem(response, 422, "invalid-input")
    assert pointers(document) == [
        "/inputs/1/age", "/inputs/1/pressure", "/inputs/1/pain", "/inputs/1/exercise",
        "/inputs/2/age", "/inputs/2/paim", "/inputs/3", "/inputs/4/age", "/inputs/5/age~1~0",
    ]  # fmt: skip
    details = {error["pointer"]: error["detail"] for error in document["errors"]}
    assert details["/inputs/1/pain"] == 'must be one of "typical", "atypical", "none", found "often"'
    assert "'pain'" in details["/inputs/2/paim"]
    assert engine.events.depths()["audit"].pending == 0


def test_of_very_many_faults_a_hundred_are_told(engine: Engine) -> None:
    response = engine["predict"].post("/predict", json={"model": NAME, "inputs": [{"x": 1}] * 999})
    document = problem(response, 422, "invalid-input")
    assert len(document["errors"]) == 100
    assert document["detail"].endswith("; and 1978 more")
    hostile = {f"pressur{n}": 1 for n in range(50_000)}
    document = problem(
        engine["predict"].post("/predict", json={"model": NAME, "inputs": [hostile] * 3}),
        422,
        "invalid-input",
    )
    assert len(document["errors"]) == 100


def test_names_like_unknown_ones_are_not_looked_for_without_end(engine: Engine) -> None:
    hostile = {f"pressur{n}": 1 for n in range(200)}
    body = {"model": NAME, "inputs": [hostile] * 3}
    results = ok(engine["batch_predict"].post("/predict/batch", json=body))["results"]
    hints = [sum("'pressure'" in one["detail"] for one in entry["error"]["errors"]) for entry in results]
    assert hints[0] > 50
    assert hints[1:] == [0, 0]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"inputs": [ROW]}, "/model"),
        ({"model": NAME}, "/inputs"),
        ({"model": NAME, "inputs": []}, "/inputs"),
        ({"model": NAME, "inputs": ROW}, "/inputs"),
        ({"model": NAME, "inputs": [ROW], "symbols": ["ABC"]}, "/symbols"),
        ({"model": "", "inputs": [ROW]}, "/model"),
        ({"model": NAME, "inputs": [ROW] * 4}, "/inputs"),
        ({"model": NAME, "inputs": [ROW] * 10_001}, "/inputs"),
    ],
)
def test_a_wrong_body_is_pointed_at(start: Callable[..., Engine], body: dict[str, Any], pointer: str) -> None:
    engine = start(batch_max_rows=3)
    active_tabular(engine.instance.registry)
    document = problem(engine["predict"].post("/predict", json=body), 422, "invalid-input")
    assert pointers(document) == [pointer]


def test_a_body_has_its_own_limit(engine: Engine) -> None:
    headers = {"content-type": "application/json"}
    for size, status in ((ROWS_LIMIT_BYTES, 400), (ROWS_LIMIT_BYTES + 1, 413)):
        response = engine["predict"].post("/predict", content=b" " * size, headers=headers)
        assert response.status_code == status


def test_a_market_model_takes_no_rows_and_says_what_it_takes(engine: Engine) -> None:
    active(engine.instance.registry)
    body = {"model": "market-signal", "inputs": [ROW]}
    for name, path in (("predict", "/predict"), ("batch_predict", "/predict/batch")):
        document = problem(engine[name].post(path, json=body), 422, "invalid-input")
        assert "GET /predict" in document["detail"]


def test_a_tabular_model_takes_no_symbols_and_says_what_it_takes(engine: Engine) -> None:
    single = engine["predict"].get(f"/predict?symbol=ABC&model={NAME}")
    batch = ok(engine["batch_predict"].post("/predict/batch", json={"model": NAME, "symbols": ["ABC"]}))
    for document in (problem(single, 422, "invalid-input"), batch["results"][0]["error"]):
        assert "POST /predict with 'inputs'" in document["detail"]


def test_without_a_live_version_it_says_how_to_get_one(start: Callable[..., Engine]) -> None:
    engine = start()
    asked = [("predict", "/predict"), ("batch_predict", "/predict/batch")]
    for name, path in asked:
        response = engine[name].post(path, json={"model": NAME, "inputs": [ROW]})
        assert "GET /models lists" in problem(response, 404, "not-found")["detail"]
    registered_tabular(engine.instance.registry)
    for name, path in asked:
        response = engine[name].post(path, json={"model": NAME, "inputs": [ROW]})
        assert "mlengine train" in problem(response, 409, "no-active-model")["detail"]


def test_what_cannot_be_audited_is_not_answered(engine: Engine) -> None:
    platform = replace(engine.instance.platform, events=BrokenEvents())
    use_instance(Instance(engine.settings, platform))
    for name, path in (("predict", "/predict"), ("batch_predict", "/predict/batch")):
        response = engine[name].post(path, json={"model": NAME, "inputs": [ROW]})
        assert problem(response, 503, PlatformUnavailable("").slug)["retryable"] is True
        assert '"probability"' not in response.text


def test_in_a_batch_each_row_succeeds_or_fails_alone(engine: Engine) -> None:
    rows = [{**ROW, "age": 700}, ROW, "no row", {}, OTHER]
    answer = ok(engine["batch_predict"].post("/predict/batch", json={"model": NAME, "inputs": rows}))
    assert (answer["succeeded"], answer["failed"]) == (2, 3)
    assert [one["index"] for one in answer["results"]] == [0, 1, 2, 3, 4]
    found = {one["index"]: one["prediction"] for one in answer["results"] if one["prediction"]}
    assert [list(found[i]["probabilities"].values()) for i in (1, 4)] == scores(ROW, OTHER)
    wrong = {
        one["index"]: [e["pointer"] for e in one["error"]["errors"]]
        for one in answer["results"]
        if one["error"]
    }
    assert wrong == {0: ["/inputs/0/age"], 2: ["/inputs/2"], 3: ["/inputs/3/age"]}
    assert engine.deliver("audit") == 2
    kept = ok(engine["monitoring"].get("/predictions/recent"))["predictions"]
    assert {one["prediction_id"] for one in kept} == {one["prediction_id"] for one in found.values()}
    assert {one["function"] for one in kept} == {"batch_predict"}


def test_a_batch_of_wrong_rows_alone_is_answered_too(engine: Engine) -> None:
    answer = ok(engine["batch_predict"].post("/predict/batch", json={"model": NAME, "inputs": [{}, 3]}))
    assert (answer["succeeded"], answer["failed"]) == (0, 2)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"inputs": [ROW]}, "/model"),
        ({"model": NAME}, "/symbols"),
        ({"model": NAME, "inputs": [ROW], "symbols": ["ABC"]}, "/inputs"),
        ({"model": NAME, "inputs": []}, "/inputs"),
        ({"model": NAME, "inputs": [ROW] * 4}, "/inputs"),
    ],
)
def test_a_wrong_batch_is_pointed_at(
    start: Callable[..., Engine], body: dict[str, Any], pointer: str
) -> None:
    engine = start(batch_max_rows=3)
    active_tabular(engine.instance.registry)
    document = problem(engine["batch_predict"].post("/predict/batch", json=body), 422, "invalid-input")
    assert pointers(document) == [pointer]


def test_many_rows_are_answered_as_each_alone(engine: Engine) -> None:
    rows = [{**ROW, "age": n % 120, "pressure": n / 7} for n in range(1_000)]
    answer = ask(engine, *rows)
    assert [list(p["probabilities"].values()) for p in answer["predictions"]] == scores(*rows)
    assert engine.events.depths()["audit"].pending == 1_000
    ids = [prediction["prediction_id"] for prediction in answer["predictions"]]
    assert len(set(ids)) == 1_000


def test_limits_count_rows(start: Callable[..., Engine]) -> None:
    engine = start(rate_limit_requests=10)
    active_tabular(engine.instance.registry)
    engine.instance.limits.load()
    for name, path in (
        ("predict", "/predict"),
        ("predict", f"/models/{NAME}/predict"),
        ("batch_predict", "/predict/batch"),
    ):
        body: dict[str, Any] = {"inputs": [ROW] * 11}
        if "models" not in path:
            body["model"] = NAME
        problem(engine[name].post(path, json=body), 429, "too-many-requests")


def test_a_key_for_some_models_may_use_those_alone(start: Callable[..., Engine]) -> None:
    engine = start(env="production")
    active_tabular(engine.instance.registry)
    active_tabular(engine.instance.registry, name="other")
    _, secret = engine.instance.api_keys.create("some", Role.PREDICTOR, "admin", models=[NAME])
    headers = {"x-api-key": secret.text}
    assert ask(engine, ROW, headers=headers)["model_id"] == f"{NAME}-v1"
    for model in ("other", "other-v1"):
        for name, path, body in (
            ("predict", "/predict", {"model": model, "inputs": [ROW]}),
            ("predict", f"/models/{model}/predict", {"inputs": [ROW]}),
            ("batch_predict", "/predict/batch", {"model": model, "inputs": [ROW]}),
        ):
            problem(engine[name].post(path, json=body, headers=headers), 404, "not-found")


def test_a_package_that_does_not_verify_is_not_served(start: Callable[..., Engine], tmp_path: Path) -> None:
    engine = start()
    active_tabular(engine.instance.registry)
    spoil(engine.home, tabular_package(), "model.onnx")
    response = engine["predict"].post("/predict", json={"model": NAME, "inputs": [ROW]})
    assert "model.onnx" in problem(response, 500, "package-refused")["detail"]


def rooted() -> Package:
    """A model that gives no numbers for what is negative."""
    nodes = [
        helper.make_node("MatMul", ["input", "weights"], ["product"]),
        helper.make_node("Sqrt", ["product"], ["root"]),
        helper.make_node("Softmax", ["root"], ["probabilities"], axis=1),
    ]
    ports = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", width])
        for name, width in (("input", 1), ("probabilities", 2))
    ]
    weights = numpy_helper.from_array(np.array([[1, 2]], np.float32), "weights")
    graph = helper.make_graph(nodes, "rooted", ports[:1], ports[1:], [weights])
    onnx = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    model = onnx.SerializeToString()
    made = tabular_package(columns=[Column(name="a", type="number")])
    return Package.build(
        made.manifest.model_copy(update={"files": {}}),
        model=model,
        examples=build_examples(Scorer(model), np.arange(100, dtype=np.float32)[:, np.newaxis]),
        profile=made.file("profile.json"),
        report=b"",
    )


def test_what_is_no_number_is_no_prediction(start: Callable[..., Engine]) -> None:
    engine = start()
    version = engine.instance.registry.register(rooted(), created_by="test")
    engine.instance.registry.activate(version.id, by="test")
    assert ask(engine, {"a": 4.0})["predictions"][0]["probability"] > 0.5
    engine.heard("predictions.made")
    for name, path in (("predict", "/predict"), ("batch_predict", "/predict/batch")):
        response = engine[name].post(path, json={"model": NAME, "inputs": [{"a": 4.0}, {"a": -4.0}]})
        assert "[nan, nan] for row 1" in problem(response, 500, "package-refused")["detail"]
    assert engine.heard("predictions.made") == []


def test_many_columns_are_served(start: Callable[..., Engine]) -> None:
    engine = start()
    columns = [Column(name=f"c{n}", type="number") for n in range(200)]
    active_tabular(engine.instance.registry, columns=columns)
    answer = ask(engine, {"c7": 3.5}, {})
    assert len(answer["predictions"]) == 2
    engine.deliver("audit")
    assert engine.instance.verifier.verify().has_passed


def test_what_was_deleted_predicts_by_no_protocol_and_its_model_goes_on(
    start: Callable[..., Engine],
) -> None:
    engine = start(model_cache_seconds=0)
    active_tabular(engine.instance.registry)
    gone = registered_tabular(engine.instance.registry, 1).id
    infer = {"inputs": [{"name": n, "shape": [1], "datatype": "BYTES", "data": [None]} for n in ("pain",)]}
    asked = [
        ("predict", "POST", "/predict", {"model": gone, "inputs": [ROW]}),
        ("predict", "POST", f"/models/{gone}/predict", {"inputs": [ROW]}),
        ("batch_predict", "POST", "/predict/batch", {"model": gone, "inputs": [ROW]}),
        ("scoring", "POST", "/predict/jobs", {"model": gone, "input": "inputs/rows.csv"}),
        ("inference", "GET", f"/v2/models/{gone}", None),
        ("inference", "GET", f"/v2/models/{NAME}/versions/2", None),
        ("inference", "GET", f"/v2/models/{NAME}/versions/2/ready", None),
        ("inference", "POST", f"/v2/models/{NAME}/versions/2/infer", infer),
        ("inference", "GET", f"/v1/models/{gone}", None),
        ("inference", "POST", f"/v1/models/{gone}:predict", {"instances": [ROW]}),
        ("inference", "POST", f"/invocations?model={gone}", {"instances": [ROW]}),
    ]
    ok(engine["predict"].post(f"/models/{gone}/predict", json={"inputs": [ROW]}))  # it is loaded
    ok(engine["models"].request("DELETE", f"/models/{gone}", headers=KEY))
    for function, method, path, body in asked:
        document = problem(engine[function].request(method, path, json=body, headers=KEY), 404, "not-found")
        assert f"{gone} was deleted by admin" in document["detail"], path
    assert [one["version"] for one in ok(engine["inference"].post("/v2/repository/index"))] == ["1"]
    assert ask(engine, ROW)["model_id"] == f"{NAME}-v1"
