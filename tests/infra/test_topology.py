from __future__ import annotations

import base64
import json
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from infra.catalogue import read_catalogue
from infra.emulators.topology import ACK_SECONDS, provision
from shared.config import PlatformName, load_settings
from shared.errors import ConfigurationError, PlatformUnavailable
from shared.platform.gcp.events import PubsubEvents
from shared.platform.gcp.project import Project
from shared.platform.gcp.rest import GoogleRest
from shared.platform.messages import event_of
from shared.platform.ports import Event
from shared.platform.topics import DEAD_LETTER_ATTEMPTS, DEAD_LETTER_SUBSCRIPTION, DEAD_LETTERS, TOPICS
from tests.contracts.workers import event, wait_for
from tests.emulators import Emulators

WITH_DEAD_LETTERS = {"made": ("audit",), "dropped": (), DEAD_LETTERS: ("deadletters",)}


@pytest.fixture
def project(emulators: Emulators) -> Project:
    return Project.of(emulators.settings("pubsub"))


def found(project: Project, kind: str) -> dict[str, Any]:
    """The topics or subscriptions that there are, by name."""
    response = httpx.get(f"{project.pubsub_url}/v1/projects/{project.id}/{kind}", trust_env=False)
    return {one["name"].rpartition("/")[2]: one for one in response.json().get(kind, ())}


def topic_of(subscription: Mapping[str, Any]) -> str:
    return str(subscription["topic"]).rpartition("/")[2]


def test_every_topic_and_subscription_is_made(project: Project) -> None:
    provision(project, TOPICS, lambda name: f"http://127.0.0.1:9/push/{name}")
    assert set(found(project, "topics")) == set(TOPICS)
    subscriptions = found(project, "subscriptions")
    taken = {name: topic for topic, names in TOPICS.items() for name in names}
    assert {name: topic_of(one) for name, one in subscriptions.items()} == taken
    for name, one in subscriptions.items():
        assert one["pushConfig"] == {"pushEndpoint": f"http://127.0.0.1:9/push/{name}"}
        assert one["ackDeadlineSeconds"] == ACK_SECONDS


def test_no_function_that_takes_events_may_work_longer_than_its_answer_is_waited_for() -> None:
    takers = [entry for entry in read_catalogue().functions.values() if entry.topic is not None]
    assert max(entry.timeout_seconds for entry in takers) <= ACK_SECONDS


def test_every_subscription_gives_up_but_that_of_the_dead_letters(project: Project) -> None:
    provision(project, TOPICS, None)
    subscriptions = found(project, "subscriptions")
    assert "deadLetterPolicy" not in subscriptions.pop("deadletters")
    assert len(subscriptions) > 0
    for one in subscriptions.values():
        assert one["deadLetterPolicy"] == {
            "deadLetterTopic": f"projects/{project.id}/topics/{DEAD_LETTERS}",
            "maxDeliveryAttempts": 5,
        }


@pytest.mark.parametrize("topics", [{"made": ("audit",)}, {"made": ("audit",), DEAD_LETTERS: ()}])
def test_where_nobody_takes_dead_letters_nothing_is_given_up(
    project: Project, topics: dict[str, Sequence[str]]
) -> None:
    provision(project, topics, None)
    assert "deadLetterPolicy" not in found(project, "subscriptions")["audit"]


def test_doing_it_again_changes_nothing_and_loses_no_event(project: Project) -> None:
    provision(project, WITH_DEAD_LETTERS, None)
    before = found(project, "topics"), found(project, "subscriptions")
    publish(project, event("1"))
    provision(project, WITH_DEAD_LETTERS, None)
    assert (found(project, "topics"), found(project, "subscriptions")) == before
    response = httpx.post(
        f"{project.pubsub_url}/v1/projects/{project.id}/subscriptions/audit:pull",
        json={"maxMessages": 10},
        timeout=20,
        trust_env=False,
    )
    assert len(response.json()["receivedMessages"]) == 1


def test_what_has_changed_is_brought_up_to_date(project: Project) -> None:
    provision(project, {"made": ("audit",)}, None)
    one = found(project, "subscriptions")["audit"]
    assert one["retryPolicy"] == {"minimumBackoff": "1s", "maximumBackoff": "60s"}
    provision(
        project,
        {**WITH_DEAD_LETTERS, "new": ("other",)},
        None,
        ack_seconds=20,
        first_seconds=0.5,
        longest_seconds=2.5,
        max_attempts=7,
    )
    one = found(project, "subscriptions")["audit"]
    assert one["ackDeadlineSeconds"] == 20
    assert one["retryPolicy"] == {"minimumBackoff": "0.500s", "maximumBackoff": "2.500s"}
    assert one["deadLetterPolicy"]["maxDeliveryAttempts"] == 7
    assert "other" in found(project, "subscriptions")
    provision(project, WITH_DEAD_LETTERS, lambda name: f"http://127.0.0.1:9/{name}")
    one = found(project, "subscriptions")["audit"]
    assert one["pushConfig"] == {"pushEndpoint": "http://127.0.0.1:9/audit"}
    assert "retryPolicy" not in one


def test_a_subscription_that_takes_from_another_topic_is_refused(project: Project) -> None:
    provision(project, {"made": ("audit",)}, None)
    with pytest.raises(ConfigurationError, match=r"audit takes from .*/made, and can't be moved"):
        provision(project, {"made": (), "asked": ("audit",)}, None)
    with pytest.raises(ConfigurationError, match="takes from one topic; audit from several"):
        provision(project, {"made": ("audit",), "asked": ("audit",)}, None)


def test_what_pubsub_does_not_take_is_refused(project: Project) -> None:
    with pytest.raises(ConfigurationError, match="the minimum value is 5"):
        provision(project, WITH_DEAD_LETTERS, None, max_attempts=4)


def test_the_real_service_is_left_alone() -> None:
    settings = load_settings(platform=PlatformName.GCP, google_cloud_project="some-project")
    with pytest.raises(ConfigurationError, match="Terraform"):
        provision(Project.of(settings), WITH_DEAD_LETTERS, None)


def test_an_emulator_that_does_not_answer_is_told_of() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        settings = load_settings(
            platform=PlatformName.EMULATORS,
            google_cloud_project="test-project",
            pubsub_emulator_host=f"127.0.0.1:{silent.getsockname()[1]}",
            platform_timeout_seconds=1,
        )
        with pytest.raises(PlatformUnavailable):
            provision(Project.of(settings), WITH_DEAD_LETTERS, None)


class Handlers(ThreadingHTTPServer):
    """Functions that take pushes at /push/<name>. They fail for ever, or hang, as they are told."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.failing: set[str] = set()
        self.slow_seconds: dict[str, float] = {}
        self.pushed: list[tuple[str, dict[str, Any]]] = []

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/push/{name}"

    def events(self, name: str) -> list[Event]:
        return [_event(body) for pushed, body in list(self.pushed) if pushed == name]


class _Handler(BaseHTTPRequestHandler):
    server: Handlers
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        name = self.path.rpartition("/")[2]
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.pushed.append((name, body))
        time.sleep(self.server.slow_seconds.get(name, 0))
        self.send_response(500 if name in self.server.failing else 204)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def _event(body: dict[str, Any]) -> Event:
    message = body["message"]
    return event_of(
        base64.b64decode(message["data"]),
        message["attributes"],
        message_id=message["messageId"],
        published_at=None,
        topic=None,
    )


@pytest.fixture
def handlers() -> Iterator[Handlers]:
    with Handlers() as handlers:
        threading.Thread(target=handlers.serve_forever, args=(0.01,), daemon=True).start()
        yield handlers
        handlers.shutdown()


def publish(project: Project, *events: Event, topic: str = "made") -> None:
    PubsubEvents(project, GoogleRest(project), WITH_DEAD_LETTERS).publish(topic, events)


def in_order(events: Sequence[Event]) -> list[Event]:
    return sorted(events, key=lambda one: one.id)


def test_events_are_pushed_and_what_is_refused_ends_with_who_takes_dead_letters(
    project: Project, handlers: Handlers
) -> None:
    topics = {"made": ("audit", "copy"), DEAD_LETTERS: ("deadletters",)}
    handlers.failing = {"copy"}
    provision(project, topics, handlers.url)
    sent = [event(f"{number}", x=number) for number in range(12)]
    publish(project, *sent)
    wait_for(lambda: len(handlers.events("deadletters")) == len(sent), timeout_seconds=60)
    assert in_order(handlers.events("audit")) == in_order(sent)
    assert in_order(handlers.events("copy")) == in_order(sent * 5)
    letters = in_order(handlers.events("deadletters"))
    assert [(letter.id, letter.data) for letter in letters] == [(one.id, one.data) for one in in_order(sent)]
    for letter in letters:
        assert letter.attributes == {DEAD_LETTER_SUBSCRIPTION: "copy", DEAD_LETTER_ATTEMPTS: "5"}


def test_a_handler_that_is_slower_than_its_deadline_gets_the_event_twice(
    project: Project, handlers: Handlers
) -> None:
    handlers.slow_seconds = {"audit": 11}
    provision(project, WITH_DEAD_LETTERS, handlers.url, ack_seconds=10)
    publish(project, event("1"))
    wait_for(lambda: len(handlers.events("audit")) == 2, timeout_seconds=40)
    handlers.slow_seconds = {}
