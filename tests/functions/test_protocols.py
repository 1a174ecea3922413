"""The Open Inference Protocol: by recorded requests, and by what it says. Probes, keys and limits of all."""

from __future__ import annotations

import base64
import json
import math
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.access.roles import Role
from shared.serving.protocols.oip import HEADER_LENGTH
from tests.functions.engine import KEY, Engine, ok, pointers, problem
from tests.functions.inferring import (
    INFER,
    JSON,
    NATURAL,
    PREDICT,
    binary,
    encoded,
    outputs,
    tensors,
)
from tests.packages import active
from tests.tabular_packages import NAME, ROW, active_tabular, registered_tabular

SAMPLES = sorted(Path(__file__).with_name("protocols").glob("*.json"))


@pytest.fixture
def engine(start: Callable[..., Engine]) -> Engine:
    engine = start(invocations_model=NAME)
    active_tabular(engine.instance.registry)
    return engine


def infer(engine: Engine, *inputs: dict[str, Any], **more: Any) -> Any:
    return ok(engine["inference"].post(INFER, json={"inputs": list(inputs), **more}))


def blanked(value: Any) -> Any:
    """Without what differs each time."""
    if isinstance(value, list):
        return [blanked(one) for one in value]
    if not isinstance(value, dict):
        return pytest.approx(value, abs=1e-6) if isinstance(value, float) else value
    if value.get("name") == "prediction_id" and "data" in value:
        value = {**value, "data": ["*"] * len(value["data"])}
    return {
        name: "*" if name in ("prediction_id", "request_id") else blanked(one) for name, one in value.items()
    }


@pytest.mark.parametrize("sample", SAMPLES, ids=[sample.stem for sample in SAMPLES])
def test_a_recorded_request_gets_its_recorded_answer(engine: Engine, sample: Path) -> None:
    recorded = json.loads(sample.read_text())
    asked, expected = recorded["request"], recorded["response"]
    content = asked.get("body_text", "").encode() or base64.b64decode(asked.get("body_base64", ""))
    if "body" in asked:
        content = json.dumps(asked["body"]).encode()
    response = engine["inference"].request(
        asked["method"], asked["path"], content=content, headers=asked.get("headers", {})
    )
    assert (response.status_code, response.headers["content-type"]) == (
        expected["status"],
        expected["content_type"],
    )
    head = int(response.headers.get(HEADER_LENGTH, len(response.content)))
    assert len(response.content) - head == expected.get("tail_bytes", 0)
    assert blanked(json.loads(response.content[:head])) == blanked(expected["body"])


@pytest.mark.parametrize("sample", [s for s in SAMPLES if s.stem.startswith("oip")], ids=lambda s: s.stem)
def test_recorded_answers_have_the_shape_of_the_specification(sample: Path) -> None:
    """`$inference_response`, `$inference_error_response`, and their tensors."""
    response = json.loads(sample.read_text())["response"]
    body = response["body"]
    if response["status"] != 200:
        assert isinstance(body["error"], str)
        return
    for output in body.get("outputs", ()) if isinstance(body, dict) else ():
        if "data" in output:
            assert len(output["data"]) == math.prod(output["shape"])
        elif "parameters" in output:
            assert output["parameters"]["binary_data_size"] > 0
        else:  # of a model's metadata
            assert output["shape"][0] == -1


def test_outputs_that_are_asked_for_are_given_and_no_others(engine: Engine) -> None:
    row = encoded([63, 145, 0, 0])
    assert list(outputs(infer(engine, row))) == ["probabilities", "label", "prediction_id"]
    assert list(outputs(infer(engine, row, outputs=[]))) == ["probabilities", "label", "prediction_id"]
    answer = infer(engine, row, outputs=[{"name": "label"}, {"name": "probabilities"}], id="a-b")
    assert list(outputs(answer)) == ["label", "probabilities"]
    assert answer["id"] == "a-b"
    assert "id" not in infer(engine, row)


def test_predictions_are_in_the_audit_whatever_was_asked_for(engine: Engine) -> None:
    infer(engine, encoded([63, 145, 0, 0], [20, 100, 1, 1]), outputs=[{"name": "label"}])
    ok(engine["inference"].post(PREDICT, json={"instances": [ROW]}, headers=KEY))
    ok(engine["inference"].post("/invocations", json={"instances": [ROW]}))
    assert engine.deliver("audit") == 4
    kept = ok(engine["monitoring"].get("/predictions/recent"))["predictions"]
    assert {one["function"] for one in kept} == {"inference"}
    assert {one["caller"] for one in kept} == {"admin", "anonymous"}
    assert engine.instance.verifier.verify().has_passed


def test_a_prediction_is_found_by_the_id_that_was_answered(engine: Engine) -> None:
    answer = outputs(infer(engine, encoded([63, 145, 0, 0], [20, 100, 1, 1])))
    engine.deliver("audit")
    for place, prediction_id in enumerate(answer["prediction_id"]["data"]):
        kept = ok(engine["monitoring"].get(f"/predictions/{prediction_id}"))["prediction"]
        assert kept["label"] == answer["label"]["data"][place]
        assert kept["probabilities"] == answer["probabilities"]["data"][2 * place : 2 * place + 2]


def test_versions_are_numbers(engine: Engine) -> None:
    registered_tabular(engine.instance.registry, 1)
    for path, version in (
        (f"/v2/models/{NAME}/versions/2", "2"),
        (f"/v2/models/{NAME}-v2", "2"),
        (f"/v2/models/{NAME}", "1"),
    ):
        assert ok(engine["inference"].get(path))["versions"] == [version]
        answer = ok(engine["inference"].post(f"{path}/infer", json={"inputs": [encoded([63, 145, 0, 0])]}))
        assert answer["model_version"] == version
        assert answer["parameters"]["model_id"] == f"{NAME}-v{version}"
        assert ok(engine["inference"].get(f"{path}/ready"))["ready"] is True
    for wrong in ("9", "0", "01", "-1", "x", "²"):
        problem(engine["inference"].get(f"/v2/models/{NAME}/versions/{wrong}"), 404, "not-found")


def test_a_market_model_says_where_it_is_asked(engine: Engine) -> None:
    active(engine.instance.registry)
    client = engine["inference"]
    for response in (
        client.get("/v2/models/market-signal"),
        client.get("/v2/models/market-signal/ready"),
        client.post("/v2/models/market-signal/infer", json={"inputs": [encoded([1.0])]}),
        client.get("/v1/models/market-signal"),
        client.post("/v1/models/market-signal:predict", json={"instances": [[1]]}),
        client.post("/invocations?model=market-signal", json={"instances": [[1]]}),
    ):
        assert "GET /predict" in problem(response, 422, "invalid-input")["detail"]
    listed = {one["name"]: one for one in ok(client.post("/v2/repository/index"))}
    assert listed["market-signal"]["state"] == "UNAVAILABLE"
    assert "GET /predict" in listed["market-signal"]["reason"]
    assert (listed[NAME]["state"], listed[NAME]["version"]) == ("READY", "1")
    ready = ok(client.post("/v2/repository/index", json={"ready": True}))
    assert [one["name"] for one in ready] == [NAME]
    assert ok(client.get("/v1/models")) == {"models": [NAME, "market-signal"]}


@pytest.mark.parametrize(
    ("inputs", "pointer", "words"),
    [
        ([encoded([63, 145, 0])], "/inputs/0/shape", "must be [n, 4], found [1, 3]"),
        ([{**encoded([63, 145, 0, 0]), "shape": [4]}], "/inputs/0/shape", "must be [n, 4]"),
        ([{**encoded([63, 145, 0, 0]), "shape": [2, 4]}], "/inputs/0/data", "must have 8 elements"),
        ([{**encoded([63, 145, 0, 0]), "shape": [10**12, 4]}], "/inputs/0/shape", "between 1 and 1000 rows"),
        ([{**encoded([63, 145, 0, 0]), "shape": [0, 4], "data": []}], "/inputs/0/shape", "found 0"),
        ([{**encoded([63, 145, 0, 0]), "shape": [-1, 4]}], "/inputs/0/shape/0", "greater than or equal"),
        ([encoded(["63", "145", "0", "0"], datatype="BYTES")], "/inputs/0/datatype", "must be FP32"),  # type: ignore[list-item]
        ([encoded([63, 145, 0, 0], datatype="BF16")], "/inputs/0/datatype", "found"),
        ([encoded([63, 145, 3, 0])], "/inputs/0/data/2", "from 0 to 2, found 3"),
        ([encoded([63, 145, 0.5, 0])], "/inputs/0/data/2", "from 0 to 2, found 0.5"),
        ([encoded([63, 145, 0, 2])], "/inputs/0/data/3", "0 or 1"),
        ([encoded([63, -1, 0, 1])], "/inputs/0/data/1", "at least 0"),
        ([encoded([63, 1e300, 0, 1])], "/inputs/0/data/1", "inf"),
        ([encoded([63.5, 1, 0, 1])], "/inputs/0/data/0", "an integer"),
        ([encoded([63, 145, "x", 0])], "/inputs/0/data/2", "must be FP32"),  # type: ignore[list-item]
        ([encoded([63, 145, True, 0])], "/inputs/0/data/2", "must be FP32"),
        ([{**encoded([63, 145, 0, 0]), "data": None}], "/inputs/0/data", "must be there"),
        ([encoded([1, 2, 0, 0]), *tensors([ROW], NATURAL)], "/inputs", "alone"),
        (tensors([ROW], {**NATURAL, "paim": "BYTES"}), "/inputs/4/name", "'pain'"),
        ([*tensors([ROW], NATURAL), *tensors([ROW], {"age": "INT64"})], "/inputs/0/name", "comes twice"),
        (tensors([ROW], {"pain": "BYTES"}), "/inputs", "must have a tensor 'age'"),
        ([*tensors([ROW], NATURAL)[:3], *tensors([ROW] * 2, NATURAL)[3:]], "/inputs/3/shape", "must be [1]"),
        (tensors([{**ROW, "age": 63.5}], NATURAL), "/inputs/0/data/0", "must be INT64, found"),
        (tensors([{**ROW, "age": 130}], NATURAL), "/inputs/0/data/0", "from 0 to 120, found 130"),
        (tensors([ROW, {**ROW, "pain": "often"}], NATURAL), "/inputs/2/data/1", "must be one of"),
        (tensors([{**ROW, "age": None}], NATURAL), "/inputs/0/data/0", "found nothing"),
        (tensors([{**ROW, "exercise": 2}], {**NATURAL, "exercise": "UINT8"}), "/inputs/3/data/0", "true or"),
        (tensors([ROW], {**NATURAL, "pain": "BOOL"}), "/inputs/2/data/0", "must be BOOL"),
        ([{**encoded([1.0, 2, 0, 0]), "parameters": {"shared_memory_region": "x"}}],
         "/inputs/0/parameters/shared_memory_region", "isn't supported"),
        ([{**encoded([1.0, 2, 0, 0]), "parameters": {"binary_data_size": 16}}],
         "/inputs/0/parameters/binary_data_size", "goes without 'data'"),
        ([], "/inputs", "at least 1"),
    ],
)  # fmt: skip
def test_a_wrong_tensor_is_pointed_at(
    engine: Engine, inputs: list[dict[str, Any]], pointer: str, words: str
) -> None:
    document = problem(engine["inference"].post(INFER, json={"inputs": inputs}), 422, "invalid-input")
    assert pointers(document)[0] == pointer
    assert words in document["error"]
    assert engine.events.depths()["audit"].pending == 0


def test_of_many_wrong_codes_the_first_are_told_and_the_rest_counted(engine: Engine) -> None:
    row = encoded(*[[-1, -1, -1, -1]] * 1_000)
    document = problem(engine["inference"].post(INFER, json={"inputs": [row]}), 422, "invalid-input")
    assert pointers(document) == [f"/inputs/0/data/{place}" for place in range(100)]
    assert document["detail"].endswith("; and 3980 more")


@pytest.mark.parametrize(
    ("more", "pointer"),
    [
        ({"outputs": [{"name": "nope"}]}, "/outputs/0/name"),
        ({"outputs": [{"name": "label"}, {"name": "label"}]}, "/outputs/1/name"),
        (
            {"outputs": [{"name": "label", "parameters": {"classification": 2}}]},
            "/outputs/0/parameters/classification",
        ),
    ],
)
def test_wrong_outputs_are_pointed_at_before_anything_is_scored(
    engine: Engine, more: dict[str, Any], pointer: str
) -> None:
    body = {"inputs": [encoded([63, 145, 0, 0])], **more}
    assert pointers(problem(engine["inference"].post(INFER, json=body), 422, "invalid-input")) == [pointer]
    assert engine.events.depths()["audit"].pending == 0


ENCODED_BYTES = struct.pack("<4f", 63, 145, 0, 0)
SHAPE = {"name": "input", "shape": [1, 4], "datatype": "FP32"}


@pytest.mark.parametrize(
    ("spoil", "status"),
    [
        (lambda content, headers: (content + b"x", headers), 422),
        (lambda content, headers: (content[:-1], headers), 422),
        (lambda content, headers: (content, {HEADER_LENGTH: "99999"}), 400),
        (lambda content, headers: (content, {HEADER_LENGTH: "-5"}), 400),
        (lambda content, headers: (content, {HEADER_LENGTH: "9" * 5_000}), 400),
        (lambda content, headers: (content, {HEADER_LENGTH: "ten"}), 400),
        (lambda content, headers: (content, {HEADER_LENGTH: "0"}), 400),
        (lambda content, headers: (content, {}), 400),
        (lambda content, headers: (content, {**headers, "content-encoding": "gzip"}), 415),
        (lambda content, headers: (content, {**headers, "content-type": "text/plain"}), 415),
    ],
)
def test_a_binary_request_that_does_not_add_up_is_refused(
    engine: Engine, spoil: Callable[[bytes, dict[str, str]], tuple[bytes, dict[str, str]]], status: int
) -> None:
    content, headers = binary([(SHAPE, ENCODED_BYTES)])
    assert engine["inference"].post(INFER, content=content, headers=headers).status_code == 200
    content, headers = spoil(content, headers)
    assert engine["inference"].post(INFER, content=content, headers=headers).status_code == status


@pytest.mark.parametrize("size", [True, -1, 1.5, "16", 15, 17, 2**70])
def test_a_wrong_number_of_bytes_is_pointed_at(engine: Engine, size: Any) -> None:
    head = json.dumps({"inputs": [{**SHAPE, "parameters": {"binary_data_size": size}}]}).encode()
    response = engine["inference"].post(
        INFER, content=head + ENCODED_BYTES, headers={HEADER_LENGTH: str(len(head))}
    )
    assert pointers(problem(response, 422, "invalid-input"))[0].startswith("/inputs")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tail=st.binary(max_size=40), datatype=st.sampled_from(["BYTES", "BOOL", "FP16", "INT8", "FP64"]))
def test_any_bytes_are_answered_or_refused(engine: Engine, tail: bytes, datatype: str) -> None:
    name = "pain" if datatype == "BYTES" else "age"
    content, headers = binary([({"name": name, "shape": [1], "datatype": datatype}, tail)])
    assert engine["inference"].post(INFER, content=content, headers=headers).status_code in (200, 422)


_ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=st.sampled_from([INFER, PREDICT, "/invocations"]),
    name=st.sampled_from(
        ["inputs", "instances", "dataframe_split", "dataframe_records", "outputs", "parameters"]
    ),
    value=_ANY_JSON,
)
def test_any_json_is_answered_or_refused(engine: Engine, path: str, name: str, value: Any) -> None:
    base = {"inputs": [encoded([63, 145, 0, 0])]} if path == INFER else {}
    content = json.dumps({**base, name: value})
    response = engine["inference"].post(path, content=content, headers=JSON)
    assert response.status_code in (200, 400, 422), response.text
    assert response.status_code == 200 or isinstance(response.json()["error"], str)


def test_data_may_nest_as_deep_as_it_likes(engine: Engine) -> None:
    deep: Any = [63, 145, 0, 0]
    for _ in range(150):
        deep = [deep]
    assert infer(engine, {**encoded([63, 145, 0, 0]), "data": deep})["outputs"]


def test_whether_it_is_alive_is_open_to_all(start: Callable[..., Engine]) -> None:
    engine = start(env="production")
    for method, path in (
        ("GET", "/ping"), ("POST", "/ping"), ("GET", "/v2/health/live"), ("GET", "/v2/health/ready"),
    ):  # fmt: skip
        ok(engine["inference"].request(method, path))
    problem(engine["inference"].get("/v2"), 401, "unauthenticated")


def test_a_key_for_some_models_sees_and_uses_those_alone(start: Callable[..., Engine]) -> None:
    engine = start(env="production", invocations_model="other")
    active_tabular(engine.instance.registry)
    active_tabular(engine.instance.registry, name="other")
    _, secret = engine.instance.api_keys.create("some", Role.PREDICTOR, "admin", models=[NAME])
    client, headers = engine["inference"], {"x-api-key": secret.text}
    assert ok(client.get("/v1/models", headers=headers)) == {"models": [NAME]}
    assert [one["name"] for one in ok(client.post("/v2/repository/index", headers=headers))] == [NAME]
    for path in ("/v2/models/other", "/v2/models/other/versions/1/ready", "/v1/models/other-v1"):
        problem(client.get(path, headers=headers), 404, "not-found")
    row = {"inputs": [encoded([63, 145, 0, 0])]}
    problem(client.post("/v2/models/other/infer", json=row, headers=headers), 404, "not-found")
    for path in ("/invocations", "/v1/models/other:predict"):
        problem(client.post(path, json={"instances": [ROW]}, headers=headers), 404, "not-found")
    ok(client.post(INFER, json=row, headers=headers))


def test_limits_count_rows(start: Callable[..., Engine]) -> None:
    engine = start(rate_limit_requests=20, invocations_model=NAME)
    active_tabular(engine.instance.registry)
    engine.instance.limits.load()
    for path, body in (
        (INFER, {"inputs": [encoded(*[[63, 145, 0, 0]] * 30)]}),
        (INFER, {"inputs": [{**encoded([1]), "shape": [10**15, 4]}]}),
        (PREDICT, {"instances": [ROW] * 30}),
        ("/invocations", {"dataframe_records": [ROW] * 30}),
        ("/invocations", {"dataframe_split": {"columns": [], "data": [[]] * 30}}),
        ("/invocations", {"inputs": {"age": [1] * 30}}),
    ):
        problem(engine["inference"].post(path, json=body), 429, "too-many-requests")
    content, headers = b"age\n" + b"63\n" * 30, {"content-type": "text/csv"}
    response = engine["inference"].post("/invocations", content=content, headers=headers)
    problem(response, 429, "too-many-requests")
