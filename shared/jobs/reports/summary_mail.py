"""Sends a summary by mail: text, the same as simple HTML, and the PDF; to SMTP_TO, where a server is set.

It goes straight to the mail server, and not the way of alerts: nothing is wrong, nobody has to look after it,
and it is never over.
"""

from __future__ import annotations

from dataclasses import replace
from email.message import EmailMessage
from email.policy import SMTP
from typing import Final

from shared.alerts.channels.email import mailer_of
from shared.errors import EngineError
from shared.instance import Instance
from shared.jobs.reports.document import Summary
from shared.jobs.reports.summary_page import as_mail, as_text
from shared.jobs.reports.summary_pdf import as_pdf

SENT: Final = "mailed.txt"
"""Is kept once the server has taken the mail: so it isn't sent again by the next attempt."""

MAIL_SECONDS: Final = 60.0

_DOMAIN: Final = "reports.mlengine.invalid"
"""Of our Message-IDs: a domain that nobody owns (RFC 2606)."""


def mailed(instance: Instance, summary: Summary, *, is_patient: bool) -> tuple[str, ...]:
    """Send it, once for all attempts; gives why it wasn't sent, or nothing. An attempt that is killed right
    after the server took it sends it again, with the same Message-ID.

    Raises:
        EngineError: not taken, a retry may help, and `is_patient`.
    """
    settings = instance.settings
    if not settings.smtp_host or not settings.smtp_from or not settings.smtp_to:
        return ("Not sent by mail: SMTP_HOST, SMTP_FROM and SMTP_TO aren't all set.",)

    def send() -> bytes:
        mailer = replace(mailer_of(settings, instance.platform.secrets), mail_seconds=MAIL_SECONDS)
        mailer.check()
        mailer.send(message(summary, settings.smtp_from, settings.smtp_to))
        return ", ".join(settings.smtp_to).encode()

    try:
        instance.reports.keep(summary.report_id, SENT, send)
    except EngineError as error:
        if error.retryable and is_patient:
            raise
        return (f"Not sent by mail: {error}",)
    return ()


def message(summary: Summary, sender: str, receivers: tuple[str, ...]) -> EmailMessage:
    """The mail; the same summary gives the same one."""
    mail = EmailMessage(policy=SMTP)
    mail["From"] = sender
    mail["To"] = ", ".join(receivers)
    mail["Subject"] = summary.title
    mail["Message-ID"] = f"<{summary.report_id}@{_DOMAIN}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(as_text(summary))
    mail.add_alternative(as_mail(summary), subtype="html")
    mail.add_attachment(as_pdf(summary), maintype="application", subtype="pdf", filename="report.pdf")
    return mail
