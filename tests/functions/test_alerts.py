"""From what somebody saw to who is told: the functions alerts and notify on one state folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.alerts.raising import Alert, Severity
from shared.platform.ports import Event
from shared.web.events import cloud_event
from tests.alerts.made import an_alert, raised, recovered
from tests.alerts.receivers import Receiver, hang, receiving
from tests.functions.engine import KEY, Engine, ok, pointers, problem

RECORDED = Path(__file__).parents[1] / "alerts" / "recorded"
TOPIC = "alerts.raised"


@pytest.fixture
def slack() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


@pytest.fixture
def engine(start: Callable[..., Engine], slack: Receiver) -> Engine:
    return start(
        alert_routes="critical=slack,log; warning+=slack; *=",
        alert_insecure_targets=True,
        slack_webhook_url=f"{slack.url}/hook",
    )


def settle(engine: Engine) -> None:
    while sum(engine.deliver(name) for name in ("alerts", "notify", "deadletters")):
        pass


def ring(engine: Engine, alert: Alert | None = None, id: str | None = None) -> None:
    engine.instance.alert_bell("//mlengine/test").ring(alert or an_alert(), id=id)


def listed(engine: Engine, **query: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ok(engine["alerts"].get("/alerts", params=query))["alerts"]
    return found


def texts(slack: Receiver) -> list[str]:
    return [json.loads(taken.body)["text"] for taken in slack.taken]


def test_what_somebody_saw_is_told_and_so_is_that_it_is_over(engine: Engine, slack: Receiver) -> None:
    ring(engine)
    ring(engine)
    settle(engine)
    (alert,) = listed(engine)
    assert (alert["state"], alert["count"], alert["channels"]) == ("active", 2, ["slack"])
    engine.instance.alert_bell("//mlengine/test").resolve("drift", "ABC", "It is back.")
    settle(engine)
    assert texts(slack) == ["[ERROR] It moved", "[ERROR] Over: It moved"]
    details = ok(engine["alerts"].get(f"/alerts/{alert['id']}"))
    assert (details["state"], details["why"]) == ("resolved", "It is back.")
    assert details["to_do"].startswith("Look at 'mlengine drift'")
    assert [(told["kind"], told["state"], told["attempts"]) for told in details["told"]] == [
        ("new", "sent", 1),
        ("resolved", "sent", 1),
    ]


def test_everything_twice_and_in_one_delivery_is_told_once(engine: Engine, slack: Receiver) -> None:
    now = engine.instance.platform.now()
    events = [raised(f"e{n}", now + timedelta(seconds=n)) for n in range(20)]
    for _ in range(2):
        engine.events.publish(TOPIC, events)
    settle(engine)
    engine.events.publish("notifications.requested", engine.heard("notifications.requested"))
    settle(engine)
    assert [alert["count"] for alert in listed(engine)] == [20]
    assert texts(slack) == ["[ERROR] It moved"]


def test_a_dead_channel_is_told_of_on_the_others_once(start: Callable[..., Engine], slack: Receiver) -> None:
    engine = start(
        alert_routes="*=slack,webhook",
        alert_insecure_targets=True,
        slack_webhook_url=f"{slack.url}/hook",
        alert_webhook_url="http://127.0.0.1:9/hook",
        alert_webhook_secret="a secret that is long enough",  # noqa: S106 - of a test
    )
    for number in range(3):
        ring(engine, an_alert(cause=f"cause {number}"))
    settle(engine)
    assert len(slack.taken) == 4
    assert texts(slack)[-1] == "[ERROR] notify gave an event up"
    (alert,) = listed(engine, type="dead_letter")
    assert alert["count"] == 3, "those that tell of it died too, and raised nothing"
    letters = ok(engine["deadletters"].get("/admin/deadletters", headers=KEY))["dead_letters"]
    assert len(letters) == 4
    assert {letter["function"] for letter in letters} == {"notify"}
    assert all("ALERT_WEBHOOK_URL" in letter["reason"] for letter in letters)


def test_a_channel_that_comes_back_gets_what_it_missed(engine: Engine, slack: Receiver) -> None:
    slack.answer((503, {}, b""))
    ring(engine)
    settle(engine)
    slack.answer((200, {}, b"ok"))
    engine.instance.notifier._failed.clear()  # as after the pause that every bus makes
    body = {"all": True, "function": "notify"}
    assert ok(engine["deadletters"].post("/admin/deadletters/replay", json=body, headers=KEY))["succeeded"]
    slack.taken.clear()
    settle(engine)
    assert "[ERROR] It moved" in texts(slack)


def test_one_that_hangs_holds_up_no_other(engine: Engine, slack: Receiver) -> None:
    slack.misbehave = hang
    ring(engine, an_alert(Severity.CRITICAL))
    assert engine.deliver("alerts") == 1
    engine.instance.notifier._send_seconds = 0.5
    engine.deliver("notify")
    (alert,) = listed(engine)
    told = {
        one["channel"]: one["state"] for one in ok(engine["alerts"].get(f"/alerts/{alert['id']}"))["told"]
    }
    assert told == {"log": "sent", "slack": "failing"}


def test_the_events_of_the_release_before_and_of_cloud_monitoring_are_taken(engine: Engine) -> None:
    headers = {**KEY, "content-type": "application/cloudevents+json"}
    for event in json.loads((RECORDED / "released.json").read_text()):
        body = json.dumps({**event, "specversion": "1.0"})
        assert engine["alerts"].post("/", content=body, headers=headers).status_code == 204
    incident = (RECORDED / "cloud_monitoring.json").read_text()
    for _ in range(2):
        assert engine["alerts"].post("/", content=incident, headers=_plain()).status_code == 204
    assert {alert["type"] for alert in listed(engine)} == {
        "dead_letter",
        "package_refused",
        "cloud_monitoring",
    }
    assert {alert["count"] for alert in listed(engine)} == {1}


def _plain() -> dict[str, str]:
    """The headers of Pub/Sub's push, unwrapped, of a message that is no CloudEvent."""
    return {**KEY, "content-type": "application/json", "x-goog-pubsub-message-id": "77"}


def test_what_nobody_can_read_is_given_up_and_raises_no_alert(engine: Engine) -> None:
    engine.events.publish(TOPIC, [Event("bad", "//test", TOPIC, engine.instance.platform.now(), {"x": 1})])
    settle(engine)
    (letter,) = ok(engine["deadletters"].get("/admin/deadletters", headers=KEY))["dead_letters"]
    assert (letter["function"], letter["topic"]) == ("alerts", TOPIC)
    assert letter["reason"].startswith("422: ")
    assert listed(engine) == []


def test_somebody_looks_after_it_and_resolves_it(engine: Engine, slack: Receiver) -> None:
    ring(engine)
    settle(engine)
    (alert,) = listed(engine, state="open")
    path = f"/alerts/{alert['id']}"
    seen_to = ok(engine["alerts"].post(f"{path}/acknowledge", json={"note": "on it"}, headers=KEY))
    assert (seen_to["state"], seen_to["acknowledged_by"], seen_to["note"]) == (
        "acknowledged",
        "admin",
        "on it",
    )
    problem(engine["alerts"].post(f"{path}/acknowledge", headers=KEY), 409, "conflict")
    over = ok(engine["alerts"].post(f"{path}/resolve", json={"why": "mended"}, headers=KEY))
    assert (over["state"], over["resolved_by"], over["why"]) == ("resolved", "admin", "mended")
    document = problem(
        engine["alerts"].post(f"{path}/resolve", json={"why": "x"}, headers=KEY), 409, "conflict"
    )
    assert "was resolved by admin" in document["detail"]
    problem(engine["alerts"].post(f"{path}/acknowledge", headers=KEY), 409, "conflict")
    assert [alert["id"] for alert in listed(engine, state="resolved")] == [alert["id"]]
    settle(engine)
    assert texts(slack) == ["[ERROR] It moved", "[ERROR] Over: It moved"]
    heard = [event.data["state"] for event in engine.heard(TOPIC)]
    assert heard == ["active", "acknowledged", "resolved"], "who subscribes to the topic hears of it too"
    ring(engine)
    settle(engine)
    assert len(listed(engine)) == 2, "seen again, it is a new one"


def test_what_a_person_said_is_done_once_also_when_its_event_comes_again(
    engine: Engine, slack: Receiver
) -> None:
    ring(engine)
    settle(engine)
    (alert,) = listed(engine)
    ok(engine["alerts"].post(f"/alerts/{alert['id']}/resolve", json={"why": "mended"}, headers=KEY))
    again = engine.heard(TOPIC)
    engine.events.publish(TOPIC, [*again, *again])
    settle(engine)
    (after,) = listed(engine)
    assert (after["state"], after["count"]) == ("resolved", 1)
    assert texts(slack) == ["[ERROR] It moved", "[ERROR] Over: It moved"]


def test_a_test_goes_where_it_is_sent(engine: Engine, slack: Receiver) -> None:
    raised_ = ok(engine["alerts"].post("/alerts/test", json={"channel": "slack"}, headers=KEY), 202)
    assert (raised_["type"], raised_["severity"], raised_["channels"]) == ("test", "info", ["slack"])
    settle(engine)
    assert texts(slack) == ["[INFO] This is a test"]
    silent = ok(engine["alerts"].post("/alerts/test", headers=KEY), 202)
    assert silent["channels"] == [], "as the routes say"
    response = engine["alerts"].post("/alerts/test", json={"channel": "pigeon"}, headers=KEY)
    assert pointers(problem(response, 422, "invalid-input")) == ["/channel"]


def test_they_are_listed_the_newest_first_page_by_page(engine: Engine) -> None:
    now = engine.instance.platform.now()
    for number in range(5):
        seen = now - timedelta(minutes=number)
        severity = Severity.CRITICAL if number % 2 else Severity.ERROR
        engine.instance.alert_ledger.hear(raised(f"e{number}", seen, an_alert(severity, f"cause {number}")))
    engine.instance.alert_ledger.hear(recovered("r", now, "cause 4"))
    first = ok(engine["alerts"].get("/alerts?limit=3"))
    assert [alert["cause"] for alert in first["alerts"]] == ["cause 0", "cause 1", "cause 2"]
    rest = listed(engine, limit=3, cursor=first["cursor"])
    assert [alert["cause"] for alert in rest] == ["cause 3", "cause 4"]
    assert [alert["cause"] for alert in listed(engine, severity="critical")] == ["cause 1", "cause 3"]
    assert len(listed(engine, state="open", type="drift")) == 4
    assert listed(engine, type="slow") == []


@pytest.mark.parametrize(
    ("call", "body", "pointer"),
    [
        ("GET /alerts?state=lost", None, "?state"),
        ("GET /alerts?severity=loud", None, "?severity"),
        ("GET /alerts?limit=0", None, "?limit"),
        ("POST /alerts/x/resolve", {}, "/why"),
        ("POST /alerts/x/resolve", {"why": ""}, "/why"),
        ("POST /alerts/x/acknowledge", {"note": 1}, "/note"),
        ("POST /alerts/test", {"to": "slack"}, "/to"),
    ],
)
def test_what_is_wrong_is_pointed_at(engine: Engine, call: str, body: Any, pointer: str) -> None:
    method, path = call.split(" ")
    response = engine["alerts"].request(method, path, json=body, headers=KEY)
    assert pointers(problem(response, 422, "invalid-input")) == [pointer]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/alerts/nope", None),
        ("POST", "/alerts/nope/acknowledge", {}),
        ("POST", "/alerts/nope/resolve", {"why": "x"}),
    ],
)
def test_an_alert_that_there_is_not(engine: Engine, method: str, path: str, body: Any) -> None:
    problem(engine["alerts"].request(method, path, json=body, headers=KEY), 404, "not-found")
    assert engine.heard(TOPIC) == []


def test_routes_that_are_wrong_and_channels_that_are_not_set_up_are_told_before_an_alert_is(
    start: Callable[..., Engine],
) -> None:
    wrong = start(alert_routes="*=pigeon")
    for name in ("alerts", "notify"):
        assert "no channel 'pigeon'" in wrong[name].get("/ready").text
    bare = start(alert_routes="*=slack")
    assert ok(bare["alerts"].get("/ready"))["ready"]
    response = bare["notify"].get("/ready")
    assert (response.status_code, "SLACK_WEBHOOK_URL" in response.text) == (503, True)


def test_the_bodies_of_pubsub_are_taken(engine: Engine) -> None:
    event = raised("e1", engine.instance.platform.now())
    headers = {**KEY, "content-type": "application/cloudevents+json"}
    for _ in range(2):
        content = json.dumps(cloud_event(event))
        assert engine["alerts"].post("/", content=content, headers=headers).status_code == 204
    assert [alert["count"] for alert in listed(engine)] == [1]
