"""A key that is for some models: it uses these, and hears of no others."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.functions.engine import KEY, Engine


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
