"""Where an operator has upstreams called instead."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest
from yarl import URL

from services.upstream import urls
from services.upstream.connectors import every_connector
from shared.clock import SystemClock
from shared.config import ConfigError

if TYPE_CHECKING:
    from services.upstream.http_client import HttpClient
    from services.upstream.rest.connector import RestConnector

CLIENT = cast("HttpClient", None)  # nothing is called


def test_entries_are_read_by_upstream_and_target() -> None:
    entries = ("flickr.rest=https://proxy.example/a%2Fb/?", "flickr.upload=http://127.0.0.1:1/")
    assert urls.parse(entries) == {
        "flickr": {"rest": URL("https://proxy.example/a%2Fb/", encoded=True), "upload": URL("http://127.0.0.1:1/")}
    }
    assert urls.parse(()) == {}


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("", "it takes upstream.target=url"),
        ("flickr=https://a.example/", "it takes upstream.target=url"),
        ("flickr.rest", "it takes upstream.target=url"),
        ("Flickr.rest=https://a.example/", "it takes upstream.target=url"),
        ("flickr.rest=", "it takes upstream.target=url"),
        ("flickr.rest=https:///x", "no https:// URL"),
        ("flickr.rest=ftp://a.example/", "no https:// URL"),
        ("flickr.rest=a.example", "no https:// URL"),
        ("flickr.rest=https://a.example:0/", "no https:// URL"),
        ("flickr.rest=https://a.example:99999/", "no URL"),
        ("flickr.rest=https://user:pass@a.example/", "leave out user"),
        ("flickr.rest=https://a.example/?key=1", "leave out user, query"),
        ("flickr.rest=https://a.example/#x", "leave out user, query and fragment"),
        ("flickr.rest=http://a.example/", "anybody on the way can read"),
        ("flickr.rest=http://localhost/", "anybody on the way can read"),
        ("flickr.rest=http://10.0.0.1/", "anybody on the way can read"),
    ],
)
def test_what_is_no_entry_is_told(entry: str, said: str) -> None:
    (mistake,) = urls.mistakes_of([entry], allow_loopback=True)
    assert mistake.startswith("PENSTOCK_UPSTREAM_URLS has ")
    assert said in mistake


def test_plain_http_leads_to_this_machine_and_only_where_that_may_be_called() -> None:
    entries = ["flickr.rest=http://127.0.0.1:1/", "flickr.upload=http://[::1]:1/"]
    assert urls.mistakes_of(entries, allow_loopback=True) == []
    assert len(urls.mistakes_of(entries, allow_loopback=False)) == 2


def test_a_target_stands_once() -> None:
    (mistake,) = urls.mistakes_of(["flickr.rest=https://a.example/"] * 2, allow_loopback=False)
    assert "twice" in mistake


@pytest.mark.parametrize("name", ["flickr.rset", "flicker.rest", "http.url"])
def test_a_name_that_there_is_not_ends_the_start_with_those_that_there_are(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"names {name}; there are flickr\.replace, flickr\.rest, flickr\.upload"):
        every_connector(CLIENT, SystemClock(), urls.parse([f"{name}=https://a.example/"]))


def test_targets_are_called_there_and_the_others_where_they_are() -> None:
    made = every_connector(CLIENT, SystemClock(), urls.parse(["flickr.rest=https://a.example/"]))
    flickr = cast("RestConnector", next(each for each in made if each.upstream.name == "flickr"))
    assert str(flickr._data.targets["rest"].url) == "https://a.example/"
    assert str(flickr._data.targets["upload"].url) == "https://up.flickr.com/services/upload/"
