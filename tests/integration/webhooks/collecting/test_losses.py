"""What may die or go away between an event and its deliveries, and that nothing is lost by it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from services.webhooks.collecting.floor import Floor
from services.webhooks.deliveries.domain import Reason, State
from services.webhooks.endpoints.domain import DisabledReason, Order
from services.webhooks.endpoints.notices import UntoldEndpoints
from shared import mongo as mongo_
from shared import streams
from shared.bus import Outgoing
from shared.config import Secret
from shared.notices import Notices
from tests.fakes import connection_notices, tenant_notices
from tests.fakes.collecting import finished_batch
from tests.integration.webhooks.collecting.conftest import CALLBACK, CALLBACK_URL, Site, as_of_now
from tests.waiting import eventually
from tests.wires import wire_to

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from services.webhooks.deliveries.domain import Delivery
    from tests.wires import Wire

pytestmark = pytest.mark.usefixtures("uncounted", "no_stalls")


class Stuck:
    """Takes nothing: whoever asks has to be killed."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        #: Of what it was to store.
        self.places: list[int] = []

    async def note_due(self, due: Mapping[str, datetime]) -> None:
        self.asked.set()
        await asyncio.Event().wait()

    async def add(self, deliveries: Sequence[Delivery]) -> int:
        self.places += [each.place for each in deliveries]
        await asyncio.Event().wait()
        return 0


async def test_a_replica_that_dies_before_it_has_noted_who_has_something_due_loses_nothing(site: Site) -> None:
    endpoint = await site.endpoint(order=Order.BY_CONNECTION)
    stuck, floor = Stuck(), Floor(site.bus)
    async with site.replica(ack_wait=1.0, receivers=stuck):
        job_id = await site.ended(connection_id="con_1")
        await asyncio.wait_for(stuck.asked.wait(), 30)
    (before,) = await site.to(endpoint.id)  # stored, and nobody knows of it
    assert (before.about, await site.due()) == (job_id, set())
    async with site.replica(ack_wait=1.0):
        await eventually(site.due)
        await site.handled()
    assert await site.due() == {endpoint.id}
    assert await site.to(endpoint.id) == [before]
    assert await floor.passed(before.place)


async def test_what_a_replica_has_not_stored_holds_up_what_comes_after_it_and_is_not_lost_when_that_one_dies(
    site: Site,
) -> None:
    endpoint = await site.endpoint(order=Order.BY_CONNECTION)
    stuck, floor = Stuck(), Floor(site.bus)
    jobs: list[str] = []
    async with site.replica(ack_wait=2.0):
        async with site.replica(ack_wait=2.0, deliveries=stuck):

            async def later_one() -> int:
                """The place of one that is stored, and comes after one that is not."""
                jobs.append(await site.ended(connection_id="con_1"))
                stored = await site.to(endpoint.id)
                return next((each.place for each in stored if stuck.places and each.place > min(stuck.places)), 0)

            later = await eventually(later_one, what="events at both replicas")
            assert not await floor.passed(later)
        await site.handled()
    stored = await site.to(endpoint.id)
    assert [each.about for each in stored] == jobs
    assert all([await floor.passed(each.place) for each in stored])


async def test_events_are_stored_when_mongodb_is_back(site: Site, mongo_url: str) -> None:
    endpoint = await site.endpoint()
    server = urlsplit(mongo_url)
    async with wire_to(server.hostname or "", server.port or 0) as wire:
        url = wire.on_the_way_to(mongo_url).replace("replicaSet=penstock", "directConnection=true")
        client = await mongo_.connect(Secret(url))
        try:
            async with site.replica(mongo=client):
                jobs = [await site.ended(callback_url=CALLBACK_URL)]
                await site.handled()
                await wire.cut()
                jobs += [await site.ended(callback_url=CALLBACK_URL) for _ in range(5)]
                await eventually(site.given_again, within=60, what="a batch that has to come again")
                assert len(await site.to(endpoint.id)) == 1
                await wire.mend()
                await site.handled()
        finally:
            await client.close()
    assert [each.about for each in await site.to(endpoint.id)] == jobs
    assert [each.about for each in await site.to(CALLBACK)] == jobs


@pytest.fixture
async def wire(nats_url: str) -> AsyncIterator[Wire]:
    """The way of one replica to NATS."""
    server = urlsplit(nats_url)
    async with wire_to(server.hostname or "", server.port or 0) as wire:
        yield wire


async def test_events_are_stored_when_nats_is_back(site: Site, wire: Wire) -> None:
    endpoint = await site.endpoint()
    async with site.replica(url=wire.on_the_way_to(site.nats_url), ack_wait=2.0):
        jobs = [await site.ended()]
        await site.handled()
        await wire.cut()
        jobs += [await site.ended() for _ in range(5)]
        assert len(await site.to(endpoint.id)) == 1
        await wire.mend()
        await site.handled()
    assert [each.about for each in await site.to(endpoint.id)] == jobs


async def test_the_consumer_of_the_version_before_is_given_every_notice_from_then_on(site: Site) -> None:
    endpoint = await site.endpoint()
    earlier = streams.consumer_config("webhooks-notices", streams.notice_subject("batch_finished"))
    await site.bus._jetstream.add_consumer(streams.NOTICES, earlier)
    subscription = await site.bus._jetstream.pull_subscribe_bind(durable="webhooks-notices", stream=streams.NOTICES)
    done, waiting = finished_batch(), finished_batch()
    for each in (done, waiting):
        each.time.GetCurrentTime()
        outgoing = Outgoing(
            subject=streams.notice_subject("batch_finished"), payload=each.SerializeToString(), message_id=each.id
        )
        await site.bus.publish([outgoing])
    (first,) = await subscription.fetch(1, timeout=30)
    await first.ack_sync()
    async with site.replica():
        await site.bus.publish([as_of_now(connection_notices.deleted(4))])
        await site.handled()
        await site.bus.publish([as_of_now(tenant_notices.published("acme", 2))])
        await site.handled()
    info = await site.bus._jetstream.consumer_info(streams.NOTICES, "webhooks-notices")
    assert info.config.filter_subjects in (["notices.*"], None)
    assert info.config.filter_subject in ("notices.*", None, "")
    abouts = {each.about for each in await site.to(endpoint.id)}
    assert abouts == {waiting.id, connection_notices.CONNECTION, "acme"}  # what was handled before is not told again


async def test_a_disabled_endpoint_is_told_of_though_who_disabled_it_died_first(site: Site) -> None:
    gone, other = await site.endpoint(), await site.endpoint()
    theirs = await site.endpoint(tenant="globex")
    await site.endpoints.disable(gone.id, reason=DisabledReason.GONE, now=datetime.now(UTC))  # and dies

    class Dying:
        """Publishes, and does not live to note it."""

        async def publish(self, messages: Sequence[Outgoing]) -> None:
            await site.bus.publish(messages)
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await Notices(UntoldEndpoints(site.endpoints), Dying()).tell()
    notices = Notices(UntoldEndpoints(site.endpoints), site.bus)
    task = asyncio.create_task(notices.run())  # the next process, as it starts
    async with site.replica():
        await eventually(lambda: site.to(other.id), what="the notice")
        await site.handled()
        assert not await site.endpoints.untold(limit=1)
    task.cancel()
    (told,), (itself,) = await site.to(other.id), await site.to(gone.id)
    assert (told.event_type, told.about, told.state) == ("endpoint.disabled", gone.id, State.PENDING)
    assert (itself.state, itself.last_reason) == (State.SKIPPED, Reason.ENDPOINT_DISABLED)
    assert await site.to(theirs.id) == []
    assert await site.bus.newest(streams.NOTICES, "notices.endpoint_disabled") == 1  # it was told once
