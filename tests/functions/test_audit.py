from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.platform.ports import Event
from shared.platform.topics import DEAD_LETTER_ATTEMPTS, DEAD_LETTER_REASON
from shared.web.events import BATCH, cloud_event
from tests.functions.engine import KEY, Engine, ok, problem

MADE = datetime(2024, 1, 1, tzinfo=UTC)


def event(id_: str, **facts: Any) -> Event:
    data = {"prediction_id": id_, "symbol": "ABC", "made_at": MADE.isoformat(), **facts}
    return Event(id_, "//mlengine/predict", "predictions.made", MADE, data, {"traceparent": "00-1-2-01"})


def push(engine: Engine, *events: Event) -> int:
    body = json.dumps([cloud_event(one) for one in events])
    response = engine["audit"].post("/", content=body, headers={**KEY, "content-type": BATCH.decode()})
    return response.status_code


def kept(engine: Engine) -> list[dict[str, Any]]:
    predictions: list[dict[str, Any]] = ok(engine["monitoring"].get("/predictions/recent"))["predictions"]
    return predictions


def test_predictions_are_kept_as_they_were_told(engine: Engine) -> None:
    assert push(engine, event("a", features=[1e-17, None, -0.0]), event("b")) == 204
    assert {p["prediction_id"] for p in kept(engine)} == {"a", "b"}
    assert kept(engine)[0] == event("b").data
    assert kept(engine)[1] == event("a", features=[1e-17, None, -0.0]).data


def test_the_same_events_again_and_in_another_order_change_nothing(engine: Engine) -> None:
    events = [event(f"p{i}") for i in range(4)]
    push(engine, *events)
    before = kept(engine)
    push(engine, *reversed(events), *events)
    push(engine, events[2])
    assert kept(engine) == before


def test_a_large_delivery_is_kept_whole(engine: Engine) -> None:
    assert push(engine, *(event(f"p{i}") for i in range(1_203))) == 204
    assert (
        sum(1 for i in range(1_203) if engine.instance.platform.documents.get("predictions", f"p{i}"))
        == 1_203
    )


def test_one_bad_event_does_not_take_the_others_along(engine: Engine) -> None:
    engine.events.publish("predictions.made", [event("a"), event("b/c"), event("d")])
    engine.deliver("audit")
    assert {p["prediction_id"] for p in kept(engine)} == {"a", "d"}
    engine.deliver("audit")
    (dead,) = engine.dead_letters("audit")
    assert (dead.id, dead.attributes[DEAD_LETTER_ATTEMPTS]) == ("b/c", "2")
    assert dead.attributes[DEAD_LETTER_REASON].startswith("422: ")


@pytest.mark.parametrize("path", ["/predictions/recent", "/predict", "/x"])
def test_it_answers_nothing_but_health(engine: Engine, path: str) -> None:
    assert ok(engine["audit"].get("/health"))["function"] == "audit"
    problem(engine["audit"].get(path), 404, "not-found")


def test_outsiders_cannot_write_the_audit(engine: Engine) -> None:
    response = engine["audit"].post("/", content=b"[]", headers={"content-type": BATCH.decode()})
    problem(response, 401, "unauthenticated")
