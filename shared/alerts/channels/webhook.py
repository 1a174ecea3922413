"""A webhook of your own, signed as https://www.standardwebhooks.com says: libraries that verify it abound.

`webhook-signature` is `v1,` and the base64 of HMAC-SHA256 over `<webhook-id>.<webhook-timestamp>.<body>`.
Whoever verifies it also refuses timestamps (Unix seconds) that are far from now, and ids it has had.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final

from shared.alerts.channels.channel import ChannelSecret
from shared.alerts.posting import Poster
from shared.alerts.record import Notification
from shared.config import Settings
from shared.errors import ConfigurationError
from shared.platform.ports import Secrets

_URL: Final = "ALERT_WEBHOOK_URL"
_PREFIX: Final = "whsec_"
MIN_KEY_BYTES: Final = 16


class WebhookChannel:
    holds_incidents: ClassVar[bool] = True

    def __init__(
        self, settings: Settings, secrets: Secrets, seconds: Callable[[], float] = time.time
    ) -> None:
        self._url = ChannelSecret("alert-webhook-url", settings.alert_webhook_url, secrets)
        self._secret = ChannelSecret("alert-webhook-secret", settings.alert_webhook_secret, secrets)
        self._poster = Poster(_URL, is_insecure=settings.alert_insecure_targets)
        self._seconds = seconds

    def check(self) -> None:
        self._poster.check(self._url.value())
        key_of(self._secret.value())

    async def send(self, notification: Notification) -> None:
        url, secret = self._url.value(), self._secret.value()
        body = json.dumps(payload(notification)).encode()
        headers = signed(notification.id, int(self._seconds()), body, secret)
        await self._poster.post(url, body, headers)


def payload(notification: Notification) -> dict[str, Any]:
    """What is posted: `data.alert` is what `GET /alerts/{id}` shows."""
    return {
        "type": f"alert.{notification.kind}",
        "timestamp": notification.wanted_at,
        "data": {"notification_id": notification.id, "alert": notification.alert.json()},
    }


def signed(id: str, timestamp: int, body: bytes, secret: str) -> Mapping[str, str]:
    """The headers that say who sent `body`, and when.

    Raises:
        ConfigurationError: the secret is too short, or isn't base64 behind `whsec_`.
    """
    content = f"{id}.{timestamp}.".encode() + body
    signature = base64.b64encode(hmac.digest(key_of(secret), content, hashlib.sha256)).decode()
    return {
        "webhook-id": id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{signature}",
    }


def key_of(secret: str) -> bytes:
    """The key in a secret: base64 behind `whsec_`, else the text itself.

    Raises:
        ConfigurationError
    """
    try:
        is_encoded = secret.startswith(_PREFIX)
        key = base64.b64decode(secret[len(_PREFIX) :], validate=True) if is_encoded else secret.encode()
    except (binascii.Error, ValueError):  # no cause: its words may hold some of the secret
        raise ConfigurationError("ALERT_WEBHOOK_SECRET must be base64 behind 'whsec_'.") from None
    if len(key) < MIN_KEY_BYTES:
        raise ConfigurationError(f"ALERT_WEBHOOK_SECRET must have at least {MIN_KEY_BYTES} bytes.")
    return key
