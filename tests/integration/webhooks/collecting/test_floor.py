"""Up to where everything is stored, as a real NATS says it: right for several replicas, whatever becomes of a batch."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from services.webhooks.collecting.collector import CONSUMER
from services.webhooks.collecting.floor import SHORTEST, Floor
from shared import bus as bus_
from shared import ids, streams
from shared.bus import Outgoing
from shared.config import Secret
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Sequence

    from nats.aio.msg import Msg

    from shared.bus import Bus, Incoming

DURABLE = CONSUMER.durable_name or ""
ENDED, SUBMITTED = "jobs.succeeded.http", "jobs.submitted.http"


async def publish(bus: Bus, *subjects: str) -> None:
    """Puts messages into the log; what is in them is nobody's business here."""
    await bus.publish([Outgoing(subject=each, payload=b"", message_id=ids.new_job_id("http")) for each in subjects])


async def taken(bus: Bus, count: int) -> list[Msg]:
    """The next messages of the consumer, as one replica takes them."""
    subscription = await bus._jetstream.pull_subscribe_bind(durable=DURABLE, stream=streams.JOBS)
    messages = await subscription.fetch(count, timeout=30)
    assert len(messages) == count
    return messages


@pytest.fixture
async def other_bus(bus: Bus, nats_url: str) -> AsyncIterator[Bus]:
    """The connection of another replica."""
    other = await bus_.connect(Secret(nats_url), "test")
    yield other
    await other.close()


@pytest.fixture
async def consumer(bus: Bus) -> None:
    await bus._jetstream.add_consumer(streams.JOBS, CONSUMER)


@pytest.fixture
def floor(bus: Bus) -> Floor:
    return Floor(bus, longest=SHORTEST)


async def passed(floor: Floor, until: int) -> list[int]:
    """The places that are passed, of those up to this one."""
    return [place for place in range(1, until + 1) if await floor.passed(place)]


@pytest.mark.usefixtures("consumer")
async def test_what_one_replica_has_not_stored_holds_up_what_another_one_has(
    bus: Bus, other_bus: Bus, floor: Floor
) -> None:
    await publish(bus, *[ENDED] * 6)
    first, second = await taken(bus, 2)
    third, fourth = await taken(other_bus, 2)
    await third.ack_sync()
    await fourth.ack_sync()
    assert await passed(floor, 6) == [1]
    await second.ack_sync()
    assert await passed(floor, 6) == [1]
    await first.ack_sync()
    assert await passed(floor, 4) == [1, 2, 3, 4]


@pytest.mark.usefixtures("consumer")
async def test_what_is_not_for_this_service_holds_up_nothing(bus: Bus, other_bus: Bus, floor: Floor) -> None:
    await publish(bus, SUBMITTED, ENDED, SUBMITTED, SUBMITTED, ENDED, SUBMITTED, ENDED, SUBMITTED)
    (second,) = await taken(bus, 1)
    (fifth,) = await taken(other_bus, 1)
    (seventh,) = await taken(other_bus, 1)
    await seventh.ack_sync()
    assert not await floor.passed(7)
    await second.ack_sync()
    assert await floor.passed(2)
    assert not await floor.passed(7)
    await fifth.ack_sync()
    assert await floor.passed(5)
    assert await floor.passed(7)


@pytest.mark.usefixtures("consumer")
async def test_what_is_dropped_holds_up_nothing_and_what_is_to_come_again_does_until_it_has(
    bus: Bus, other_bus: Bus, floor: Floor
) -> None:
    await publish(bus, *[ENDED] * 3)
    dropped, delayed = await taken(bus, 2)
    (third,) = await taken(other_bus, 1)
    await third.ack_sync()
    await dropped.term()
    await delayed.nak()
    (again,) = await taken(other_bus, 1)
    assert again.metadata.sequence.stream == 2
    assert not await floor.passed(3)
    await again.ack_sync()
    assert await floor.passed(3)


async def test_what_a_replica_has_died_with_is_given_to_another_one(bus: Bus, other_bus: Bus, floor: Floor) -> None:
    await bus._jetstream.add_consumer(streams.JOBS, CONSUMER.evolve(ack_wait=1.0))
    await publish(bus, *[ENDED] * 2)
    await taken(bus, 1)
    (second,) = await taken(other_bus, 1)
    await second.ack_sync()
    assert not await floor.passed(2)
    (first,) = await taken(other_bus, 1)
    assert first.metadata.num_delivered >= 2
    assert not await floor.passed(2)
    await first.ack_sync()
    assert await floor.passed(2)


@pytest.mark.usefixtures("consumer")
async def test_a_place_of_a_log_that_was_made_anew_since_waits_for_nothing(bus: Bus, floor: Floor) -> None:
    await publish(bus, *[ENDED] * 2)
    await taken(bus, 1)
    assert await floor.passed(1000)
    assert not await floor.passed(2)  # which the consumer is yet to be given


async def test_a_consumer_that_is_lost_is_waited_for_until_it_has_gone_through_the_log_again(
    bus: Bus, floor: Floor
) -> None:
    await publish(bus, *[ENDED] * 3)
    assert await passed(floor, 3) == [1]
    await bus._jetstream.add_consumer(streams.JOBS, CONSUMER)
    for message in await taken(bus, 3):
        await message.ack_sync()
    assert await passed(floor, 3) == [1, 2, 3]


@dataclass
class Replica:
    """One that takes batches, and stores them when it is let."""

    may_store: asyncio.Event = field(default_factory=asyncio.Event)
    given: set[int] = field(default_factory=set)
    stored: set[int] = field(default_factory=set)

    async def handle(self, batch: Sequence[Incoming]) -> None:
        sequences = {message.sequence for message in batch}
        self.given |= sequences
        await self.may_store.wait()
        self.stored |= sequences


@asynccontextmanager
async def running(bus: Bus, replica: Replica) -> AsyncGenerator[None]:
    task = asyncio.create_task(bus.consumer(streams.JOBS, CONSUMER).run(replica.handle))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


async def test_replicas_as_they_are_pass_a_place_only_when_all_before_it_is_stored(
    bus: Bus, other_bus: Bus, floor: Floor
) -> None:
    slow, quick = Replica(), Replica()
    quick.may_store.set()
    async with running(bus, slow), running(other_bus, quick):

        async def both_have_some() -> bool:
            await publish(bus, ENDED)
            return bool(slow.given and quick.stored and max(quick.stored) > min(slow.given))

        await eventually(both_have_some, what="events at both replicas")
        later = max(quick.stored)
        assert not await floor.passed(later)
        assert await floor.passed(min(slow.given))  # all before it is the quick one's, or there is nothing
        slow.may_store.set()
        await eventually(lambda: floor.passed(later), what="the slow one's acknowledgements")
        assert set(range(1, later)) <= slow.stored | quick.stored
