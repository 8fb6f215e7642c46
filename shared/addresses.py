"""The address guard: no call of a tenant's leads into the network that Penstock stands in.

What is checked is what is called: a URL is read by the parser that the call is made with; a name is resolved once,
every address of it is checked, and the connection goes to those very addresses, so that a second answer of the name
server (DNS rebinding) changes nothing. The socket is the last to ask, whatever way led to it. A redirect is another
call.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

if TYPE_CHECKING:
    from collections.abc import Collection
    from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

MAX_URL_CHARACTERS = 2048
#: Where webhooks may go unless the settings say otherwise: the ports that HTTP is served at. At others, programs listen
#: that take a POST for commands of their own; and a mesh that tenants can point at any port scans ports for them.
WEBHOOK_PORTS = (80, 443, 8080, 8443)
_LOOPBACK_NAMES = ("localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback")
_HOST_NAME = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.?")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052: an IPv4 address in disguise
#: The only IPv6 addresses given out to be called from anywhere (IANA, IPv6 Global Unicast Address Assignments).
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
#: IANA's registries of special-purpose addresses (RFC 6890), spelt out: `ipaddress` differs between versions of Python.
_SPECIAL: tuple[IPv4Network | IPv6Network, ...] = tuple(
    ipaddress.ip_network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT; one cloud's metadata
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # public by its looks, and another cloud's metadata
        "169.254.0.0/16",  # link-local; most clouds' metadata
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments; one more cloud's metadata
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
        "2001::/23",  # protocol assignments; Teredo, whose far end cannot be judged
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4, whose far end cannot be judged
        "3fff::/20",  # documentation
    )
)


class ForbiddenAddressError(Exception):
    """A URL or a name leads where no call may go; the message says where and why."""


class AddressGuard:
    """Decides which addresses may be called.

    Args:
        allow_loopback: Lets 127.0.0.0/8 and ::1 pass, at any port: for a laptop, never for production.
        ports: At which others may be called; any unless given.
    """

    def __init__(self, *, allow_loopback: bool = False, ports: Collection[int] | None = None) -> None:
        self._allow_loopback = allow_loopback
        self._ports = None if ports is None else frozenset(ports)

    def check_url(self, url: str) -> None:
        """Checks all of a URL that can be checked without asking a name server.

        Raises:
            ForbiddenAddressError: It is not an absolute http or https URL, or its host may not be called, or not there.
        """
        if len(url) > MAX_URL_CHARACTERS:
            raise ForbiddenAddressError(f"is longer than {MAX_URL_CHARACTERS} characters")
        if any(character <= " " or character in "\\\x7f" for character in url):  # each parser reads these its own way
            raise ForbiddenAddressError("must not contain spaces, control characters or backslashes")
        try:
            parts = URL(url)
        except ValueError as error:
            raise ForbiddenAddressError(f"is not a URL: {error}") from error
        if parts.scheme not in {"http", "https"} or not parts.raw_host:
            raise ForbiddenAddressError("must be an absolute http:// or https:// URL")
        if parts.raw_user is not None or parts.raw_password is not None:
            raise ForbiddenAddressError("must not carry a user or a password")
        if parts.port == 0:
            raise ForbiddenAddressError("must not name port 0, to which nothing listens")
        self._check_host(parts.raw_host)
        if not self.lets_loopback(parts.raw_host):
            self._check_port(parts.port)

    def lets_loopback(self, host: str) -> bool:
        """Whether a URL's host is this machine, which may be called."""
        literal = _literal(host)
        if literal is not None:
            return self._allow_loopback and _embedded(ipaddress.ip_address(literal)).is_loopback
        return self._allow_loopback and _is_loopback_name(host)

    def check_address(self, address: str) -> None:
        """Checks one IP address.

        Raises:
            ForbiddenAddressError: It may not be called.
        """
        parsed = _embedded(ipaddress.ip_address(address.partition("%")[0]))
        if parsed.is_loopback and self._allow_loopback:
            return
        if not _is_public(parsed):
            raise ForbiddenAddressError(f"leads to {address}, which is not a public address; give a public one")

    def open_socket(self, address_info: tuple[Any, ...]) -> socket.socket:
        """A socket for one answer of `getaddrinfo`.

        Raises:
            ForbiddenAddressError: Its address may not be called, or not at its port.
        """
        family, kind, protocol, _, address = address_info
        self.check_address(address[0])
        if not self.lets_loopback(address[0]):
            self._check_port(address[1])
        return socket.socket(family, kind, protocol)

    def _check_host(self, host: str) -> None:
        literal = _literal(host)
        if literal is not None:
            self.check_address(literal)
            if ":" not in host and literal != host:
                raise ForbiddenAddressError(f"writes the address {literal} as {host}; write it as {literal}")
            return
        if _HOST_NAME.fullmatch(host) is None:
            raise ForbiddenAddressError(f"names the host {host!r}, which is no name; use letters, digits, '-' and '.'")
        if _is_loopback_name(host) and not self._allow_loopback:
            raise ForbiddenAddressError(f"leads to {host}, which is this machine; give a public host")

    def _check_port(self, port: int | None) -> None:
        if self._ports is not None and port not in self._ports:
            allowed = ", ".join(map(str, sorted(self._ports)))
            raise ForbiddenAddressError(f"leads to port {port}, which is not called; it may be one of {allowed}")


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


def guarded_connector(
    guard: AddressGuard, *, limit: int, keepalive_s: float, resolver: AbstractResolver | None = None
) -> aiohttp.TCPConnector:
    """A pool of connections for aiohttp, none of which leads where the guard forbids.

    Args:
        guard: Decides, on every answer of the resolver and on every socket, since an address is not resolved.
        limit: Connections in use at a time.
        keepalive_s: How long an idle one is kept.
        resolver: Asks the name server; the machine's own unless told.
    """
    return aiohttp.TCPConnector(
        resolver=GuardedResolver(guard, resolver),
        socket_factory=guard.open_socket,
        limit=limit,
        keepalive_timeout=keepalive_s,
    )


def _is_loopback_name(host: str) -> bool:
    name = host.rstrip(".").lower()
    return name in _LOOPBACK_NAMES or name.endswith(".localhost")


def _literal(host: str) -> str | None:
    """The host as an IP address, in any form that `connect` would take (`0x7f.1`, `2130706433`), or None for a name."""
    try:
        return str(ipaddress.ip_address(host.partition("%")[0]))
    except ValueError:
        pass
    try:
        return socket.inet_ntoa(socket.inet_aton(host.rstrip(".")))
    except (OSError, ValueError):
        return None


def _embedded(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address inside an IPv6 one that carries it, else the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address) and address not in _GLOBAL_UNICAST:
        return False
    return not any(address in network for network in _SPECIAL)
