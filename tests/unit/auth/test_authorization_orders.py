from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.auth.connections.authorizing import pages
from services.auth.connections.authorizing.authorization import (
    AuthorizationOrder,
    is_random,
    new_random,
    public_url_problem,
    web_url_problem,
)


@pytest.mark.parametrize(
    "url",
    [
        "https://app.example",
        "https://app.example/",
        "https://app.example:8443/connected?a=b&c=%20d",
        "https://APP.example/x",
        "https://app.example?a=b",
        "https://192.0.2.1/x",
        "https://[2001:db8::1]:444/x",
        "http://localhost:3000/connected",
        "http://127.0.0.1/x",
        "http://[::1]:3000/x",
    ],
)
def test_browsers_may_be_sent_there(url: str) -> None:
    assert web_url_problem(url) is None


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/connected",
        "//app.example/",
        "app.example",
        "https:app.example",
        "https:///app.example",
        "https://",
        "ftp://app.example/",
        "javascript:alert(1)",
        "data:text/html,x",
        "http://app.example/",
        "http://localhost.app.example/",
        "http://127.0.0.1.app.example/",
        "http://0x7f000001/",
        "https://user@app.example/",
        "https://user:password@app.example/",
        "https://app.example@evil.example/",
        "https://app.example\\@evil.example/",
        "https://app.example\\.evil.example/",
        "https://app.example/#fragment",
        "https://app.example/ x",
        "https://app.example/\t",
        "https://app.example/\r\nSet-Cookie: a=b",
        "https://app.example/\0",
        "https://app.exämple/",
        "http\u017f://app.example/",
        "https://\u212ahost.example/",
        "https://app.example/<script>",
        'https://app.example/"',
        "https://app.example:0/",
        "https://app.example:999999/",
        "https://-app.example/",
        " https://app.example/",
        "https://app.example/" + "x" * 2048,
    ],
)
def test_browsers_are_not_sent_there(url: str) -> None:
    problem = web_url_problem(url)
    assert problem is not None
    assert "\r" not in problem
    assert len(problem) < 300


@pytest.mark.usefixtures("uncounted")
@given(st.text(max_size=80), st.sampled_from(["", "https://", "http://localhost", "https://app.example"]))
def test_whatever_is_let_pass_is_read_in_one_way_and_breaks_no_header(text: str, start: str) -> None:
    url = start + text
    if web_url_problem(url) is not None:
        return
    parts = urlsplit(url)
    assert url.isascii()
    assert url.isprintable()
    assert "\\" not in url
    assert parts.scheme.lower() in {"https", "http"}
    assert parts.hostname
    assert (parts.username, parts.password, parts.fragment) == (None, None, "")
    if parts.scheme.lower() == "http":
        assert parts.hostname in {"localhost", "::1"} or parts.hostname.startswith("127.")


@pytest.mark.parametrize("url", ["https://penstock.example", "http://127.0.0.1:8080", "https://penstock.example:444"])
def test_browsers_may_reach_the_mesh_there(url: str) -> None:
    assert public_url_problem(url) is None


@pytest.mark.parametrize(
    "url",
    ["http://penstock.example", "https://penstock.example/", "https://penstock.example/api", "https://a.example?b"],
)
def test_browsers_do_not_reach_the_mesh_there(url: str) -> None:
    assert public_url_problem(url) is not None


def test_a_return_url_is_for_browsers_alone() -> None:
    order = AuthorizationOrder(provider="flickr", out_of_band=True, return_url="https://app.example/")
    assert [each.field for each in order.violations()] == ["returnUrl"]


def test_what_is_random_is_known_by_its_form() -> None:
    assert all(is_random(new_random()) for _ in range(100))
    assert len({new_random() for _ in range(100)}) == 100
    for text in ("", "x" * 42, "x" * 44, "x" * 42 + "=", "x" * 42 + "\n", "ä" * 43):
        assert not is_random(text)


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("text/html", True),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", True),
        ("application/json, TEXT/HTML;q=0.5", True),
        ("*/*", False),
        ("", False),
        ("application/json", False),
        ("text/htmlx", False),
    ],
)
def test_pages_are_for_who_reads_them(accept: str, *, wanted: bool) -> None:
    assert pages.is_wanted(accept) is wanted


@given(st.text(max_size=200), st.text(max_size=200))
def test_nothing_on_a_page_is_markup(title: str, paragraph: str) -> None:
    html = pages.page(title, [paragraph]).data.decode("utf-8", "strict") if _is_utf8(title + paragraph) else ""
    bare = pages.page("", [""]).data.decode()
    assert html.count("<") == (bare.count("<") if html else 0)


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
