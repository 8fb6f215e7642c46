"""What flickr's file says: the methods that Penstock promises, and what they are."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest

from services.upstream.catalogue import Catalogue
from services.upstream.connectors import flickr
from services.upstream.domain import ConnectionUse, Kind
from services.upstream.limits import Rate
from shared.addresses import AddressGuard
from shared.clock import SystemClock

if TYPE_CHECKING:
    from services.upstream.http_client import HttpClient

CONNECTOR = flickr.connector(cast("HttpClient", None), SystemClock(), {})
UPSTREAM = CONNECTOR.upstream
MINUTES_5, MINUTE = timedelta(minutes=5), timedelta(minutes=1)
UPLOAD = "upl_0198c6f2-0000-7000-8000-000000000000"

#: Kind, idempotent, how long an answer is kept.
PROMISED: dict[str, tuple[Kind, bool, timedelta | None]] = {
    "test.echo": (Kind.READ, True, None),
    "test.login": (Kind.READ, True, None),
    "photos.search": (Kind.READ, True, MINUTE),
    "photos.getInfo": (Kind.READ, True, MINUTES_5),
    "photos.getSizes": (Kind.READ, True, MINUTES_5),
    "photos.getExif": (Kind.READ, True, MINUTES_5),
    "photos.getRecent": (Kind.READ, True, MINUTE),
    "photos.addTags": (Kind.WRITE, False, None),
    "photos.setMeta": (Kind.WRITE, True, None),
    "photos.setTags": (Kind.WRITE, True, None),
    "photos.delete": (Kind.WRITE, True, None),
    "photosets.getList": (Kind.READ, True, MINUTES_5),
    "photosets.getPhotos": (Kind.READ, True, MINUTES_5),
    "photosets.create": (Kind.WRITE, False, None),
    "photosets.addPhoto": (Kind.WRITE, True, None),
    "photosets.delete": (Kind.WRITE, True, None),
    "people.getInfo": (Kind.READ, True, MINUTES_5),
    "people.getPhotos": (Kind.READ, True, MINUTES_5),
    "people.findByUsername": (Kind.READ, True, MINUTES_5),
    "contacts.getList": (Kind.READ, True, MINUTES_5),
    "favorites.add": (Kind.WRITE, True, None),
    "favorites.remove": (Kind.WRITE, True, None),
    "favorites.getList": (Kind.READ, True, MINUTES_5),
    "groups.search": (Kind.READ, True, MINUTE),
    "galleries.getList": (Kind.READ, True, MINUTES_5),
    "upload": (Kind.UPLOAD, False, None),
    "replace": (Kind.UPLOAD, True, None),
}


def test_the_methods_are_those_that_are_promised() -> None:
    found = {
        method.name.removeprefix("flickr."): (method.kind, method.idempotent, method.cache_ttl)
        for method in UPSTREAM.methods
    }
    assert found == PROMISED


def test_a_connection_is_wanted_and_may_make_3500_calls_an_hour() -> None:
    assert UPSTREAM.connection_use is ConnectionUse.REQUIRED
    assert UPSTREAM.limits.lane.rates == (Rate(calls=3500, window=timedelta(hours=1)),)


def test_what_one_connection_has_on_its_way_cannot_open_the_breaker_of_all() -> None:
    assert UPSTREAM.breaker.upstream
    assert 0 < UPSTREAM.limits.lane.concurrency < UPSTREAM.breaker.throttles


def test_the_urls_are_flickrs() -> None:
    assert {name: str(target.url) for name, target in CONNECTOR._data.targets.items()} == {
        "rest": "https://api.flickr.com/services/rest/",
        "upload": "https://up.flickr.com/services/upload/",
        "replace": "https://up.flickr.com/services/replace/",
    }


def test_any_other_method_is_a_write_that_may_not_be_repeated() -> None:
    other = UPSTREAM.method("flickr.photos.comments.addComment")
    assert other is not None
    assert (other.kind, other.idempotent, other.cache_ttl) == (Kind.WRITE, False, None)
    assert UPSTREAM.label("flickr.photos.comments.addComment") == "other"
    assert UPSTREAM.method("flicker.photos.search") is None


@pytest.mark.parametrize(
    "name",
    [
        "method", "format", "nojsoncallback", "jsoncallback", "api_key", "api_sig", "auth_token", "oauth_token",
        "oauth_signature", "oauth_x", "", "a b", "a\n", "x" * 101,
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ["test.echo", "photos.search", "photos.delete", "upload", "not.listed"])
def test_no_param_sets_what_penstock_sets(method: str, name: str) -> None:
    judge = Catalogue([CONNECTOR], AddressGuard()).fault
    good: dict[str, Any] = {"photos.delete": {"photo_id": "1"}, "upload": {"photo": UPLOAD}}.get(method, {})
    assert judge("flickr", f"flickr.{method}", good) is None
    assert judge("flickr", f"flickr.{method}", {**good, name: "x"}) is not None


@pytest.mark.parametrize(
    ("method", "params", "is_good"),
    [
        ("photos.search", {"per_page": 500.0, "has_geo": True, "is_getty": 0.0, "lat": 1.5}, True),
        ("photos.search", {"per_page": 501}, False),
        ("photos.search", {"tag_mode": "some"}, False),
        ("photos.getInfo", {"photo_id": 2733}, True),
        ("photos.getInfo", {"photo_id": ""}, False),
        ("photos.getInfo", {}, False),
        ("photos.setMeta", {"photo_id": "1", "description": ""}, True),
        ("photos.setMeta", {"photo_id": "1"}, False),
        ("people.getInfo", {"user_id": "me", "storage": 1}, True),
        ("people.getInfo", {"url": "https://www.flickr.com/people/bees/"}, False),
        ("upload", {"photo": UPLOAD, "is_public": False, "async": 1}, True),
        ("upload", {"photo": "upl_1"}, False),
        ("upload", {"photo": UPLOAD, "is_public": "yes"}, False),
        ("replace", {"photo": UPLOAD}, False),
        ("not.listed", {"a": "x", "b": 1, "c": True}, True),
        ("not.listed", {"a": ["x"]}, False),
        ("not.listed", {"a": None}, False),
    ],
)
def test_params_are_judged(method: str, params: dict[str, Any], *, is_good: bool) -> None:
    fault = Catalogue([CONNECTOR], AddressGuard()).fault("flickr", f"flickr.{method}", params)
    assert (fault is None) is is_good, fault
