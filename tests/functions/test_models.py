from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from jsonschema import Draft202012Validator
from onnx import TensorProto, helper, numpy_helper
from openapi_spec_validator import OpenAPIV31SpecValidator

from shared.access.roles import Role
from shared.registry import Package, Scorer, Version, build_examples
from tests.functions.engine import KEY, Engine, ok, pointers, problem
from tests.functions.users import key_of, user_id
from tests.homes import copied
from tests.packages import REPORT, active, market_package, registered, spoil
from tests.tabular_packages import ROW, registered_tabular, tabular_package


def post(engine: Engine, path: str, body: Any = None) -> dict[str, Any]:
    answer: dict[str, Any] = ok(engine["models"].post(path, json=body, headers=KEY))
    return answer


def get(engine: Engine, path: str) -> dict[str, Any]:
    answer: dict[str, Any] = ok(engine["models"].get(path))
    return answer


@pytest.fixture(scope="module")
def _home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("models") / "home"
    with Engine(home) as engine:
        active(engine.instance.registry)
        registered(engine.instance.registry, 1)
        registered(engine.instance.registry, 2, gates_passed=False)
    return home


@pytest.fixture
def engine(_home: Path, tmp_path: Path, start: Callable[..., Engine]) -> Engine:
    """Three versions: the first is live, the second would do, the third failed its gates."""
    copied(_home, tmp_path / "home")
    return start()


def test_versions_are_listed_newest_first(engine: Engine) -> None:
    models = get(engine, "/models")["models"]
    assert [(m["id"], m["status"], m["active"]) for m in models] == [
        ("market-signal-v3", "rejected", False),
        ("market-signal-v2", "candidate", False),
        ("market-signal-v1", "production", True),
    ]
    assert models[2]["package_hash"] == market_package().hash


def test_a_list_goes_on_where_its_page_ended(engine: Engine) -> None:
    first = get(engine, "/models?limit=2&name=market-signal")
    rest = engine["models"].get(
        "/models", params={"limit": 2, "name": "market-signal", "cursor": first["cursor"]}
    )
    assert [m["id"] for m in ok(rest)["models"]] == ["market-signal-v1"]
    assert ok(rest)["cursor"] is None
    assert get(engine, "/models?name=heart-disease")["models"] == []


def test_a_cursor_of_another_list_is_refused(engine: Engine) -> None:
    problem(engine["models"].get("/models?cursor=nonsense"), 422, "invalid-input")


@pytest.mark.parametrize(
    "path", ["/models/market-signal-v1", "/models/market-signal", "/model/market-signal-v1"]
)
def test_a_version_is_shown_with_its_manifest(engine: Engine, path: str) -> None:
    answer = get(engine, path)
    assert (answer["id"], answer["active"], answer["version"]) == ("market-signal-v1", True, 1)
    assert answer["manifest"]["files"].keys() >= {"model.onnx", "report.html"}
    assert answer["manifest"]["gates"][0]["passed"] is True


def test_unknown_models_are_not_found(engine: Engine) -> None:
    for path in ("/models/market-signal-v9", "/models/no such", "/models/..%2F..", "/models/x/report"):
        problem(engine["models"].get(path), 404, "not-found")
    for path in ("/models/activate/market-signal-v9", "/models/activate/market-signal"):
        problem(engine["models"].post(path, headers=KEY), 404, "not-found")


def test_the_report_is_a_page_that_can_load_and_run_nothing(engine: Engine) -> None:
    for model in ("market-signal-v2", "market-signal"):
        response = engine["models"].get(f"/models/{model}/report")
        assert (response.status_code, response.text) == (200, REPORT)
        assert response.headers["content-type"].startswith("text/html")
        assert "default-src 'none'" in response.headers["content-security-policy"]
        assert "script" not in response.headers["content-security-policy"]


def test_activation_makes_a_version_live(engine: Engine) -> None:
    answer = post(engine, "/models/activate/market-signal-v2", {"reason": "better"})
    assert (answer["version_id"], answer["previous"], answer["action"]) == (
        "market-signal-v2",
        "market-signal-v1",
        "activated",
    )
    assert (answer["by"], answer["reason"]) == ("admin", "better")
    assert get(engine, "/models/market-signal")["id"] == "market-signal-v2"
    assert get(engine, "/models/market-signal-v1")["status"] == "archived"


def test_activating_what_is_live_changes_nothing(engine: Engine) -> None:
    post(engine, "/models/activate/market-signal-v1")
    assert len(get(engine, "/models/market-signal/promotions")["promotions"]) == 1


def test_a_version_that_failed_its_gates_is_refused(engine: Engine) -> None:
    for path in ("/models/activate/market-signal-v3", "/admin/activate/market-signal-v3"):
        document = problem(engine["models"].post(path, headers=KEY), 409, "gates-not-passed")
        assert "auc_above_chance" in document["detail"]
    assert get(engine, "/models/market-signal")["id"] == "market-signal-v1"


def test_a_spoilt_package_is_refused_and_nothing_changes(engine: Engine) -> None:
    spoil(engine.home, market_package(1), "model.onnx")
    response = engine["models"].post("/models/activate/market-signal-v2", headers=KEY)
    assert "model.onnx" in problem(response, 500, "package-refused")["detail"]
    assert get(engine, "/models/market-signal")["id"] == "market-signal-v1"


def test_the_admin_path_activates_too(engine: Engine) -> None:
    assert post(engine, "/admin/activate/market-signal-v2")["version_id"] == "market-signal-v2"


def test_rolling_back_goes_to_what_was_live_before(engine: Engine) -> None:
    post(engine, "/models/activate/market-signal-v2")
    answer = post(engine, "/models/market-signal/rollback", {"reason": "worse after all"})
    assert (answer["version_id"], answer["previous"], answer["action"]) == (
        "market-signal-v1",
        "market-signal-v2",
        "rolled_back",
    )
    document = problem(engine["models"].post("/models/market-signal/rollback", headers=KEY), 409, "conflict")
    assert "first live version" in document["detail"]
    problem(engine["models"].post("/models/other/rollback", headers=KEY), 409, "no-active-model")


def test_every_change_is_in_the_log_and_says_what_was_live_when(engine: Engine) -> None:
    post(engine, "/models/activate/market-signal-v2")
    post(engine, "/models/market-signal/rollback")
    log = get(engine, "/models/market-signal/promotions")["promotions"]
    assert [(p["action"], p["version_id"]) for p in log] == [
        ("rolled_back", "market-signal-v1"),
        ("activated", "market-signal-v2"),
        ("activated", "market-signal-v1"),
    ]
    for promotion in log:
        found = engine["models"].get("/models/market-signal/promotions", params={"at": promotion["at"]})
        assert ok(found)["promotions"] == [promotion]
    assert get(engine, "/models/market-signal/promotions?at=2001-01-01T00:00:00Z")["promotions"] == []


def test_a_log_goes_on_where_its_page_ended(engine: Engine) -> None:
    post(engine, "/models/activate/market-signal-v2")
    first = get(engine, "/models/market-signal/promotions?limit=1")
    rest = engine["models"].get(
        "/models/market-signal/promotions", params={"limit": 1, "cursor": first["cursor"]}
    )
    assert [p["version_id"] for p in ok(rest)["promotions"]] == ["market-signal-v1"]


@pytest.mark.parametrize(
    ("path", "pointer"),
    [
        ("/models?limit=0", "?limit"),
        ("/models?limit=501", "?limit"),
        ("/models?page=2", "?page"),
        ("/models/market-signal/promotions?at=yesterday", "?at"),
        ("/models/market-signal/promotions?at=2024-01-01T00:00:00", "?at"),
        ("/models/market-signal/promotions?at=1700000000", "?at"),
    ],
)
def test_a_wrong_query_is_pointed_at(engine: Engine, path: str, pointer: str) -> None:
    assert pointers(problem(engine["models"].get(path), 422, "invalid-input")) == [pointer]


@pytest.mark.parametrize(("body", "pointer"), [({"reason": 1}, "/reason"), ({"why": "x"}, "/why")])
def test_a_wrong_body_is_pointed_at(engine: Engine, body: Any, pointer: str) -> None:
    response = engine["models"].post("/models/activate/market-signal-v2", json=body, headers=KEY)
    assert pointers(problem(response, 422, "invalid-input")) == [pointer]
    assert get(engine, "/models/market-signal")["id"] == "market-signal-v1"


def test_reloading_lets_instances_verify_what_is_live_anew(
    start: Callable[..., Engine], engine: Engine
) -> None:
    serving = start(model_cache_seconds=0)
    ok(serving["predict"].get("/predict?symbol=ABC"))
    spoil(engine.home, market_package(), "model.onnx")
    ok(serving["predict"].get("/predict?symbol=ABC"))
    assert serving.heard("alerts.raised") == []
    answer = post(engine, "/admin/reload")
    assert answer == {"reloaded": ["market-signal-v1"], "effective_within_seconds": 0.0}
    assert ok(serving["predict"].get("/predict?symbol=ABC"))["model_id"] == "market-signal-v1"
    (alert,) = serving.heard("alerts.raised")
    assert (alert.data["type"], alert.data["cause"]) == ("package_refused", "market-signal-v1")


def test_a_change_of_what_is_live_is_announced(engine: Engine) -> None:
    post(engine, "/models/activate/market-signal-v2")
    versions = [event.data["version_id"] for event in engine.heard("model.activated")]
    assert versions == ["market-signal-v1", "market-signal-v2"]


def test_changes_need_a_key(engine: Engine) -> None:
    for path in (
        "/models/activate/market-signal-v2",
        "/models/market-signal/rollback",
        "/admin/activate/market-signal-v2",
        "/admin/reload",
    ):
        problem(engine["models"].post(path), 401, "unauthenticated")
        wrong = {"x-api-key": "another-key-entirely"}
        problem(engine["models"].post(path, headers=wrong), 401, "unauthenticated")
    assert len(get(engine, "/models/market-signal/promotions")["promotions"]) == 1


def uploaded(engine: Engine, owner: str | None, name: str = "mine", **options: Any) -> Version:
    """A version as an upload leaves it."""
    package = tabular_package(name=name, origin="uploaded", gates=(), gates_passed=False, problem="uploaded")
    return engine.instance.registry.register(package, created_by="ann", owner=owner, **options)


def asked(
    engine: Engine, method: str, path: str, headers: dict[str, str], body: Any = None
) -> httpx.Response:
    return engine["models"].request(method, path, headers=headers, json=body)


OF_ONE = ("", "/report", "/stats", "/history", "/openapi.json")


def test_a_model_is_its_owners_and_operators_and_nobody_elses(engine: Engine) -> None:
    ann, bob, otto = key_of(engine, "ann"), key_of(engine, "bob"), key_of(engine, "otto", Role.OPERATOR)
    version = uploaded(engine, user_id(engine, "ann"))
    for path in [f"/models/{version.id}{rest}" for rest in OF_ONE] + ["/models/mine/history"]:
        for who in (ann, otto):
            assert asked(engine, "GET", path, who).status_code == 200
        heard = problem(asked(engine, "GET", path, bob), 404, "not-found")["detail"]
        unknown = problem(asked(engine, "GET", path.replace("mine", "none"), bob), 404, "not-found")["detail"]
        assert heard.replace("mine", "none") == unknown
    for method, body in (("PUT", {"description": "theirs"}), ("DELETE", None)):
        problem(asked(engine, method, f"/models/{version.id}", bob, body), 404, "not-found")
    post(engine, f"/models/activate/{version.id}", {"reason": "good"})
    for who, count in ((ann, 1), (otto, 1), (bob, 0)):
        changes = ok(asked(engine, "GET", "/models/mine/promotions", who))["promotions"]
        assert len(changes) == count
    for who, seen in ((ann, True), (otto, True), (bob, False)):
        models = ok(asked(engine, "GET", "/models", who))["models"]
        assert ("mine-v1" in [one["id"] for one in models]) is seen
        assert "market-signal-v1" in [one["id"] for one in models]


def test_everybodys_models_are_changed_by_operators_alone(engine: Engine) -> None:
    ann = key_of(engine, "ann")
    for method, body in (("PUT", {"description": "mine now"}), ("DELETE", None)):
        path = "/models/market-signal-v2"
        problem(asked(engine, method, path, ann, body), 403, "forbidden")
        ok(asked(engine, method, path, key_of(engine, "otto", Role.OPERATOR), body))


def test_description_and_tags_are_edited_and_nothing_else(engine: Engine) -> None:
    ann = key_of(engine, "ann")
    version = uploaded(engine, user_id(engine, "ann"), description="old", tags=["a"])
    before = ok(asked(engine, "GET", f"/models/{version.id}", ann))
    assert (before["description"], before["tags"], before["origin"]) == ("old", ["a"], "uploaded")
    after = ok(asked(engine, "PUT", f"/models/{version.id}", ann, {"description": "new"}))
    assert (after["description"], after["tags"]) == ("new", ["a"])
    after = ok(asked(engine, "PUT", f"/models/{version.id}", ann, {"tags": ["b", "c d"]}))
    assert (after["description"], after["tags"]) == ("new", ["b", "c d"])
    for body, pointer in (({"status": "production"}, "/status"), ({"tags": ["<"]}, "/tags/0")):
        answer = asked(engine, "PUT", f"/models/{version.id}", ann, body)
        assert pointers(problem(answer, 422, "invalid-input")) == [pointer]
    assert ok(asked(engine, "GET", f"/models/{version.id}", ann))["package_hash"] == before["package_hash"]


def test_deleting_archives_and_hides_a_version_and_activating_brings_it_back(engine: Engine) -> None:
    path = "/models/market-signal-v2"
    gone = ok(asked(engine, "DELETE", path, KEY))
    assert (gone["status"], gone["deleted_at"] is not None) == ("archived", True)
    assert ok(asked(engine, "DELETE", path, KEY)) == gone
    ids = [one["id"] for one in get(engine, "/models")["models"]]
    assert ids == ["market-signal-v3", "market-signal-v1"]
    assert len(get(engine, "/models?deleted=true")["models"]) == 3
    assert get(engine, path)["status"] == "archived"
    post(engine, "/models/activate/market-signal-v2", {"reason": "it was good"})
    back = get(engine, path)
    assert (back["status"], back["deleted_at"], back["active"]) == ("production", None, True)


def test_a_live_version_cant_be_deleted_nor_a_deleted_one_be_rolled_back_to(engine: Engine) -> None:
    refusal = problem(asked(engine, "DELETE", "/models/market-signal-v1", KEY), 409, "conflict")
    assert "is live" in refusal["detail"]
    problem(asked(engine, "DELETE", "/models/market-signal", KEY), 404, "not-found")
    post(engine, "/models/activate/market-signal-v2")
    ok(asked(engine, "DELETE", "/models/market-signal-v1", KEY))
    refusal = problem(engine["models"].post("/models/market-signal/rollback", headers=KEY), 409, "conflict")
    assert "has deleted it" in refusal["detail"]


def test_an_uploaded_version_goes_live_with_a_reason_alone(engine: Engine) -> None:
    uploaded(engine, None)
    path = "/models/activate/mine-v1"
    for body in ({}, {"reason": " "}):
        refusal = problem(engine["models"].post(path, json=body, headers=KEY), 409, "gates-not-passed")
        assert "human" in refusal["detail"]
    post(engine, path, {"reason": "compared on last year's cases"})
    assert get(engine, "/models/mine")["gates_passed"] is False


def test_the_history_tells_what_was_done_page_by_page(engine: Engine) -> None:
    post(engine, "/models/activate/market-signal-v2", {"reason": "newer"})
    ok(asked(engine, "PUT", "/models/market-signal-v1", KEY, {"tags": ["first"]}))
    post(engine, "/models/market-signal/rollback", {"reason": "worse"})
    ok(asked(engine, "DELETE", "/models/market-signal-v2", KEY))
    whole = get(engine, "/models/market-signal-v1/history")["history"]
    assert [one["deed"] for one in whole] == ["rolled_back", "edited", "archived", "activated", "registered"]
    assert (whole[0]["reason"], whole[0]["by"]) == ("worse", "admin")
    first = get(engine, "/models/market-signal-v2/history?limit=3")
    rest = engine["models"].get(
        "/models/market-signal-v2/history", params={"limit": 3, "cursor": first["cursor"]}
    )
    deeds = [one["deed"] for one in (*first["history"], *ok(rest)["history"])]
    assert deeds == ["deleted", "archived", "activated", "registered"]
    every = get(engine, "/models/market-signal/history?limit=100")["history"]
    assert len(every) == len(whole) + len(deeds) + 1
    problem(engine["models"].get("/models/none/history", headers=KEY), 404, "not-found")


def test_stats_tell_calls_times_and_classes(engine: Engine) -> None:
    empty = get(engine, "/models/market-signal-v1/stats?window=1h")
    assert (empty["calls"], empty["p50_ms"], empty["classes"]) == (0, None, [])
    for symbol in ("ABC", "ABD", "NEW"):
        engine["predict"].get(f"/predict?symbol={symbol}")
    engine.instance.measurements.publish()
    engine.deliver("monitoring")
    while engine.deliver("audit"):
        pass
    stats = get(engine, "/models/market-signal/stats")
    assert (stats["model_id"], stats["window"], stats["errors"]) == ("market-signal-v1", "1d", 0)
    assert (stats["calls"], stats["predictions"], stats["is_sample"]) == (2, 2, False)
    assert 0 < stats["p50_ms"] <= stats["p95_ms"] <= stats["p99_ms"]
    assert sum(one["count"] for one in stats["classes"]) == 2
    assert sum(one["share"] for one in stats["classes"]) == pytest.approx(1)
    assert get(engine, "/models/market-signal-v2/stats")["calls"] == 0
    wrong = engine["models"].get("/models/market-signal-v1/stats?window=2w")
    assert pointers(problem(wrong, 422, "invalid-input")) == ["?window"]


def test_stats_count_what_failed_by_our_fault_and_what_was_answered(engine: Engine) -> None:
    """By the model's own figures: of each way to ask it, and of rows too."""
    version = engine.instance.registry.register(_nan_below_100(), created_by="test")
    path = f"/models/{version.id}/predict"

    def ask(*pressures: float) -> int:
        rows = [{**ROW, "pressure": pressure} for pressure in pressures]
        return engine["predict"].post(path, json={"inputs": rows}, headers=KEY).status_code

    assert [ask(150, 101), ask(101), ask(50), ask(-1)] == [200, 200, 500, 422]
    body = {"model": version.id, "inputs": [{**ROW, "pressure": 50}]}
    assert engine["batch_predict"].post("/predict/batch", json=body, headers=KEY).status_code == 500
    invoked = {"instances": [{**ROW, "pressure": 50}]}
    kserve = f"/v1/models/{version.id}:predict"
    assert engine["inference"].post(kserve, json=invoked, headers=KEY).status_code == 500
    engine.instance.measurements.publish()
    engine.deliver("monitoring")
    while engine.deliver("audit"):
        pass
    stats = get(engine, f"/models/{version.id}/stats?window=1h")
    assert (stats["calls"], stats["errors"], stats["predictions"]) == (6, 3, 3)
    assert stats["classes"] == [
        {"label": "absent", "count": 2, "share": 2 / 3},
        {"label": "present", "count": 1, "share": 1 / 3},
    ]


def _nan_below_100() -> Package:
    """The second class is likely where the pressure is well above 100; below it the answer is no number."""
    nodes = [
        helper.make_node("Gather", ["input", "second"], ["pressure"], axis=1),
        helper.make_node("Sub", ["pressure", "hundred"], ["above"]),
        helper.make_node("Log", ["above"], ["log"]),
        helper.make_node("Sub", ["log", "one"], ["score"]),
        helper.make_node("Sigmoid", ["score"], ["up"]),
        helper.make_node("Sub", ["one", "up"], ["down"]),
        helper.make_node("Concat", ["down", "up"], ["probabilities"], axis=1),
    ]
    tensors = [
        numpy_helper.from_array(np.array([1], np.int64), "second"),
        numpy_helper.from_array(np.array([100], np.float32), "hundred"),
        numpy_helper.from_array(np.array([1], np.float32), "one"),
    ]
    given = helper.make_tensor_value_info("input", TensorProto.FLOAT, ["rows", 4])
    answer = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["rows", 2])
    graph = helper.make_graph(nodes, "g", [given], [answer], tensors)
    opsets = [helper.make_opsetid("", 17)]
    onnx = helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()
    rows = np.array([[60, pressure, 0, 0] for pressure in range(101, 200)], np.float32)
    return Package.build(
        tabular_package().manifest,
        model=onnx,
        examples=build_examples(Scorer(onnx), rows),
        profile=tabular_package().file("profile.json"),
        report=b"",
    )


def test_a_models_own_document_is_valid_and_its_example_call_works(engine: Engine) -> None:
    version = registered_tabular(engine.instance.registry)
    document = get(engine, f"/models/{version.id}/openapi.json")
    OpenAPIV31SpecValidator(document).validate()
    (path,) = document["paths"]
    assert path == f"/models/{version.id}/predict"
    body = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]
    Draft202012Validator(body["schema"]).validate(body["example"])
    answer = ok(engine["predict"].post(path, json=body["example"], headers=KEY))
    assert len(answer["predictions"]) == len(body["example"]["inputs"]) == 2
    schema = document["paths"][path]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
    Draft202012Validator(schema).validate(answer)
    row = {**body["example"]["inputs"][0], "age": "old"}
    assert list(Draft202012Validator(body["schema"]).iter_errors({"inputs": [row]}))


def test_a_market_models_document_is_valid_too(engine: Engine) -> None:
    document = get(engine, "/models/market-signal-v1/openapi.json")
    OpenAPIV31SpecValidator(document).validate()
    assert list(document["paths"]) == ["/predict"]
