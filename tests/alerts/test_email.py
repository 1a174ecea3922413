"""Mail to a real server: encrypted, with a login, and when the server is ill."""

from __future__ import annotations

import base64
import email
import email.policy
import ssl
import time
from collections.abc import Iterator
from email.message import EmailMessage
from typing import Any

import pytest

from infra.emulators.processes import free_port
from shared.alerts.channels.channel import Channel
from shared.alerts.channels.email import message
from shared.alerts.channels.table import open_channels
from shared.alerts.mail import Mailer
from shared.alerts.record import Kind
from shared.config import load_settings
from shared.errors import ChannelRejected, ChannelUnavailable, ConfigurationError, EngineError
from tests.alerts.made import a_notification, only, run, secrets_of
from tests.alerts.receivers import (
    Certificate,
    Mailbox,
    certificate,
    dripping_server,
    mailbox,
)

USER, PASSWORD, WRONG = "ann", "a-password", "hunter2-hunter2"
TO = ("ops@example.com", "on-call@example.com")


pytestmark = pytest.mark.filterwarnings(
    "ignore:Requiring AUTH while not requiring TLS"
)  # it is TLS throughout


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(autouse=True)
def trusted(made: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(made.file))


@pytest.fixture(params=["starttls", "tls"])
def box(request: pytest.FixtureRequest, made: Certificate) -> Iterator[tuple[Mailbox, str]]:
    with mailbox(made.context, security=request.param, user=USER, password=PASSWORD) as one:
        yield one, request.param


@pytest.fixture
def open_box(made: Certificate) -> Iterator[Mailbox]:
    """A server that wants no login, and has no encryption."""
    with mailbox(made.context, security="none", user=USER, password=PASSWORD) as one:
        yield one


def channel(port: int, security: str, **settings: Any) -> Channel:
    given = {
        "smtp_host": "127.0.0.1",
        "smtp_port": port,
        "smtp_security": security,
        "smtp_from": "ML Engine <engine@example.com>",
        "smtp_to": ",".join(TO),
        **({} if security == "none" else {"smtp_user": USER, "smtp_password": PASSWORD}),
    }
    return open_channels(load_settings(**{**given, **settings}), secrets_of({}))["email"]


def mail_of(envelope: Any) -> EmailMessage:
    return email.message_from_bytes(envelope.content, policy=email.policy.default)


def test_mail_is_sent_encrypted_after_a_login(box: tuple[Mailbox, str]) -> None:
    server, security = box
    run(channel(server.port, security).send(a_notification()))
    envelope = only(server.envelopes)
    assert (envelope.mail_from, tuple(envelope.rcpt_tos)) == ("engine@example.com", TO)
    assert len(server.logins) == 1
    mail = mail_of(envelope)
    assert mail["Subject"] == "[ERROR] It moved"
    assert mail["Message-ID"] == f"<{'b' * 20}@alerts.mlengine.invalid>"
    assert mail["References"] == f"<{'a' * 20}@alerts.mlengine.invalid>"
    text, page = (mail.get_body([kind]) for kind in ("plain", "html"))
    assert text is not None
    assert page is not None
    for part in (text, page):
        assert "By 3 sigma." in part.get_content()
        assert "What to do: Look at" in part.get_content()


def test_a_wrong_password_is_a_refusal_that_does_not_show_it(box: tuple[Mailbox, str]) -> None:
    server, security = box
    wrong = channel(server.port, security, smtp_password=WRONG)
    with pytest.raises(ChannelRejected, match="535") as caught:
        run(wrong.send(a_notification()))
    encoded = base64.b64encode(WRONG.encode()).decode()
    assert "hunter2" not in caught.value.detail
    assert encoded not in caught.value.detail
    assert server.envelopes == []


def test_a_server_without_encryption_gets_no_password(open_box: Mailbox) -> None:
    with pytest.raises(ChannelRejected, match="STARTTLS"):
        run(channel(open_box.port, "starttls").send(a_notification()))
    assert open_box.logins == []
    with pytest.raises(ConfigurationError, match="SMTP_SECURITY"):
        channel(open_box.port, "none", smtp_user=USER, smtp_password=PASSWORD).check()


def test_a_certificate_of_somebody_else_is_not_trusted(
    box: tuple[Mailbox, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, security = box
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(ChannelUnavailable, match="certificate"):
        run(channel(server.port, security).send(a_notification()))
    assert (server.envelopes, server.logins) == ([], [])


TITLE = "Over\r\nBcc: everybody@example.com\r\n\r\nhello \u00e9\U0001f525 " + "x" * 300


@pytest.mark.parametrize("kind", list(Kind))
def test_whatever_is_in_a_title_it_is_one_subject(open_box: Mailbox, kind: Kind) -> None:
    from shared.alerts.hearing import one_line

    notification = a_notification(
        kind, title=one_line(TITLE, 200), body="\u00e9\U0001f525\r\n.\r\nMAIL FROM:<x@y>\r\n" + "w" * 3_000
    )
    run(channel(open_box.port, "none").send(notification))
    envelope = only(open_box.envelopes)
    assert tuple(envelope.rcpt_tos) == TO
    mail = mail_of(envelope)
    assert mail["Bcc"] is None
    assert "Bcc: everybody@example.com hello \u00e9\U0001f525" in " ".join(mail["Subject"].split())
    assert max(map(len, envelope.content.split(b"\r\n"))) <= 998
    plain = mail.get_body(["plain"])
    assert plain is not None
    if kind is Kind.NEW:
        assert "\u00e9\U0001f525\n.\nMAIL FROM:<x@y>" in plain.get_content().replace("\r\n", "\n")


def test_a_title_that_is_not_one_line_is_no_header_either() -> None:
    """Nothing but the ledger makes notifications, and it makes them one line; if not, nothing is sent."""
    with pytest.raises(ValueError, match=r"(?i)header"):
        message(a_notification(title=TITLE), "a@example.com", TO)


def test_html_is_escaped() -> None:
    mail = message(a_notification(title="<script>", body="<b>&", facts={"<i>": "<u>"}), "a@b.c", TO)
    page = mail.get_body(["html"])
    assert page is not None
    for tag in ("<script>", "<b>", "<i>", "<u>"):
        assert tag not in page.get_content()


@pytest.mark.parametrize(
    ("answer", "error"), [("550 no such user", ChannelRejected), ("451 later", ChannelUnavailable)]
)
def test_receivers_that_are_refused(open_box: Mailbox, answer: str, error: type[EngineError]) -> None:
    open_box.refusals = {TO[0]: answer}
    run(channel(open_box.port, "none").send(a_notification()))
    assert only(open_box.envelopes).rcpt_tos == [TO[1]], "the others get it, and get it once"
    open_box.refusals = dict.fromkeys(TO, answer)
    with pytest.raises(error, match=answer.replace(" ", ": ", 1)):
        run(channel(open_box.port, "none").send(a_notification()))


@pytest.mark.parametrize(
    ("answer", "error"), [("554 spam", ChannelRejected), ("452 full", ChannelUnavailable)]
)
def test_mail_that_is_refused(open_box: Mailbox, answer: str, error: type[EngineError]) -> None:
    open_box.after_data = answer
    with pytest.raises(error, match=answer.replace(" ", ": ", 1)):
        run(channel(open_box.port, "none").send(a_notification()))


def test_where_nobody_listens_is_unavailable() -> None:
    with pytest.raises(ChannelUnavailable, match="can't be reached"):
        run(channel(free_port(), "starttls").send(a_notification()))


def test_a_server_that_speaks_a_byte_at_a_time_is_cut_off() -> None:
    with dripping_server() as port:
        mailer = Mailer("127.0.0.1", port, "none", "", lambda: "", step_seconds=0.5, mail_seconds=0.8)
        began = time.monotonic()
        with pytest.raises(ChannelUnavailable):
            mailer.send(message(a_notification(), "a@b.c", TO))
        assert time.monotonic() - began < 20  # it never ends by itself


@pytest.mark.parametrize(
    "settings",
    [
        {"smtp_from": "a@b.c\r\nBcc: x@y.z"},
        {"smtp_to": "a@b.c\r\nBcc: x@y.z"},
        {"smtp_to": "nobody"},
        {"smtp_host": "a b"},
        {"smtp_security": "ssl"},
    ],
)
def test_addresses_that_are_none_stop_the_start(settings: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="SMTP_"):
        load_settings(**settings)


def test_the_context_of_tls_checks_names() -> None:
    import httpx

    context = httpx.create_ssl_context()
    assert (context.check_hostname, context.verify_mode) == (True, ssl.CERT_REQUIRED)


def test_the_password_comes_from_the_platform_too(made: Certificate) -> None:
    with mailbox(made.context, security="tls", user=USER, password=PASSWORD) as server:
        settings = load_settings(
            smtp_host="127.0.0.1",
            smtp_port=server.port,
            smtp_security="tls",
            smtp_user=USER,
            smtp_from="a@b.c",
            smtp_to="d@e.f",
        )
        run(open_channels(settings, secrets_of({"smtp-password": PASSWORD}))["email"].send(a_notification()))
        assert len(server.envelopes) == 1
