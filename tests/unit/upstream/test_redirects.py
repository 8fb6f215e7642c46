from __future__ import annotations

import pytest
from multidict import CIMultiDict
from yarl import URL

from services.upstream.http_client import HttpRequest
from services.upstream.redirects import BadRedirectError, follow, is_performed, is_redirect

FROM = "https://api.example/a/b?q=1"


def request(verb: str, *, url: str = FROM) -> HttpRequest:
    headers = CIMultiDict({"X-Api-Key": "secret", "Accept": "text/csv", "Content-Type": "text/plain"})
    return HttpRequest(verb=verb, url=URL(url), headers=headers, body=b"body")


@pytest.mark.parametrize(
    ("verb", "status", "becomes"),
    [
        ("GET", 301, "GET"),
        ("HEAD", 303, "HEAD"),
        ("POST", 301, "GET"),
        ("POST", 302, "GET"),
        ("POST", 303, "GET"),
        ("PUT", 303, "GET"),
        ("DELETE", 303, "GET"),
        ("PUT", 301, "PUT"),
        ("PATCH", 302, "PATCH"),
        ("DELETE", 302, "DELETE"),
        ("POST", 307, "POST"),
        ("POST", 308, "POST"),
        ("PATCH", 307, "PATCH"),
    ],
)
def test_the_verb_changes_as_rfc_9110_says_and_the_body_with_it(verb: str, status: int, becomes: str) -> None:
    followed = follow(request(verb), status, "/there")
    assert followed.verb == becomes
    assert followed.body == (b"body" if becomes == verb else None)
    assert ("Content-Type" in followed.headers) is (becomes == verb)
    assert is_performed(verb, status) is (becomes != verb)


@pytest.mark.parametrize("status", [200, 300, 304, 305, 306, 400])
def test_other_statuses_are_no_redirects(status: int) -> None:
    assert not is_redirect(status)


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("/c", "https://api.example/c"),
        ("c?d=e", "https://api.example/a/c?d=e"),
        ("?d=e", "https://api.example/a/b?d=e"),
        ("//other.example/x", "https://other.example/x"),
        ("http://other.example:81/x#part", "http://other.example:81/x"),
        ("", FROM),
    ],
)
def test_the_location_is_read_against_the_url(location: str, url: str) -> None:
    assert str(follow(request("GET"), 302, location).url) == url


@pytest.mark.parametrize(
    ("start", "location", "stays"),
    [
        (FROM, "/same", True),
        (FROM, "https://API.example:443/same", True),
        ("http://api.example/", "https://api.example/", True),
        (FROM, "https://api.example:444/", False),
        (FROM, "http://api.example/", False),
        (FROM, "https://other.example/", False),
        (FROM, "https://sub.api.example/", False),
        ("http://api.example:8080/", "https://api.example/", False),
    ],
)
def test_a_callers_own_headers_stay_within_the_origin(start: str, location: str, *, stays: bool) -> None:
    followed = follow(request("GET", url=start), 307, location)
    assert ("X-Api-Key" in followed.headers) is stays
    assert followed.headers["Accept"] == "text/csv"


@pytest.mark.parametrize("location", ["http://[::1", "http://h:99999/", "http://h:x/"])
def test_a_location_that_is_no_url_is_told_apart(location: str) -> None:
    with pytest.raises(BadRedirectError):
        follow(request("GET"), 302, location)
