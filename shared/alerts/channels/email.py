"""Mail, by SMTP: text, and the same as simple HTML. One thread per alert; what is sent again has its id."""

from __future__ import annotations

import asyncio
import html
from email.message import EmailMessage
from email.policy import SMTP
from typing import ClassVar, Final

from shared.alerts.channels.channel import ChannelSecret, missing
from shared.alerts.mail import Mailer
from shared.alerts.record import Notification
from shared.alerts.wording import closing, facts, headline, paragraphs
from shared.config import Settings
from shared.platform.ports import Secrets

_DOMAIN: Final = "alerts.mlengine.invalid"
"""Of our Message-IDs: a domain that nobody owns (RFC 2606)."""


class EmailChannel:
    holds_incidents: ClassVar[bool] = False

    def __init__(self, settings: Settings, secrets: Secrets) -> None:
        self._from = settings.smtp_from
        self._to = settings.smtp_to
        self._mailer = mailer_of(settings, secrets)

    def check(self) -> None:
        if not self._from or not self._to:
            raise missing("SMTP_TO" if self._from else "SMTP_FROM")
        self._mailer.check()

    async def send(self, notification: Notification) -> None:
        self.check()
        await asyncio.to_thread(self._mailer.send, message(notification, self._from, self._to))


def mailer_of(settings: Settings, secrets: Secrets) -> Mailer:
    """The mail server that the settings name; nothing is opened or read before it is used."""
    return Mailer(
        host=settings.smtp_host,
        port=settings.smtp_port,
        security=settings.smtp_security,
        user=settings.smtp_user,
        password=ChannelSecret("smtp-password", settings.smtp_password, secrets).value,
    )


def message(notification: Notification, sender: str, receivers: tuple[str, ...]) -> EmailMessage:
    """The mail. Whatever is in the title, it stays one header: the title is one line, and is encoded."""
    mail = EmailMessage(policy=SMTP)
    mail["From"] = sender
    mail["To"] = ", ".join(receivers)
    mail["Subject"] = headline(notification)
    mail["Message-ID"] = f"<{notification.id}@{_DOMAIN}>"
    mail["References"] = f"<{notification.alert.id}@{_DOMAIN}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(_text(notification))
    mail.add_alternative(_html(notification), subtype="html")
    return mail


def _text(notification: Notification) -> str:
    lines = [f"{name}: {value}" for name, value in facts(notification).items()]
    return "\n\n".join([*paragraphs(notification), "\n".join(lines), closing(notification)]) + "\n"


def _html(notification: Notification) -> str:
    said = "".join(f"<p>{html.escape(text)}</p>" for text in paragraphs(notification))
    rows = "".join(
        f"<tr><th align=left>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>"
        for name, value in facts(notification).items()
    )
    title, more = html.escape(headline(notification)), html.escape(closing(notification))
    return (
        f"<!doctype html><html><body><h3>{title}</h3>{said}<table>{rows}</table><p>{more}</p></body></html>\n"
    )
