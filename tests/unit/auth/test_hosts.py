from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from services.auth.connections import hosts
from shared.addresses import AddressGuard

GUARD = AddressGuard()


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("api.example.com", "api.example.com"),
        ("API.Example.com", "api.example.com"),
        ("api.example.com:443", "api.example.com"),
        ("api.example.com.", "api.example.com"),
        ("api.example.com:8443", "api.example.com:8443"),
        ("api.example.com:80", "api.example.com:80"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("8.8.8.8:8443", "8.8.8.8:8443"),
        ("[2606:4700:0:0::1]:8443", "[2606:4700::1]:8443"),
    ],
)
def test_a_host_has_one_spelling(text: str, host: str) -> None:
    assert hosts.normalized(text, GUARD) == host


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "has 0 characters"),
        ("x" * 300, "has 300 characters"),
        ("https://api.example.com", "more than a host"),
        ("api.example.com/v1", "more than a host"),
        ("api.example.com?x", "more than a host"),
        ("ann@api.example.com", "more than a host"),
        ("*.example.com", "more than a host"),
        ("a.example,b.example", "more than a host"),
        ("api example.com", "spaces"),
        ("api.example.com\r\nx", "control characters"),
        ("api..example.com", "is no name"),
        ("api.example.com:0", "port 0"),
        ("api.example.com:99999", "is not a URL"),
        ("10.0.0.1", "not a public address"),
        ("169.254.169.254", "not a public address"),
        ("[::1]:8080", "not a public address"),
        ("[::ffff:10.0.0.1]", "not a public address"),
        ("0x7f.1", "not a public address"),
        ("localhost:8080", "this machine"),
    ],
)
def test_what_is_no_host_that_may_be_called_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        hosts.normalized(text, GUARD)


def test_this_machine_may_be_called_where_that_is_allowed() -> None:
    guard = AddressGuard(allow_loopback=True)
    assert hosts.normalized("127.0.0.1:8080", guard) == "127.0.0.1:8080"
    assert hosts.normalized("localhost", guard) == "localhost"
    with pytest.raises(ValueError, match="public address"):
        hosts.normalized("10.0.0.1", guard)


@given(st.text(alphabet=st.sampled_from("aZ0.-:[]@/%*é_ 12"), max_size=12) | st.text(max_size=12))
def test_whatever_passes_is_the_host_of_the_url_that_is_called(text: str) -> None:
    try:
        host = hosts.normalized(text, GUARD)
    except ValueError:
        return
    assert hosts.normalized(host, GUARD) == host
    called = URL(f"https://{host}/path")
    assert (called.host_port_subcomponent or "").lower() == host
    assert called.path == "/path"


def test_each_host_is_named_once_and_wrong_ones_by_their_place() -> None:
    given_hosts = ("A.example", "a.example:443", "b.example")
    assert list(hosts.violations(given_hosts, GUARD)) == []
    assert hosts.all_normalized(given_hosts, GUARD) == ("a.example", "b.example")
    wrong = [each.field for each in hosts.violations(("a.example", "10.0.0.1", "b.example/x"), GUARD)]
    assert wrong == ["hosts[1]", "hosts[2]"]
    assert [each.field for each in hosts.violations((), GUARD)] == ["hosts"]
    (too_many,) = hosts.violations(tuple(f"h{number}.example" for number in range(21)), GUARD)
    assert "are 21; there may be 20" in too_many.description
