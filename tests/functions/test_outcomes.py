from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.market.desk import SOURCE, UPDATED_TOPIC
from shared.platform.ports import Event
from tests.functions.engine import KEY, Engine, ok, pointers, problem
from tests.market.made import candles
from tests.market.markets import Market

MADE = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.fixture
def engine(live: None, start: Callable[..., Engine]) -> Engine:
    return start(candle_cache_seconds=0)


def tabular(number: int) -> Event:
    data = {"prediction_id": f"t{number}", "model_id": "market-signal-v1", "probability": 0.7}
    return Event(f"t{number}", "//test", "predictions.made", MADE, data)


def tell(engine: Engine, *labels: tuple[str, str]) -> dict[str, Any]:
    body = {"outcomes": [{"prediction_id": id_, "label": label} for id_, label in labels]}
    answer: dict[str, Any] = ok(engine["outcomes"].post("/outcomes", json=body, headers=KEY))
    return answer


def shown(engine: Engine, prediction_id: str) -> dict[str, Any]:
    answer: dict[str, Any] = ok(engine["monitoring"].get(f"/predictions/{prediction_id}"))
    return answer


def test_a_prediction_is_settled_by_the_next_candle(engine: Engine, market: Market) -> None:
    """From the answer to the outcome by HTTP and events alone, everything delivered twice."""
    whole = candles(201)
    ok(engine["fetch"].post("/fetch", json={"symbols": ["ABC"]}, headers=KEY))
    made = ok(engine["predict"].get("/predict?symbol=ABC"))
    engine.deliver("audit")
    engine.deliver("outcomes")
    assert shown(engine, made["prediction_id"])["outcome"] is None
    market.put(whole)
    ok(engine["fetch"].post("/fetch", json={"symbols": ["ABC"]}, headers=KEY))
    assert engine.deliver("outcomes") == 1
    outcome = shown(engine, made["prediction_id"])["outcome"]
    assert outcome["label"] == ("up" if whole.close[200] > whole.close[199] else "down")
    assert (outcome["close"], outcome["settled_close"]) == (whole.close[199], whole.close[200])
    again = Event("again", SOURCE, UPDATED_TOPIC, MADE, {"timeframe": "1d", "added": {"ABC": 1}, "new": 1})
    engine.events.publish(UPDATED_TOPIC, [again, again])
    engine.deliver("outcomes")
    assert engine.events.depths()["outcomes"].pending == 0
    assert shown(engine, made["prediction_id"])["outcome"] == outcome


def test_labels_are_told_each_succeeds_or_fails_alone(engine: Engine) -> None:
    engine.instance.audit.store([tabular(1), tabular(2)])
    answer = tell(engine, ("t1", "up"), ("t2", "sideways"), ("t1", "up"), ("t1", "down"), ("none", "up"))
    assert (answer["succeeded"], answer["failed"]) == (2, 3)
    first, wrong, same, other, unknown = answer["results"]
    assert first["outcome"] == same["outcome"]
    assert (first["outcome"]["label"], first["outcome"]["settled_by"]) == ("up", "admin")
    statuses = [one["error"]["status"] for one in (wrong, other, unknown)]
    assert statuses == [422, 409, 404]
    assert shown(engine, "t1")["outcome"]["label"] == "up"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/outcomes"),
        ({"outcomes": []}, "/outcomes"),
        ({"outcomes": [{"prediction_id": "a/b", "label": "up"}]}, "/outcomes/0/prediction_id"),
        ({"outcomes": [{"prediction_id": "a", "label": 1}]}, "/outcomes/0/label"),
        ({"outcomes": [{"prediction_id": "a"}]}, "/outcomes/0/label"),
    ],
)
def test_a_wrong_body_is_pointed_at(engine: Engine, body: dict[str, Any], pointer: str) -> None:
    document = problem(engine["outcomes"].post("/outcomes", json=body, headers=KEY), 422, "invalid-input")
    assert pointer in pointers(document)


def test_only_an_operator_tells_labels(engine: Engine) -> None:
    problem(engine["outcomes"].post("/outcomes", json={}), 401, "unauthenticated")


def test_news_that_are_none_are_given_up_with_the_reason(engine: Engine) -> None:
    engine.events.publish(UPDATED_TOPIC, [Event("e", SOURCE, UPDATED_TOPIC, MADE, {"timeframe": "1d"})])
    engine.deliver("outcomes")
    engine.deliver("outcomes")
    (dead,) = engine.dead_letters("outcomes")
    assert "added" in json.dumps(dead.attributes)
