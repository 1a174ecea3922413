"""Where a channel may call: public addresses, by https. A URL that leads elsewhere is never called.

Otherwise who may set a webhook could read from inside: the metadata server hands out the function's own
credentials. Names are resolved once per call, all their addresses are checked, and the connection is made to
one that was: a name that resolves to another address a moment later (DNS rebinding) gains nothing.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from shared.errors import ChannelRejected, ChannelUnavailable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_URL: Final = re.compile(r"https?://[!#-;=?-\[\]_a-z~%]+\Z", re.IGNORECASE)
"""Printable ASCII without spaces, quotes and backslashes, on which readers of URLs don't agree."""

_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_COMPATIBLE: Final = ipaddress.IPv6Network("::/96")
_AZURE_WIRE_SERVER: Final = ipaddress.IPv4Address(
    "168.63.129.16"
)  # of a public range, and metadata all the same


@dataclass(frozen=True, slots=True)
class Target:
    """A checked URL in its parts. `path` has the query too. Not to be shown: a URL may be a secret."""

    is_https: bool
    host: str
    port: int
    path: str


def target_of(url: str, setting: str, *, is_insecure: bool) -> Target:
    """The URL that stands in `setting`, in its parts.

    Raises:
        ChannelRejected: not a URL that may be called; never shows it.
    """
    if _URL.match(url) is None:
        raise _refused(setting, "isn't a URL")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:  # no cause: its words may hold some of the URL
        raise _refused(setting, "isn't a URL") from None
    if parts.scheme.lower() != "https" and not is_insecure:
        raise _refused(setting, "must begin with https://")
    if not parts.hostname or parts.username is not None or parts.password is not None:
        raise _refused(setting, "must have a host, and neither user nor password")
    is_https = parts.scheme.lower() == "https"
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(is_https, parts.hostname, port or (443 if is_https else 80), path)


async def addresses_of(target: Target, setting: str, *, is_insecure: bool) -> Sequence[str]:
    """The addresses of the target's host, all of which may be called.

    Raises:
        ChannelUnavailable: nobody knows the host now.
        ChannelRejected: one of them may not be called.
    """
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):  # no cause: its words may hold the host
        raise ChannelUnavailable(f"The host in {setting} can't be found.") from None
    addresses = list(dict.fromkeys(str(place[4][0]) for place in found))
    if not is_insecure:
        for address in addresses:
            if not is_public(address):
                raise _refused(setting, f"leads to {address}, which isn't a public address")
    return addresses


def is_public(text: str) -> bool:
    """Whether the address belongs to the public internet, and so does what it is translated to."""
    try:
        address = _translated(ipaddress.ip_address(text))
    except ValueError:
        return False
    return all(map(_is_public, (address, *_tunnelled(address))))


def _is_public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address) and address in _COMPATIBLE:
        return False
    is_special = address.is_multicast or address.is_reserved or address.is_unspecified
    return address.is_global and not is_special and address != _AZURE_WIRE_SERVER


def _translated(address: Address) -> Address:
    """The IPv4 address that hosts (mapped ones) or routers (NAT64) call instead of an IPv6 one."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF) if address in _NAT64 else address


def _tunnelled(address: Address) -> Iterator[Address]:
    """The IPv4 addresses at the ends of the tunnels 6to4 and Teredo."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.sixtofour is not None:
            yield address.sixtofour
        if address.teredo is not None:
            yield from address.teredo


def _refused(setting: str, why: str) -> ChannelRejected:
    return ChannelRejected(f"{setting} {why}: it isn't called.")
