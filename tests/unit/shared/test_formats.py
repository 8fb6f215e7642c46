from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.addresses import AddressGuard
from shared.formats import CALLABLE_HEADER, HEADER_VALUE, PUBLIC_URL, formats

FORMATS = formats(AddressGuard())


@pytest.mark.parametrize("name", ["Accept", "X-Api-Key", "content-type", "If-None-Match", "x!#$%&'*+-.^_`|~9"])
def test_a_caller_sets_ordinary_headers(name: str) -> None:
    assert FORMATS[CALLABLE_HEADER].accepts(name)


@pytest.mark.parametrize("name", ["Authorization", "AUTHORIZATION", "cookie", "Cookie2"])
def test_credentials_are_refused_with_where_they_come_from(name: str) -> None:
    assert "connections" in (FORMATS[CALLABLE_HEADER].problem(name) or "")


@pytest.mark.parametrize(
    "name",
    [
        "Host",
        "Content-Length",
        "Transfer-Encoding",
        "Connection",
        "Keep-Alive",
        "TE",
        "Trailer",
        "Upgrade",
        "Expect",
        "Accept-Encoding",
        "traceparent",
        "Proxy-Authorization",
        "Proxy-Connection",
        "X-Penstock-Identity",
        "x-penstock-anything",
    ],
)
def test_headers_that_are_penstocks_own_are_refused(name: str) -> None:
    assert "Penstock sets itself" in (FORMATS[CALLABLE_HEADER].problem(name) or "")


@pytest.mark.parametrize("name", ["", " ", "a b", "a:b", "a\r\nb", "a\0", "ä", "x" * 129, "Host ", "\tHost"])
def test_what_is_no_header_name_is_refused(name: str) -> None:
    assert "not the name of a header" in (FORMATS[CALLABLE_HEADER].problem(name) or "")


@pytest.mark.parametrize("value", ["", "plain", "with\ttab and space", '"quoted", list; q=0.5'])
def test_plain_header_values_pass(value: str) -> None:
    assert FORMATS[HEADER_VALUE].accepts(value)


@given(st.text().filter(lambda text: any(c != "\t" and not " " <= c <= "~" for c in text)))
def test_a_header_value_with_anything_but_visible_ascii_is_refused(value: str) -> None:
    assert not FORMATS[HEADER_VALUE].accepts(value)


def test_a_url_is_judged_by_the_guard() -> None:
    assert FORMATS[PUBLIC_URL].accepts("https://example.com/")
    assert "10.0.0.1" in (FORMATS[PUBLIC_URL].problem("http://10.0.0.1/") or "")
    assert not FORMATS[PUBLIC_URL].accepts("http://127.0.0.1/")
    assert formats(AddressGuard(allow_loopback=True))[PUBLIC_URL].accepts("http://127.0.0.1/")
