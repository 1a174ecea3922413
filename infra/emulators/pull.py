"""Takes events from a Pub/Sub subscription by pulling: what BigQuery does with its own in the cloud."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from infra.local.warehouse import Taken
from shared.errors import EngineError, PlatformUnavailable
from shared.logs import LOGGER
from shared.platform.gcp.project import Project
from shared.platform.gcp.rest import GoogleRest, service_message
from shared.platform.messages import event_of


class PullSource:
    """The warehouse's events on the Pub/Sub emulator. What isn't acknowledged comes again."""

    def __init__(self, project: Project, rest: GoogleRest, subscription: str) -> None:
        self._url = f"{project.pubsub_url}/v1/projects/{project.id}/subscriptions/{subscription}"
        self._rest = rest
        self._subscription = subscription

    def claim(self, limit: int) -> Sequence[Taken]:
        answer = self._call("pull", {"maxMessages": limit, "returnImmediately": True})
        return [taken for one in answer.get("receivedMessages", ()) if (taken := self._taken(one))]

    def ack(self, handles: Sequence[str]) -> None:
        if handles:
            self._call("acknowledge", {"ackIds": list(handles)})

    def refuse(self, handle: str, reason: str) -> None:
        LOGGER.warning("event refused", extra={"facts": {"by": self._subscription, "why": reason}})
        self._call("modifyAckDeadline", {"ackIds": [handle], "ackDeadlineSeconds": 0})

    def _taken(self, received: dict[str, Any]) -> Taken | None:
        message = received["message"]
        try:
            event = event_of(
                base64.b64decode(message.get("data", "")),
                message.get("attributes", {}),
                message_id=message["messageId"],
                published_at=datetime.fromisoformat(message["publishTime"]),
                topic=None,
            )
        except EngineError as error:
            self.refuse(received["ackId"], error.detail)
            return None
        return Taken(received["ackId"], event)

    def _call(self, verb: str, body: dict[str, Any]) -> dict[str, Any]:
        response = self._rest.call("POST", f"{self._url}:{verb}", json=body)
        if response.status_code != 200:
            raise PlatformUnavailable(f"Pub/Sub {verb} of {self._subscription}: {service_message(response)}")
        answer: dict[str, Any] = response.json()
        return answer
