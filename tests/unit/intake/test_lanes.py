"""Lanes: one for each connection, and without one, for each host that is called."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.intake.lanes import lane_of

MAX_LANE = 253 + len(":65535")


def lane(url: object, *, connection: str = "") -> str:
    return lane_of({"url": url}, connection=connection, lane_param="url")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://example.com/x?y#z", "example.com"),
        ("HTTPS://EXAMPLE.COM/", "example.com"),
        ("https://example.com.", "example.com"),
        ("http://example.com:80", "example.com"),
        ("https://example.com:443/", "example.com"),
        ("http://example.com:443/", "example.com:443"),
        ("https://example.com:8443/a b", "example.com:8443"),
        ("https://Bücher.example/", "xn--bcher-kva.example"),
        ("https://xn--bcher-kva.example/", "xn--bcher-kva.example"),
        ("http://8.8.8.8/", "8.8.8.8"),
        ("http://[2001:DB8:0:0::1]:8080/", "[2001:db8::1]:8080"),
        ("http://[2001:db8::1]:80/", "[2001:db8::1]"),
    ],
)
def test_without_a_connection_the_lane_is_the_host_in_one_spelling(url: str, expected: str) -> None:
    assert lane(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "/x",
        "http://",
        "http://x:99999/",
        "http://a b/",
        "http://[v1.a:b]/",
        f"http://{'a.' * 127}com/",
        7,
        None,
    ],
)
def test_what_names_no_host_that_can_be_called_is_in_the_common_lane(url: object) -> None:
    assert lane(url) == ""


def test_a_connection_wins() -> None:
    assert lane("https://example.com/", connection="con_1") == "con_1"


def test_an_upstream_without_urls_has_a_common_lane() -> None:
    assert lane_of({"url": "https://example.com/"}, connection="", lane_param="") == ""
    assert lane_of({}, connection="", lane_param="url") == ""


@given(st.text(max_size=400) | st.text(max_size=300).map("https://{}/".format))
def test_a_lane_is_short_and_of_few_characters_whatever_the_url(url: str) -> None:
    found = lane(url)
    assert len(found) <= MAX_LANE
    assert set(found) <= set("abcdefghijklmnopqrstuvwxyz0123456789.-_:[]")
