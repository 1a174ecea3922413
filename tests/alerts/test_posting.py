"""POSTs to receivers that behave, and to those that don't."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop

from infra.emulators.processes import free_port
from shared.alerts.posting import Limits, Poster
from shared.alerts.targets import Target
from shared.alerts.wire import send
from shared.errors import ChannelRejected, ChannelUnavailable, EngineError
from shared.logs import configure_logs
from tests.alerts.receivers import Receiver, certificate, drip, flood, hang, receiving
from tests.faulty import resetting

HIDDEN = "/services/T000/B000/s3cr3t?token=s3cr3t"
KEY = "routing-key"
PATIENT = Limits(attempts=2, attempt_seconds=5.0, budget_seconds=20.0)
QUICK = Limits(attempts=2, attempt_seconds=0.4, budget_seconds=1.5)
"""For who never answers."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


def post(url: str, limits: Limits = PATIENT, **options: Any) -> None:
    poster = Poster("THE_URL", is_insecure=True, limits=limits, **options)
    asyncio.run(poster.post(url + HIDDEN, b'{"a": 1}', {"x-more": "1"}, secret=KEY))


def failure(call: Callable[[], None]) -> EngineError:
    with pytest.raises(EngineError) as caught:
        call()
    told = f"{caught.value.detail} {caught.value.__cause__}"
    assert "s3cr3t" not in told
    assert "routing-key" not in told
    return caught.value


def test_what_is_posted_arrives_once(receiver: Receiver) -> None:
    post(receiver.url)
    (taken,) = receiver.taken
    assert (taken.method, taken.path, taken.body) == ("POST", HIDDEN, b'{"a": 1}')
    assert taken.headers["content-type"] == "application/json"
    assert taken.headers["x-more"] == "1"
    assert taken.headers["host"] == receiver.url.removeprefix("http://")


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503])
def test_who_asks_to_come_back_is_asked_again(receiver: Receiver, status: int) -> None:
    receiver.answer((status, {}, b""), (200, {}, b"ok"))
    post(receiver.url)
    assert len(receiver.taken) == 2


def test_who_is_down_for_longer_is_unavailable(receiver: Receiver) -> None:
    receiver.answer((503, {}, b"s3cr3t"))
    error = failure(lambda: post(receiver.url))
    assert isinstance(error, ChannelUnavailable)
    assert error.detail == "What THE_URL names answered 503."
    assert len(receiver.taken) == PATIENT.attempts


def test_a_wait_that_is_asked_for_is_kept_or_given_up(receiver: Receiver) -> None:
    receiver.answer((429, {"retry-after": "1"}, b""), (200, {}, b"ok"))
    began = time.monotonic()
    post(receiver.url)
    assert time.monotonic() - began > 0.9
    receiver.answer((429, {"retry-after": "60"}, b""), (200, {}, b"ok"))
    error = failure(lambda: post(receiver.url))
    assert (isinstance(error, ChannelUnavailable), error.retry_after_seconds) == (True, 60.0)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_a_refusal_is_final(receiver: Receiver, status: int) -> None:
    receiver.answer((status, {}, f"Cannot POST {HIDDEN}".encode()))
    error = failure(lambda: post(receiver.url))
    assert isinstance(error, ChannelRejected)
    assert len(receiver.taken) == 1


def test_why_it_was_refused_is_told_without_secrets(receiver: Receiver) -> None:
    receiver.answer((400, {}, f"invalid_payload {HIDDEN} routing-key \x1b[2J".encode()))
    error = failure(lambda: post(receiver.url, explains=True))
    assert error.detail == "What THE_URL names answered 400: invalid_payload ... ... [2J."


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(receiver: Receiver, status: int) -> None:
    with receiving() as inside:
        receiver.answer((status, {"location": inside.url}, b""))
        error = failure(lambda: post(receiver.url))
        assert inside.taken == []
    assert isinstance(error, ChannelRejected)
    assert "redirect" in error.detail


@pytest.mark.parametrize("misbehave", [hang, drip])
def test_who_takes_for_ever_is_given_up_in_time(receiver: Receiver, misbehave: Callable[..., None]) -> None:
    receiver.misbehave = misbehave
    began = time.monotonic()
    error = failure(lambda: post(receiver.url, QUICK))
    assert time.monotonic() - began < 20  # it hangs for thirty seconds, and drips for ever
    assert isinstance(error, ChannelUnavailable)
    assert "0.4 s" in error.detail


def test_of_an_answer_without_an_end_only_the_beginning_is_read(receiver: Receiver) -> None:
    receiver.misbehave = flood
    post(receiver.url, Limits(attempts=1))


def test_where_nobody_listens_is_unavailable() -> None:
    error = failure(lambda: post(f"http://127.0.0.1:{free_port()}"))
    assert isinstance(error, ChannelUnavailable)
    assert "can't be reached" in error.detail


def test_who_resets_connections_at_once_is_unavailable() -> None:
    """On uvloop, where one such connection in twenty is gone before the client has looked at it."""

    async def post_often(url: str) -> None:
        poster = Poster("THE_URL", is_insecure=True, limits=Limits(attempts=1))
        for _ in range(200):
            with pytest.raises(ChannelUnavailable):
                await poster.post(url, b"{}", {}, secret=KEY)

    with resetting() as url:
        uvloop.run(post_often(url))


@pytest.mark.parametrize("url", ["http://127.0.0.1:80", "https://127.0.0.1:443", "https://localhost"])
def test_inside_is_never_called(url: str) -> None:
    poster = Poster("THE_URL", is_insecure=False)
    assert isinstance(
        failure(lambda: asyncio.run(poster.post(url + HIDDEN, b"", {}, secret=KEY))),
        ChannelRejected,
    )


def test_the_log_never_holds_the_url_nor_the_secret(receiver: Receiver) -> None:
    lines = io.StringIO()
    configure_logs("DEBUG", lines)
    everything = logging.StreamHandler(lines)
    root = logging.getLogger()
    level = root.level
    root.addHandler(everything)
    root.setLevel("DEBUG")
    try:
        receiver.answer((503, {}, b""), (200, {}, b"ok"))
        post(receiver.url)
    finally:
        root.removeHandler(everything)
        root.setLevel(level)
    assert "retry" in lines.getvalue(), "the retry is told"
    assert "s3cr3t" not in lines.getvalue()
    assert "routing-key" not in lines.getvalue()


def test_a_name_is_not_resolved_again_after_it_was_checked(receiver: Receiver) -> None:
    """Nobody knows this name: the connection can only have been made to the address given."""
    target = Target(False, "rebinding.invalid", int(receiver.url.rpartition(":")[2]), "/x")
    answer = asyncio.run(send(target, ["127.0.0.1"], b"{}", {}))
    assert answer.status == 200
    assert receiver.taken[0].headers["host"].startswith("rebinding.invalid:")


def test_the_next_address_is_tried_where_one_does_not_answer() -> None:
    with receiving() as receiver:
        target = Target(False, "any.invalid", int(receiver.url.rpartition(":")[2]), "/x")
        answer = asyncio.run(send(target, ["127.0.0.2", "127.0.0.1"], b"{}", {}))
    assert answer.status == 200


def test_tls_asks_for_the_certificate_of_the_host_and_not_of_the_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(made.file))
    with receiving(made.context) as receiver:
        port = int(receiver.url.rpartition(":")[2])
        assert asyncio.run(send(Target(True, "localhost", port, "/"), ["127.0.0.1"], b"{}", {})).status == 200
        post(receiver.url)
        error = failure(lambda: _post_to(Target(True, "other.example", port, "/")))
    assert isinstance(error, ChannelUnavailable)
    assert "certificate" in error.detail


def test_a_certificate_that_nobody_signed_is_not_trusted(tmp_path: Path) -> None:
    with receiving(certificate(tmp_path).context) as receiver:
        error = failure(lambda: post(receiver.url))
        assert receiver.taken == []
    assert "certificate" in error.detail


def _post_to(target: Target) -> None:
    poster = Poster("THE_URL", is_insecure=True, limits=PATIENT)
    poster._check(asyncio.run(_attempted(poster, target)), target, "")


async def _attempted(poster: Poster, target: Target) -> Any:
    from shared.alerts.wire import WIRE_ERRORS

    try:
        return await send(target, ["127.0.0.1"], b"{}", {})
    except WIRE_ERRORS as error:
        raise ChannelUnavailable(json.dumps(str(error))) from error
