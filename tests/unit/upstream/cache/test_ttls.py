"""How long answers serve again."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from penstock.upstream.v1 import upstream_pb2

from services.upstream.cache.ttls import TtlError, Ttls, read_ttls
from services.upstream.catalogue import Catalogue
from services.upstream.connectors import flickr
from services.upstream.connectors.http import UPSTREAM
from services.upstream.http_client import HttpClient
from services.upstream.servicer import UpstreamServicer
from shared.addresses import AddressGuard
from shared.clock import SystemClock
from tests.fakes.cache_replicas import SHOP

if TYPE_CHECKING:
    from services.upstream.connector import CallRequest
    from services.upstream.domain import Outcome, Upstream


def ttl(name: str, *settings: str, upstream: Upstream = SHOP, **params: Any) -> float | None:
    method = upstream.method(name)
    assert method is not None
    found = Ttls([SHOP, UPSTREAM], read_ttls(settings)).of(method, params)
    return found.total_seconds() if found is not None else None


@pytest.mark.parametrize(
    ("name", "settings", "expected"),
    [
        ("shop.get", [], 300),
        ("shop.get", ["shop.get=30s"], 30),
        ("shop.get", ["shop.list=30s"], 300),
        ("shop.get", ["shop.get=0s"], None),
        ("shop.get", [" shop.get = 500ms "], 0.5),
        ("shop.raw", [], None),
        ("shop.raw", ["shop.raw=1m"], 60),
        ("shop.more.any", [], 300),
        ("shop.more.any", ["shop.more.any=24h"], 86400),
        ("shop.more.other", ["shop.more.any=24h"], 300),
        ("shop.put", [], None),
    ],
)
def test_a_setting_stands_in_place_of_the_catalogue(name: str, settings: list[str], expected: float | None) -> None:
    assert ttl(name, *settings) == expected


def test_a_call_says_so_itself_where_its_method_lets_it() -> None:
    assert ttl("shop.get", "shop.get=0s", cacheTtlS=7) == 7
    assert ttl("shop.list", cacheTtlS=7) == 300
    assert ttl("shop.put", cacheTtlS=7) is None
    assert ttl("shop.get", cacheTtlS=10**9) == 86400


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("shop.gte=30s", "names 'shop.gte', which is no method; there are: shop.get, shop.list, shop.put, shop.raw"),
        ("flickr.photos.search=30s", "names 'flickr.photos.search', which is no method"),
        ("shop.put=30s", "names 'shop.put', which does not only read"),
        ("http.post=30s", "names 'http.post', which does not only read"),
    ],
)
def test_a_setting_of_what_does_not_read_is_named(setting: str, said: str) -> None:
    with pytest.raises(TtlError, match=f"^PENSTOCK_CACHE_TTLS {said}"):
        Ttls([SHOP, UPSTREAM], read_ttls([setting]))


class Silent:
    """A connector that is never called."""

    upstream = SHOP

    async def call(self, request: CallRequest) -> Outcome:
        raise AssertionError(request)


async def test_the_catalogue_is_served_as_the_settings_have_it() -> None:
    ttls = Ttls([SHOP], read_ttls(["shop.get=30s", "shop.list=0s"]))
    servicer = UpstreamServicer(Catalogue([Silent()], AddressGuard()), ttls)
    context: Any = None
    shop = await servicer.GetUpstream(upstream_pb2.GetUpstreamRequest(upstream="shop"), context)
    assert [shop] == list((await servicer.ListUpstreams(upstream_pb2.ListUpstreamsRequest(), context)).upstreams)
    served = {method.name: method.cache_ttl.ToTimedelta() for method in shop.methods if method.HasField("cache_ttl")}
    assert served == {"shop.get": timedelta(seconds=30)}


def test_http_reads_are_cached_for_as_long_as_the_call_says() -> None:
    assert ttl("http.get", upstream=UPSTREAM) is None
    assert ttl("http.get", upstream=UPSTREAM, cacheTtlS=60) == 60
    assert ttl("http.head", upstream=UPSTREAM, cacheTtlS=60) == 60
    assert ttl("http.put", upstream=UPSTREAM, cacheTtlS=60) is None


async def test_flickrs_reads_serve_for_minutes_and_its_writes_never() -> None:
    client = HttpClient(AddressGuard(), limit=1)
    upstream = flickr.connector(client, SystemClock(), {}).upstream
    await client.close()
    settings = ["flickr.photos.search=30s"]
    names = (
        "flickr.photos.getInfo",
        "flickr.photos.search",
        "flickr.photos.addTags",
        "flickr.upload",
        "flickr.test.echo",
    )
    found = [Ttls([upstream], read_ttls(settings)).of(each, {}) for each in map(upstream.method, names) if each]
    assert found == [timedelta(minutes=5), timedelta(seconds=30), None, None, None]
