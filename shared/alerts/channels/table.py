"""The table of channels. A new one is a file beside this one, and a line here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from shared.alerts.channels.channel import Channel
from shared.alerts.channels.email import EmailChannel
from shared.alerts.channels.log import LogChannel
from shared.alerts.channels.pagerduty import PagerDutyChannel
from shared.alerts.channels.slack import SlackChannel
from shared.alerts.channels.webhook import WebhookChannel
from shared.config import Settings
from shared.platform.ports import Secrets

CHANNELS: Final[Mapping[str, type[Channel]]] = MappingProxyType(
    {
        "email": EmailChannel,
        "log": LogChannel,
        "pagerduty": PagerDutyChannel,
        "slack": SlackChannel,
        "webhook": WebhookChannel,
    }
)

HOLDING_INCIDENTS: Final = tuple(name for name, channel in CHANNELS.items() if channel.holds_incidents)


def open_channels(settings: Settings, secrets: Secrets) -> Mapping[str, Channel]:
    """All channels, set up or not."""
    return {name: make(settings, secrets) for name, make in CHANNELS.items()}
