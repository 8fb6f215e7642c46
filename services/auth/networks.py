"""Where requests come from: addresses, and the networks from which a key works.

An IPv4 address that comes inside an IPv6 one (`::ffff:192.0.2.1`, RFC 4291, 2.5.5.2) is that IPv4 address, here and in
networks: which of the two a socket shows is no matter of the client's.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")
#: Whoever has one IPv6 address has all of its network of this size (RFC 6177).
_SITE_BITS = 64


@lru_cache(maxsize=4096)
def address(text: str) -> Address | None:
    """The address in a text, or None where there is none."""
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        return found.ipv4_mapped
    return found


def network(text: str) -> Network:
    """The network that a text names: an address stands for itself alone, and bits beyond the prefix are cleared.

    Raises:
        ValueError: It names none.
    """
    if "%" in text:  # a zone means something to one machine alone (RFC 4007, 11)
        raise ValueError(f"{text!r} names a zone")
    found = ipaddress.ip_network(text, strict=False)
    if isinstance(found, IPv6Network) and found.subnet_of(_MAPPED):
        inside = IPv4Address(int(found.network_address) & 0xFFFFFFFF)
        return IPv4Network((inside, found.prefixlen - _MAPPED.prefixlen))
    return found


def contain(networks: Iterable[Network], wanted: Address | None) -> bool:
    """Whether one of the networks holds the address; none holds what is no address."""
    return wanted is not None and any(wanted in each for each in networks)


def counted_as(wanted: Address | None) -> str:
    """What is counted as one client: an IPv4 address, or the network of an IPv6 one."""
    if wanted is None:
        return "unknown"
    if isinstance(wanted, IPv4Address):
        return str(wanted)
    return str(IPv6Network((wanted, _SITE_BITS), strict=False))
