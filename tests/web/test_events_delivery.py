"""What surrounds the handling of events: notes of failures, traces, topics."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as with_settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.routing import Route

from shared.errors import FieldError, InvalidInput, PlatformUnavailable
from shared.instance import Instance, use_instance
from shared.logs import configure_logs
from shared.monitoring.failures import COLLECTION
from shared.platform.ports import Event
from shared.web import Call, Function
from shared.web.delivery import reason_of, topic_of
from shared.web.events import BATCH, JSON, ONE, cloud_event
from tests.asgi import AsgiClient
from tests.conftest import ADMIN_KEY
from tests.web.test_events import PUBLISHED, TRACE, header_names, header_values, media, shaped

KEY = {"x-api-key": ADMIN_KEY}


class Handler:
    """Fails as it is told, and remembers the calls."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.calls: list[Call] = []

    async def __call__(self, events: Sequence[Event], call: Call) -> None:
        self.calls.append(call)
        if self.error is not None:
            raise self.error


@pytest.fixture
def handler() -> Handler:
    return Handler()


@pytest.fixture
def client(instance: Instance, handler: Handler) -> Iterator[AsgiClient]:
    function = Function("audit")
    function.events(handler)
    app = Starlette(routes=[Route("/{path:path}", function.entry_point(), methods=["POST"])])
    with AsgiClient(app) as client:
        yield client


def deliver(client: AsgiClient, *events: Event, headers: dict[str, str] | None = None) -> int:
    content = json.dumps([cloud_event(event) for event in events])
    given = {**KEY, "content-type": BATCH.decode(), **(headers or {})}
    return client.post("/", content=content, headers=given).status_code


def noted(instance: Instance) -> list[str]:
    return [document.data["reason"] for document in instance.platform.documents.query(COLLECTION).documents]


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (InvalidInput("x is wrong"), 422, "422: x is wrong"),
        (PlatformUnavailable("away"), 503, "503: away"),
        (RuntimeError("a secret"), 500, "unexpected error: RuntimeError"),
    ],
)
def test_the_answer_is_that_of_the_failure_and_its_reason_is_noted(
    client: AsgiClient, handler: Handler, instance: Instance, error: Exception, status: int, reason: str
) -> None:
    handler.error = error
    assert deliver(client, PUBLISHED) == status
    assert noted(instance) == [reason]


def test_the_reason_names_the_fields_that_the_detail_does_not() -> None:
    fields = [FieldError("/a", "is missing"), FieldError("/b", "too large")]
    assert reason_of(InvalidInput("/a: is missing", errors=fields)) == "422: /a: is missing; /b: too large"


def test_a_note_that_fails_is_logged_and_changes_no_answer(
    instance: Instance, handler: Handler, client: AsgiClient
) -> None:
    class Away:
        def get(self, *_: Any) -> Any:
            raise PlatformUnavailable("no documents today")

    broken: Any = replace(instance.platform, documents=Away())  # type: ignore[arg-type]  # breaks on purpose
    use_instance(Instance(instance.settings, broken))
    lines = io.StringIO()
    configure_logs("INFO", lines)
    handler.error = InvalidInput("x is wrong")
    assert deliver(client, PUBLISHED) == 422
    logged = [json.loads(line) for line in lines.getvalue().splitlines()]
    (warning,) = [line for line in logged if line["message"] == "failure not noted"]
    assert warning["event_id"] == PUBLISHED.id
    assert "no documents today" in warning["why"]


def test_the_trace_of_a_single_event_goes_on(client: AsgiClient, handler: Handler) -> None:
    deliver(client, PUBLISHED)
    (call,) = handler.calls
    assert call.trace_id == TRACE[3:35]
    assert call.outgoing_headers["traceparent"][:36] == TRACE[:36]
    assert call.traceparent != TRACE, "with a span of ours"


@pytest.mark.parametrize("given", ["", "00-zz", "é", "00-1-2-01", TRACE + "x"])
def test_a_trace_that_is_none_leaves_that_of_the_delivery(
    client: AsgiClient, handler: Handler, given: str
) -> None:
    headers = {"traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-01"}
    deliver(client, replace(PUBLISHED, attributes={"traceparent": given}), headers=headers)
    assert handler.calls[0].trace_id == "a" * 32


def test_events_of_another_topic_do_not_reach_the_handler(client: AsgiClient, handler: Handler) -> None:
    assert deliver(client, PUBLISHED, replace(PUBLISHED, type="alerts.raised")) == 422
    assert handler.calls == []
    assert deliver(client, PUBLISHED) == 204


def test_a_function_takes_the_topic_that_the_table_says() -> None:
    assert (topic_of("audit"), topic_of("predict")) == ("predictions.made", None)


@given(
    body=st.binary(max_size=100) | shaped.map(lambda value: json.dumps(value).encode()),
    media=media,
    headers=st.dictionaries(header_names, header_values, max_size=4),
)
@with_settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_whatever_is_delivered_the_function_does_not_break(
    client: AsgiClient, body: bytes, media: bytes, headers: dict[bytes, bytes]
) -> None:
    given = [(b"x-api-key", ADMIN_KEY.encode()), (b"content-type", media), *headers.items()]
    response = client.post("/", content=body, headers=given)
    assert response.status_code in (204, 400, 415, 422), response.text


def test_the_forms_are_known_by_their_content_type(client: AsgiClient) -> None:
    one = json.dumps(cloud_event(PUBLISHED))
    for content_type in (ONE, JSON):
        response = client.post("/", content=one, headers={**KEY, "content-type": content_type.decode()})
        assert response.status_code == 204
