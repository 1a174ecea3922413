"""Slack, by an incoming webhook. The whole URL is the secret."""

from __future__ import annotations

import json
from typing import Any, ClassVar, Final

from shared.alerts.channels.channel import ChannelSecret
from shared.alerts.hearing import shortened
from shared.alerts.posting import Poster
from shared.alerts.record import Notification
from shared.alerts.wording import closing, facts, headline, paragraphs
from shared.config import Settings
from shared.platform.ports import Secrets

_SETTING: Final = "SLACK_WEBHOOK_URL"

MAX_HEADER: Final = 150
MAX_SECTION: Final = 3_000
MAX_FIELD: Final = 2_000
MAX_FIELDS: Final = 10
"""What Slack takes. Source: its reference of the blocks header and section."""


class SlackChannel:
    holds_incidents: ClassVar[bool] = False

    def __init__(self, settings: Settings, secrets: Secrets) -> None:
        self._url = ChannelSecret("slack-webhook-url", settings.slack_webhook_url, secrets)
        self._poster = Poster(_SETTING, is_insecure=settings.alert_insecure_targets, explains=True)

    def check(self) -> None:
        self._poster.check(self._url.value())

    async def send(self, notification: Notification) -> None:
        body = json.dumps(message(notification)).encode()
        await self._poster.post(self._url.value(), body, {})


def message(notification: Notification) -> dict[str, Any]:
    """The message's JSON: `text` is what notifications on a screen show, the blocks are the message."""
    title = headline(notification)
    sections = [{"type": "section", "text": _mrkdwn(text, MAX_SECTION)} for text in paragraphs(notification)]
    fields = [
        _mrkdwn(f"{name}: {value}", MAX_FIELD)
        for name, value in list(facts(notification).items())[:MAX_FIELDS]
    ]
    return {
        "text": _escaped(title, MAX_SECTION),
        "blocks": [
            {"type": "header", "text": {"type": "plain_text", "text": shortened(title, MAX_HEADER)}},
            *sections,
            {"type": "section", "fields": fields},
            {"type": "context", "elements": [_mrkdwn(closing(notification), MAX_FIELD)]},
        ],
    }


def _mrkdwn(text: str, limit: int) -> dict[str, str]:
    return {"type": "mrkdwn", "text": _escaped(text, limit)}


def _escaped(text: str, limit: int) -> str:
    """So that nobody's text calls a whole channel or hides a link. Source: Slack's "Escaping text"."""
    characters = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
    room = limit
    kept: list[str] = []
    for character in text:
        escaped = characters.get(character, character)
        room -= len(escaped)
        if room < 1:
            return "".join(kept) + "\N{HORIZONTAL ELLIPSIS}"
        kept.append(escaped)
    return "".join(kept)
