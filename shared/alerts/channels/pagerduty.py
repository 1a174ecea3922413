"""PagerDuty, by its Events API v2. An alert is an incident: its id is the `dedup_key`."""

from __future__ import annotations

import json
from typing import Any, ClassVar, Final

from shared.alerts.channels.channel import ChannelSecret
from shared.alerts.hearing import shortened
from shared.alerts.posting import Poster
from shared.alerts.record import Kind, Notification
from shared.alerts.wording import closing, headline, paragraphs
from shared.config import Settings
from shared.platform.ports import Secrets

MAX_SUMMARY: Final = 1_024
"""What PagerDuty takes. Source: its reference of the Events API v2."""

_ACTIONS: Final = {Kind.RESOLVED: "resolve", Kind.ACKNOWLEDGED: "acknowledge"}


class PagerDutyChannel:
    holds_incidents: ClassVar[bool] = True

    def __init__(self, settings: Settings, secrets: Secrets) -> None:
        self._url = settings.pagerduty_events_url
        self._key = ChannelSecret("pagerduty-routing-key", settings.pagerduty_routing_key, secrets)
        self._poster = Poster(
            "PAGERDUTY_EVENTS_URL", is_insecure=settings.alert_insecure_targets, explains=True
        )

    def check(self) -> None:
        self._poster.check(self._url)
        self._key.value()

    async def send(self, notification: Notification) -> None:
        key = self._key.value()
        body = json.dumps(event(notification, key)).encode()
        await self._poster.post(self._url, body, {}, secret=key)


def event(notification: Notification, routing_key: str) -> dict[str, Any]:
    """The event's JSON."""
    alert = notification.alert
    action = _ACTIONS.get(notification.kind, "trigger")
    known = {"routing_key": routing_key, "event_action": action, "dedup_key": alert.id}
    if action != "trigger":
        return known
    return {
        **known,
        "client": "ML Engine",
        "payload": {
            "summary": shortened(headline(notification), MAX_SUMMARY),
            "source": alert.cause,
            "severity": str(alert.severity),
            "timestamp": alert.last_seen,
            "component": alert.cause,
            "class": alert.type,
            "custom_details": {
                "body": "\n\n".join(paragraphs(notification)),
                "facts": dict(alert.facts),
                "count": alert.count,
                "first_seen": alert.first_seen,
                "more": closing(notification),
            },
        },
    }
