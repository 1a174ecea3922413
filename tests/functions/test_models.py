from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.functions.engine import KEY, Engine, ok, pointers, problem
from tests.packages import REPORT, active, market_package, registered, spoil


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
    shutil.copytree(_home, tmp_path / "home")
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
