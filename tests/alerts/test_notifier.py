"""Delivery: each on its channel, once where it can be known, and none in another's way."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from shared.alerts.changes import COLLECTION as ALERTS
from shared.alerts.channels.table import open_channels
from shared.alerts.notifier import COLLECTION, REST_SECONDS, Notifier
from shared.alerts.record import NOTIFY_TOPIC, Kind, Notification, State
from shared.config import load_settings
from shared.errors import ChannelUnavailable, ConfigurationError, EngineError, InvalidInput
from shared.platform.local.documents import SqliteDocuments
from shared.platform.ports import Delete, Event, Put
from tests.alerts.made import START, a_notification, an_event, run, secrets_of
from tests.alerts.receivers import Receiver, hang, receiving

KEY = "whsec_" + "A" * 44


class Place:
    """A notifier whose channels slack, webhook and pagerduty are real receivers."""

    def __init__(self, home: Path, stack: ExitStack) -> None:
        self.documents = SqliteDocuments(home / "documents.sqlite3")
        self.receivers = {
            name: stack.enter_context(receiving()) for name in ("slack", "webhook", "pagerduty")
        }
        given = {
            "slack_webhook_url": self.receivers["slack"].url,
            "alert_webhook_url": self.receivers["webhook"].url,
            "alert_webhook_secret": KEY,
            "pagerduty_events_url": self.receivers["pagerduty"].url,
            "pagerduty_routing_key": "r" * 32,
        }
        self.settings = load_settings(alert_insecure_targets=True, **given)
        self.now = 0.0
        self.notifier = self.opened()

    def opened(self, documents: Any = None, mark: str = "") -> Notifier:
        channels = open_channels(self.settings, secrets_of({}))
        return Notifier(
            documents or self.documents,
            channels,
            lambda: START,
            mark=mark,
            monotonic=lambda: self.now,
            send_seconds=1.0,
        )

    def keep(self, notification: Notification, **changes: Any) -> None:
        data = {**notification.alert.json(), **changes}
        self.documents.commit([Put(ALERTS, notification.alert.id, data)])

    def deliver(self, *notifications: Notification) -> None:
        run(self.notifier.deliver([an_event(one) for one in notifications]))

    def noted(self) -> dict[str, tuple[str, int]]:
        documents = self.documents.query(COLLECTION).documents
        return {document.id: (document.data["state"], document.data["attempts"]) for document in documents}


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with ExitStack() as stack:
        yield Place(tmp_path, stack)


def bodies(receiver: Receiver) -> list[dict[str, Any]]:
    return [json.loads(taken.body) for taken in receiver.taken]


def test_what_was_sent_is_not_sent_again(place: Place) -> None:
    for _ in range(3):
        place.deliver(a_notification(), a_notification(channel="webhook", id="c" * 20))
    assert [len(place.receivers[name].taken) for name in ("slack", "webhook")] == [1, 1]
    assert place.noted() == {"b" * 20: ("sent", 1), "c" * 20: ("sent", 1)}


def test_who_is_killed_before_the_note_sends_again_with_the_same_key(place: Place) -> None:
    class Forgetful:
        """Everything is kept but the note that it was sent."""

        def __getattr__(self, name: str) -> Any:
            return getattr(place.documents, name)

        def commit(self, writes: Any) -> Any:
            raise KeyboardInterrupt("killed")

    notification = a_notification(channel="webhook")
    with pytest.raises(KeyboardInterrupt):
        run(place.opened(Forgetful()).deliver([an_event(notification)]))
    place.deliver(notification)
    first, second = place.receivers["webhook"].taken
    assert first.headers["webhook-id"] == second.headers["webhook-id"]


def test_a_dead_channel_fails_its_own_alone(place: Place) -> None:
    place.receivers["slack"].misbehave = hang
    dead = a_notification(channel="slack", id="1" * 20)
    alive = [a_notification(channel="webhook", id=str(n) * 20) for n in range(2, 9)]
    began = time.monotonic()
    with pytest.raises(ChannelUnavailable, match="slack took longer than 1 s"):
        place.deliver(dead, *alive)
    assert time.monotonic() - began < 20
    assert len(place.receivers["webhook"].taken) == len(alive)
    assert place.noted()[dead.id] == ("failing", 1)
    place.deliver(*alive)
    assert len(place.receivers["webhook"].taken) == len(alive), "they come again with it, and are known"


def test_a_failure_waits_for_those_that_are_under_way(place: Place) -> None:
    def take_a_while(stream: Any, ended: Any) -> None:
        ended.wait(0.3)
        stream.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    place.receivers["slack"].answer((404, {}, b"no_service"))
    place.receivers["webhook"].misbehave = take_a_while
    with pytest.raises(EngineError, match="no_service"):
        place.deliver(a_notification(id="1" * 20), a_notification(channel="webhook", id="2" * 20))
    assert place.noted() == {"1" * 20: ("failing", 1), "2" * 20: ("sent", 1)}


def test_many_for_a_dead_channel_take_no_longer_than_a_few(place: Place) -> None:
    """They come together, and when that has failed one by one: all that time nobody else is told."""
    place.receivers["slack"].misbehave = hang
    many = [a_notification(channel="slack", id=f"{n:020d}") for n in range(30)]
    began = time.monotonic()
    with pytest.raises(ChannelUnavailable):
        place.deliver(*many)
    for one in many:
        with pytest.raises(ChannelUnavailable, match="took longer"):
            place.deliver(one)
    assert time.monotonic() - began < 20
    assert len(place.noted()) == len(many)
    place.receivers["slack"].misbehave = None
    place.now += REST_SECONDS
    place.deliver(*many)
    assert {state for state, _ in place.noted().values()} == {"sent"}


def test_a_failure_is_noted_with_its_reason_until_it_is_sent(place: Place) -> None:
    place.receivers["slack"].answer((404, {}, b"no_service"))
    for _ in range(2):
        with pytest.raises(EngineError, match="no_service"):
            place.deliver(a_notification())
    (note,) = place.documents.query(COLLECTION).documents
    assert (note.data["state"], note.data["attempts"]) == ("failing", 2)
    assert note.data["error"] == "What SLACK_WEBHOOK_URL names answered 404: no_service."
    place.receivers["slack"].answer((200, {}, b"ok"))
    place.deliver(a_notification())
    assert place.noted() == {"b" * 20: ("sent", 3)}


@pytest.mark.parametrize("kind", [Kind.NEW, Kind.ESCALATED, Kind.REMINDER, Kind.ACKNOWLEDGED])
def test_what_is_over_by_now_is_told_by_its_recovery_alone(place: Place, kind: Kind) -> None:
    late = a_notification(kind)
    place.keep(late, state=State.RESOLVED)
    place.deliver(late, a_notification(Kind.RESOLVED, id="c" * 20))
    assert [body["text"] for body in bodies(place.receivers["slack"])] == ["[ERROR] Over: It moved"]
    assert place.noted() == {late.id: ("skipped", 1), "c" * 20: ("sent", 1)}


def test_nobody_is_reminded_of_what_is_looked_after(place: Place) -> None:
    reminder = a_notification(Kind.REMINDER)
    place.keep(reminder, state=State.ACKNOWLEDGED)
    place.deliver(reminder)
    assert place.receivers["slack"].taken == []


def test_an_incident_that_is_over_before_it_has_arrived_is_closed(place: Place) -> None:
    """That it is over was told while it was on its way."""
    notification = a_notification(channel="pagerduty")
    place.keep(notification)

    def end(stream: Any, _: Any) -> None:
        place.keep(notification, state=State.RESOLVED, resolved_at="2024-01-01T02:00:00Z", why="back")
        stream.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")

    place.receivers["pagerduty"].misbehave = end
    place.deliver(notification)
    sent = bodies(place.receivers["pagerduty"])
    assert [(one["event_action"], one["dedup_key"]) for one in sent] == [
        ("trigger", "a" * 20),
        ("resolve", "a" * 20),
    ]


def test_a_channel_that_there_is_not_is_refused(place: Place) -> None:
    with pytest.raises(ConfigurationError, match="'pigeon'"):
        place.deliver(a_notification(channel="pigeon"))


def test_an_alert_that_is_gone_is_told_as_it_was(place: Place) -> None:
    place.documents.commit([Delete(ALERTS, "a" * 20)])
    place.deliver(a_notification())
    assert len(place.receivers["slack"].taken) == 1


@pytest.mark.parametrize("data", [{}, {"kind": "lost"}, {**a_notification().json(), "alert": {"id": 1}}])
def test_an_event_that_is_none_is_refused(place: Place, data: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match=NOTIFY_TOPIC):
        run(place.notifier.deliver([Event("e", "//test", NOTIFY_TOPIC, START, data)]))


def test_which_channel_is_not_set_up_is_named(place: Place) -> None:
    place.notifier.check(["slack", "webhook", "pagerduty", "log"])
    with pytest.raises(ConfigurationError, match="email: This channel needs SMTP_FROM"):
        place.notifier.check(["slack", "email"])


def test_what_a_replay_tells_says_so_first_on_every_channel(place: Place) -> None:
    told = [a_notification(channel=name, id=str(n) * 20) for n, name in enumerate(place.receivers)]
    run(place.opened(mark="Replay: ").deliver([an_event(one) for one in told]))
    for receiver in place.receivers.values():
        (body,) = bodies(receiver)
        assert f"Replay: {told[0].alert.title}" in json.dumps(body)
