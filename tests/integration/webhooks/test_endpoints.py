"""Endpoints, as tenants make, show, change and delete them, and what is said of what they may not be."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from penstock.webhooks.v1 import endpoints_pb2

from shared import errors, ids
from tests.integration.webhooks.endpoint_api import (
    CANARY,
    URL,
    Api,
    Endpoint,
    Filter,
    Headers,
    api_at,
    is_unknown,
    paths,
    refused,
)

if TYPE_CHECKING:
    from shared.lifecycle import Process
    from tests.integration.webhooks.conftest import Mesh

pytestmark = pytest.mark.usefixtures("no_stalls")


def settings(**fields: Any) -> dict[str, Any]:
    """An endpoint with something in each of its fields."""
    return {
        "description": "CRM",
        "filter": Filter(event_types=["job.*"], upstreams=["http"], methods=["http.*"], metadata={"a.b": "$c"}),
        "order": Endpoint.BY_CONNECTION,
        "rate_limit": endpoints_pb2.DeliveryRate(deliveries=5, period={"seconds": 2}),
        "batching": endpoints_pb2.Batching(max_events=10, max_wait={"nanos": 500_000_000}),
        "retry": endpoints_pb2.DeliveryRetry(
            exponential=endpoints_pb2.ExponentialPauses(
                initial={"seconds": 1}, factor=3, maximum={"seconds": 60}, max_attempts=5
            )
        ),
    } | fields


async def test_an_endpoint_is_made_shown_changed_and_deleted(api: Api) -> None:
    created = await api.create(headers=Headers(values={"X-Key": CANARY, "authorization": "Bearer x"}), **settings())
    made, secret = created.endpoint, created.secret
    assert ids.is_endpoint_id(made.id)
    assert (made.url, made.enabled, made.header_names) == (URL, True, ["authorization", "x-key"])
    for name, value in settings().items():
        assert getattr(made, name) == value, name
    assert list(made.public_keys) == [secret.public_key]
    assert secret.secret.startswith("whsec_")
    assert not secret.HasField("previous_expires_at")
    assert await api.get(made.id) == made
    assert await api.secret(made.id) == secret

    pauses = endpoints_pb2.DeliveryRetry(pauses=[{"seconds": 1}, {"seconds": 2}])
    changed = await api.update(
        made.id, description="", filter=Filter(), rate_limit=endpoints_pb2.DeliveryRate(), retry=pauses
    )
    assert (changed.description, changed.filter, changed.HasField("rate_limit")) == ("", Filter(), False)
    assert (changed.retry, changed.batching, changed.order) == (pauses, made.batching, made.order)
    assert (changed.url, changed.header_names, changed.public_keys) == (made.url, made.header_names, made.public_keys)
    assert changed.updated_at.ToDatetime() > made.updated_at.ToDatetime()
    assert await api.get(made.id) == changed
    assert await api.update(made.id) == changed
    plain = await api.update(
        made.id, batching=endpoints_pb2.Batching(), retry=endpoints_pb2.DeliveryRetry(), order=Endpoint.NONE
    )
    assert (plain.HasField("batching"), plain.HasField("retry"), plain.order) == (False, False, Endpoint.NONE)

    assert await api.delete(made.id) == plain
    for call in (api.get, api.update, api.delete, api.enable, api.rotate, api.secret, api.test, api.stats):
        await is_unknown(call(made.id), made.id)
    assert await api.listed() == []


async def test_nothing_but_a_url_is_needed(api: Api) -> None:
    made = (await api.create()).endpoint
    assert (made.description, made.filter, made.order, list(made.header_names)) == ("", Filter(), Endpoint.NONE, [])
    assert not any(made.HasField(name) for name in ("rate_limit", "batching", "retry", "disabled_at", "failing_since"))


async def test_another_url_takes_the_headers_away_unless_they_are_given_too(api: Api) -> None:
    made = (await api.create(headers=Headers(values={"x-key": CANARY}))).endpoint
    assert (await api.update(made.id, url=URL)).header_names == ["x-key"]
    assert list((await api.update(made.id, url=f"{URL}/2")).header_names) == []
    given = await api.update(made.id, url=f"{URL}/3", headers=Headers(values={"X-New": "1"}))
    assert given.header_names == ["x-new"]
    assert list((await api.update(made.id, headers=Headers())).header_names) == []


WRONG: list[tuple[dict[str, Any], list[str]]] = [
    ({"url": ""}, ["url"]),
    ({"url": "http://client.example/"}, ["url"]),
    ({"url": "https://10.0.0.1/"}, ["url"]),
    ({"url": "https://client.example:25/"}, ["url"]),
    ({"url": f"https://ann:{CANARY}@client.example/"}, ["url"]),
    ({"description": "x" * 501}, ["description"]),
    (
        {"filter": Filter(event_types=["job.done"], upstreams=["X"], methods=["*"])},
        ["filter.eventTypes[0]", "filter.upstreams[0]", "filter.methods[0]"],
    ),
    ({"headers": Headers(values={"host": CANARY})}, ["headers.values['host']"]),
    ({"headers": Headers(values={"x-key": f"{CANARY}\n"})}, ["headers.values['x-key']"]),
    ({"order": 7}, ["order"]),
    ({"rate_limit": endpoints_pb2.DeliveryRate(deliveries=-1)}, ["rateLimit.deliveries"]),
    ({"batching": endpoints_pb2.Batching(max_events=1)}, ["batching.maxEvents"]),
    ({"retry": endpoints_pb2.DeliveryRetry(pauses=[{"seconds": 0}])}, ["retry.pauses[0]"]),
]


async def test_a_wrong_field_is_named_changes_nothing_and_shows_no_secret(api: Api) -> None:
    for fields, wrong in WRONG:
        error = await refused(api.create(**fields))
        assert paths(error) == wrong
        assert CANARY not in error.message
    assert await api.listed() == []
    made = (await api.create()).endpoint
    for fields, wrong in WRONG:
        if fields != {"url": ""}:  # of a change that means that it stays
            assert paths(await refused(api.update(made.id, **fields))) == wrong
    assert await api.get(made.id) == made


async def test_what_is_wrong_beside_the_settings_is_named_too(api: Api) -> None:
    made = (await api.create()).endpoint
    error = await refused(api.create(secret=CANARY))
    assert paths(error) == ["secret"]
    assert CANARY not in error.message
    assert paths(await refused(api.rotate(made.id, secret=f"whsec_{CANARY}"))) == ["secret"]
    assert paths(await refused(api.rotate(made.id, grace=timedelta(days=8)))) == ["grace"]
    assert paths(await refused(api.test(made.id, "job.*"))) == ["eventType"]
    for period in (timedelta(minutes=90), timedelta(), timedelta(days=31)):
        assert paths(await refused(api.stats(made.id, period))) == ["period"]
    for call in (api.get, api.update, api.delete, api.enable, api.rotate, api.secret, api.test, api.stats):
        assert paths(await refused(call("ep_1"))) == ["endpointId"], call
    for wanted in ({"page_size": -1}, {"page_token": "x"}):
        request = endpoints_pb2.ListEndpointsRequest(**wanted)
        assert isinstance(await refused(api.stub.ListEndpoints(request)), errors.InvalidArgument)
        types = endpoints_pb2.ListEventTypesRequest(**wanted)
        assert isinstance(await refused(api.stub.ListEventTypes(types)), errors.InvalidArgument)


async def test_endpoints_are_listed_newest_first_page_by_page(api: Api) -> None:
    made = [(await api.create(enabled=index != 1)).endpoint for index in range(3)]
    newest_first = [each.id for each in sorted(made, key=lambda each: (each.created_at.ToNanoseconds(), each.id))][::-1]
    assert await api.listed() == newest_first
    assert await api.listed(enabled=False) == [made[1].id]
    assert await api.listed(enabled=True) == [each for each in newest_first if each != made[1].id]
    assert made[1].disabled_reason == Endpoint.ASKED


async def test_nothing_of_another_tenants_is_seen_or_changed(api: Api, process: Process, mesh: Mesh) -> None:
    made = (await api.create(**settings())).endpoint
    await api.create()
    async with api_at(process, mesh.identities, "globex") as globex:
        assert await globex.listed() == []
        for call in (
            *(globex.get, globex.delete, globex.enable, globex.rotate, globex.secret, globex.test, globex.stats),
            lambda named: globex.update(named, description="theirs"),
        ):
            await is_unknown(call(made.id), made.id)
        first = await api.stub.ListEndpoints(endpoints_pb2.ListEndpointsRequest(page_size=1))
        stolen = endpoints_pb2.ListEndpointsRequest(page_size=1, page_token=first.next_page_token)
        assert paths(await refused(globex.stub.ListEndpoints(stolen))) == ["pageToken"]
    assert await api.get(made.id) == made


async def test_the_types_of_events_are_listed_in_the_order_of_their_names(api: Api) -> None:
    found = await api.event_types()
    names = [each.name for each in found]
    assert names == sorted(names)
    assert {"job.succeeded", "batch.finished", "endpoint.disabled"} <= set(names)
    for each in found:
        assert each.description
        assert each.example["type"] == each.name
        assert each.schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
