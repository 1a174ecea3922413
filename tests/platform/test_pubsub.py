"""Publishing on Pub/Sub: what the port's suite can't see."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from shared.config import PlatformName, load_settings
from shared.errors import ConfigurationError, InvalidInput, NotFound, PlatformUnavailable
from shared.platform.gcp.events import MAX_CALL_BYTES, MAX_MESSAGES, PubsubEvents
from shared.platform.gcp.project import Project
from shared.platform.gcp.rest import ATTEMPTS, GoogleRest
from shared.platform.messages import MAX_DATA_BYTES, event_of
from tests.contracts.workers import event
from tests.emulators import Emulators, fresh_project

TOPICS = ("asked", "made")


class Service(ThreadingHTTPServer):
    """Takes publications; answers what it is told to, then well."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: list[tuple[int, bytes]] = []
        self.calls: list[tuple[str, dict[str, str], bytes]] = []
        self.closing = False

    @property
    def published(self) -> list[list[dict[str, Any]]]:
        return [json.loads(body)["messages"] for _, _, body in self.calls]


class _Handler(BaseHTTPRequestHandler):
    server: Service
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.calls.append((self.path, dict(self.headers), body))
        status, answer = self.server.answers.pop(0) if self.server.answers else (200, b'{"messageIds": []}')
        self.send_response(status)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
        self.close_connection = self.server.closing  # without a word, as a proxy does after a while

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as service:
        threading.Thread(target=service.serve_forever, args=(0.01,), daemon=True).start()
        yield service
        service.shutdown()


@contextmanager
def opened(host: str) -> Iterator[PubsubEvents]:
    settings = load_settings(
        platform=PlatformName.EMULATORS, google_cloud_project=fresh_project(), pubsub_emulator_host=host
    )
    project = Project.of(settings)
    rest = GoogleRest(project)
    yield PubsubEvents(project, rest, TOPICS)
    rest.close()


@pytest.fixture
def events(service: Service) -> Iterator[PubsubEvents]:
    with opened(f"127.0.0.1:{service.server_port}") as found:
        yield found


def refusal(code: int, message: str) -> tuple[int, bytes]:
    return code, json.dumps({"error": {"code": code, "message": message}}).encode()


def test_a_call_is_as_the_service_documents_it(events: PubsubEvents, service: Service) -> None:
    events.publish("asked", [event("1"), event("2", x=1)])
    ((path, headers, body),) = service.calls
    assert path.endswith("/topics/asked:publish")
    assert path.startswith("/v1/projects/test-")
    assert headers["content-type"] == "application/json"
    assert [message["attributes"]["ce-id"] for message in json.loads(body)["messages"]] == ["1", "2"]


def test_nothing_is_sent_that_need_not_be(events: PubsubEvents, service: Service) -> None:
    events.publish("asked", [])
    with pytest.raises(NotFound, match="'nope'; there are asked, made"):
        events.publish("nope", [event("1")])
    with pytest.raises(InvalidInput, match="bad"):
        events.publish("asked", [*(event(f"{i}") for i in range(MAX_MESSAGES)), event("bad", x=object())])
    assert service.calls == []


def test_a_call_holds_at_most_a_thousand_events(events: PubsubEvents, service: Service) -> None:
    events.publish("asked", [event(f"{i}") for i in range(2 * MAX_MESSAGES + 1)])
    assert [len(messages) for messages in service.published] == [MAX_MESSAGES, MAX_MESSAGES, 1]
    sent = [message["attributes"]["ce-id"] for messages in service.published for message in messages]
    assert sent == [f"{i}" for i in range(2 * MAX_MESSAGES + 1)]


def test_a_call_holds_at_most_nine_megabytes(events: PubsubEvents, service: Service) -> None:
    sizes = [MAX_DATA_BYTES - 100, 1_000_000, 2_000_000, 3_000_000, 10, MAX_DATA_BYTES - 100, 10]
    events.publish("asked", [event(f"{i}", text="x" * size) for i, size in enumerate(sizes)])
    sent = [message["attributes"]["ce-id"] for messages in service.published for message in messages]
    assert sent == [f"{i}" for i in range(len(sizes))]
    assert [len(messages) for messages in service.published] == [1, 4, 2]
    assert max(len(body) for _, _, body in service.calls) <= MAX_CALL_BYTES + 20


@pytest.mark.parametrize("passing", [429, 500, 502, 503, 504])
def test_a_call_is_repeated_until_it_is_durable(events: PubsubEvents, service: Service, passing: int) -> None:
    service.answers = [refusal(passing, "not now")] * 2
    events.publish("asked", [event("1")])
    assert len(service.calls) == 3


def test_a_service_that_stays_away_is_told_of(events: PubsubEvents, service: Service) -> None:
    service.answers = [refusal(503, "not today")] * ATTEMPTS
    with pytest.raises(PlatformUnavailable, match="503: not today"):
        events.publish("asked", [event("1")])
    assert len(service.calls) == ATTEMPTS


def test_a_service_that_is_not_there_is_told_of(service: Service) -> None:
    service.server_close()
    with (
        opened(f"127.0.0.1:{service.server_port}") as events,
        pytest.raises(PlatformUnavailable, match="POST"),
    ):
        events.publish("asked", [event("1")])


def test_a_connection_that_broke_while_idle_is_made_again(events: PubsubEvents, service: Service) -> None:
    events.publish("asked", [event("1")])
    service.closing = True
    events.publish("asked", [event("2")])
    service.closing = False
    events.publish("asked", [event("3")])
    assert [one["attributes"]["ce-id"] for (one,) in service.published] == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InvalidInput),
        (401, ConfigurationError),
        (403, ConfigurationError),
        (404, ConfigurationError),
        (409, PlatformUnavailable),
        (413, InvalidInput),
        (302, PlatformUnavailable),
    ],
)
def test_a_refusal_is_told_at_once_with_what_the_service_said(
    events: PubsubEvents, service: Service, status: int, kind: type[Exception]
) -> None:
    service.answers = [refusal(status, "because I say so")]
    with pytest.raises(kind, match="because I say so"):
        events.publish("asked", [event("1")])
    assert len(service.calls) == 1


def test_a_later_call_that_fails_is_an_error_though_the_first_was_durable(
    events: PubsubEvents, service: Service
) -> None:
    service.answers = [(200, b"{}"), refusal(404, "gone")]
    with pytest.raises(ConfigurationError, match="gone"):
        events.publish("asked", [event(f"{i}") for i in range(MAX_MESSAGES + 1)])


def test_a_topic_that_was_not_set_up_is_told_of(emulators: Emulators) -> None:
    with opened(emulators.pubsub) as events, pytest.raises(ConfigurationError, match="hasn't been set up"):
        events.publish("asked", [event("1")])


def test_the_official_client_reads_what_is_published(emulators: Emulators, tmp_path: Path) -> None:
    import grpc
    from google.cloud.pubsub_v1 import SubscriberClient
    from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

    from infra.emulators.topology import provision

    project = Project.of(emulators.settings("pubsub"))
    provision(project, {"asked": ("worker",)}, None)
    sent = event("é🙂", x=[1, {"y": None}])
    PubsubEvents(project, GoogleRest(project), TOPICS).publish("asked", [sent])
    with grpc.insecure_channel(emulators.pubsub) as channel:
        client = SubscriberClient(transport=SubscriberGrpcTransport(channel=channel))
        pulled = client.pull(
            subscription=f"projects/{project.id}/subscriptions/worker", max_messages=1, timeout=20
        )
    (received,) = pulled.received_messages
    message = received.message
    assert sent == event_of(
        message.data,
        message.attributes,
        message_id=message.message_id,
        published_at=message.publish_time,
        topic="asked",
    )


def test_publishing_never_imports_grpc(service: Service) -> None:
    code = f"""
import sys
from datetime import UTC, datetime
from shared.config import load_settings
from shared.platform.gcp.events import PubsubEvents
from shared.platform.gcp.project import Project
from shared.platform.gcp.rest import GoogleRest
from shared.platform.ports import Event
assert not {{"httpx", "google.auth"}} & set(sys.modules)
settings = load_settings(platform="emulators", google_cloud_project="test-project",
    pubsub_emulator_host="127.0.0.1:{service.server_port}")
project = Project.of(settings)
event = Event("1", "//test", "t", datetime.now(UTC), {{}})
PubsubEvents(project, GoogleRest(project), ["asked"]).publish("asked", [event])
print(*{{"grpc", "google.cloud.pubsub_v1", "requests", "pandas"}} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == ""
    assert len(service.calls) == 1
