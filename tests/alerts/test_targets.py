"""Where channels may call, and where they may not."""

from __future__ import annotations

import asyncio

import pytest

from shared.alerts.targets import addresses_of, is_public, target_of
from shared.errors import ChannelRejected, ChannelUnavailable, EngineError

NAME = "ALERT_WEBHOOK_URL"

PRIVATE = [
    "127.0.0.1",
    "127.8.8.8",
    "0.0.0.0",  # noqa: S104 - refused, not bound
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "100.100.100.200",
    "169.254.169.254",
    "168.63.129.16",
    "224.0.0.1",
    "255.255.255.255",
    "192.0.2.1",
    "::",
    "::1",
    "::7f00:1",
    "fe80::1",
    "fe80::1%eth0",
    "fd00::1",
    "fd00:ec2::254",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "2002:7f00:1::1",
    "2002:a00:1::",
    "2001:db8::1",
    "not an address",
]
PUBLIC = ["8.8.8.8", "34.1.2.3", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]


@pytest.mark.parametrize("address", PRIVATE)
def test_addresses_that_are_not_of_the_public_internet(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_addresses_of_the_public_internet(address: str) -> None:
    assert is_public(address)


def reached(url: str) -> list[str]:
    target = target_of(url, NAME, is_insecure=False)
    return list(asyncio.run(addresses_of(target, NAME, is_insecure=False)))


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "017700000001",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "169.254.169.254",
        "2852039166",
        "0xA9FEA9FE",
        "10.0.0.7",
        "[fd00::1]",
        "[fe80::1]",
        "localhost",
        "LOCALHOST",
        "localhost.",
    ],
)
def test_a_host_however_written_that_leads_inside_is_refused(host: str) -> None:
    with pytest.raises(EngineError) as caught:
        reached(f"https://{host}:443/secret-path")
    assert isinstance(caught.value, ChannelRejected | ChannelUnavailable)
    assert "secret-path" not in caught.value.detail
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("host", ["8.8.8.8", "[2606:4700::1111]"])
def test_a_public_address_may_be_called(host: str) -> None:
    assert reached(f"https://{host}/x") == [host.strip("[]")]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "secret",
        "http://example.com/secret",
        "ftp://example.com/secret",
        "file:///secret",
        "https://",
        "https:///secret",
        "https://user:secret@example.com/",
        "https://secret@example.com/",
        "https://@example.com/secret",
        "https://example.com:99999/secret",
        "https://example.com:x/secret",
        "https://exa mple.com/secret",
        "https://example.com\\@127.0.0.1/secret",
        "https://example.com/secret\r\nHost: 127.0.0.1",
        "https://example.com/secret\n",
        "https://[::1/secret",
        "https://ex\u00e4mple.com/secret",
        "https://127.0.0.1\uff0e/secret",
        "https://example.com\u3002/secret",
    ],
)
def test_what_is_no_url_or_none_to_be_called_is_refused_and_never_shown(url: str) -> None:
    with pytest.raises(ChannelRejected, match=NAME) as caught:
        target_of(url, NAME, is_insecure=False)
    assert "secret" not in caught.value.detail
    assert "example" not in caught.value.detail
    assert caught.value.__cause__ is None


def test_the_parts_of_a_url() -> None:
    target = target_of("https://Example.com/a%20b?x=1#ignored", NAME, is_insecure=False)
    assert (target.host, target.port, target.path) == ("example.com", 443, "/a%20b?x=1")
    assert target_of("http://127.0.0.1:80", NAME, is_insecure=True).path == "/"


def test_a_name_that_nobody_knows_may_be_known_later() -> None:
    with pytest.raises(ChannelUnavailable) as caught:
        reached("https://no-such-host.invalid/secret")
    assert "no-such-host" not in caught.value.detail
