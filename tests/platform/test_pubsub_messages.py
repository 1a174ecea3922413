from __future__ import annotations

import base64
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import CallerError, InvalidInput, MalformedRequest
from shared.platform.messages import PLAIN_TYPE, event_of, message_of
from shared.platform.ports import Event
from shared.platform.topics import DEAD_LETTER_ATTEMPTS, DEAD_LETTER_SUBSCRIPTION

PUBLISHED = datetime(2024, 3, 1, tzinfo=UTC)
SENT = Event(
    "5f2b9e0c",
    "//mlengine/predict",
    "predictions.made",
    datetime(2024, 2, 29, 12, 30, 0, 123456, tzinfo=UTC),
    {"symbol": "ABC", "note": "é🙂"},
    {"traceparent": "00-1-2-01"},
)
CORE = {
    "ce-specversion": "1.0",
    "ce-id": "1",
    "ce-source": "//test",
    "ce-type": "test.happened",
    "ce-time": "2024-02-29T12:30:00Z",
}


def received(data: bytes = b"{}", attributes: dict[str, str] = CORE, **more: Any) -> Event:
    return event_of(
        data, attributes, **{"message_id": "77", "published_at": PUBLISHED, "topic": None, **more}
    )


def test_a_message_is_a_cloud_event_in_binary_mode() -> None:
    message = message_of(SENT)
    assert message["attributes"] == {
        "ce-specversion": "1.0",
        "ce-id": "5f2b9e0c",
        "ce-source": "//mlengine/predict",
        "ce-type": "predictions.made",
        "ce-time": "2024-02-29T12:30:00.123456+00:00",
        "content-type": "application/json",
        "ce-traceparent": "00-1-2-01",
    }
    assert json.loads(base64.b64decode(message["data"])) == SENT.data
    assert json.loads(json.dumps(message)) == message


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=3)
    ),
    max_leaves=8,
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=250)


@given(
    st.builds(
        Event,
        TEXT,
        TEXT,
        TEXT,
        st.datetimes(timezones=st.just(UTC)),
        st.dictionaries(TEXT, JSON, max_size=4),
        st.dictionaries(st.from_regex(r"x[a-z0-9]{0,20}", fullmatch=True), TEXT, max_size=4),
    )
)
def test_what_is_sent_is_what_is_received(event: Event) -> None:
    message = json.loads(json.dumps(message_of(event)))
    assert received(base64.b64decode(message["data"]), message["attributes"]) == event


def test_a_message_of_somebody_elses_becomes_an_event() -> None:
    assert received(b'{"a": 1}', {"some": "attribute"}, topic="candles.requested") == Event(
        "77", "//pubsub.googleapis.com/candles.requested", "candles.requested", PUBLISHED, {"a": 1}
    )
    assert received(b'{"a": 1}', {}) == Event(
        "77", "//pubsub.googleapis.com/unknown", PLAIN_TYPE, PUBLISHED, {"a": 1}
    )


@pytest.mark.parametrize("attributes", [CORE, {}])
def test_what_pubsub_says_of_a_dead_letter_becomes_extension_attributes(attributes: dict[str, str]) -> None:
    added = {
        "CloudPubSubDeadLetterSourceSubscription": "audit",
        "CloudPubSubDeadLetterSourceSubscriptionProject": "test-x",
        "CloudPubSubDeadLetterSourceDeliveryCount": "5",
        "CloudPubSubDeadLetterSourceTopicPublishTime": "2024-02-29T12:30:00.123Z",
    }
    told = {DEAD_LETTER_SUBSCRIPTION: "audit", DEAD_LETTER_ATTEMPTS: "5"}
    assert received(attributes={**attributes, **added}).attributes == told
    before = {"ce-deadlettersubscription": "long ago", "ce-traceparent": "00"}
    if attributes:
        found = received(attributes={**attributes, **before, **added})
        assert found.attributes == {**told, "traceparent": "00"}


def test_an_event_without_a_time_has_that_of_its_publication() -> None:
    without = {name: value for name, value in CORE.items() if name != "ce-time"}
    assert received(attributes=without).time == PUBLISHED
    east = timezone(timedelta(hours=2))
    assert received(attributes={**CORE, "ce-time": "2024-02-29T14:30:00+02:00"}).time == datetime(
        2024, 2, 29, 14, 30, tzinfo=east
    )
    assert (
        received(attributes={**CORE, "ce-time": "2024-02-29T12:30:00.123456789Z"}).time.microsecond == 123456
    )


@pytest.mark.parametrize(
    ("data", "kind", "words"),
    [
        (b"", MalformedRequest, "must be a JSON object"),
        (b"{", MalformedRequest, "must be a JSON object"),
        (b"\xff\xfe\xfd", MalformedRequest, "must be a JSON object"),
        (b'{"a": NaN}', MalformedRequest, "NaN isn't a JSON number"),
        (b"[" * 100_000, MalformedRequest, "must be a JSON object"),
        (b"[1]", InvalidInput, "must be a JSON object, found list"),
        (b"null", InvalidInput, "found NoneType"),
        (b'"text"', InvalidInput, "found str"),
    ],
)
def test_data_that_is_no_object_is_refused(data: bytes, kind: type[CallerError], words: str) -> None:
    for attributes in (CORE, {}):
        with pytest.raises(kind, match=words) as caught:
            received(data, attributes)
        assert len(caught.value.detail) < 400
        assert "'77'" in caught.value.detail


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ce-specversion": "0.3"}, "ce-specversion 1.0, found '0.3'"),
        ({"ce-specversion": None}, "ce-specversion 1.0, found None"),
        ({"ce-id": None}, "must have the attribute ce-id"),
        ({"ce-source": ""}, "must have the attribute ce-source"),
        ({"ce-type": None}, "must have the attribute ce-type"),
        ({"ce-time": "yesterday"}, "found 'yesterday'"),
        ({"ce-time": "2024-02-29T12:30:00"}, "with an offset"),
    ],
)
def test_attributes_that_make_no_event_are_refused(change: dict[str, str | None], words: str) -> None:
    attributes = {name: value for name, value in {**CORE, **change}.items() if value is not None}
    with pytest.raises(InvalidInput, match=words):
        received(attributes=attributes)


def test_a_message_that_nobody_knows_the_time_of_is_refused() -> None:
    with pytest.raises(InvalidInput, match="must say when it happened"):
        received(attributes={}, published_at=None)


def test_it_stays_light() -> None:
    heavy = {"pydantic", "httpx", "google.auth", "google.api_core", "sqlite3", "grpc", "asyncio"}
    code = "import sys, shared.platform.messages; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert heavy & set(found.stdout.split()) == set()
