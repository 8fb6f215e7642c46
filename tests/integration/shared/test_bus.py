"""The bus on a real NATS: what is published is there once, what is consumed is handled, losses are mended."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from deploy.local.programs import PROGRAMS
from shared import ids, streams
from shared.bus import Bus, Incoming, Lag, Outgoing, connect
from shared.bus.headers import UnreadHeaders
from shared.config import Secret
from shared.errors import Unavailable
from tests.servers import servers
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence


ACK_WAIT_S = streams.ACK_WAIT.total_seconds()
NATS = next(program for program in PROGRAMS if program.name == "nats")


def messages(count: int, *, upstream: str = "http") -> list[Outgoing]:
    subject = streams.job_subject("submitted", upstream)
    return [
        Outgoing(subject=subject, payload=str(number).encode(), message_id=ids.new_job_id(upstream))
        for number in range(count)
    ]


async def stored(bus: Bus) -> int:
    info = await bus._jetstream.stream_info(streams.JOBS)
    return info.state.messages


@asynccontextmanager
async def consuming(
    bus: Bus, handle: Callable[[Sequence[Incoming]], Awaitable[None]], *, durable: str = "test"
) -> AsyncGenerator[None]:
    config = streams.consumer_config(durable, streams.job_subject("submitted", "http"))
    task = asyncio.create_task(bus.consumer(streams.JOBS, config).run(handle))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


@pytest.mark.parametrize("count", [1, 2, 31, 32, 256, 257, 1000])
async def test_every_message_of_a_batch_is_stored_in_order(bus: Bus, count: int) -> None:
    await bus.publish(messages(count))
    assert await stored(bus) == count
    assert await bus.read(streams.JOBS, count) == str(count - 1).encode()


async def test_publishing_again_stores_nothing_twice_and_misses_nothing(bus: Bus) -> None:
    batch = messages(60)
    await bus.publish(batch[5:8])  # each by itself
    await bus.publish(batch[10:50])  # as one
    await bus.publish(batch)  # the stream knows some of them and refuses the batch as a whole
    await bus.publish(batch)
    assert await stored(bus) == 60


async def test_publishes_at_the_same_time_each_wait_for_their_own_messages(bus: Bus) -> None:
    groups = [messages(count) for count in (1, 3, 5, 40, 2)]
    await asyncio.gather(*(bus.publish(group) for group in groups), *(bus.publish(group) for group in groups))
    assert await stored(bus) == 51


async def test_a_subject_of_no_stream_is_refused(bus: Bus) -> None:
    with pytest.raises(Unavailable, match="no stream has its subject"):
        await bus.publish([*messages(1), Outgoing(subject="nobody.has.this", payload=b"", message_id="m")])
    assert await stored(bus) == 1


async def test_a_full_stream_refuses_and_drops_nothing(empty_nats: Bus) -> None:
    await empty_nats.apply_streams(streams.StreamLimits(replicas=1, max_bytes=10_000))
    big = [Outgoing(subject="jobs.submitted.http", payload=b"x" * 3000, message_id=str(n)) for n in range(5)]
    with pytest.raises(Unavailable):
        await empty_nats.publish(big)
    for message in big[:3]:
        await empty_nats.publish([message])
    with pytest.raises(Unavailable):
        await empty_nats.publish([big[3]])
    assert await stored(empty_nats) == 3


async def test_applying_the_streams_again_with_other_limits_changes_them(bus: Bus) -> None:
    await bus.publish(messages(3))
    await bus.apply_streams(streams.StreamLimits(replicas=1, max_bytes=2_000_000))
    info = await bus._jetstream.stream_info(streams.JOBS)
    assert (info.config.max_bytes, info.state.messages) == (2_000_000, 3)


async def test_reading_what_is_not_kept_answers_with_nothing(bus: Bus) -> None:
    assert await bus.read(streams.JOBS, 12345) is None


async def test_a_message_keeps_its_trace(bus: Bus) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    await bus.publish([Outgoing(subject="jobs.submitted.http", payload=b"p", message_id="m", traceparent=trace)])
    found = await bus.read_message(streams.JOBS, 1)
    assert found is not None
    assert (found[0], found[1]["traceparent"]) == (b"p", trace)


async def test_the_headers_of_a_message_are_left_unread_until_somebody_asks(bus: Bus) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    await bus.publish([Outgoing(subject="jobs.submitted.http", payload=b"p", message_id="m", traceparent=trace)])
    seen: list[Incoming] = []

    async def handle(batch: Sequence[Incoming]) -> None:
        seen.extend(batch)

    async with consuming(bus, handle):
        await eventually(lambda: len(seen) == 1)
    headers = seen[0].headers
    assert isinstance(headers, UnreadHeaders)  # else the driver reads them by itself again
    assert headers._read is None
    assert seen[0].traceparent == trace
    assert dict(headers) == {"Nats-Msg-Id": "m", "Content-Type": "application/protobuf", "traceparent": trace}


async def test_group_commit_publishes_what_many_publish_at_once(bus: Bus) -> None:
    publisher = bus.group_publisher()
    task = asyncio.create_task(publisher.run())
    await asyncio.gather(*(publisher.publish(message) for message in messages(600)))
    assert await stored(bus) == 600
    task.cancel()


@pytest.mark.parametrize("size", [1, 2, 7, 100])
async def test_units_go_to_disk_together_with_whatever_else_is_on_its_way(bus: Bus, size: int) -> None:
    publisher = bus.group_publisher()
    task = asyncio.create_task(publisher.run())
    units = [messages(size) for _ in range(12)]
    singles = messages(50)
    await asyncio.gather(*map(publisher.publish_whole, units), *map(publisher.publish, singles))
    assert await stored(bus) == 12 * size + 50
    task.cancel()


async def test_a_unit_that_is_known_is_stored_once_also_beside_new_ones(bus: Bus) -> None:
    known, new, single = messages(5), messages(5), messages(1)
    await bus.publish_units([known])
    await bus.publish_units([known, new, single])
    await bus.publish_units([single, known, new])
    assert await stored(bus) == 11


async def test_of_a_unit_nothing_is_stored_where_one_message_cannot_be(bus: Bus) -> None:
    broken = [*messages(3), Outgoing(subject="jobs.submitted.http", payload=bytes(9 * 1024 * 1024), message_id="big")]
    with pytest.raises(Unavailable):
        await bus.publish_units([broken])
    assert await stored(bus) == 0


async def test_group_commit_tells_every_publisher_of_a_failure(bus: Bus) -> None:
    publisher = bus.group_publisher()
    task = asyncio.create_task(publisher.run())
    nowhere = [Outgoing(subject="unheard.of", payload=b"", message_id=str(n)) for n in range(3)]
    outcomes = await asyncio.gather(*(publisher.publish(message) for message in nowhere), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [Unavailable] * 3
    await publisher.publish(messages(1)[0])  # and goes on
    task.cancel()


async def test_a_consumer_handles_every_message_once_when_all_goes_well(bus: Bus) -> None:
    seen: list[bytes] = []

    async def handle(batch: Sequence[Incoming]) -> None:
        seen.extend(message.payload for message in batch)

    async with consuming(bus, handle):
        await bus.publish(messages(700))
        await eventually(lambda: len(seen) >= 700)
    assert sorted(map(int, seen)) == list(range(700))
    info = await bus._jetstream.consumer_info(streams.JOBS, "test")
    assert info.num_redelivered == 0


async def test_one_bad_message_does_not_hold_up_the_others(bus: Bus) -> None:
    handled: set[bytes] = set()
    refused = 0

    async def handle(batch: Sequence[Incoming]) -> None:
        nonlocal refused
        if any(message.payload == b"13" for message in batch):
            refused += 1
            raise ValueError("cannot be handled")
        handled.update(message.payload for message in batch)

    async with consuming(bus, handle):
        await bus.publish(messages(50))
        await eventually(lambda: len(handled) == 49 and refused >= 3)
    assert b"13" not in handled


async def test_a_batch_is_delivered_again_when_a_dependency_was_away(bus: Bus) -> None:
    handled: list[bytes] = []
    away = 2

    async def handle(batch: Sequence[Incoming]) -> None:
        nonlocal away
        if away:
            away -= 1
            raise Unavailable("Redis does not answer")
        handled.extend(message.payload for message in batch)

    async with consuming(bus, handle):
        await bus.publish(messages(10))
        await eventually(lambda: set(handled) == {str(number).encode() for number in range(10)})


async def test_verdicts_on_single_messages_are_kept(bus: Bus) -> None:
    deliveries: dict[bytes, int] = {}

    async def handle(batch: Sequence[Incoming]) -> None:
        for message in batch:
            deliveries[message.payload] = message.deliveries
            if message.payload == b"0":
                message.term()
            elif message.payload == b"1" and message.deliveries < 3:
                message.retry(timedelta(milliseconds=10))

    async with consuming(bus, handle):
        await bus.publish(messages(3))
        await eventually(lambda: deliveries.get(b"1") == 3)
        await eventually(lambda: _nothing_outstanding(bus))
    assert deliveries == {b"0": 1, b"1": 3, b"2": 1}


async def _nothing_outstanding(bus: Bus) -> bool:
    info = await bus._jetstream.consumer_info(streams.JOBS, "test")
    return info.num_ack_pending == 0 and info.num_pending == 0


async def test_two_replicas_share_one_consumer(bus: Bus) -> None:
    seen: list[tuple[str, bytes]] = []

    def handler(name: str) -> Callable[[Sequence[Incoming]], Awaitable[None]]:
        async def handle(batch: Sequence[Incoming]) -> None:
            seen.extend((name, message.payload) for message in batch)

        return handle

    async with consuming(bus, handler("one")), consuming(bus, handler("two")):
        await bus.publish(messages(500))
        await eventually(lambda: len(seen) >= 500)
    assert len({payload for _, payload in seen}) == len(seen) == 500


async def test_a_consumer_that_was_deleted_is_made_again(bus: Bus) -> None:
    seen: set[bytes] = set()

    async def handle(batch: Sequence[Incoming]) -> None:
        seen.update(message.payload for message in batch)

    async with consuming(bus, handle):
        await bus.publish(messages(1))
        await eventually(lambda: seen)
        await bus._jetstream.delete_consumer(streams.JOBS, "test")
        await bus.publish([Outgoing(subject="jobs.submitted.http", payload=b"after", message_id="after")])
        await eventually(lambda: b"after" in seen, within=150)


async def test_signals_reach_who_listens(bus: Bus) -> None:
    heard: list[bytes] = []

    async def hear(payload: bytes) -> None:
        heard.append(payload)

    await bus.on_signal(streams.work_signal("http"), hear)
    await bus.signal(streams.work_signal("flickr"), b"not this one")
    await bus.signal(streams.work_signal("http"), b"this one")
    await eventually(lambda: heard)
    assert heard == [b"this one"]


async def test_a_server_killed_and_back_loses_nothing_and_is_found_again() -> None:
    with servers() as own:  # others use the run's own
        bus = await connect(Secret(own.layout.nats_url), "test")
        await bus.apply_streams(streams.StreamLimits(replicas=1, max_bytes=10_000_000))
        seen: set[bytes] = set()
        reconnected = asyncio.Event()
        bus.on_reconnect(reconnected.set)

        async def handle(batch: Sequence[Incoming]) -> None:
            seen.update(message.payload for message in batch)

        async with consuming(bus, handle):
            await bus.publish(messages(10))
            await eventually(lambda: len(seen) == 10)
            own.supervisor.stop_program(NATS)
            with pytest.raises(Unavailable):
                await bus.publish(messages(1))
            with pytest.raises(Unavailable):
                await bus.check()
            own.supervisor.start_program(NATS)
            await asyncio.wait_for(reconnected.wait(), 60)
            late = Outgoing(subject="jobs.submitted.http", payload=b"late", message_id="late")
            await eventually(lambda: _published(bus, late), within=150)
            await eventually(lambda: b"late" in seen, within=150)
            assert await stored(bus) >= 11
        await bus.close()


async def test_what_has_come_before_a_loss_is_handled_after_it_and_not_sent_again(bus: Bus) -> None:
    consumer = bus.consumer(streams.JOBS, streams.consumer_config("test", streams.job_subject("submitted", "http")))
    batches: list[list[bytes]] = []
    deliveries: set[int] = set()
    goes_on = asyncio.Event()

    async def handle(batch: Sequence[Incoming]) -> None:
        batches.append([message.payload for message in batch])
        deliveries.update(message.deliveries for message in batch)
        await goes_on.wait()

    task = asyncio.create_task(consumer.run(handle))
    sent = messages(10)
    await bus.publish(sent[:1])
    await eventually(lambda: batches)
    await bus.publish(sent[1:])
    await eventually(lambda: len(consumer._pending) == 9)
    consumer.reconnected()
    goes_on.set()
    async with asyncio.timeout(ACK_WAIT_S / 2):
        await eventually(lambda: sum(map(len, batches)) == 10, within=ACK_WAIT_S)
    await eventually(lambda: _nothing_outstanding(bus))
    assert deliveries == {1}
    task.cancel()
    await asyncio.wait({task})


async def test_a_consumer_that_is_paused_is_given_nothing_until_it_goes_on(bus: Bus) -> None:
    seen: list[bytes] = []

    async def handle(batch: Sequence[Incoming]) -> None:
        seen.extend(message.payload for message in batch)

    subject = streams.job_subject("submitted", "http")
    until = datetime.now(UTC) + timedelta(minutes=5)
    async with bus.paused(streams.JOBS, "nobody", until=until):
        assert await bus.lag(streams.JOBS, "nobody", subject) == Lag(messages=0, oldest=None)
    async with consuming(bus, handle):
        await bus.publish(messages(1))
        await eventually(lambda: seen)
        began = datetime.now(UTC)
        async with bus.paused(streams.JOBS, "test", until=until):
            await bus.publish(messages(3))

            async def behind() -> datetime | None:
                lag = await bus.lag(streams.JOBS, "test", subject)
                assert lag.messages == 3
                return lag.oldest

            oldest = await eventually(behind)
            assert abs((oldest - began).total_seconds()) < 60
            assert len(seen) == 1
        await eventually(lambda: len(seen) == 4)

        async def caught_up() -> bool:
            return await bus.lag(streams.JOBS, "test", subject) == Lag(messages=0, oldest=None)

        await eventually(caught_up)


async def _published(bus: Bus, message: Outgoing) -> bool:
    try:
        await bus.publish([message])
    except Unavailable:  # JetStream is not there at once
        return False
    return True
