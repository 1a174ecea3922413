"""What each channel sends, against what the other end's documentation asks for."""

from __future__ import annotations

import base64
import hashlib
import hmac
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.alerts.channels.channel import Channel
from shared.alerts.channels.table import CHANNELS, open_channels
from shared.alerts.raising import Severity
from shared.alerts.record import Kind, Notification
from shared.config import load_settings
from shared.errors import ChannelRejected, ChannelUnavailable, ConfigurationError, EngineError
from shared.logs import configure_logs
from tests.alerts.made import a_notification, only, run, secrets_of
from tests.alerts.receivers import Receiver, receiving

RECORDED = Path(__file__).with_name("recorded")
ROUTING_KEY = "r" * 32
WEBHOOK_SECRET = "whsec_" + base64.b64encode(b"a key of thirty-two bytes, truly").decode()
NASTY = "<!channel> & <https://evil.example|click>\u202e \U0001f525 \u00e9"


def recorded(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((RECORDED / f"{name}.json").read_text())
    return document


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


def channel(name: str, receiver: Receiver, **settings: Any) -> Channel:
    """The channel, set up for the receiver."""
    url = f"{receiver.url}/hook-s3cr3t"
    given = {"slack_webhook_url": url, "alert_webhook_url": url, "alert_webhook_secret": WEBHOOK_SECRET}
    given |= {"pagerduty_events_url": f"{receiver.url}/v2/enqueue", "pagerduty_routing_key": ROUTING_KEY}
    chosen = load_settings(**{"alert_insecure_targets": True, **given, **settings})
    return open_channels(chosen, secrets_of({}))[name]


def sent(name: str, receiver: Receiver, notification: Notification) -> dict[str, Any]:
    receiver.taken.clear()
    run(channel(name, receiver).send(notification))
    document: dict[str, Any] = json.loads(only(receiver.taken).body)
    return document


def fits(document: dict[str, Any], shape: dict[str, Any], action: str = "") -> None:
    """Check a document against a recorded shape."""
    assert document.keys() <= shape.keys()
    python = {"string": str, "object": dict, "array": list}
    for name, rule in shape.items():
        if name not in document:
            assert rule["required"] not in (True, action), name
            continue
        value = document[name]
        assert isinstance(value, python[rule["type"]]), name
        assert value in rule.get("values", [value]), name
        assert len(value) <= rule.get("max", 10**9), name
        assert len(value) == rule.get("length", len(value)), name


HUGE = {"title": "t" * 5_000, "body": "b" * 50_000, "facts": {f"fact {n}": "v" * 5_000 for n in range(50)}}
ALL_KINDS = pytest.mark.parametrize("kind", list(Kind))
CASES = pytest.mark.parametrize("given", [{}, {"title": NASTY, "body": NASTY, "facts": {NASTY: NASTY}}, HUGE])


@ALL_KINDS
@CASES
def test_pagerduty_gets_what_it_asks_for(receiver: Receiver, kind: Kind, given: dict[str, Any]) -> None:
    shape = recorded("pagerduty")
    taken = shape["answers"]["taken"]
    receiver.answer((taken["status"], {}, json.dumps(taken["body"]).encode()))
    notification = a_notification(kind, **given)
    document = sent("pagerduty", receiver, notification)
    action = {Kind.RESOLVED: "resolve", Kind.ACKNOWLEDGED: "acknowledge"}.get(kind, "trigger")
    fits(document, shape["request"], action)
    assert (document["event_action"], document["routing_key"]) == (action, ROUTING_KEY)
    assert document["dedup_key"] == notification.alert.id, "one incident per alert, whatever comes again"
    if action == "trigger":
        fits(document["payload"], shape["payload"])
        assert document["payload"]["severity"] == "error"
    assert only(receiver.taken).path == "/v2/enqueue"


@pytest.mark.parametrize("severity", list(Severity))
def test_pagerduty_knows_every_severity(receiver: Receiver, severity: Severity) -> None:
    document = sent("pagerduty", receiver, a_notification(severity=severity))
    assert document["payload"]["severity"] in recorded("pagerduty")["payload"]["severity"]["values"]


@ALL_KINDS
@CASES
def test_slack_gets_what_it_asks_for(receiver: Receiver, kind: Kind, given: dict[str, Any]) -> None:
    shape = recorded("slack")
    notification = a_notification(kind, **given)
    document = sent("slack", receiver, notification)
    fits(document, shape["request"])
    for block in document["blocks"]:
        rules = shape["blocks"][block["type"]]
        assert block.keys() - {"type"} <= rules.keys()
        for name, rule in rules.items():
            texts = block.get(name, [])
            texts = texts if isinstance(texts, list) else [texts]
            assert len(texts) <= rule.get("items", 1)
            for text in texts:
                assert text["type"] == rule["type"]
                assert 1 <= len(text["text"]) <= rule["max"]
    assert notification.id in document["blocks"][-1]["elements"][0]["text"]
    assert "<" not in json.dumps([block for block in document["blocks"] if block["type"] != "header"])


def test_slack_shows_what_was_found_and_what_to_do(receiver: Receiver) -> None:
    document = sent("slack", receiver, a_notification())
    assert document["text"] == "[ERROR] It moved"
    header, body, to_do, facts, _ = document["blocks"]
    assert header["text"]["text"] == "[ERROR] It moved"
    assert body["text"]["text"] == "By 3 sigma."
    assert to_do["text"]["text"].startswith("What to do: Look at 'mlengine drift'")
    assert {"type": "mrkdwn", "text": "n: 1"} in facts["fields"]


def test_texts_for_slack_are_escaped_and_cut_between_characters(receiver: Receiver) -> None:
    document = sent("slack", receiver, a_notification(body="<&>" * 2_000))
    text = document["blocks"][1]["text"]["text"]
    assert len(text) <= 3_000
    assert text.replace("&lt;", "").replace("&amp;", "").replace("&gt;", "") == "\N{HORIZONTAL ELLIPSIS}"


@ALL_KINDS
@CASES
def test_a_webhook_is_signed_over_its_id_its_time_and_its_body(
    receiver: Receiver, kind: Kind, given: dict[str, Any]
) -> None:
    notification = a_notification(kind, **given)
    document = sent("webhook", receiver, notification)
    taken = only(receiver.taken)
    content = f"{taken.headers['webhook-id']}.{taken.headers['webhook-timestamp']}.".encode() + taken.body
    key = base64.b64decode(WEBHOOK_SECRET.removeprefix("whsec_"))
    signature = base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode()
    assert taken.headers["webhook-signature"] == f"v1,{signature}"
    assert taken.headers["webhook-id"] == notification.id
    assert document["type"] == f"alert.{kind}"
    assert document["data"]["alert"] == json.loads(json.dumps(notification.alert.json()))


def test_a_signature_is_that_of_the_specification() -> None:
    """Source: the example in the specification of Standard Webhooks, whose libraries test with it too."""
    from shared.alerts.channels.webhook import signed

    headers = signed(
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("secret", ["short", "whsec_!!!", "whsec_" + base64.b64encode(b"short").decode()])
def test_a_secret_that_is_none_is_refused_and_not_shown(receiver: Receiver, secret: str) -> None:
    made = channel("webhook", receiver, alert_webhook_secret=secret)
    with pytest.raises(ConfigurationError, match="ALERT_WEBHOOK_SECRET") as caught:
        made.check()
    assert secret not in caught.value.detail


@pytest.mark.parametrize("answer", ["refused", "gone", "archived"])
def test_why_slack_refused_is_told(receiver: Receiver, answer: str) -> None:
    told = recorded("slack")["answers"][answer]
    receiver.answer((told["status"], {}, told["body"].encode()))
    with pytest.raises(ChannelRejected, match=told["body"]) as caught:
        run(channel("slack", receiver).send(a_notification()))
    assert "s3cr3t" not in caught.value.detail


def test_why_pagerduty_refused_is_told_without_the_key(receiver: Receiver) -> None:
    told = recorded("pagerduty")["answers"]["refused"]
    body = {**told["body"], "key": ROUTING_KEY}
    receiver.answer((told["status"], {}, json.dumps(body).encode()))
    with pytest.raises(ChannelRejected, match="should be 32 characters") as caught:
        run(channel("pagerduty", receiver).send(a_notification()))
    assert ROUTING_KEY not in caught.value.detail


def test_what_comes_again_is_known_by_its_key(receiver: Receiver) -> None:
    for _ in range(2):
        run(channel("webhook", receiver).send(a_notification()))
    assert len({taken.headers["webhook-id"] for taken in receiver.taken}) == 1


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("slack", "SLACK_WEBHOOK_URL"),
        ("pagerduty", "PAGERDUTY_ROUTING_KEY"),
        ("webhook", "ALERT_WEBHOOK_URL"),
        ("email", "SMTP_FROM"),
    ],
)
def test_a_channel_that_is_not_set_up_names_the_setting(name: str, setting: str) -> None:
    made = open_channels(load_settings(), secrets_of({}))[name]
    with pytest.raises(ConfigurationError, match=setting):
        made.check()
    with pytest.raises(ConfigurationError, match=setting):
        run(made.send(a_notification()))


def test_secrets_come_from_the_settings_else_from_the_platform(receiver: Receiver) -> None:
    settings = load_settings(alert_insecure_targets=True)
    secrets = secrets_of({"slack-webhook-url": f"{receiver.url}/from-the-platform"})
    run(open_channels(settings, secrets)["slack"].send(a_notification()))
    assert only(receiver.taken).path == "/from-the-platform"


@pytest.mark.parametrize("name", ["slack", "webhook", "pagerduty"])
def test_outside_of_tests_inside_is_refused(receiver: Receiver, name: str) -> None:
    made = channel(name, receiver, alert_insecure_targets=False)
    with pytest.raises(EngineError, match="https"):
        run(made.send(a_notification()))
    assert receiver.taken == []


def test_a_secret_is_in_no_setting_that_is_shown(receiver: Receiver) -> None:
    given = {"slack_webhook_url": "https://hooks.example/s3cr3t", "smtp_password": "s3cr3t"}
    settings = load_settings(**given)
    assert "s3cr3t" not in repr(settings)


def test_the_log_has_a_line_of_its_severity(receiver: Receiver) -> None:
    lines = io.StringIO()
    configure_logs("INFO", lines)
    for kind in (Kind.NEW, Kind.RESOLVED):
        run(channel("log", receiver).send(a_notification(kind, severity=Severity.CRITICAL)))
    first, second = map(json.loads, lines.getvalue().splitlines())
    assert (first["severity"], first["alert_severity"], first["kind"]) == ("CRITICAL", "critical", "new")
    assert (second["severity"], second["body"]) == ("INFO", "It is back.")


def test_every_file_of_a_channel_is_in_the_table() -> None:
    folder = Path(__file__).parents[2] / "shared" / "alerts" / "channels"
    files = {path.stem for path in folder.glob("*.py")} - {"__init__", "channel", "table"}
    assert CHANNELS.keys() == files


def test_what_is_unavailable_may_be_told_later() -> None:
    assert ChannelUnavailable("x").retryable
    assert not ChannelRejected("x").retryable
