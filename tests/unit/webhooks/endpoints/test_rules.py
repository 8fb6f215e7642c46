"""What the parts of an endpoint may be, and what is said of what they may not be."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from hypothesis import given
from hypothesis import strategies as st
from penstock.webhooks.v1 import endpoints_pb2

from services.webhooks.endpoints import domain, messages
from services.webhooks.endpoints.rules import Rules
from shared.addresses import WEBHOOK_PORTS, AddressGuard
from shared.errors import InvalidArgument
from tests.fakes.event_types import event_types

RULES = Rules(guard=AddressGuard(ports=WEBHOOK_PORTS), event_types=event_types())
LOCAL_RULES = Rules(guard=AddressGuard(allow_loopback=True, ports=WEBHOOK_PORTS), event_types=event_types())
CANARY = "canary-5b1f0c7d-canary"
URL = "https://client.example/hook"

Filter = endpoints_pb2.EventFilter
Headers = endpoints_pb2.CustomHeaders
Rate = endpoints_pb2.DeliveryRate
Batching = endpoints_pb2.Batching
Retry = endpoints_pb2.DeliveryRetry
Exponential = endpoints_pb2.ExponentialPauses


def seconds(number: float) -> Duration:
    message = Duration()
    message.FromTimedelta(timedelta(seconds=number))
    return message


def whsec(length: int) -> str:
    return "whsec_" + base64.b64encode(bytes(length)).decode()


def violations(*, rules: Rules = RULES, **fields: Any) -> dict[str, str]:
    """What is wrong with an order of these fields, by path."""
    request = endpoints_pb2.CreateEndpointRequest(**{"url": URL} | fields)
    try:
        found = list(messages.endpoint_order(request).violations(rules))
    except InvalidArgument as error:  # it could not even be read
        found = list(error.violations)
    return {each.field: each.description for each in found}


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "is missing; give the https:// URL"),
        ("client.example/hook", "must be an absolute http:// or https:// URL"),
        ("ftp://client.example/", "must be an absolute http:// or https:// URL"),
        ("http://client.example/hook", "begins with http://"),
        ("https://user:secret@client.example/", "must not carry a user or a password"),
        ("https://10.0.0.1/", "not a public address"),
        ("https://169.254.169.254/latest", "not a public address"),
        ("https://localhost/", "this machine"),
        ("https://client.example:22/", "leads to port 22, which is not called; it may be one of 80, 443, 8080, 8443"),
        ("https://client.example:6379/", "leads to port 6379"),
        ("https://client.example/\nx", "control characters"),
        ("https://client.example/" + "x" * 2048, "longer than 2048"),
    ],
)
def test_a_wrong_url_is_told_what_is_wrong(url: str, said: str) -> None:
    found = violations(url=url)
    assert list(found) == ["url"]
    assert said in found["url"]


@pytest.mark.parametrize("url", [URL, "https://client.example:8443/x?token=1", "https://93.184.215.14/"])
def test_a_public_https_url_passes(url: str) -> None:
    assert violations(url=url) == {}


@pytest.mark.parametrize("url", ["http://127.0.0.1:5678/x", "http://localhost:1234/", "https://[::1]:9/", URL])
def test_this_machine_passes_at_any_port_and_without_tls_where_it_is_allowed(url: str) -> None:
    assert violations(url=url, rules=LOCAL_RULES) == {}


def test_where_this_machine_is_allowed_others_are_still_called_by_https_at_the_listed_ports() -> None:
    assert "begins with http://" in violations(url="http://client.example/", rules=LOCAL_RULES)["url"]
    assert "port 9000" in violations(url="https://client.example:9000/", rules=LOCAL_RULES)["url"]


WRONG: list[tuple[dict[str, Any], dict[str, str]]] = [
    ({"description": "x" * 501}, {"description": "has 501 characters; at most 500"}),
    ({"description": "a\0b"}, {"description": "cannot be shown"}),
    ({"filter": Filter(event_types=["job.*", "job.done"])}, {"filter.eventTypes[1]": "'job.done' is no type"}),
    ({"filter": Filter(event_types=["*"])}, {"filter.eventTypes[0]": "job.failed, job.succeeded, and beginnings"}),
    ({"filter": Filter(event_types=["jobs.*"])}, {"filter.eventTypes[0]": "'jobs.*' is no type"}),
    (
        {"filter": Filter(event_types=[f"job.{number}" for number in range(51)])},
        {"filter.eventTypes": "are 51; there may be 50"},
    ),
    ({"filter": Filter(upstreams=["flickr", "No Slug"])}, {"filter.upstreams[1]": "'No Slug' is not an upstream's"}),
    ({"filter": Filter(upstreams=["flickr.*"])}, {"filter.upstreams[0]": "'flickr.*' is not"}),
    ({"filter": Filter(methods=["flickr..x"])}, {"filter.methods[0]": "'flickr..x' is no method's name"}),
    ({"filter": Filter(methods=["flickr*"])}, {"filter.methods[0]": "no beginning of some"}),
    ({"filter": Filter(methods=["a" * 201])}, {"filter.methods[0]": "'aaa"}),
    (
        {"filter": Filter(metadata={str(n): "" for n in range(17)})},
        {"filter.metadata": "has 17 entries; it may have 16"},
    ),
    ({"filter": Filter(metadata={"": "x"})}, {"filter.metadata['']": "a key of 0 characters"}),
    ({"filter": Filter(metadata={"k" * 65: "x"})}, {f"filter.metadata['{'k' * 60}…']": "a key of 65 characters"}),
    ({"filter": Filter(metadata={"k": "x" * 257})}, {"filter.metadata['k']": "has 257 characters"}),
    ({"order": 7}, {"order": "is 7; there are NONE, BY_CONNECTION"}),
    ({"rate_limit": Rate()}, {"rateLimit.deliveries": "is 0; it takes 1 to 100,000"}),
    ({"rate_limit": Rate(deliveries=100_001)}, {"rateLimit.deliveries": "is 100001"}),
    ({"rate_limit": Rate(deliveries=-1)}, {"rateLimit.deliveries": "is -1"}),
    ({"rate_limit": Rate(deliveries=1, period=seconds(0.5))}, {"rateLimit.period": "is 0.5s; it takes 1s to 3600s"}),
    ({"rate_limit": Rate(deliveries=1, period=seconds(3601))}, {"rateLimit.period": "is 3601s"}),
    (
        {"rate_limit": Rate(deliveries=1, period=Duration(seconds=2**62))},
        {"rateLimit.period": "is no time span; write it in seconds, as in 3600s"},
    ),
    ({"batching": Batching(max_events=1)}, {"batching.maxEvents": "is 1; it takes 2 to 100, or 0 for no batching"}),
    ({"batching": Batching(max_events=101)}, {"batching.maxEvents": "is 101"}),
    ({"batching": Batching(max_events=-2)}, {"batching.maxEvents": "is -2"}),
    ({"batching": Batching(max_events=2, max_wait=seconds(61))}, {"batching.maxWait": "is 61s; it takes 0s to 60s"}),
    ({"batching": Batching(max_events=2, max_wait=seconds(-1))}, {"batching.maxWait": "is -1s"}),
    ({"retry": Retry(pauses=[seconds(1)] * 21)}, {"retry.pauses": "are 21; there may be 20"}),
    (
        {"retry": Retry(pauses=[seconds(1), seconds(0), seconds(604_801)])},
        {"retry.pauses[1]": "is 0s; it takes 1s to 604800s", "retry.pauses[2]": "is 604801s"},
    ),
    (
        {"retry": Retry(pauses=[seconds(1)], exponential=Exponential(initial=seconds(1), max_attempts=2))},
        {"retry": "has both pauses and exponential; give one of them"},
    ),
    (
        {"retry": Retry(exponential=Exponential())},
        {"retry.exponential.initial": "is 0s", "retry.exponential.maxAttempts": "is 0; it takes 2 to 21"},
    ),
    (
        {"retry": Retry(exponential=Exponential(initial=seconds(9), maximum=seconds(8), max_attempts=22, factor=11))},
        {
            "retry.exponential.maximum": "is 8s, less than initial, 9s",
            "retry.exponential.factor": "is 11; it takes 1 to 10",
            "retry.exponential.maxAttempts": "is 22",
        },
    ),
    (
        {"retry": Retry(exponential=Exponential(initial=seconds(1), max_attempts=2, factor=float("nan")))},
        {"retry.exponential.factor": "is nan"},
    ),
    ({"secret": CANARY}, {"secret": "does not begin with whsec_; it takes whsec_ and 24 to 64 random bytes in base64"}),
    ({"secret": f"whsec_{CANARY}"}, {"secret": "is no base64 behind whsec_"}),
    ({"secret": whsec(23)}, {"secret": "has 23 bytes"}),
    ({"secret": whsec(65)}, {"secret": "has 65 bytes"}),
    ({"secret": "whsec_"}, {"secret": "has 0 bytes"}),
]


@pytest.mark.parametrize(("fields", "said"), WRONG)
def test_a_wrong_field_is_named_with_what_is_wrong_and_the_way_out(
    fields: dict[str, Any], said: dict[str, str]
) -> None:
    found = violations(**fields)
    assert found.keys() == said.keys()
    for path, part in said.items():
        assert part in found[path]
    assert CANARY not in str(found)


@pytest.mark.parametrize(
    ("headers", "path", "said"),
    [
        ({"host": CANARY}, "headers.values['host']", "must not set host, which Penstock sets itself; leave it out"),
        (
            {"Webhook-Id": CANARY},
            "headers.values['Webhook-Id']",
            "must not set 'Webhook-Id', which Penstock sets itself",
        ),
        ({"webhook-anything": CANARY}, "headers.values['webhook-anything']", "must not set"),
        ({"Content-Type": CANARY}, "headers.values['Content-Type']", "must not set"),
        ({"content-encoding": CANARY}, "headers.values['content-encoding']", "must not set"),
        ({"User-Agent": CANARY}, "headers.values['User-Agent']", "must not set"),
        ({"traceparent": CANARY}, "headers.values['traceparent']", "must not set"),
        ({"Connection": CANARY}, "headers.values['Connection']", "must not set"),
        ({"transfer-encoding": CANARY}, "headers.values['transfer-encoding']", "must not set"),
        ({"Proxy-Authorization": CANARY}, "headers.values['Proxy-Authorization']", "must not set"),
        ({"x-penstock-identity": CANARY}, "headers.values['x-penstock-identity']", "must not set"),
        ({"x key": CANARY}, "headers.values['x key']", "is not the name of a header"),
        ({"": CANARY}, "headers.values['']", "is not the name of a header"),
        ({"x" * 129: CANARY}, f"headers.values['{'x' * 60}…']", "is not the name of a header"),
        ({"x-key": f"{CANARY}\r\nhost: evil"}, "headers.values['x-key']", "must be visible ASCII"),
        ({"x-key": f"{CANARY}ü"}, "headers.values['x-key']", "must be visible ASCII"),
        ({"x-key": f" {CANARY}"}, "headers.values['x-key']", "begins or ends with a space"),
        ({"x-key": ""}, "headers.values['x-key']", "is empty"),
        ({"x-key": "x" * 4097}, "headers.values['x-key']", "has a value of 4097 characters; it may have 4096"),
        ({f"x-{number}": "x" for number in range(21)}, "headers", "are 21; there may be 20"),
        ({f"x-{number}": "x" * 4000 for number in range(2)}, "headers", "have 8006 characters together"),
    ],
)
def test_a_wrong_header_is_named_and_its_value_is_not_shown(headers: dict[str, str], path: str, said: str) -> None:
    found = violations(headers=Headers(values=headers))
    assert list(found) == [path]
    assert said in found[path]
    assert CANARY not in str(found)


def test_a_header_is_given_once_whatever_its_case() -> None:
    found = violations(headers=Headers(values={"X-Key": "1", "x-key": "2"}))
    assert len(found) == 1
    assert "is there twice" in next(iter(found.values()))


def test_every_mistake_is_named_at_once() -> None:
    found = violations(url="http://10.0.0.1", description="x" * 501, secret="x", rate_limit=Rate(deliveries=-1))
    assert list(found) == ["url", "description", "rateLimit.deliveries", "secret"]


def test_what_is_right_is_read_as_it_is() -> None:
    request = endpoints_pb2.CreateEndpointRequest(
        url=URL,
        description="two\nlines",
        filter=Filter(event_types=["job.*", "job.*"], upstreams=["flickr"], methods=["flickr.*"], metadata={"a": "b"}),
        headers=Headers(values={"X-Key": "1", "Authorization": "Bearer x"}),
        order=endpoints_pb2.Endpoint.BY_CONNECTION,
        rate_limit=Rate(deliveries=5),
        batching=Batching(max_events=2),
        retry=Retry(exponential=Exponential(initial=seconds(1), max_attempts=3)),
        secret=whsec(24),
    )
    order = messages.endpoint_order(request)
    assert list(order.violations(RULES)) == []
    assert order.filter.event_types == ("job.*",)
    assert order.rate == domain.Rate(deliveries=5, period=timedelta(seconds=1))
    assert order.batching == domain.Batching(max_events=2, max_wait=timedelta(seconds=1))
    schedule = order.retry.schedule()
    assert schedule is not None
    assert schedule.pauses == (timedelta(seconds=1), timedelta(seconds=2))
    assert order.enabled


def test_nothing_but_a_url_is_needed() -> None:
    order = messages.endpoint_order(endpoints_pb2.CreateEndpointRequest(url=URL))
    assert list(order.violations(RULES)) == []
    assert order.retry.schedule() is None
    assert (order.rate, order.batching, dict(order.headers)) == (None, None, {})


@given(st.text(max_size=40))
def test_no_text_in_any_field_breaks_the_rules_themselves(text: str) -> None:
    text = text.encode(errors="replace").decode()
    fields = {
        "url": text,
        "description": text,
        "filter": Filter(event_types=[text], upstreams=[text], methods=[text], metadata={text: text}),
        "headers": Headers(values={text: text}),
        "secret": text,
    }
    assert isinstance(violations(**fields), dict)
