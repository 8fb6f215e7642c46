"""The catalogue as it is served, and the schemas in it as intake applies them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import jsonschema_rs
import pytest
from google.protobuf import json_format
from penstock.upstream.v1 import limits_pb2, upstream_pb2

from services.upstream.catalogue import Catalogue
from services.upstream.connectors.http_methods import UPSTREAM
from services.upstream.domain import Kind, Method, OtherMethods, Upstream
from services.upstream.limits import BreakerPolicy, Budget, Limits, LimitsError, Rate
from services.upstream.servicer import UpstreamServicer
from shared.addresses import AddressGuard
from shared.errors import InvalidArgument, UpstreamNotFound

if TYPE_CHECKING:
    from services.upstream.connector import CallRequest
    from services.upstream.domain import Outcome

URL = "https://api.example/x"
UPLOAD = "upl_0198c6f2-0000-7000-8000-000000000000"
CONTEXT: Any = None  # the servicer reads nothing of it


class Silent:
    """A connector that is never called."""

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream

    async def call(self, request: CallRequest) -> Outcome:
        raise AssertionError(request)


def catalogue(*names: str) -> Catalogue:
    others = [Silent(Upstream(name=name, title=name.title(), methods=())) for name in names]
    return Catalogue([*others, Silent(UPSTREAM)], AddressGuard())


async def pages(servicer: UpstreamServicer, size: int) -> list[list[str]]:
    found: list[list[str]] = []
    token = ""
    while not found or token:
        request = upstream_pb2.ListUpstreamsRequest(page_size=size, page_token=token)
        page = await servicer.ListUpstreams(request, CONTEXT)
        found.append([each.name for each in page.upstreams])
        token = page.next_page_token
    return found


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (0, [["flickr", "github", "http", "slack"]]),
        (4, [["flickr", "github", "http", "slack"]]),
        (2, [["flickr", "github"], ["http", "slack"]]),
        (3, [["flickr", "github", "http"], ["slack"]]),
        (100_000, [["flickr", "github", "http", "slack"]]),
    ],
)
async def test_pages_hold_every_upstream_once_by_name(size: int, expected: list[list[str]]) -> None:
    assert await pages(UpstreamServicer(catalogue("slack", "flickr", "github")), size) == expected


async def test_a_page_holds_50_unless_asked_for_otherwise_and_never_more_than_500() -> None:
    servicer = UpstreamServicer(catalogue(*(f"u{number:04}" for number in range(600))))
    assert [len(page) for page in await pages(servicer, 0)] == [50] * 12 + [1]
    assert [len(page) for page in await pages(servicer, 10_000)] == [500, 101]


async def test_a_negative_page_size_is_refused_by_its_path() -> None:
    with pytest.raises(InvalidArgument) as caught:
        await UpstreamServicer(catalogue()).ListUpstreams(upstream_pb2.ListUpstreamsRequest(page_size=-1), CONTEXT)
    assert caught.value.violations[0].field == "pageSize"


@pytest.mark.parametrize("token", ["x", "!!!!", "Zm9v", "MTpm\n", "//8="])
async def test_a_token_that_is_not_ours_is_refused_by_its_path(token: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await UpstreamServicer(catalogue()).ListUpstreams(upstream_pb2.ListUpstreamsRequest(page_token=token), CONTEXT)
    assert caught.value.violations[0].field == "pageToken"


@pytest.mark.parametrize("name", ["", "flicker", "HTTP", "x" * 1000])
async def test_an_unknown_upstream_is_refused_with_the_known_ones(name: str) -> None:
    request = upstream_pb2.GetUpstreamRequest(upstream=name)
    with pytest.raises(UpstreamNotFound, match="there are: flickr, http") as caught:
        await UpstreamServicer(catalogue("flickr")).GetUpstream(request, CONTEXT)
    assert len(caught.value.message) < 200


async def test_http_is_served_with_what_its_methods_are() -> None:
    request = upstream_pb2.GetUpstreamRequest(upstream="http")
    served = await UpstreamServicer(catalogue()).GetUpstream(request, CONTEXT)
    methods = {each.name.removeprefix("http."): each for each in served.methods}
    assert {name for name, each in methods.items() if each.idempotent} == {"get", "head", "put", "delete"}
    assert {name for name, each in methods.items() if each.kind == upstream_pb2.Method.READ} == {"get", "head"}
    assert {name for name, each in methods.items() if each.kind == upstream_pb2.Method.WRITE} == {
        "post",
        "put",
        "patch",
        "delete",
    }
    assert {name for name, each in methods.items() if list(each.upload_params) == ["upload"]} == {
        "post",
        "put",
        "patch",
        "delete",
    }
    assert served.lane_param == "url"
    assert served.connection_use == upstream_pb2.Upstream.OPTIONAL
    assert served.limits == limits_pb2.Limits(lane=limits_pb2.Budget(concurrency=32))
    assert not served.breaker.upstream
    assert all(each.timeout.seconds == 30 and not each.HasField("cache_ttl") for each in served.methods)


async def test_limits_and_breaker_are_served_as_the_connector_has_them() -> None:
    budget = Budget(
        rates=(Rate(calls=35, window=timedelta(seconds=6)), Rate(calls=3600, window=timedelta(hours=1))), concurrency=4
    )
    upstream = Upstream(
        name="shop",
        title="Shop",
        methods=(),
        limits=Limits(
            upstream=budget, classes={Kind.READ: budget}, lane_classes={Kind.WRITE: budget, Kind.UPLOAD: budget}
        ),
        breaker=BreakerPolicy(
            throttles=2,
            throttle_pause=timedelta(minutes=1),
            failure_ratio=0.25,
            min_calls=9,
            window=timedelta(seconds=90),
            failure_pause=timedelta(seconds=1.5),
            max_pause=timedelta(hours=2),
            upstream=True,
        ),
    )
    servicer = UpstreamServicer(Catalogue([Silent(upstream)], AddressGuard()))
    served = await servicer.GetUpstream(upstream_pb2.GetUpstreamRequest(upstream="shop"), CONTEXT)
    shown = {
        "rates": [{"calls": 35, "window": "6s"}, {"calls": 3600, "window": "3600s"}],
        "concurrency": 4,
    }
    assert json_format.MessageToDict(served.limits) == {
        "upstream": shown,
        "classes": {"read": shown},
        "laneClasses": {"write": shown, "upload": shown},
    }
    assert json_format.MessageToDict(served.breaker) == {
        "throttles": 2,
        "throttlePause": "60s",
        "failureRatio": 0.25,
        "minCalls": 9,
        "window": "90s",
        "failurePause": "1.500s",
        "maxPause": "7200s",
        "upstream": True,
    }
    assert served.lane_param == ""


def test_a_connector_with_nonsense_limits_is_not_taken() -> None:
    connector = Silent(Upstream(name="shop", title="", methods=(), limits=Limits(lane=Budget(concurrency=-1))))
    with pytest.raises(LimitsError, match=r"the upstream shop .* limits\.lane\.concurrency is -1"):
        Catalogue([connector], AddressGuard())


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("http.get", {"url": URL}),
        ("http.get", {"url": URL, "query": {"a": "x", "b": 1, "c": True, "d": ["x", 1, False], "e": []}}),
        ("http.get", {"url": URL, "headers": {"Accept": "text/csv"}, "timeoutS": 0.1, "followRedirects": False}),
        ("http.get", {"url": URL, "timeoutS": 300.0, "retryStatuses": [400.0, 599.0]}),
        ("http.post", {"url": URL, "json": None}),
        ("http.post", {"url": URL, "json": {"deep": [{}]}}),
        ("http.delete", {"url": URL, "text": ""}),
        ("http.put", {"url": URL, "upload": UPLOAD}),
        ("http.post", {"url": URL, "idempotencyHeader": "Idempotency-Key"}),
    ],
)
def test_good_params_pass_also_as_the_catalogue_serves_the_schema(method: str, params: dict[str, Any]) -> None:
    assert catalogue().fault("http", method, params) is None
    assert served_validator(method).is_valid(params)


@pytest.mark.parametrize(
    ("method", "params", "where"),
    [
        ("http.get", {}, "params "),
        ("http.get", {"url": 5}, "params.url "),
        ("http.get", {"url": "http://10.0.0.1/"}, "params.url "),
        ("http.get", {"url": "http://169.254.169.254/latest"}, "params.url "),
        ("http.get", {"url": URL, "json": {}}, "params "),
        ("http.head", {"url": URL, "text": ""}, "params "),
        ("http.get", {"url": URL, "extra": 1}, "params "),
        ("http.post", {"url": URL, "json": {}, "text": ""}, "params "),
        ("http.post", {"url": URL, "json": {}, "upload": UPLOAD}, "params "),
        ("http.post", {"url": URL, "text": "", "upload": UPLOAD}, "params "),
        ("http.post", {"url": URL, "upload": "upl_1"}, "params.upload "),
        ("http.post", {"url": URL, "upload": f"x{UPLOAD}"}, "params.upload "),
        ("http.get", {"url": URL, "upload": UPLOAD}, "params "),
        ("http.post", {"url": URL, "text": 5}, "params.text "),
        ("http.get", {"url": URL, "query": {"a": {}}}, "params.query.a "),
        ("http.get", {"url": URL, "query": {"a": None}}, "params.query.a "),
        ("http.get", {"url": URL, "query": {"a": [["x"]]}}, "params.query.a "),
        ("http.get", {"url": URL, "headers": {"Authorization": "x"}}, "params.headers "),
        ("http.get", {"url": URL, "headers": {"Cookie": "x"}}, "params.headers "),
        ("http.get", {"url": URL, "headers": {"x-penstock-identity": "x"}}, "params.headers "),
        ("http.get", {"url": URL, "headers": {"X-A": "a\r\nHost: b"}}, "params.headers.X-A "),
        ("http.get", {"url": URL, "headers": {"X-A": 1}}, "params.headers.X-A "),
        ("http.get", {"url": URL, "idempotencyHeader": "Idempotency-Key"}, "params "),
        ("http.post", {"url": URL, "idempotencyHeader": "Authorization"}, "params.idempotencyHeader "),
        ("http.post", {"url": URL, "idempotencyHeader": "a b"}, "params.idempotencyHeader "),
        ("http.get", {"url": URL, "timeoutS": 0.09}, "params.timeoutS "),
        ("http.get", {"url": URL, "timeoutS": 300.1}, "params.timeoutS "),
        ("http.get", {"url": URL, "timeoutS": "30"}, "params.timeoutS "),
        ("http.get", {"url": URL, "followRedirects": "yes"}, "params.followRedirects "),
        ("http.get", {"url": URL, "retryStatuses": [399]}, "params.retryStatuses[0] "),
        ("http.get", {"url": URL, "retryStatuses": [600]}, "params.retryStatuses[0] "),
        ("http.get", {"url": URL, "retryStatuses": [503.5]}, "params.retryStatuses[0] "),
        ("http.get", {"url": URL, "retryStatuses": [503, 503]}, "params.retryStatuses "),
    ],
)
def test_bad_params_are_refused_where_they_are_bad(method: str, params: dict[str, Any], where: str) -> None:
    fault = catalogue().fault("http", method, params)
    assert fault is not None
    assert fault.startswith(where)


def test_methods_that_are_not_listed_are_judged_by_what_stands_for_them() -> None:
    template = Method(
        name="",
        title="Any other",
        kind=Kind.WRITE,
        idempotent=False,
        timeout=timedelta(seconds=1),
        params_schema={"type": "object", "additionalProperties": {"type": "string"}},
    )
    others = OtherMethods(prefix="shop.", template=template)
    listed = replace(template, name="shop.listed", params_schema={"type": "object", "maxProperties": 0})
    shop = Upstream(name="shop", title="Shop", methods=(listed,), other_methods=others)
    judge = Catalogue([Silent(shop)], AddressGuard()).fault
    assert judge("shop", "shop.other", {"a": "x"}) is None
    assert judge("shop", "shop.other", {"a": 1}) == "params.a does not keep to the method's schema (type)"
    assert judge("shop", "shop.listed", {"a": "x"}) is not None


@pytest.mark.parametrize("method", [each.name for each in UPSTREAM.methods])
def test_every_schema_is_one(method: str) -> None:
    schema = dict(next(each for each in UPSTREAM.methods if each.name == method).params_schema)
    assert jsonschema_rs.meta.is_valid(schema)


def served_validator(method: str) -> Any:
    """The schema after its way through a Struct, in which every number is a double."""
    message = upstream_pb2.Method()
    schema = dict(next(each for each in UPSTREAM.methods if each.name == method).params_schema)
    json_format.ParseDict(schema, message.params_schema)
    return jsonschema_rs.Draft202012Validator(json_format.MessageToDict(message.params_schema))
