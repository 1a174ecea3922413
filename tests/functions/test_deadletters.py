"""Events that are given up, from the handler that refuses them to their way back."""

from __future__ import annotations

import io
import json
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from infra.catalogue import read_catalogue
from shared.logs import configure_logs
from shared.monitoring.deadletters import COLLECTION, NEVER_ANSWERED
from shared.monitoring.failures import COLLECTION as NOTES
from shared.platform.messages import message_of
from shared.platform.ports import Delete, Event, JobState
from shared.platform.topics import DEAD_LETTER_REASON, DEAD_LETTER_SUBSCRIPTION, DEAD_LETTERS, TOPICS
from shared.training.run_records import RunStatus
from shared.web.events import cloud_event
from tests.functions.engine import KEY, Engine, ok, pointers, problem
from tests.market.markets import Market

BODIES = Path(__file__).parents[1] / "web" / "bodies"
NOW = datetime(2024, 1, 1, tzinfo=UTC)
MAX_ATTEMPTS = 2
"""As often as the engine of these tests tries."""

TAKEN = {topic: takers for topic, takers in TOPICS.items() if takers and topic != DEAD_LETTERS}


def event(topic: str, id_: str = "e1", **data: Any) -> Event:
    return Event(id_, "//test", topic, NOW, data)


def listed(engine: Engine, **query: Any) -> list[dict[str, Any]]:
    answer = ok(engine["deadletters"].get("/admin/deadletters", params=query, headers=KEY))
    letters: list[dict[str, Any]] = answer["dead_letters"]
    return letters


def replay(engine: Engine, **body: Any) -> dict[str, Any]:
    answer: dict[str, Any] = ok(
        engine["deadletters"].post("/admin/deadletters/replay", json=body, headers=KEY)
    )
    return answer


def settle(engine: Engine) -> None:
    """Deliver until nothing waits for anybody."""
    while sum(engine.deliver(name) for names in TOPICS.values() for name in names):
        pass


def push(engine: Engine, function: str, name: str) -> int:
    """Deliver a recorded body."""
    recorded = json.loads((BODIES / f"{name}.json").read_text())
    headers = {k: v for k, v in recorded["headers"].items() if k.lower() not in ("authorization", "host")}
    headers = {k: v for k, v in headers.items() if k.lower() != "content-length"}
    response = engine[function].post("/", content=recorded["body"].encode(), headers={**headers, **KEY})
    return response.status_code


def test_a_poison_event_is_tried_then_kept_with_its_reason_and_an_alert(engine: Engine) -> None:
    engine.events.publish("training.requested", [event("training.requested", run_id="a/b", request={})])
    for _ in range(MAX_ATTEMPTS):
        assert engine.deliver("training") == 1
    assert engine.deliver("training") == 0
    assert engine.deliver("deadletters") == 1
    (letter,) = listed(engine)
    assert (letter["function"], letter["topic"], letter["event_id"]) == (
        "training",
        "training.requested",
        "e1",
    )
    assert (letter["attempts"], letter["state"], letter["deaths"]) == (MAX_ATTEMPTS, "dead", 1)
    assert letter["reason"].startswith("422: /run_id: ")
    (alert,) = engine.heard("alerts.raised")
    assert (alert.data["type"], alert.data["cause"]) == ("dead_letter", "training")
    facts = alert.data["facts"]
    assert (facts["event_id"], facts["reason"]) == ("e1", letter["reason"])
    assert facts["dead_letter_id"] == letter["id"]


def test_once_the_cause_is_gone_a_replay_brings_the_event_back(engine: Engine, market: Market) -> None:
    market.fault = 503
    engine.events.publish("candles.requested", [event("candles.requested", symbols=["ABC"])])
    settle(engine)
    (letter,) = listed(engine, function="fetch")
    assert letter["reason"].startswith("503: ")
    assert engine.instance.candle_store.symbols("1d") == ()
    market.fault = None
    answer = replay(engine, ids=[letter["id"]])
    assert (answer["succeeded"], answer["failed"], answer["more"]) == (1, 0, False)
    assert answer["results"] == [{"id": letter["id"], "error": None}]
    settle(engine)
    assert engine.instance.candle_store.symbols("1d") == ("ABC",)
    assert listed(engine) == []
    assert [after["state"] for after in listed(engine, state="all")] == ["replayed"]


def test_a_run_that_was_given_up_starts_when_it_is_replayed(engine: Engine) -> None:
    """Its id belonged to another request; that run is gone."""
    documents = engine.instance.platform.documents
    runs = engine.instance.training_desk.runs
    runs.create("r1", {"problem": "other"})
    request = {"problem": "market_signal"}
    engine.events.publish("training.requested", [event("training.requested", run_id="r1", request=request)])
    settle(engine)
    (letter,) = listed(engine)
    assert letter["reason"].startswith("409: ")
    documents.commit([Delete("runs", "r1")])
    replay(engine, all=True, function="training")
    settle(engine)
    assert engine.jobs.status("r1").state is JobState.RUNNING
    assert runs.get("r1").status is RunStatus.QUEUED


def test_what_the_warehouse_could_not_keep_comes_back_too(engine: Engine) -> None:
    """It is no function, but gives up as they do."""
    told = {DEAD_LETTER_SUBSCRIPTION: "warehouse"}
    engine.events.publish(DEAD_LETTERS, [replace(event("predictions.made"), attributes=told)])
    settle(engine)
    (letter,) = listed(engine, function="warehouse")
    assert letter["topic"] == "predictions.made"
    assert replay(engine, ids=[letter["id"]])["succeeded"] == 1
    assert engine.deliver("audit") == 1


def test_a_poison_event_that_is_replayed_too_soon_dies_again(engine: Engine) -> None:
    engine.events.publish("training.requested", [event("training.requested")])
    settle(engine)
    assert replay(engine, all=True)["succeeded"] == 1
    settle(engine)
    (letter,) = listed(engine)
    assert (letter["deaths"], len(letter["history"])) == (2, 2)
    assert len({alert.id for alert in engine.heard("alerts.raised")}) == 2


def applied(engine: Engine) -> dict[str, int]:
    """How many events each function has kept the effect of."""
    documents = engine.instance.platform.documents
    return {
        "audit": len(documents.query("predictions", limit=500).documents),
        "training": len(engine.instance.training_desk.list(limit=200, cursor=None).runs),
        "fetch": len(engine.instance.candle_store.symbols("1d")),
        "deadletters": len(documents.query(COLLECTION, limit=500).documents),
    }


@pytest.mark.parametrize("seed", range(3))
def test_every_event_twice_and_shuffled_changes_nothing(engine: Engine, seed: int) -> None:
    count = 6
    symbols = ["ABC", "ABD"]
    sent = [
        *(event("predictions.made", f"p{n}", prediction_id=f"p{n}") for n in range(count)),
        *(event("candles.requested", f"c{n}", symbols=symbols) for n in range(2)),
        *(event("training.requested", f"bad{n}") for n in range(count)),
        event("training.requested", "r1", run_id="r1", request={"problem": "market_signal"}),
    ]
    twice = [*sent, *sent]
    random.Random(seed).shuffle(twice)
    delivered: Counter[str] = Counter()
    for one in twice:
        engine.events.publish(one.type, [one])
    while any(waiting := {n: engine.deliver(n) for names in TOPICS.values() for n in names}.values()):
        delivered.update({"deliveries": sum(waiting)})
    expected = {"audit": count, "training": 1, "fetch": len(symbols), "deadletters": count}
    assert applied(engine) == expected
    assert delivered["deliveries"] >= len(twice) + 2 * count * MAX_ATTEMPTS
    alerts = engine.heard("alerts.raised")
    assert len({alert.id for alert in alerts}) == count
    assert len(alerts) == count, "the second death is known, and raises no alert"
    before = listed(engine)
    dead = [
        replace(one, attributes={"deadlettersubscription": "training", "deadletterattempts": "2"})
        for one in sent
        if one.id.startswith("bad")
    ]
    engine.events.publish(DEAD_LETTERS, [*dead, *dead[::-1]])
    settle(engine)
    assert listed(engine) == before


def test_an_undecodable_delivery_is_kept_with_what_it_was(engine: Engine) -> None:
    body = {
        "subscription": "projects/p/subscriptions/deadletters",
        "message": {
            "messageId": "9",
            "data": "bm90IEpTT04=",
            "attributes": {"CloudPubSubDeadLetterSourceSubscription": "fetch"},
        },
    }
    for _ in range(2):
        response = engine["deadletters"].post("/", json=body, headers=KEY)
        assert response.status_code == 204
    (letter,) = listed(engine)
    assert (letter["function"], letter["topic"]) == ("fetch", None)
    assert "must be a JSON object" in letter["reason"]
    (result,) = replay(engine, ids=[letter["id"]])["results"]
    assert (result["error"]["status"], result["error"]["detail"]) == (
        409,
        f"The dead letter {letter['id']} can't be replayed: its message is no event.",
    )


@pytest.mark.parametrize("name", ["pubsub_push_dead_letter", "pubsub_push_dead_letter_production"])
def test_a_recorded_dead_letter_is_kept_under_the_note_of_its_function(engine: Engine, name: str) -> None:
    recorded = json.loads((BODIES / f"{name}.json").read_text())
    attributes = json.loads(recorded["body"])["message"]["attributes"]
    function = attributes["CloudPubSubDeadLetterSourceSubscription"]
    failed = replace(event("predictions.made", "5f2b9e0c"), source="//mlengine/predict")
    engine.instance.delivery_failures.note(function, failed, "422 noted")
    assert push(engine, "deadletters", name) == 204
    (letter,) = listed(engine)
    assert (letter["function"], letter["event_id"], letter["attempts"]) == (function, "5f2b9e0c", 5)
    assert letter["reason"] == "422 noted"


@pytest.mark.parametrize(
    "name",
    sorted(
        file.stem
        for file in BODIES.glob("*.json")
        if not file.stem.startswith("plain_") and "dead_letter" not in file.stem
    ),
)
def test_the_audit_keeps_one_prediction_however_it_is_delivered(engine: Engine, name: str) -> None:
    for _ in range(2):
        assert push(engine, "audit", name) == 204
    assert push(engine, "audit", "cloudevents_batch") == 204
    (kept,) = engine.instance.platform.documents.query("predictions").documents
    told = {"prediction_id": "5f2b9e0c", "symbol": "ABC", "note": "é🙂"}
    assert {name: kept.data[name] for name in kept.data.keys() - {"expires_at", "sha256"}} == told


@pytest.mark.parametrize("name", ["plain_wrapped", "plain_unwrapped", "plain_eventarc"])
def test_a_message_of_the_scheduler_is_handled(engine: Engine, name: str) -> None:
    assert push(engine, "fetch", name) == 204
    assert engine.instance.candle_store.symbols("1d") == ("ABC",)


def test_an_event_of_another_topic_is_refused_and_noted(engine: Engine) -> None:
    body = json.dumps(cloud_event(event("candles.requested", run_id="r1", request={})))
    headers = {**KEY, "content-type": "application/cloudevents+json"}
    document = problem(engine["training"].post("/", content=body, headers=headers), 422, "invalid-input")
    assert "training.requested" in document["detail"]
    assert "'candles.requested'" in document["detail"]
    assert notes(engine)[0]["reason"] == f"422: {document['detail']}"


def notes(engine: Engine) -> list[dict[str, Any]]:
    return [dict(document.data) for document in engine.instance.platform.documents.query(NOTES).documents]


def deliver(engine: Engine, function: str, *events: Event) -> int:
    messages = [cloud_event(one) for one in events]
    headers = {**KEY, "content-type": "application/cloudevents-batch+json"}
    return engine[function].post("/", content=json.dumps(messages), headers=headers).status_code


def test_a_failure_of_one_event_is_noted_and_counted(engine: Engine) -> None:
    bad = event("training.requested", "bad")
    assert [deliver(engine, "training", bad) for _ in range(3)] == [422] * 3
    (note,) = notes(engine)
    assert (note["function"], note["event_id"], note["event_type"]) == (
        "training",
        "bad",
        "training.requested",
    )
    assert note["count"] == 3
    assert note["reason"] == "422: /request: Field required"


def test_a_failure_of_several_events_names_none_of_them(engine: Engine) -> None:
    several = [event("training.requested", f"bad{n}") for n in range(2)]
    assert deliver(engine, "training", *several) == 422
    assert notes(engine) == []


def test_what_is_handled_leaves_no_note(engine: Engine) -> None:
    assert deliver(engine, "audit", event("predictions.made", "p1", prediction_id="p1")) == 204
    assert notes(engine) == []


def test_a_wrapped_message_of_garbage_is_refused_and_changes_nothing(engine: Engine) -> None:
    message = {**message_of(event("predictions.made")), "messageId": "1", "data": "bm90IEpTT04="}
    response = engine["audit"].post("/", json={"message": message}, headers=KEY)
    problem(response, 400, "malformed-request")
    assert applied(engine)["audit"] == 0


def test_the_log_line_names_the_events_and_goes_on_with_their_trace(engine: Engine) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    one = replace(event("predictions.made", "p1"), attributes={"traceparent": trace})
    lines = io.StringIO()
    engine["audit"].get("/health")
    configure_logs("INFO", lines)
    deliver(engine, "audit", one)
    deliver(engine, "audit", *(replace(one, id=f"q{n}") for n in range(9)))
    first, second = map(json.loads, lines.getvalue().splitlines())
    assert (first["events"], first["event_ids"], first["event_types"]) == (1, ["p1"], ["predictions.made"])
    assert first["logging.googleapis.com/trace"] == trace[3:35]
    assert (second["events"], second["event_ids"]) == (9, ["q0", "q1", "q2"])
    assert second["logging.googleapis.com/trace"] != trace[3:35]


def test_the_reason_of_the_last_failure_beats_silence(engine: Engine) -> None:
    letter = replace(event("training.requested"), attributes={"deadlettersubscription": "training"})
    assert deliver(engine, "deadletters", letter) == 204
    told = replace(letter, id="e2", attributes={**letter.attributes, DEAD_LETTER_REASON: "410 told"})
    assert deliver(engine, "deadletters", told) == 204
    assert {one["event_id"]: one["reason"] for one in listed(engine)} == {
        "e1": NEVER_ANSWERED,
        "e2": "410 told",
    }


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/ids"),
        ({"ids": []}, "/ids"),
        ({"ids": ["a"], "all": True}, "/ids"),
        ({"ids": ["a"], "function": "fetch"}, "/function"),
        ({"ids": [""]}, "/ids/0"),
        ({"ids": "a"}, "/ids"),
        ({"ids": ["a"] * 201}, "/ids"),
        ({"id": "a"}, "/id"),
    ],
)
def test_a_wrong_replay_is_pointed_at(engine: Engine, body: dict[str, Any], pointer: str) -> None:
    response = engine["deadletters"].post("/admin/deadletters/replay", json=body, headers=KEY)
    assert pointers(problem(response, 422, "invalid-input")) == [pointer]


def test_an_unknown_letter_fails_alone(engine: Engine) -> None:
    engine.events.publish("training.requested", [event("training.requested")])
    settle(engine)
    (letter,) = listed(engine)
    answer = replay(engine, ids=["nope", letter["id"]])
    assert [result["error"] and result["error"]["status"] for result in answer["results"]] == [404, None]
    assert (answer["succeeded"], answer["failed"]) == (1, 1)


def test_they_are_listed_page_by_page(engine: Engine) -> None:
    engine.events.publish("training.requested", [event("training.requested", f"e{n}") for n in range(3)])
    settle(engine)
    first = ok(engine["deadletters"].get("/admin/deadletters?limit=2", headers=KEY))
    rest = listed(engine, limit=2, cursor=first["cursor"])
    assert len({letter["id"] for letter in (*first["dead_letters"], *rest)}) == 3
    problem(engine["deadletters"].get("/admin/deadletters?state=gone", headers=KEY), 422, "invalid-input")


def test_only_an_administrator_sees_and_replays_them(start: Callable[..., Engine]) -> None:
    engine = start()
    for method, path in (("GET", "/admin/deadletters"), ("POST", "/admin/deadletters/replay")):
        problem(engine["deadletters"].request(method, path), 401, "unauthenticated")


def test_every_function_that_takes_events_may_note_what_it_failed_of() -> None:
    functions = read_catalogue().functions
    for takers in TAKEN.values():
        for name in takers:
            assert "documents.write" in functions[name].may, name
