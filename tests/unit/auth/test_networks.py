from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.auth import networks

if TYPE_CHECKING:
    import ipaddress

IPV4 = st.ip_addresses(v=4)


@given(IPV4, st.integers(0, 32))
def test_an_ipv4_address_is_the_same_inside_an_ipv6_one(address: ipaddress.IPv4Address, bits: int) -> None:
    mapped = networks.address(f"::ffff:{address}")
    assert mapped == networks.address(str(address)) == address
    network = networks.network(f"{address}/{bits}")
    assert networks.network(f"::ffff:{address}/{96 + bits}") == network
    assert networks.contain([network], mapped)


@given(st.ip_addresses(), st.data())
def test_a_network_holds_exactly_the_addresses_that_begin_as_it_does(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, data: st.DataObject
) -> None:
    known = networks.address(str(address))
    assert known is not None
    bits = data.draw(st.integers(1, known.max_prefixlen))
    network = networks.network(f"{known}/{bits}")
    flipped = type(known)(int(known) ^ (1 << (known.max_prefixlen - bits)))  # the last bit that counts
    assert networks.contain([network], known)
    assert not networks.contain([network], flipped)


def test_no_network_holds_what_is_no_address() -> None:
    assert networks.address("") is None
    assert networks.address("/run/socket") is None
    assert not networks.contain([networks.network("0.0.0.0/0"), networks.network("::/0")], None)


def test_an_ipv4_address_is_in_no_ipv6_network_but_a_mapped_one() -> None:
    assert not networks.contain([networks.network("::/0")], networks.address("192.0.2.1"))
    assert networks.contain([networks.network("::ffff:0:0/96")], networks.address("192.0.2.1"))


@pytest.mark.parametrize("text", ["", "nonsense", "10.0.0.0/33", "010.0.0.1", "fe80::1%eth0", "10.0.0.0/8/8", "::/129"])
def test_what_is_no_network_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        networks.network(text)


def test_clients_are_counted_by_ipv4_address_and_by_ipv6_site() -> None:
    def counted(text: str) -> str:
        return networks.counted_as(networks.address(text))

    assert counted("192.0.2.1") == counted("::ffff:192.0.2.1") == "192.0.2.1"
    assert counted("2001:db8::1") == counted("2001:db8::ffff") == "2001:db8::/64"
    assert counted("2001:db8:0:1::1") != counted("2001:db8::1")
    assert counted("") == "unknown"
