"""A key that is for some models: it uses these, and hears of no others."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from infra.catalogue import read_catalogue
from shared.access.roles import EVENTS_ROUTE, FOR_SOME_MODELS, ROLES, Role
from tests.functions.engine import KEY, Engine, ok


@pytest.fixture
def engine(live: None, start: Callable[..., Engine]) -> Engine:
    return start()


def key_for(engine: Engine, *models: str) -> dict[str, str]:
    body = {"name": "ci", "role": "operator", "models": list(models)}
    made = engine["accounts"].post("/auth/keys", json=body, headers=KEY)
    assert made.status_code == 201, made.text
    return {"x-api-key": made.json()["key"]}


def test_a_key_for_the_model_uses_it(engine: Engine) -> None:
    key = key_for(engine, "market-signal")
    assert engine["predict"].get("/predict?symbol=ABC", headers=key).status_code == 200
    batch = engine["batch_predict"].post("/predict/batch", json={"symbols": ["ABC"]}, headers=key)
    assert batch.json()["succeeded"] == 1
    assert [one["id"] for one in engine["models"].get("/models", headers=key).json()["models"]]
    assert engine["models"].get("/models/market-signal", headers=key).status_code == 200


def test_for_another_key_it_isnt_there_whether_it_is_or_not(engine: Engine) -> None:
    key = key_for(engine, "heart-disease")
    calls = [
        ("predict", "GET", "/predict?symbol=ABC&model={}", None),
        ("batch_predict", "POST", "/predict/batch", {"symbols": ["ABC"], "model": "{}"}),
        ("scoring", "POST", "/predict/jobs", {"symbols": ["ABC"], "model": "{}"}),
        ("models", "GET", "/models/{}", None),
        ("models", "GET", "/models/{}/report", None),
        ("models", "POST", "/models/activate/{}", {"reason": "because"}),
        ("models", "GET", "/models/{}/promotions", None),
        ("models", "POST", "/models/{}/rollback", {"reason": "because"}),
    ]
    for function, method, path, body in calls:
        heard = []
        for name in ("market-signal", "no-such-model"):
            filled = body and {key: name if value == "{}" else value for key, value in body.items()}
            answer = engine[function].request(method, path.format(name), json=filled, headers=key)
            heard.append((answer.status_code, answer.json()["detail"].replace(name, "it")))
        assert heard[0] == heard[1], path
        assert heard[0][0] == 404, path
    assert engine["models"].get("/models", headers=key).json()["models"] == []


def test_a_version_belongs_to_its_model(engine: Engine) -> None:
    key = key_for(engine, "market-signal")
    assert engine["models"].get("/models/market-signal-v1", headers=key).status_code == 200
    other = key_for(engine, "market")
    assert engine["models"].get("/models/market-signal-v1", headers=other).status_code == 404


def test_what_others_were_answered_isnt_told(engine: Engine) -> None:
    own, other = key_for(engine, "market-signal"), key_for(engine, "heart-disease")
    made = ok(engine["predict"].get("/predict?symbol=ABC", headers=KEY))
    engine.deliver("audit")
    asked = ok(engine["scoring"].post("/predict/jobs", json={"symbols": ["ABC"]}, headers=KEY), 202)
    one, job = f"/predictions/{made['prediction_id']}", f"/predict/jobs/{asked['scoring_id']}"
    assert engine["monitoring"].get(one, headers=own).status_code == 200
    assert engine["monitoring"].get(one, headers=other).status_code == 404
    assert engine["scoring"].get(job, headers=own).status_code == 200
    assert engine["scoring"].get(job, headers=other).status_code == 404
    assert engine["scoring"].post(f"{job}/cancel", headers=other).status_code == 404
    for function, path, member in (
        ("monitoring", "/predictions/recent", "predictions"),
        ("scoring", "/predict/jobs", "scorings"),
    ):
        assert len(ok(engine[function].get(path, headers=own))[member]) == 1
        assert ok(engine[function].get(path, headers=other))[member] == []
    for path in ("/monitoring/performance", "/monitoring/drift"):
        assert "for this key" in engine["monitoring"].get(path, headers=other).json()["detail"]


def test_what_tells_of_all_models_is_closed_to_it_whatever_its_role(engine: Engine) -> None:
    """A new route is closed, too, until it is said to heed models."""
    body = {"name": "ci", "role": "admin", "models": ["market-signal"]}
    made = ok(engine["accounts"].post("/auth/keys", json=body, headers=KEY), 201)
    key = {"x-api-key": made["key"]}
    functions = {route: name for name, entry in read_catalogue().functions.items() for route in entry.routes}
    closed = set(ROLES) - FOR_SOME_MODELS - {name for name, role in ROLES.items() if role is Role.PUBLIC}
    assert {"GET /metrics", "GET /alerts", "POST /admin/train", "GET /admin/audit", EVENTS_ROUTE} <= closed
    for route in closed - {EVENTS_ROUTE}:
        method, path = route.split()
        answer = engine[functions[route]].request(method, path, headers=key)
        assert (answer.status_code, "for some" in answer.json()["detail"]) == (403, True), route
