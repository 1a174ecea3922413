"""Sends mail by SMTP, with TLS from the start or by STARTTLS, bounded in time."""

from __future__ import annotations

import smtplib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.message import EmailMessage
from typing import TYPE_CHECKING, Any, Literal

from shared.alerts.channels.channel import missing
from shared.alerts.hearing import one_line
from shared.errors import ChannelRejected, ChannelUnavailable, ConfigurationError
from shared.logs import LOGGER

if TYPE_CHECKING:
    import ssl

Security = Literal["starttls", "tls", "none"]


@dataclass(frozen=True, slots=True)
class Mailer:
    """A mail server and who we are there. Without a user nobody logs in. `password` is asked when
    needed. `step_seconds` is for one answer of the server, `mail_seconds` for the whole mail: a server that
    answers a byte at a time is cut off.
    """

    host: str
    port: int
    security: Security
    user: str
    password: Callable[[], str]
    step_seconds: float = 5.0
    mail_seconds: float = 9.0

    def check(self) -> None:
        """
        Raises:
            ConfigurationError: it isn't set up.
        """
        if not self.host:
            raise missing("SMTP_HOST")
        if self.user and self.security == "none":
            raise ConfigurationError(
                "SMTP_SECURITY=none goes without SMTP_USER: the password would be readable."
            )
        if self.user:
            self.password()

    def send(self, message: EmailMessage) -> None:
        """Returns once the server has taken it, for one receiver at least: those it refuses are logged.

        Raises:
            ChannelRejected: refused, and would be again.
            ChannelUnavailable: not taken; a retry may help.
        """
        try:
            with self._session() as smtp:
                refused = smtp.send_message(message)
        except smtplib.SMTPRecipientsRefused as error:
            raise _refusal(*next(iter(error.recipients.values()))) from error
        except smtplib.SMTPResponseException as error:
            raise _refusal(error.smtp_code, error.smtp_error) from error
        except smtplib.SMTPNotSupportedError as error:
            raise ChannelRejected(
                f"The mail server can't do what is needed: {one_line(str(error), 160)}"
            ) from error
        except (smtplib.SMTPException, OSError) as error:
            why = one_line(str(error), 160) or type(error).__name__
            raise ChannelUnavailable(f"The mail server in SMTP_HOST can't be reached: {why}") from error
        if refused:
            LOGGER.warning("mail refused for some", extra={"facts": {"receivers": len(refused)}})

    @contextmanager
    def _session(self) -> Iterator[_Watched]:
        smtp = self._connected()
        try:
            if self.security == "starttls":
                smtp.starttls(context=_tls())
            if self.user:
                smtp.login(self.user, self.password())
            yield smtp
            with suppress(smtplib.SMTPException, OSError):  # it was taken, whatever its goodbye
                smtp.quit()
        finally:
            smtp.watch.cancel()
            smtp.close()

    def _connected(self) -> _Watched:
        times: dict[str, Any] = {"timeout": self.step_seconds, "seconds": self.mail_seconds}
        if self.security == "tls":
            return _WatchedTls(self.host, self.port, context=_tls(), **times)
        return _Watched(self.host, self.port, **times)


class _Watched(smtplib.SMTP):
    """Cut off when its time is up: the timeout alone is for each piece of an answer."""

    def __init__(self, *arguments: Any, seconds: float, **options: Any) -> None:
        self.watch = threading.Timer(seconds, self._cut_off)
        self.watch.daemon = True
        self.watch.start()
        try:
            super().__init__(*arguments, **options)
        except BaseException:
            self.watch.cancel()
            raise

    def _cut_off(self) -> None:
        connection = getattr(self, "sock", None)
        if connection is not None:
            with suppress(OSError):  # that of the plain socket: TLS would say goodbye first
                socket.socket.shutdown(connection, socket.SHUT_RDWR)


class _WatchedTls(_Watched, smtplib.SMTP_SSL):
    pass


def _tls() -> ssl.SSLContext:
    import httpx

    return httpx.create_ssl_context()


def _refusal(code: int, words: bytes | str) -> ChannelRejected | ChannelUnavailable:
    """Source: RFC 5321, section 4.2.1: 4yz is for now, 5yz for ever."""
    text = words.decode(errors="replace") if isinstance(words, bytes) else words
    kind = ChannelRejected if code >= 500 else ChannelUnavailable
    return kind(f"The mail server answered {code}: {one_line(text, 160)}")
