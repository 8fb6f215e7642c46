"""The address guard against every way of writing an address that must not be called."""

from __future__ import annotations

import contextlib
import socket
from ipaddress import ip_network
from typing import TYPE_CHECKING

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from hypothesis import given
from hypothesis import strategies as st

from shared.addresses import AddressGuard, ForbiddenAddressError, GuardedResolver, guarded_connector

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address

#: IPv4-mapped addresses and NAT64.
IPV4_INSIDE = (ip_network("::ffff:0:0/96"), ip_network("64:ff9b::/96"))
PUBLIC = "93.184.215.14"


class Names(AbstractResolver):
    """A name server whose answers change from question to question."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        answer = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        return [ResolveResult(hostname=host, host=each, port=port, family=family, proto=0, flags=0) for each in answer]

    async def close(self) -> None:
        return


PRIVATE_HOSTS = [
    "127.0.0.1",
    "127.1",
    "0x7f.1",
    "0x7f000001",
    "017700000001",
    "2130706433",
    "127.0.0.1.",
    "0",
    "0.0.0.0",
    "10.0.0.1",
    "10.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "192.0.2.1",
    "198.18.0.1",
    "198.51.100.7",
    "203.0.113.9",
    "192.88.99.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "[::]",
    "[::1]",
    "[::ffff:10.0.0.1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:a9fe:a9fe]",
    "[::10.0.0.1]",
    "[::ffff:0:10.0.0.1]",
    "[64:ff9b::a00:1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b:1::1]",
    "[100::1]",
    "[2001::1]",
    "[2001:db8::1]",
    "[2002:a00:1::]",
    "[3fff::1]",
    "[5f00::1]",
    "[fc00::1]",
    "[fd00:ec2::254]",
    "[fe80::1]",
    "[fe80::1%25eth0]",
    "[fec0::1]",
    "[ff02::1]",
    "localhost",
    "localhost.",
    "LOCALHOST",
    "a.localhost",
    "ip6-localhost",
    # Other digits, and another full stop, that IDNA makes into plain ones.
    "①②⑦.⓪.⓪.①",
    "１２７.0.0.1",  # noqa: RUF001  the point of it
    "127。0。0。1",
]


@pytest.mark.parametrize("host", PRIVATE_HOSTS)
@pytest.mark.parametrize("form", ["http://{}/", "https://{}:8443/path?query=1"])
def test_no_url_leads_to_an_address_that_is_not_public(host: str, form: str) -> None:
    with pytest.raises(ForbiddenAddressError):
        AddressGuard().check_url(form.format(host))


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com",
        "HTTPS://EXAMPLE.COM/",
        "https://example.com./x?y=z#part",
        "http://93.184.215.14:8080/",
        "http://[2606:4700::1111]/",
        "http://[::ffff:93.184.215.14]/",
        "http://münchen.example/straße",
        "http://under_score.example/",
        "http://10.0.0.1.example/",
        "http://localhost.example/",
    ],
)
def test_a_public_url_passes(url: str) -> None:
    AddressGuard().check_url(url)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "absolute"),
        ("example.com/x", "absolute"),
        ("//example.com", "absolute"),
        ("http:///path", "absolute"),
        ("http:example.com", "absolute"),
        ("ftp://example.com", "absolute"),
        ("file:///etc/passwd", "absolute"),
        ("gopher://example.com", "absolute"),
        ("javascript:alert(1)", "absolute"),
        ("http://user@example.com", "user"),
        ("http://user:secret@example.com", "user"),
        ("http://example.com@10.0.0.1/", "user"),
        ("http://example.com:0/", "port 0"),
        ("http://example.com:65536/", "not a URL"),
        ("http://example.com:-1/", "not a URL"),
        ("http://example.com:80:80/", "not a URL"),
        ("http://example.com:http/", "not a URL"),
        ("http://example.com\\@10.0.0.1/", "backslashes"),
        ("http://exa mple.com/", "spaces"),
        ("http://example.com/\r\nX: y", "control"),
        ("http://example.com/\0", "control"),
        ("http://example.com/\x7f", "control"),
        ("http://a%2eb/", "no name"),
        ("http://10.0.0.1%00.example.com/", "not a public address"),
        ("http://a..b/", "no name"),
        ("http://.example.com/", "no name"),
        ("http://[::1/", "not a URL"),
        ("http://0x5d.184.215.14/", "write it as 93.184.215.14"),
        ("http://1572395790/", "write it as"),
        ("http://example.com/" + "x" * 2048, "longer than 2048"),
    ],
)
def test_a_malformed_url_is_told_what_is_wrong(url: str, said: str) -> None:
    with pytest.raises(ForbiddenAddressError, match=said):
        AddressGuard().check_url(url)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9000/x", "http://[::1]/", "http://localhost/", "http://a.localhost/"]
)
def test_loopback_passes_only_where_it_is_allowed(url: str) -> None:
    AddressGuard(allow_loopback=True).check_url(url)


@pytest.mark.parametrize("host", ["0.0.0.0", "10.0.0.1", "169.254.169.254", "[fe80::1]", "[::]", "127.1"])
def test_allowing_loopback_allows_nothing_else(host: str) -> None:
    with pytest.raises(ForbiddenAddressError):
        AddressGuard(allow_loopback=True).check_url(f"http://{host}/")


@pytest.mark.parametrize("url", ["https://example.com/", "http://example.com/", "https://93.184.215.14:8443/x"])
def test_a_listed_port_passes_and_so_does_the_schemes_own(url: str) -> None:
    AddressGuard(ports=(80, 443, 8443)).check_url(url)


@pytest.mark.parametrize(
    "url",
    ["https://example.com:22/", "http://93.184.215.14:6379/", "http://[2606:4700::1111]:25/", "http://example.com/"],
)
def test_a_port_that_is_not_listed_is_refused_with_those_that_are(url: str) -> None:
    with pytest.raises(ForbiddenAddressError, match=r"to port \d+, which is not called; it may be one of 443, 8443"):
        AddressGuard(ports=(8443, 443)).check_url(url)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "[::1]", "[::ffff:127.0.0.1]", "localhost", "a.localhost."])
def test_this_machine_is_called_at_any_port_where_it_is_allowed(host: str) -> None:
    guard = AddressGuard(allow_loopback=True, ports=(443,))
    guard.check_url(f"http://{host}:5678/")
    assert guard.lets_loopback(host.strip("[]"))
    assert not AddressGuard(ports=(443,)).lets_loopback(host.strip("[]"))


@pytest.mark.parametrize(("address", "port", "passes"), [("93.184.215.14", 443, True), ("93.184.215.14", 22, False)])
def test_a_socket_is_opened_to_a_listed_port_alone(address: str, port: int, *, passes: bool) -> None:
    guard = AddressGuard(ports=(443,))
    info = (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
    if passes:
        guard.open_socket(info).close()
        return
    with pytest.raises(ForbiddenAddressError, match="port 22"):
        guard.open_socket(info)


def test_a_socket_to_this_machine_is_opened_at_any_port_where_it_is_allowed() -> None:
    info = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 5678))
    AddressGuard(allow_loopback=True, ports=(443,)).open_socket(info).close()


@given(st.ip_addresses())
def test_whatever_the_standard_library_calls_private_is_refused(address: IPv4Address | IPv6Address) -> None:
    if any(address in disguise for disguise in IPV4_INSIDE):
        return  # judged by the address inside
    if address.is_global and not address.is_multicast and not address.is_reserved:
        return
    with pytest.raises(ForbiddenAddressError):
        AddressGuard().check_address(str(address))


@given(st.ip_addresses(v=4, network="10.0.0.0/8") | st.ip_addresses(v=4, network="169.254.0.0/16"))
def test_no_writing_of_a_private_address_passes(address: IPv4Address) -> None:
    number, packed = int(address), address.packed
    forms = [
        str(number),
        hex(number),
        ".".join(map(oct, packed)).replace("0o", "0"),
        ".".join(map(hex, packed)),
        f"{packed[0]}.{number & 0xFFFFFF}",
        f"[::ffff:{address}]",
        f"[64:ff9b::{address}]",
    ]
    for form in forms:
        with pytest.raises(ForbiddenAddressError):
            AddressGuard().check_url(f"http://{form}/")


@given(st.text(max_size=60))
def test_any_text_is_either_taken_or_refused(text: str) -> None:
    for url in (text, f"http://{text}/"):
        with contextlib.suppress(ForbiddenAddressError):  # any other error fails the test
            AddressGuard().check_url(url)


@pytest.mark.parametrize("answer", [["10.0.0.1"], ["127.0.0.1"], ["::1"], ["fe80::1%eth0"], [PUBLIC, "10.0.0.1"]])
async def test_a_name_with_one_private_address_is_refused(answer: list[str]) -> None:
    resolver = GuardedResolver(AddressGuard(), Names(answer))
    with pytest.raises(ForbiddenAddressError, match="not a public address"):
        await resolver.resolve("trick.example", 80)


async def test_a_name_with_public_addresses_is_resolved_to_all_of_them() -> None:
    found = await GuardedResolver(AddressGuard(), Names([PUBLIC, "2606:4700::1111"])).resolve("good.example", 443)
    assert [each["host"] for each in found] == [PUBLIC, "2606:4700::1111"]


async def test_the_resolver_below_is_closed_with_it() -> None:
    class Closing(Names):
        closed = False

        async def close(self) -> None:
            self.closed = True

    names = Closing([PUBLIC])
    await GuardedResolver(AddressGuard(), names).close()
    assert names.closed


@pytest.mark.parametrize("address", ["10.0.0.1", "127.0.0.1", "169.254.169.254", "::1", "fe80::1"])
def test_no_socket_is_opened_for_a_forbidden_address(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    info = (family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, 80))
    with pytest.raises(ForbiddenAddressError):
        AddressGuard().open_socket(info)


@pytest.mark.parametrize("host", ["10.0.0.1", "[::ffff:10.0.0.1]", "169.254.169.254"])
async def test_the_pool_connects_to_no_forbidden_address_though_nobody_checked_the_url(host: str) -> None:
    connector = guarded_connector(AddressGuard(), limit=1, keepalive_s=1)
    async with aiohttp.ClientSession(connector=connector) as session:
        with pytest.raises(ForbiddenAddressError):
            await session.get(f"http://{host}/")


async def test_a_name_that_turns_private_after_it_was_checked_is_never_connected_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connected: list[str] = []

    def connect(self: socket.socket, address: tuple[str, int]) -> None:
        connected.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(socket.socket, "connect", connect)
    names = Names([PUBLIC], ["127.0.0.1"])
    connector = guarded_connector(AddressGuard(), limit=1, keepalive_s=1, resolver=names)
    async with aiohttp.ClientSession(connector=connector) as session:
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get("http://rebinding.example/")
        assert connected == [PUBLIC]  # the address that was checked, and no second question
        assert names.asked == 1
        connector.clear_dns_cache()
        with pytest.raises(ForbiddenAddressError):
            await session.get("http://rebinding.example/")
    assert connected == [PUBLIC]
