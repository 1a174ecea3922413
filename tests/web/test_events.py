"""Every form in which an event may be delivered, and what is no event in any."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import CallerError, InvalidInput, MalformedRequest, UnsupportedMediaType
from shared.platform.messages import PLAIN_TYPE, message_of
from shared.platform.ports import Event
from shared.platform.topics import (
    DEAD_LETTER_ATTEMPTS,
    DEAD_LETTER_REASON,
    DEAD_LETTER_SUBSCRIPTION,
    DEAD_LETTERS,
    UNREADABLE,
)
from shared.web.events import BATCH, JSON, ONE, cloud_event, read_events

BODIES = Path(__file__).with_name("bodies")
ARRIVED = datetime(2024, 3, 1, tzinfo=UTC)
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
PUBLISHED = Event(
    "5f2b9e0c",
    "//mlengine/predict",
    "predictions.made",
    datetime(2024, 2, 29, 12, 30, 0, 123456, tzinfo=UTC),
    {"prediction_id": "5f2b9e0c", "symbol": "ABC", "note": "é🙂"},
    {"traceparent": TRACE},
)
PUBSUB = "//pubsub.googleapis.com"


def names(*, plain: bool) -> list[str]:
    found = sorted(file.stem for file in BODIES.glob("*.json"))
    return [name for name in found if name.startswith("plain_") is plain]


def delivered(name: str, topic: str | None) -> Event:
    """What one recorded delivery brings."""
    recorded = json.loads((BODIES / f"{name}.json").read_text())
    headers = {key.lower().encode(): value.encode() for key, value in recorded["headers"].items()}
    (event,) = read_events(recorded["body"].encode(), headers, topic=topic, arrived_at=ARRIVED)
    return event


def read(body: Any, topic: str | None = "t", **headers: str | bytes) -> list[Event]:
    """Read a body; `content_type` and the like are headers."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    encoded = {
        name.replace("_", "-").encode(): value if isinstance(value, bytes) else value.encode()
        for name, value in headers.items()
    }
    return read_events(content, encoded, topic=topic, arrived_at=ARRIVED)


def wrapped(data: bytes, **more: Any) -> dict[str, Any]:
    message = {
        "data": base64.b64encode(data).decode(),
        "messageId": "7",
        "publishTime": "2024-01-02T03:04:05Z",
    }
    return {"subscription": "projects/p/subscriptions/s", "message": {**message, **more}}


@pytest.mark.parametrize("name", names(plain=False))
def test_every_recorded_form_of_an_event_gives_what_was_published(name: str) -> None:
    event = delivered(name, "predictions.made")
    if "dead_letter" in name:
        told = {
            DEAD_LETTER_SUBSCRIPTION: event.attributes[DEAD_LETTER_SUBSCRIPTION],
            DEAD_LETTER_ATTEMPTS: "5",
        }
        assert event.attributes == {**PUBLISHED.attributes, **told}
        assert told[DEAD_LETTER_SUBSCRIPTION] in ("audit", "pull")
    else:
        assert event.attributes == PUBLISHED.attributes
    assert (event.id, event.source, event.type) == (PUBLISHED.id, PUBLISHED.source, PUBLISHED.type)
    assert (event.time, event.data) == (PUBLISHED.time, PUBLISHED.data)


def test_the_recorded_forms_are_those_that_there_are() -> None:
    listed = (BODIES / "README.md").read_text()
    for name in names(plain=False):
        assert f"`{name}.json`" in listed or name.startswith("cloudevents_")
    assert len(names(plain=False)) == 11
    assert len(names(plain=True)) == 3


@pytest.mark.parametrize("name", names(plain=True))
def test_a_message_that_is_no_event_becomes_one_of_the_topic(name: str) -> None:
    time = datetime(2024, 2, 29, 22, 30, 0, 500_000, tzinfo=UTC)
    expected = Event("7001", f"{PUBSUB}/candles.requested", "candles.requested", time, {"symbols": ["ABC"]})
    assert delivered(name, "candles.requested") == expected


def test_eventarc_knows_the_topic_better_than_the_function() -> None:
    assert delivered("plain_eventarc", None).type == "candles.requested"
    assert delivered("plain_eventarc", "predictions.made").type == "candles.requested"
    assert delivered("plain_wrapped", None).type == PLAIN_TYPE


def test_plain_json_is_an_event_of_the_topic_that_is_the_same_when_it_comes_again() -> None:
    (first,) = read({"symbols": ["ABC"]}, content_type="application/json")
    (again,) = read({"symbols": ["ABC"]}, content_type="application/json")
    (other,) = read({"symbols": ["ABD"]}, content_type="application/json")
    assert (first.type, first.time, first.data) == ("t", ARRIVED, {"symbols": ["ABC"]})
    assert first == again
    assert first.id != other.id


def test_plain_json_may_have_members_of_any_name() -> None:
    for data in ({"message": "hello", "x": 1}, {"subscription": "s"}, {"data": "e30="}, {}):
        assert read(data, content_type="application/json")[0].data == data


def test_what_is_published_is_what_is_read() -> None:
    (event,) = read({"message": {**message_of(PUBLISHED), "messageId": "1"}}, content_type="application/json")
    assert event == PUBLISHED
    assert read(cloud_event(PUBLISHED), content_type=ONE) == [PUBLISHED]
    assert read([cloud_event(PUBLISHED)] * 3, content_type=BATCH) == [PUBLISHED] * 3
    assert read([], content_type=BATCH) == []


def test_headers_of_a_binary_event_are_percent_decoded_and_those_of_pubsub_are_not() -> None:
    given = {"ce_specversion": "1.0", "ce_source": "//t", "ce_type": "t", "ce_id": "50%25%20%C3%A9"}
    (binary,) = read({}, content_type="application/json", **given)
    (unwrapped,) = read({}, x_goog_pubsub_message_id="1", ce_time="2024-01-02T03:04:05Z", **given)
    assert (binary.id, binary.time) == ("50% é", ARRIVED)
    assert unwrapped.id == "50%25%20%C3%A9"


def test_an_unwrapped_dead_letter_keeps_what_pubsub_says_of_it() -> None:
    (event,) = read(
        {},
        DEAD_LETTERS,
        x_goog_pubsub_message_id="9",
        x_goog_pubsub_publish_time="2024-01-02T03:04:05Z",
        cloudpubsubdeadlettersourcesubscription="fetch",
        cloudpubsubdeadlettersourcedeliverycount="5",
        cloudpubsubdeadlettersourcetopicpublishtime="2024-01-01T00:00:00+00:00",
    )
    assert event.attributes == {DEAD_LETTER_SUBSCRIPTION: "fetch", DEAD_LETTER_ATTEMPTS: "5"}
    assert event.time == datetime(2024, 1, 1, tzinfo=UTC)


def test_extensions_have_the_spelling_of_cloudevents() -> None:
    event = {**cloud_event(PUBLISHED), "sampled": True, "times": 3, "subject": "ABC"}
    (found,) = read(event, content_type=ONE)
    assert found.attributes == {"traceparent": TRACE, "sampled": "true", "times": "3", "subject": "ABC"}


@pytest.mark.parametrize("data", [b"not JSON", b"[1, 2]", b"", b"\xff\xfe", b"[" * 100_000])
def test_a_dead_letter_that_is_no_event_is_kept_as_it_is(data: bytes) -> None:
    attributes = {"CloudPubSubDeadLetterSourceSubscription": "fetch", "ce-id": "e1"}
    body = wrapped(data, attributes=attributes)
    (event,) = read(body, DEAD_LETTERS, content_type="application/json")
    assert (event.id, event.type) == ("e1", UNREADABLE)
    assert event.data == {"data": base64.b64encode(data).decode(), "attributes": attributes}
    assert event.attributes[DEAD_LETTER_SUBSCRIPTION] == "fetch"
    assert event.attributes[DEAD_LETTER_REASON]
    with pytest.raises(CallerError):
        read(body, "candles.requested", content_type="application/json")


CE = {"ce_specversion": "1.0", "ce_id": "1", "ce_source": "//s", "ce_type": "t"}
PLAIN = {"content_type": "application/json"}


@pytest.mark.parametrize(
    ("body", "headers", "error", "told"),
    [
        (b"{}", {}, UnsupportedMediaType, "found nothing"),
        (b"{}", {"content_type": "text/plain"}, UnsupportedMediaType, "text/plain"),
        (b"{}", {"content_type": "text/plain", **CE}, UnsupportedMediaType, "text/plain"),
        (b"", PLAIN, MalformedRequest, "JSON"),
        (b"{", PLAIN, MalformedRequest, "JSON"),
        (b"[" * 100_000, PLAIN, MalformedRequest, "JSON"),
        (b"\xff", PLAIN, MalformedRequest, "JSON"),
        (b'{"x": NaN}', PLAIN, MalformedRequest, "JSON"),
        (b'"\\ud800"', PLAIN, MalformedRequest, "JSON"),
        (b"3", PLAIN, InvalidInput, "object, found int"),
        (b"[]", PLAIN, InvalidInput, "object, found list"),
        ({"message": 3}, PLAIN, InvalidInput, "/message"),
        ({"message": {}}, PLAIN, InvalidInput, "/message/messageId"),
        ({"message": {"messageId": "1", "data": 3}}, PLAIN, InvalidInput, "/message/data"),
        ({"message": {"messageId": "1", "data": "e3"}}, PLAIN, MalformedRequest, "base64"),
        ({"message": {"messageId": "1", "data": "é"}}, PLAIN, MalformedRequest, "base64"),
        ({"message": {"messageId": "1", "publishTime": "soon"}}, PLAIN, InvalidInput, "publishTime"),
        (wrapped(b"x"), PLAIN, MalformedRequest, "JSON"),
        (wrapped(b"3"), PLAIN, InvalidInput, "object"),
        (wrapped(b"{}", attributes={"ce-id": "1"}), PLAIN, InvalidInput, "ce-specversion"),
        (wrapped(b"{}", attributes={"a": 1}), PLAIN, InvalidInput, "/message/attributes/a"),
        ({}, {"content_type": ONE}, InvalidInput, "/specversion"),
        ({**cloud_event(PUBLISHED), "id": 3}, {"content_type": ONE}, InvalidInput, "/id"),
        ({**cloud_event(PUBLISHED), "id": ""}, {"content_type": ONE}, InvalidInput, "/id"),
        ({**cloud_event(PUBLISHED), "time": "soon"}, {"content_type": ONE}, InvalidInput, "'soon'"),
        ({**cloud_event(PUBLISHED), "time": "2024-01-01"}, {"content_type": ONE}, InvalidInput, "offset"),
        ({**cloud_event(PUBLISHED), "x": {"y": 1}}, {"content_type": ONE}, InvalidInput, "/x"),
        ({**cloud_event(PUBLISHED), "specversion": "0.3"}, PLAIN, InvalidInput, "/specversion"),
        ({**cloud_event(PUBLISHED), "type": PLAIN_TYPE}, {"content_type": ONE}, InvalidInput, "/message"),
        ([3], {"content_type": BATCH}, InvalidInput, "/0"),
        ({}, {"content_type": BATCH}, InvalidInput, "array"),
        (b"{}", {**PLAIN, "ce_id": "1"}, InvalidInput, "ce-specversion, ce-source, ce-type"),
        (b"{}", {**PLAIN, **CE, "ce_id": "%FF"}, MalformedRequest, "ce-id"),
        (b"{}", {**PLAIN, **CE, "ce_id": b"\xff"}, MalformedRequest, "ce-id"),
        (b"x", {**PLAIN, **CE}, MalformedRequest, "JSON"),
        (b"x", {"x_goog_pubsub_message_id": "1"}, MalformedRequest, "JSON"),
        (
            b"{}",
            {"x_goog_pubsub_message_id": "1", "x_goog_pubsub_publish_time": "x"},
            InvalidInput,
            "RFC 3339",
        ),
    ],
)
def test_garbage_is_refused_in_words(
    body: Any, headers: dict[str, Any], error: type[CallerError], told: str
) -> None:
    with pytest.raises(error) as refused:
        read(body, **headers)
    assert told in refused.value.detail


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
members = st.sampled_from(
    [
        *("specversion", "id", "source", "type", "time", "data", "message", "subscription", "messageId"),
        *("publishTime", "attributes", "deliveryAttempt", "ce-id", "ce-time", "ce-specversion"),
    ]
)
texts = st.text() | st.sampled_from(
    ["1.0", PLAIN_TYPE, "2024-01-01T00:00:00Z", "e30=", "0001-01-01T00:00+14:00"]
)
shaped = st.recursive(
    json_values | texts,
    lambda inner: st.dictionaries(members, inner, max_size=6) | st.lists(inner, max_size=2),
    max_leaves=12,
)
media = st.sampled_from([ONE, BATCH, JSON, b"", b"text/plain", b"application/json; charset=x"])
header_names = st.sampled_from(
    [
        *(b"ce-id", b"ce-source", b"ce-type", b"ce-specversion", b"ce-time", b"ce-data", b"ce-x", b"ce-"),
        *(b"x-goog-pubsub-message-id", b"x-goog-pubsub-publish-time"),
        b"cloudpubsubdeadlettersourcetopicpublishtime",
    ]
)
header_values = st.binary(max_size=20) | texts.map(lambda text: text.encode(errors="replace"))


@given(
    body=st.binary(max_size=100) | shaped.map(lambda value: json.dumps(value).encode()),
    media=media,
    headers=st.dictionaries(header_names, header_values, max_size=6),
    topic=st.sampled_from([None, "predictions.made", DEAD_LETTERS]),
)
def test_whatever_comes_is_events_or_a_refusal(
    body: bytes, media: bytes, headers: dict[bytes, bytes], topic: str | None
) -> None:
    try:
        events = read_events(body, {b"content-type": media, **headers}, topic=topic, arrived_at=ARRIVED)
    except CallerError:
        return
    for event in events:
        assert event.id
        assert event.source
        assert event.type
        assert event.time.tzinfo is not None
        json.dumps(cloud_event(event))
        "".join((event.id, event.source, event.type, *event.attributes.values())).encode()
