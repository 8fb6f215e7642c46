"""The address guard: no call of a tenant's leads into the network that Penstock stands in.

What is checked is what is called: a name is resolved once, every address of it is checked, and the connection goes to
those very addresses, so that a second answer of the name server (DNS rebinding) changes nothing. A redirect is another
call.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from aiohttp.abc import AbstractResolver
from aiohttp.resolver import ThreadedResolver

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address

    from aiohttp.abc import ResolveResult

_LOOPBACK_NAMES = ("localhost", "localhost.localdomain", "ip6-localhost")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052: an IPv4 address in disguise
#: Teredo (RFC 4380) and 6to4 (RFC 3056).
_TUNNELS = (ipaddress.ip_network("2001::/32"), ipaddress.ip_network("2002::/16"))
_MAX_URL_CHARACTERS = 2048
_DELETE = 0x7F


class ForbiddenAddressError(Exception):
    """A URL or a name leads where no call may go; the message says where and why."""


class AddressGuard:
    """Decides which addresses may be called.

    Args:
        allow_loopback: Lets 127.0.0.0/8 and ::1 pass: for a laptop, never for production.
    """

    def __init__(self, *, allow_loopback: bool = False) -> None:
        self._allow_loopback = allow_loopback

    def check_url(self, url: str) -> None:
        """Checks all of a URL that can be checked without asking a name server.

        Raises:
            ForbiddenAddressError: It is not an absolute http or https URL, or its host may not be called.
        """
        if len(url) > _MAX_URL_CHARACTERS:
            raise ForbiddenAddressError(f"is longer than {_MAX_URL_CHARACTERS} characters")
        try:
            parts = urlsplit(url)
            host = parts.hostname
            _ = parts.port  # raises where it is no number up to 65535
        except ValueError as error:
            raise ForbiddenAddressError(f"is not a URL: {error}") from error
        if parts.scheme not in {"http", "https"} or not host:
            raise ForbiddenAddressError("must be an absolute http:// or https:// URL")
        if parts.username is not None or parts.password is not None:
            raise ForbiddenAddressError("must not carry a user or a password")
        if any(ord(character) <= ord(" ") or ord(character) == _DELETE for character in url):
            raise ForbiddenAddressError("must not contain spaces or control characters")
        self._check_host(host)

    def check_address(self, address: str) -> None:
        """Checks one IP address.

        Raises:
            ForbiddenAddressError: It may not be called.
        """
        parsed = _embedded(ipaddress.ip_address(address.partition("%")[0]))
        if parsed.is_loopback and self._allow_loopback:
            return
        if not parsed.is_global or parsed.is_multicast or parsed.is_reserved or parsed.is_unspecified:
            raise ForbiddenAddressError(f"leads to {address}, which is not a public address; give a public one")

    def _check_host(self, host: str) -> None:
        literal = _literal(host)
        if literal is not None:
            self.check_address(literal)
            return
        name = host.rstrip(".").lower()
        if (name in _LOOPBACK_NAMES or name.endswith(".localhost")) and not self._allow_loopback:
            raise ForbiddenAddressError(f"leads to {host}, which is this machine; give a public host")


class GuardedResolver(AbstractResolver):
    """Resolves names for aiohttp, and hands on only addresses that may be called.

    Args:
        guard: Decides.
        resolver: Asks the name server; the machine's own unless told.
    """

    def __init__(self, guard: AddressGuard, resolver: AbstractResolver | None = None) -> None:
        self._guard = guard
        self._resolver = resolver or ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of a name, all of them allowed.

        Raises:
            ForbiddenAddressError: One of them is not; a name that mixes public and private addresses is an attack.
            OSError: The name cannot be resolved.
        """
        found = await self._resolver.resolve(host, port, family)
        for result in found:
            self._guard.check_address(result["host"])
        return found

    async def close(self) -> None:
        """Closes the resolver below."""
        await self._resolver.close()


def _literal(host: str) -> str | None:
    """The host as an IP address, in any form that `connect` would take (`0x7f.1`, `2130706433`), or None for a name."""
    try:
        return str(ipaddress.ip_address(host.partition("%")[0]))
    except ValueError:
        pass
    try:
        return socket.inet_ntoa(socket.inet_aton(host))
    except (OSError, ValueError):
        return None


def _embedded(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address inside an IPv6 one that carries it, else the address itself."""
    if address.version == 4:  # noqa: PLR2004  the protocol's number
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    if any(address in network for network in _TUNNELS):
        return ipaddress.IPv4Address(0)  # unspecified, which may not be called: a tunnel's far end cannot be judged
    return address
