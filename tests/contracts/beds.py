"""The consumers' side of the events, as the suite needs it: pull, acknowledge, hand back.

The twin claims from its own table, with a clock that the bed turns; Pub/Sub is pulled from over REST.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from infra.emulators.topology import provision
from shared.platform.gcp.events import PubsubEvents
from shared.platform.gcp.project import Project
from shared.platform.gcp.rest import GoogleRest
from shared.platform.local.events import SqliteEvents
from shared.platform.messages import event_of
from shared.platform.ports import Event
from tests.contracts.platforms import MAX_ATTEMPTS, NOW, SUBSCRIPTIONS, Place
from tests.emulators import project_in

LEASE_SECONDS = 30.0
ACK_SECONDS = 5
"""The emulator takes less than the real service."""


@dataclass(frozen=True)
class Taken:
    """A delivery; `receipt` is what `ack` and `fail` know it by."""

    subscription: str
    event: Event
    receipt: Any


class Bed(Protocol):
    def pull(self, subscription: str, limit: int = 100) -> Sequence[Taken]:
        """What can be had now: at most `limit`, and perhaps nothing."""
        ...

    def ack(self, taken: Sequence[Taken]) -> None:
        """These are handled."""
        ...

    def fail(self, taken: Sequence[Taken]) -> None:
        """These couldn't be handled: again, please."""
        ...

    def later(self) -> None:
        """Let pass the time after which what failed, or was left lying, comes again.

        Where time passes by itself this does nothing: look again until it comes.
        """
        ...


class LocalBed:
    def __init__(self, events: SqliteEvents, now: datetime) -> None:
        self._events = events
        self._now = now

    def pull(self, subscription: str, limit: int = 100) -> Sequence[Taken]:
        claimed = self._events.claim(subscription, limit, LEASE_SECONDS, self._now)
        return [Taken(subscription, delivery.event, delivery.id) for delivery in claimed]

    def ack(self, taken: Sequence[Taken]) -> None:
        self._events.ack([one.receipt for one in taken])

    def fail(self, taken: Sequence[Taken]) -> None:
        for one in taken:
            self._events.fail(one.receipt, "it was told to fail", self._now)

    def later(self) -> None:
        self._now += timedelta(seconds=LEASE_SECONDS)


class PubsubBed:
    def __init__(self, project: Project, rest: GoogleRest) -> None:
        self._project = project
        self._rest = rest

    def pull(self, subscription: str, limit: int = 100) -> Sequence[Taken]:
        answer = self._call(subscription, "pull", {"maxMessages": limit, "returnImmediately": True})
        return [_taken(subscription, received) for received in answer.get("receivedMessages", ())]

    def ack(self, taken: Sequence[Taken]) -> None:
        self._for_each_subscription(taken, "acknowledge", {})

    def fail(self, taken: Sequence[Taken]) -> None:
        self._for_each_subscription(taken, "modifyAckDeadline", {"ackDeadlineSeconds": 0})

    def later(self) -> None:
        pass

    def _for_each_subscription(self, taken: Sequence[Taken], verb: str, more: dict[str, Any]) -> None:
        for subscription in {one.subscription for one in taken}:
            receipts = [one.receipt for one in taken if one.subscription == subscription]
            self._call(subscription, verb, {"ackIds": receipts, **more})

    def _call(self, subscription: str, verb: str, body: dict[str, Any]) -> dict[str, Any]:
        root = f"{self._project.pubsub_url}/v1/projects/{self._project.id}"
        response = self._rest.call("POST", f"{root}/subscriptions/{subscription}:{verb}", json=body)
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer


def _taken(subscription: str, received: dict[str, Any]) -> Taken:
    message = received["message"]
    event = event_of(
        base64.b64decode(message.get("data", "")),
        message.get("attributes", {}),
        message_id=message["messageId"],
        published_at=datetime.fromisoformat(message["publishTime"]),
        topic=None,
    )
    return Taken(subscription, event, received["ackId"])


def bed_at(place: Place, now: datetime = NOW) -> Bed:
    """The bed of `place`, whose subscriptions are set up; where it has a clock, it stands at `now`."""
    events = place.events
    if isinstance(events, SqliteEvents):
        return LocalBed(events, now)
    assert isinstance(events, PubsubEvents)
    project = project_in(place.state)
    return PubsubBed(project, GoogleRest(project))


def set_up(place: Place) -> None:
    """Make the topics and subscriptions, where somebody has to."""
    if isinstance(place.events, PubsubEvents):
        provision(
            project_in(place.state),
            SUBSCRIPTIONS,
            None,
            ack_seconds=ACK_SECONDS,
            first_seconds=0.1,
            longest_seconds=0.1,
            max_attempts=MAX_ATTEMPTS,
        )
