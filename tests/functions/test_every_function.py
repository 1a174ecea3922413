"""What holds for all functions alike."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infra.catalogue import read_catalogue
from infra.openapi import load_function
from shared.access.roles import ROLES, Role
from shared.logs import configure_logs
from shared.platform.ports import Event
from tests.conftest import ADMIN_KEY
from tests.functions.engine import KEY, Engine, ok, pointers, problem
from tests.packages import market_package, spoil
from tests.warehouse import made

NAMES = tuple(read_catalogue().functions)
PROBES = ("GET /v2/health/live", "GET /v2/health/ready", "GET /ping", "POST /ping")
HEALTH = ("GET /health", "GET /ready", *PROBES)
UPLOADED = "PUT /models/uploads/upload_id/content"
"""Its URL is the permission."""
WAY_IN = {"POST /auth/register", "POST /auth/login", "POST /auth/refresh", UPLOADED}


def routes(name: str) -> list[tuple[str, str]]:
    """(method, a path) of each route of a function, those of events included."""
    function = load_function(name)
    names = [route.name for route in function.routes] + ["POST /"] * function.takes_events
    return [(method, path.replace("{", "").replace("}", "")) for method, path in map(str.split, names)]


def role(method: str, path: str) -> Role:
    known = {name.replace("{", "").replace("}", ""): role for name, role in ROLES.items()}
    return known[f"{method} {path}"]


@pytest.mark.parametrize("name", NAMES)
def test_it_is_healthy(engine: Engine, name: str) -> None:
    for path in ("/health", "/api/v1/health"):
        assert ok(engine[name].get(path)) == {"status": "ok", "function": name}


@pytest.mark.parametrize("name", NAMES)
def test_it_says_what_it_needs_before_it_is_ready(engine: Engine, name: str) -> None:
    response = engine[name].get("/ready")
    needs_model = name in ("predict", "batch_predict")
    assert response.status_code == (503 if needs_model else 200)
    assert (response.json()["ready"], response.json()["function"]) == (not needs_model, name)
    assert ("mlengine train" in response.text) is needs_model


@pytest.mark.parametrize("name", NAMES)
def test_it_is_ready_with_a_model(live: None, start: Callable[..., Engine], name: str) -> None:
    assert ok(start()[name].get("/ready")) == {"ready": True, "function": name, "missing": {}}


@pytest.mark.parametrize("name", ["predict", "batch_predict"])
def test_it_is_not_ready_with_a_model_that_does_not_verify(
    live: None, start: Callable[..., Engine], name: str
) -> None:
    engine = start()
    spoil(engine.home, market_package(), "model.onnx")
    response = engine[name].get("/ready")
    assert (response.status_code, "model.onnx" in response.json()["missing"]["model"]) == (503, True)


@pytest.mark.parametrize("name", NAMES)
def test_in_production_nothing_but_health_is_open(start: Callable[..., Engine], name: str) -> None:
    engine = start(env="production")
    for method, path in routes(name):
        response = engine[name].request(method, path)
        if f"{method} {path}" in HEALTH:
            assert response.status_code in (200, 503)
        else:
            if f"{method} {path}" not in WAY_IN:
                problem(response, 401, "unauthenticated")
            wrong = engine[name].request(method, path, headers={"x-api-key": ADMIN_KEY[:-1] + "!"})
            problem(wrong, 401, "unauthenticated")


@pytest.fixture
def kept(tmp_path: Path) -> None:
    """A prediction in the audit, for which a caller of its path need not wait."""
    with Engine(tmp_path / "home") as engine:
        now = engine.instance.platform.now()
        data = {**made(1)[0], "prediction_id": "prediction_id"}
        engine.instance.audit.store([Event("prediction_id", "//test", "predictions.made", now, data)])


@pytest.mark.parametrize("name", NAMES)
def test_in_development_only_what_an_operator_does_needs_a_key(kept: None, engine: Engine, name: str) -> None:
    for method, path in routes(name):
        needs_key = engine[name].request(method, path).status_code == 401
        assert needs_key is (role(method, path) > Role.PREDICTOR), f"{method} {path}"


@pytest.mark.parametrize("name", NAMES)
def test_the_administrator_may_do_everything(kept: None, start: Callable[..., Engine], name: str) -> None:
    engine = start(env="production")
    for method, path in routes(name):
        for headers in (KEY, {"authorization": f"Bearer {ADMIN_KEY}"}):
            response = engine[name].request(method, path, headers=headers)
            assert response.status_code not in (401, 403), f"{method} {path}"


def test_a_setting_opens_routes_in_production(start: Callable[..., Engine]) -> None:
    engine = start(env="production", open_routes=("GET /models",))
    ok(engine["models"].get("/models"))
    problem(engine["models"].get("/models/market-signal"), 401, "unauthenticated")


@pytest.mark.parametrize("name", NAMES)
def test_what_nobody_asked_for_is_a_problem_and_not_a_crash(engine: Engine, name: str) -> None:
    for method, path, headers in (
        ("GET", "/no/such/path", {}),
        ("GET", "/%00%ff%2e%2e", {}),
        ("PUT", "/health", {}),
        ("GET", "/health", {"x-api-key": "ü€"}),
        ("GET", "/health", {"x-request-id": "a\tb" * 100}),
        ("GET", "/health", {"traceparent": "00-zz"}),
        ("GET", "/health?x=%ff", {}),
        ("GET", "/health?" + "&".join(f"a{i}=1" for i in range(100)), {}),
        ("POST", "/", {**KEY, "content-type": "application/cloudevents+json"}),
    ):
        encoded = [(key.encode(), value.encode()) for key, value in headers.items()]
        response = engine[name].request(method, path, headers=encoded)
        assert response.status_code < 500, f"{method} {path}: {response.text}"
        assert response.headers["x-request-id"]


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("fetch", "POST /fetch?symbols=ABC"),
        ("fetch", "GET /symbols?symbols=ABC"),
        ("batch_predict", "POST /predict/batch?symbols=ABC"),
        ("models", "GET /models/market-signal-v1?symbols=ABC"),
        ("models", "POST /admin/reload?symbols=ABC"),
        ("training", "POST /admin/train?symbols=ABC"),
        ("scoring", "POST /predict/jobs?symbols=ABC"),
        ("monitoring", "GET /predictions/p1?symbols=ABC"),
    ],
)
def test_a_parameter_that_would_be_passed_over_is_refused(engine: Engine, name: str, call: str) -> None:
    method, path = call.split()
    document = problem(engine[name].request(method, path, headers=KEY), 422, "invalid-input")
    assert pointers(document) == ["?symbols"]
    assert engine.instance.candle_store.symbols("1d") == ()
    assert engine.instance.training_desk.list(limit=1, cursor=None).runs == ()


@pytest.mark.parametrize("name", NAMES)
def test_a_head_is_answered_like_a_get(engine: Engine, name: str) -> None:
    response = engine[name].request("HEAD", "/health")
    assert response.status_code == 200


@pytest.mark.parametrize("name", NAMES)
def test_each_call_is_one_line_of_the_log_without_its_key(engine: Engine, name: str) -> None:
    lines = io.StringIO()
    configure_logs("INFO", lines)
    engine[name].get("/api/v1/health", headers={**KEY, "x-request-id": "r1"})
    (line,) = lines.getvalue().splitlines()
    assert ADMIN_KEY not in line
    facts: dict[str, Any] = json.loads(line)
    expected = {
        "function": name,
        "route": "GET /health",
        "status": 200,
        "request_id": "r1",
        "caller": "admin",
    }
    assert {key: facts[key] for key in expected} == expected
