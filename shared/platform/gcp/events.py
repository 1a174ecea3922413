"""Events on Pub/Sub: published over REST, since every answered prediction waits for it."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence

from shared.errors import ConfigurationError, InvalidInput, NotFound, PlatformUnavailable
from shared.platform.gcp.project import Project
from shared.platform.gcp.rest import GoogleRest, service_message
from shared.platform.messages import message_of
from shared.platform.ports import Event

MAX_MESSAGES = 1000
MAX_CALL_BYTES = 9_000_000
"""Pub/Sub takes ten millions in a call, and counts more than the messages' own bytes."""

_FRAME = b'{"messages":[', b"]}"
_HEADERS = {"content-type": "application/json"}


class PubsubEvents:
    """The Events port on Pub/Sub. What is published by several calls may end up published in part: the
    caller hears of it and publishes all again, as delivery is at least once anyway.
    """

    def __init__(self, project: Project, rest: GoogleRest, topics: Collection[str]) -> None:
        """`topics` are those that may be published on."""
        self._project = project
        self._rest = rest
        self._topics = topics

    def publish(self, topic: str, events: Sequence[Event]) -> None:
        if topic not in self._topics:
            raise NotFound(f"There is no topic {topic!r}; there are {', '.join(sorted(self._topics))}.")
        messages = [json.dumps(message_of(event), separators=(",", ":")).encode() for event in events]
        for call in _calls(messages):
            self._publish(topic, call)

    def _publish(self, topic: str, messages: Sequence[bytes]) -> None:
        response = self._rest.call(
            "POST",
            f"{self._project.pubsub_url}/v1/projects/{self._project.id}/topics/{topic}:publish",
            content=b",".join(messages).join(_FRAME),
            headers=_HEADERS,
        )
        if response.status_code == 404:
            raise ConfigurationError(  # whoever asked for a prediction can't help it
                f"There is no topic {topic!r} in the project {self._project.id}: "
                f"it hasn't been set up there ({service_message(response)})."
            )
        if response.status_code in (400, 413):
            raise InvalidInput(f"Pub/Sub refuses the events for {topic!r}: {service_message(response)}.")
        if response.status_code != 200:
            raise PlatformUnavailable(
                f"Pub/Sub answered {response.status_code} to a publication on {topic!r}: "
                f"{service_message(response)}."
            )


def _calls(messages: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """`messages` in order, as many together as one call takes."""
    batch: list[bytes] = []
    size = 0
    for message in messages:
        if batch and (len(batch) == MAX_MESSAGES or size + len(message) + 1 > MAX_CALL_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(message)
        size += len(message) + 1
    if batch:
        yield batch
