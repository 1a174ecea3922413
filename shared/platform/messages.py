"""Events as Pub/Sub messages: the CloudEvents binding in binary mode, `ce-*` attributes and JSON data.

https://github.com/googleapis/google-cloudevents/blob/main/docs/spec/pubsub.md
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from shared.errors import InvalidInput, MalformedRequest
from shared.platform.encoding import to_json
from shared.platform.ports import Event
from shared.platform.topics import DEAD_LETTER_ATTEMPTS, DEAD_LETTER_SUBSCRIPTION

PLAIN_TYPE: Final = "google.cloud.pubsub.topic.v1.messagePublished"
"""The type of a message that isn't a CloudEvent, where nobody knows its topic."""

MAX_ATTRIBUTE_BYTES: Final = 1024
MAX_DATA_BYTES: Final = 6_000_000
"""As base64 it fits into one call to Pub/Sub."""

_PREFIX = "ce-"
_CORE = ("specversion", "id", "source", "type", "time")
_NAME = re.compile(r"[a-z0-9]{1,100}\Z")
_RESERVED = frozenset({*_CORE, "data", "datacontenttype"})
_MAX_EXTENSIONS = 80
DEAD_LETTER_ATTRIBUTES: Final[Mapping[str, str]] = {
    "CloudPubSubDeadLetterSourceSubscription": DEAD_LETTER_SUBSCRIPTION,
    "CloudPubSubDeadLetterSourceDeliveryCount": DEAD_LETTER_ATTEMPTS,
}
"""What Pub/Sub adds to a message that it gives up, and what we call it."""


def checked_data(event: Event) -> str:
    """The JSON of the event's data, after a check that every adapter can carry the event.

    Raises:
        InvalidInput: its data isn't JSON or has more than `MAX_DATA_BYTES`, or its attributes aren't
            CloudEvents' (names of small letters and digits) or Pub/Sub's (at most 1,024 bytes of text).
    """
    _check_attributes(event)
    data = to_json(event.data, what=f"The event {event.id}")
    if len(data) > MAX_DATA_BYTES or len(data.encode()) > MAX_DATA_BYTES:
        raise InvalidInput(
            f"The event {_shown(event.id)} holds {len(data.encode()):,} bytes of JSON; "
            f"at most {MAX_DATA_BYTES:,} are taken."
        )
    return data


def message_of(event: Event) -> dict[str, Any]:
    """The PubsubMessage of `event`, ready for JSON.

    Raises:
        InvalidInput: see `checked_data`.
    """
    return {
        "data": base64.b64encode(checked_data(event).encode()).decode("ascii"),
        "attributes": {
            "ce-specversion": "1.0",
            "ce-id": event.id,
            "ce-source": event.source,
            "ce-type": event.type,
            "ce-time": event.time.isoformat(),
            "content-type": "application/json",
            **{_PREFIX + name: value for name, value in event.attributes.items()},
        },
    }


def event_of(
    data: bytes,
    attributes: Mapping[str, str],
    *,
    message_id: str,
    published_at: datetime | None,
    topic: str | None,
) -> Event:
    """The event of a message as it was delivered.

    A message without `ce-*` attributes (from Cloud Scheduler, or somebody's own) becomes an event with the
    message's id; `topic`, where it is known, is its type. What Pub/Sub says of a dead letter becomes the
    extension attributes of `topics`.

    Raises:
        MalformedRequest: the data isn't JSON.
        InvalidInput: the data is JSON but no object, or an attribute is missing or makes no sense.
    """
    extensions = {ours: attributes[n] for n, ours in DEAD_LETTER_ATTRIBUTES.items() if n in attributes}
    if not any(name.startswith(_PREFIX) for name in attributes):
        return Event(
            id=message_id,
            source=f"//pubsub.googleapis.com/{topic or 'unknown'}",
            type=topic or PLAIN_TYPE,
            time=_time(None, published_at, message_id),
            data=_object(data, message_id),
            attributes=extensions,
        )
    found = {name[len(_PREFIX) :]: value for name, value in attributes.items() if name.startswith(_PREFIX)}
    if found.get("specversion") != "1.0":
        raise InvalidInput(
            f"The message {_shown(message_id)} must have the attribute ce-specversion 1.0, "
            f"found {_shown(found.get('specversion'))}."
        )
    for name in ("id", "source", "type"):
        if not found.get(name):
            raise InvalidInput(f"The message {_shown(message_id)} must have the attribute ce-{name}.")
    return Event(
        id=found["id"],
        source=found["source"],
        type=found["type"],
        time=_time(found.get("time"), published_at, message_id),
        data=_object(data, message_id),
        attributes={name: value for name, value in found.items() if name not in _RESERVED} | extensions,
    )


def _check_attributes(event: Event) -> None:
    if len(event.attributes) > _MAX_EXTENSIONS:
        raise InvalidInput(
            f"The event {_shown(event.id)} has {len(event.attributes)} extension attributes; "
            f"at most {_MAX_EXTENSIONS} are taken."
        )
    for name, value in event.attributes.items():
        if not _NAME.match(name) or name in _RESERVED:
            raise InvalidInput(
                f"The event {_shown(event.id)} has an extension attribute {_shown(name)}: expected small "
                f"letters and digits, and none of {', '.join(sorted(_RESERVED))}."
            )
        _check_value(event, name, value)
    for name in ("id", "source", "type"):
        value = getattr(event, name)
        if not value:
            raise InvalidInput(f"The event {_shown(event.id)} has no {name}.")
        _check_value(event, name, value)


def _check_value(event: Event, name: str, value: object) -> None:
    if not isinstance(value, str):
        raise InvalidInput(
            f"The event {_shown(event.id)} must have text as its {name}, found {type(value).__name__}."
        )
    try:
        size = len(value.encode())
    except UnicodeEncodeError as error:
        raise InvalidInput(f"The {name} of the event {_shown(event.id)} isn't text: {error}.") from error
    if size > MAX_ATTRIBUTE_BYTES:
        raise InvalidInput(
            f"The {name} of the event {_shown(event.id)} has {size:,} bytes; at most "
            f"{MAX_ATTRIBUTE_BYTES:,} are taken."
        )


def _time(text: str | None, published_at: datetime | None, message_id: str) -> datetime:
    if text is not None:
        try:
            found = datetime.fromisoformat(text)
        except ValueError:
            found = None
    else:
        found = published_at
    if found is None or found.tzinfo is None:
        raise InvalidInput(
            f"The message {_shown(message_id)} must say when it happened, in RFC 3339 with an offset "
            f"(ce-time, or the time it was published), found {_shown(text)}."
        )
    return found


def _object(data: bytes, message_id: str) -> dict[str, Any]:
    try:
        found = json.loads(data, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise MalformedRequest(
            f"The data of the message {_shown(message_id)} must be a JSON object: {error}; "
            f"found {_shown(data[:200].decode(errors='replace'))}."
        ) from error
    if not isinstance(found, dict):
        raise InvalidInput(
            f"The data of the message {_shown(message_id)} must be a JSON object, "
            f"found {type(found).__name__}."
        )
    return found


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} isn't a JSON number")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:80] + "..."
