"""Network addresses, as far as they tell callers apart."""

from __future__ import annotations

from typing import Final

_SUBNET_BITS: Final = 64
"""Of an IPv6 address: what one household or server is given whole, more addresses than anybody can count."""


def network_of(ip: str) -> str:
    """Whose failures and calls count together: an IPv4 address, or the subnet of an IPv6 one."""
    if ":" not in ip:
        return ip
    import ipaddress

    try:
        address = ipaddress.IPv6Address(ip.partition("%")[0])
    except ValueError:
        return ip
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((address, _SUBNET_BITS), strict=False))
