"""From events on a real NATS to deliveries in a real MongoDB: whom they reach, and at which cost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from pymongo import AsyncMongoClient
from pymongo.monitoring import CommandListener

from services.webhooks.collecting.collector import CONSUMER
from services.webhooks.deliveries.documents import DATABASE
from services.webhooks.deliveries.domain import Reason, State
from services.webhooks.endpoints.documents import document_of
from services.webhooks.endpoints.domain import DisabledReason, EventFilter, Order
from shared import bus as bus_
from shared import mongo as mongo_
from shared import streams
from shared.bus import Incoming, Outgoing
from shared.config import Secret
from tests.fakes import connection_notices, tenant_notices
from tests.fakes.collecting import TRACEPARENT, finished_batch
from tests.fakes.endpoints import make_endpoint
from tests.integration.webhooks.collecting.conftest import CALLBACK, CALLBACK_URL, LONG_AGO, Site, as_of_now
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pymongo.monitoring import CommandFailedEvent, CommandStartedEvent, CommandSucceededEvent

    from shared.mongo import Client

pytestmark = pytest.mark.usefixtures("no_stalls")


async def test_events_reach_their_callbacks_and_the_endpoints_whose_filters_they_pass(site: Site) -> None:
    everything = await site.endpoint()
    failures = await site.endpoint(filter=EventFilter(event_types=("job.failed",)))
    of_flickr = await site.endpoint(filter=EventFilter(upstreams=("flickr",)))
    of_method = await site.endpoint(filter=EventFilter(methods=("http.post",)))
    of_order = await site.endpoint(filter=EventFilter(metadata={"order": "7"}))
    in_line = await site.endpoint(order=Order.BY_CONNECTION, filter=EventFilter(event_types=("job.*",)))
    disabled = await site.endpoint(enabled=False, disabled_reason=DisabledReason.ASKED)
    theirs = await site.endpoint(tenant="globex")
    async with site.replica():
        plain = await site.ended(callback_url=CALLBACK_URL, connection_id="con_1")
        failed = await site.ended(kind="FAILED", method="http.post")
        searched = await site.ended(upstream="flickr", metadata={"order": "7"}, connection_id="con_2")
        other = await site.ended(tenant="globex")
        await site.handled()
    ours = [plain, failed, searched]
    reached = {
        CALLBACK: [plain],
        everything.id: ours,
        failures.id: [failed],
        of_flickr.id: [searched],
        of_method.id: [failed],
        of_order.id: [searched],
        in_line.id: ours,
        disabled.id: ours,
        theirs.id: [other],
    }
    for receiver, jobs in reached.items():
        found = await site.to(receiver)
        assert [each.about for each in found] == jobs, receiver
        assert {each.tenant for each in found} == {"globex" if receiver == theirs.id else "acme"}
    assert [each.line for each in await site.to(in_line.id)] == ["con_1", "", "con_2"]
    skipped = await site.to(disabled.id)
    assert {(each.state, each.last_reason) for each in skipped} == {(State.SKIPPED, Reason.ENDPOINT_DISABLED)}
    assert all(each.finished_at is not None for each in skipped)
    assert await site.due() == set(reached) - {disabled.id} == set(site.woken)


async def test_every_notice_reaches_its_tenants_endpoints(site: Site) -> None:
    endpoint, theirs = await site.endpoint(), await site.endpoint(tenant="globex")
    batch = finished_batch(callback_url=CALLBACK_URL)
    told = [
        Outgoing(
            subject=streams.notice_subject("batch_finished"), payload=batch.SerializeToString(), message_id=batch.id
        ),
        connection_notices.needs_reauth(2),
        connection_notices.restored(3),
        connection_notices.deleted(4),
        tenant_notices.published("acme", 2),
        tenant_notices.published("acme", 3, None),
    ]
    await site.bus.publish([as_of_now(each) for each in told])
    async with site.replica():
        await site.handled()
    assert {each.event_type for each in await site.to(endpoint.id)} == {
        *("batch.finished", "connection.needs_reauth", "connection.restored", "connection.deleted"),
        *("tenant.suspended", "tenant.resumed"),
    }
    assert [each.about for each in await site.to(CALLBACK)] == [batch.id]
    assert await site.to(theirs.id) == []


async def test_what_happened_before_an_endpoint_was_made_is_not_sent_to_it(site: Site) -> None:
    before = await site.ended()
    after = datetime.now(UTC) + timedelta(hours=1)
    there, later = await site.endpoint(), await site.endpoint(created_at=after)
    async with site.replica():
        await site.handled()
    assert [each.about for each in await site.to(there.id)] == [before]
    assert await site.to(later.id) == []


async def test_what_comes_again_changes_nothing(site: Site) -> None:
    enabled, disabled = await site.endpoint(), await site.endpoint(enabled=False)
    async with site.replica():
        for _ in range(20):
            await site.ended(callback_url=CALLBACK_URL)
        await site.handled()
    stored = await site.all()
    assert len(stored) == 60
    await site.endpoints.change("acme", disabled.id, lambda _: make_endpoint(id=disabled.id, created_at=LONG_AGO))
    await site.endpoints.disable(enabled.id, reason=DisabledReason.GONE, now=datetime.now(UTC))
    await site.bus._jetstream.delete_consumer(streams.JOBS, CONSUMER.durable_name or "")
    async with site.replica():  # whose consumer begins with the log's start
        await site.handled()
    assert await site.all() == stored


async def test_thousands_of_endpoints_are_all_reached(site: Site) -> None:
    tenants = [f"tenant-{number}" for number in range(20)]
    made = [make_endpoint(tenant=tenant, created_at=LONG_AGO, keys=()) for tenant in tenants for _ in range(100)]
    await site.mongo[DATABASE]["endpoints"].insert_many(
        [{**document_of(each), "slot": number % 100} for number, each in enumerate(made)]
    )
    events = [await site.event(tenant=tenant) for tenant in tenants]
    await site.bus.publish([event for _, event in events])
    async with site.replica():
        await site.handled()
    jobs = {tenant: job_id for tenant, (job_id, _) in zip(tenants, events, strict=True)}
    stored = (await site.all()).values()
    assert {(each.receiver, each.about) for each in stored} == {(each.id, jobs[each.tenant]) for each in made}
    assert await site.due() == {each.id for each in made}


class Commands(CommandListener):
    """The commands that MongoDB was asked."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def started(self, event: CommandStartedEvent) -> None:
        self.names.append(event.command_name)

    def succeeded(self, event: CommandSucceededEvent) -> None:
        pass

    def failed(self, event: CommandFailedEvent) -> None:
        pass


async def test_a_batch_costs_one_look_one_write_of_deliveries_and_one_note(site: Site, mongo_url: str) -> None:
    for tenant in ("acme", "globex", "initech"):
        for _ in range(4):
            await site.endpoint(tenant=tenant)
    batch: list[Incoming] = []
    for sequence in range(60):
        _, event = await site.event(tenant=("acme", "globex", "initech")[sequence % 3], callback_url=CALLBACK_URL)
        headers: Mapping[str, str] = {"traceparent": TRACEPARENT}
        taken = Incoming(subject="", payload=event.payload, headers=headers, sequence=sequence, deliveries=1, reply="")
        batch.append(taken)
    commands = Commands()
    client: Client = AsyncMongoClient(mongo_url, w="majority", tz_aware=True, event_listeners=[commands])
    collector, notices, _ = site.parts(site.bus, client)
    try:
        await mongo_.ping(client)
        commands.names.clear()
        await collector.handle(batch)
        assert commands.names == ["find", "insert", "update"]
        assert len(await site.all()) == 60 * 5
        commands.names.clear()
        told = finished_batch()
        told.time.GetCurrentTime()
        await notices.handle(
            [Incoming(subject="", payload=told.SerializeToString(), headers={}, sequence=1, deliveries=1, reply="")]
        )
        assert commands.names == ["find", "insert", "update"]
    finally:
        await client.close()


async def test_the_other_replicas_hear_for_whom_something_is_due(site: Site, nats_url: str) -> None:
    endpoint = await site.endpoint()
    heard: list[str] = []
    other = await bus_.connect(Secret(nats_url), "test")

    async def hear(payload: bytes) -> None:
        heard.extend(payload.decode().splitlines())

    try:
        await other.on_signal(streams.DELIVERIES_DUE_SIGNAL, hear)
        await other.check()  # the server has the subscription by then
        async with site.replica():
            await site.ended(callback_url=CALLBACK_URL)
            await eventually(lambda: sorted(heard) == sorted([endpoint.id, CALLBACK]), what="the signal")
    finally:
        await other.close()
