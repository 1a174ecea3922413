"""Topics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from shared.platform.ports.values import Data


@dataclass(frozen=True, slots=True)
class Event:
    """A CloudEvent 1.0. `source` + `id` identify it for ever: handlers drop what they have seen."""

    id: str
    source: str
    type: str
    time: datetime
    data: Data
    attributes: Mapping[str, str] = field(default_factory=dict)


class Events(Protocol):
    """Topics with at-least-once delivery: retried with backoff, then dead-lettered with the reason."""

    def publish(self, topic: str, events: Sequence[Event]) -> None:
        """Returns once all are durable. Order of delivery isn't promised.

        Raises:
            NotFound: no such topic.
            InvalidInput: an event that isn't JSON.
        """
        ...
