"""Events as they arrive over HTTP, whoever delivers them: one normaliser for every form.

==================================  =====================================================================
CloudEvents, structured             `application/cloudevents+json`, one, or `-batch+json`, many
CloudEvents, binary                 `ce-*` headers, the data as the body
Pub/Sub's push                      `{"message": ..., "subscription": ...}`
Pub/Sub's push, unwrapped           the data as the body; the attributes as headers where metadata is on
Eventarc                            a CloudEvent of Pub/Sub's whose data is what Pub/Sub's push has
plain JSON                          the data as the body, and nothing else
==================================  =====================================================================

The identity of what was published wins over that of what carried it: the same event is the same in
every form. Plain JSON has none; its id is made of its bytes, so that it is the same when it comes again.
"""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final, Literal
from urllib.parse import unquote

import pydantic_core
from pydantic import AliasChoices, AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from shared.errors import EngineError, InvalidInput, MalformedRequest, UnsupportedMediaType
from shared.platform.messages import DEAD_LETTER_ATTRIBUTES, PLAIN_TYPE, event_of
from shared.platform.ports import Event
from shared.platform.topics import DEAD_LETTER_REASON, DEAD_LETTERS, UNREADABLE
from shared.web.problem import invalid

ONE = b"application/cloudevents+json"
BATCH = b"application/cloudevents-batch+json"
JSON = b"application/json"

PLAIN_SOURCE: Final = "//mlengine/plain"

_CORE = frozenset({"specversion", "id", "source", "type", "time", "data", "datacontenttype"})
_MESSAGE_ID = b"x-goog-pubsub-message-id"
_PUBLISHED = b"x-goog-pubsub-publish-time"
_FIRST_PUBLISHED = "CloudPubSubDeadLetterSourceTopicPublishTime"
_PUSH = frozenset({"message", "subscription", "deliveryAttempt"})
_ATTRIBUTES = {name.lower(): name for name in (*DEAD_LETTER_ATTRIBUTES, _FIRST_PUBLISHED)}
"""Headers have small letters only; these attributes have others too."""


class _CloudEvent(BaseModel):
    model_config = ConfigDict(extra="allow", defer_build=True)
    __pydantic_extra__: dict[str, str | int | bool] = Field(init=False)

    specversion: Literal["1.0"]
    id: Annotated[str, Field(min_length=1)]
    source: Annotated[str, Field(min_length=1)]
    type: Annotated[str, Field(min_length=1)]
    time: str | None = None
    data: dict[str, Any]

    def as_event(self, arrived_at: datetime) -> Event:
        extensions = {k: _attribute(v) for k, v in (self.__pydantic_extra__ or {}).items() if k not in _CORE}
        time = arrived_at if self.time is None else _time(self.time)
        return Event(self.id, self.source, self.type, time, self.data, extensions)


class _Message(BaseModel):
    """What Pub/Sub delivers. It says some things twice, in two spellings."""

    model_config = ConfigDict(defer_build=True)

    data: str = ""
    attributes: dict[str, str] = Field(default_factory=dict)
    message_id: str = Field(min_length=1, validation_alias=AliasChoices("messageId", "message_id"))
    published_at: AwareDatetime | None = Field(
        None, validation_alias=AliasChoices("publishTime", "publish_time")
    )

    def as_event(self, topic: str | None, arrived_at: datetime) -> Event:
        published_at = self.published_at or arrived_at
        try:
            return _event_of(self._bytes(), self.attributes, self.message_id, published_at, topic)
        except EngineError as error:
            if topic == DEAD_LETTERS:  # given up because nobody can read it: all the more must it be kept
                return self._unreadable(error, published_at)
            raise

    def _bytes(self) -> bytes:
        try:
            return base64.b64decode(self.data, validate=True)
        except (binascii.Error, ValueError) as error:
            raise MalformedRequest(f"The message's data must be base64: {error}.") from error

    def _unreadable(self, error: EngineError, published_at: datetime) -> Event:
        told = {
            DEAD_LETTER_ATTRIBUTES[n]: v for n, v in self.attributes.items() if n in DEAD_LETTER_ATTRIBUTES
        }
        return Event(
            id=self.attributes.get("ce-id") or self.message_id,
            source=self.attributes.get("ce-source") or PLAIN_SOURCE,
            type=UNREADABLE,
            time=published_at,
            data={"data": self.data, "attributes": self.attributes},
            attributes={**told, DEAD_LETTER_REASON: error.detail},
        )


class _Push(BaseModel):
    model_config = ConfigDict(defer_build=True)

    message: _Message


def read_events(
    body: bytes, headers: Mapping[bytes, bytes], *, topic: str | None, arrived_at: datetime
) -> list[Event]:
    """The events of one delivery to who takes `topic`.

    An event that doesn't say its type is of that topic; one that doesn't say its time is of its arrival.
    On the topic of dead letters a message that is no event becomes one of type `UNREADABLE`.

    Raises:
        UnsupportedMediaType, MalformedRequest, InvalidInput
    """
    media = headers.get(b"content-type", b"").split(b";")[0].strip().lower()
    try:
        if media == BATCH:
            return [_opened(event, topic, arrived_at) for event in _batch().validate_json(body)]
        if media == ONE:
            return [_opened(_CloudEvent.model_validate_json(body), topic, arrived_at)]
        if _MESSAGE_ID in headers:
            return [_unwrapped(body, headers, topic, arrived_at)]
        if any(name.startswith(b"ce-") for name in headers):
            return [_binary(body, headers, media, topic, arrived_at)]
        if media == JSON:
            return [_of_json(body, topic, arrived_at)]
    except ValidationError as error:
        raise invalid(error, in_query=False) from error
    taken = ", ".join(known.decode() for known in (ONE, BATCH, JSON))
    found = media.decode("latin-1") or "nothing"
    raise UnsupportedMediaType(f"Events are taken as {taken}, or with ce-* headers; found {found}.")


def cloud_event(event: Event) -> dict[str, Any]:
    """The structured form of `event`, ready for JSON."""
    return {
        "specversion": "1.0",
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "time": event.time.isoformat(),
        "datacontenttype": "application/json",
        **event.attributes,
        "data": dict(event.data),
    }


@functools.cache
def _batch() -> TypeAdapter[list[_CloudEvent]]:
    return TypeAdapter(list[_CloudEvent])


def _opened(outer: _CloudEvent, topic: str | None, arrived_at: datetime) -> Event:
    """Eventarc's events carry the one that was published; all others are it."""
    if outer.type != PLAIN_TYPE:
        return outer.as_event(arrived_at)
    _, _, named = outer.source.rpartition("/topics/")
    return _Push.model_validate(outer.data).message.as_event(named or topic, arrived_at)


def _binary(
    body: bytes, headers: Mapping[bytes, bytes], media: bytes, topic: str | None, arrived_at: datetime
) -> Event:
    if media != JSON and not media.endswith(b"+json"):
        found = media.decode("latin-1") or "nothing"
        raise UnsupportedMediaType(f"An event's data is taken as {JSON.decode()}, found {found}.")
    attributes = {
        name[3:].decode("latin-1"): _percent_decoded(name, value)
        for name, value in headers.items()
        if name.startswith(b"ce-")
    }
    missing = [f"ce-{name}" for name in ("specversion", "id", "source", "type") if not attributes.get(name)]
    if missing:
        raise InvalidInput(f"An event in binary form has these headers too: {', '.join(missing)}.")
    outer = _CloudEvent.model_validate({**attributes, "data": _object(body)})
    return _opened(outer, topic, arrived_at)


def _unwrapped(body: bytes, headers: Mapping[bytes, bytes], topic: str | None, arrived_at: datetime) -> Event:
    named = {name.decode("latin-1"): _text(name, value) for name, value in headers.items()}
    attributes = {n: v for n, v in named.items() if n.startswith("ce-")}
    attributes |= {known: named[n] for n, known in _ATTRIBUTES.items() if n in named}
    published = named.get(_PUBLISHED.decode())
    return _event_of(
        body,
        attributes,
        named[_MESSAGE_ID.decode()] or _made_of(body),
        arrived_at if published is None else _time(published),
        topic,
    )


def _of_json(body: bytes, topic: str | None, arrived_at: datetime) -> Event:
    found = _object(body)
    if "message" in found and found.keys() <= _PUSH:
        return _Push.model_validate(found).message.as_event(topic, arrived_at)
    if "specversion" in found:
        return _opened(_CloudEvent.model_validate(found), topic, arrived_at)
    return Event(_made_of(body), PLAIN_SOURCE, topic or PLAIN_TYPE, arrived_at, found)


def _event_of(
    data: bytes,
    attributes: Mapping[str, str],
    message_id: str,
    published_at: datetime,
    topic: str | None,
) -> Event:
    """A dead letter was published twice; what counts is when the event was."""
    first = attributes.get(_FIRST_PUBLISHED)
    return event_of(
        data,
        attributes,
        message_id=message_id,
        published_at=published_at if first is None else _time(first),
        topic=topic,
    )


def _made_of(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:32]


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = pydantic_core.from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise MalformedRequest(f"The body must be JSON: {error}.") from error
    if not isinstance(found, dict):
        raise InvalidInput(f"The body must be a JSON object, found {type(found).__name__}.")
    return found


def _attribute(value: str | int | bool) -> str:
    """In CloudEvents' own spelling."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _time(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise InvalidInput(f"An event's time must be RFC 3339 with an offset, found {text[:80]!r}.")
    return found


def _text(name: bytes, value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise MalformedRequest(f"The header {name.decode('latin-1')} must be UTF-8: {error}.") from error


def _percent_decoded(name: bytes, value: bytes) -> str:
    """Source: CloudEvents, HTTP protocol binding 1.0.2, section 3.1.3.2."""
    try:
        return unquote(_text(name, value), errors="strict")
    except UnicodeDecodeError as error:
        raise MalformedRequest(f"The header {name.decode()} must be percent-encoded UTF-8.") from error
