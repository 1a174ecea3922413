"""The log: a line per notification, for log-based metrics and for twins without any other channel."""

from __future__ import annotations

import logging
from typing import ClassVar

from shared.alerts.raising import Severity
from shared.alerts.record import Kind, Notification
from shared.config import Settings
from shared.logs import LOGGER
from shared.platform.ports import Secrets

_LEVELS = {
    Severity.INFO: logging.INFO,
    Severity.WARNING: logging.WARNING,
    Severity.ERROR: logging.ERROR,
    Severity.CRITICAL: logging.CRITICAL,
}


class LogChannel:
    holds_incidents: ClassVar[bool] = False

    def __init__(self, settings: Settings, secrets: Secrets) -> None:
        """It needs neither."""

    def check(self) -> None:
        """Nothing can be missing."""

    async def send(self, notification: Notification) -> None:
        alert = notification.alert
        is_over = notification.kind in (Kind.RESOLVED, Kind.ACKNOWLEDGED)
        facts = {
            "notification_id": notification.id,
            "kind": str(notification.kind),
            "alert_id": alert.id,
            "alert_type": alert.type,
            "alert_severity": str(alert.severity),
            "cause": alert.cause,
            "title": alert.title,
            "body": alert.why if notification.kind is Kind.RESOLVED else alert.body,
            "count": alert.count,
            "first_seen": alert.first_seen,
        }
        LOGGER.log(logging.INFO if is_over else _LEVELS[alert.severity], "alert", extra={"facts": facts})
