"""Events as they arrive over HTTP: CloudEvents 1.0, structured, one or a batch."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from shared.errors import UnsupportedMediaType
from shared.platform.ports import Event
from shared.web.problem import invalid

ONE = b"application/cloudevents+json"
BATCH = b"application/cloudevents-batch+json"
_REQUIRED = frozenset({"specversion", "id", "source", "type", "time", "data", "datacontenttype"})


class _CloudEvent(BaseModel):
    model_config = ConfigDict(extra="allow", defer_build=True)

    specversion: str
    id: str
    source: str
    type: str
    time: datetime
    data: dict[str, Any]

    def as_event(self) -> Event:
        extensions = {k: str(v) for k, v in (self.model_extra or {}).items() if k not in _REQUIRED}
        return Event(self.id, self.source, self.type, self.time, self.data, extensions)


def read_events(body: bytes, headers: Mapping[bytes, bytes]) -> list[Event]:
    """The events of one delivery.

    Raises:
        UnsupportedMediaType, MalformedRequest, InvalidInput
    """
    content_type = headers.get(b"content-type", b"").split(b";")[0].strip().lower()
    try:
        if content_type == BATCH:
            return [e.as_event() for e in TypeAdapter(list[_CloudEvent]).validate_json(body)]
        if content_type == ONE:
            return [_CloudEvent.model_validate_json(body).as_event()]
    except ValidationError as error:
        raise invalid(error, in_query=False) from error
    found = content_type.decode("latin-1") or "nothing"
    raise UnsupportedMediaType(f"Events are taken as {ONE.decode()} or {BATCH.decode()}, found {found}.")


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
