"""Buckets and readers on a real NATS: compare-and-set, watching, reading in order, and the server's losses."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from nats.js.api import DiscardPolicy, StreamConfig

from shared import streams
from shared.bus import Bus, Conflict, Outgoing, connect
from shared.bus.reader import Reader
from shared.config import Secret
from shared.errors import Unavailable
from tests.integration.shared.test_bus import NATS
from tests.servers import servers
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from shared.bus import Bucket, Incoming


@pytest.fixture
async def bucket(empty_nats: Bus) -> Bucket:
    return await empty_nats.bucket("test", replicas=1)


@asynccontextmanager
async def watching(bucket: Bucket) -> AsyncGenerator[list[tuple[str, bytes | None]]]:
    told: list[tuple[str, bytes | None]] = []

    async def handle(key: str, value: bytes | None) -> None:
        told.append((key, value))

    task = asyncio.create_task(bucket.watch(handle))
    try:
        yield told
    finally:
        task.cancel()
        await asyncio.wait({task})


async def test_what_was_put_is_there_with_its_revision(bucket: Bucket) -> None:
    assert await bucket.get("a.b") is None
    revision = await bucket.put("a.b", b"1")
    found = await bucket.get("a.b")
    assert found is not None
    assert (found.value, found.revision) == (b"1", revision)


async def test_a_key_is_created_once(bucket: Bucket) -> None:
    await bucket.create("a", b"1")
    with pytest.raises(Conflict):
        await bucket.create("a", b"2")
    found = await bucket.get("a")
    assert found is not None
    assert found.value == b"1"


async def test_an_update_takes_the_place_of_the_revision_it_names_and_of_no_other(bucket: Bucket) -> None:
    first = await bucket.create("a", b"1")
    second = await bucket.update("a", b"2", first)
    assert second > first
    with pytest.raises(Conflict):
        await bucket.update("a", b"3", first)
    await bucket.put("b", b"other keys do not count")
    await bucket.update("a", b"3", second)


async def test_of_many_who_count_up_at_once_each_counts(bucket: Bucket) -> None:
    await bucket.create("n", b"0")

    async def count_up() -> None:
        while True:
            found = await bucket.get("n")
            assert found is not None
            try:
                await bucket.update("n", str(int(found.value) + 1).encode(), found.revision)
            except Conflict:
                continue
            return

    await asyncio.gather(*(count_up() for _ in range(8)))
    found = await bucket.get("n")
    assert found is not None
    assert found.value == b"8"


async def test_a_deleted_key_is_gone_and_may_be_created_again(bucket: Bucket) -> None:
    await bucket.put("a", b"1")
    await bucket.put("b", b"1")
    await bucket.delete("a")
    assert await bucket.get("a") is None
    assert await bucket.keys() == ["b"]
    await bucket.create("a", b"2")
    assert {key: entry.value for key, entry in (await bucket.entries()).items()} == {"a": b"2", "b": b"1"}


async def test_a_value_with_a_lifetime_goes_by_itself_unless_another_takes_its_place(bucket: Bucket) -> None:
    second = timedelta(seconds=1)
    await bucket.create("created", b"1", ttl=second)
    await bucket.update("updated", b"2", await bucket.create("updated", b"1"), ttl=second)
    await bucket.update("kept", b"2", await bucket.create("kept", b"1", ttl=second))
    assert await bucket.keys() == ["created", "kept", "updated"]

    async def gone() -> bool:
        return await bucket.keys() == ["kept"]

    await eventually(gone)
    assert await bucket.get("created") is None
    await bucket.create("created", b"2")
    found = await bucket.get("created")
    assert found is not None
    assert found.value == b"2"


async def test_a_bucket_of_before_there_were_lifetimes_has_them_from_then_on(empty_nats: Bus) -> None:
    jetstream = empty_nats._client.jetstream()
    await jetstream.add_stream(
        StreamConfig(
            name="KV_old",
            subjects=["$KV.old.>"],
            max_msgs_per_subject=1,
            discard=DiscardPolicy.NEW,
            allow_rollup_hdrs=True,
            deny_delete=True,
        )
    )
    await jetstream.publish("$KV.old.a", b"1")
    bucket = await empty_nats.bucket("old", replicas=1)
    await bucket.create("b", b"1", ttl=timedelta(seconds=1))
    assert await bucket.keys() == ["a", "b"]

    async def gone() -> bool:
        return await bucket.keys() == ["a"]

    await eventually(gone)


async def test_what_vanishes_while_it_is_to_be_read_is_not_waited_for(
    empty_nats: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = await empty_nats.bucket("fleeting", replicas=1)
    await bucket.put("a", b"1")
    opened = Reader.opened

    async def vanishing(self: Reader) -> bool:
        answer = await opened(self)
        if answer:  # the server has said that there is something
            await empty_nats._client.jetstream().purge_stream("KV_fleeting")
        return answer

    monkeypatch.setattr(Reader, "opened", vanishing)
    assert await asyncio.wait_for(bucket.keys(), 60) == []


async def test_an_empty_bucket_has_no_keys(bucket: Bucket) -> None:
    assert await bucket.keys() == []
    await bucket.put("a", b"1")
    await bucket.delete("a")
    assert await bucket.keys() == []


async def test_there_is_one_bucket_of_a_name(empty_nats: Bus, bucket: Bucket) -> None:
    await bucket.put("a", b"1")
    assert await (await empty_nats.bucket("test", replicas=1)).keys() == ["a"]
    assert await (await empty_nats.bucket("another", replicas=1)).keys() == []


async def test_who_watches_is_told_what_is_there_and_what_changes(bucket: Bucket) -> None:
    await bucket.put("a", b"1")
    await bucket.put("gone", b"1")
    await bucket.delete("gone")
    async with watching(bucket) as told:
        await eventually(lambda: told == [("a", b"1")])
        await bucket.put("b", b"1")
        await bucket.put("a", b"2")
        await bucket.delete("b")
        await eventually(lambda: told == [("a", b"1"), ("b", b"1"), ("a", b"2"), ("b", None)])


async def test_what_a_watcher_fails_on_comes_again(bucket: Bucket) -> None:
    told: list[str] = []

    async def handle(key: str, value: bytes | None) -> None:
        told.append(key)
        if told.count(key) == 1:
            raise Unavailable("Redis does not answer")

    for key in ("a", "b"):
        await bucket.put(key, b"1")
    task = asyncio.create_task(bucket.watch(handle))
    await eventually(lambda: told == ["a", "a", "b", "b"])
    task.cancel()


async def publish(bus: Bus, *numbers: int, upstream: str = "http") -> None:
    await bus.publish(
        [
            Outgoing(
                subject=streams.job_subject("started", upstream),
                payload=str(number).encode(),
                message_id=f"{upstream}-{number}",
            )
            for number in numbers
        ]
    )


async def test_a_reader_reads_its_subjects_in_order_from_where_it_is_told(bus: Bus) -> None:
    for start in range(0, 3000, 500):
        await publish(bus, *range(start, start + 500))
        await publish(bus, start, upstream="flickr")
    read: list[int] = []
    async with bus.reader(streams.JOBS, streams.job_subject("*", "http"), start=502) as reader:
        pending = -1
        while pending:
            batch = await reader.batch()
            pending = batch[-1].pending
            read += [int(message.payload) for message in batch]
            assert [message.sequence for message in batch] == sorted(message.sequence for message in batch)
        await publish(bus, 3000)
        assert [message.payload for message in await reader.batch()] == [b"3000"]
    assert read == list(range(500, 3000))


async def test_a_reader_says_whether_there_is_anything_to_read(bus: Bus) -> None:
    await publish(bus, 1)
    async with bus.reader(streams.JOBS, streams.job_subject("*", "http"), start=1) as reader:
        assert await reader.opened()
    async with bus.reader(streams.JOBS, streams.job_subject("*", "http"), start=2) as reader:
        assert not await reader.opened()


async def test_a_reader_reads_from_a_time_on(bus: Bus) -> None:
    await publish(bus, 1)
    async with bus.reader(streams.JOBS, streams.job_subject("*", "http"), start=1) as reader:
        (first,) = await reader.batch()
    await publish(bus, 2)
    later = first.time + timedelta(microseconds=1)
    async with bus.reader(streams.JOBS, streams.job_subject("*", "http"), start=later) as reader:
        assert [message.payload for message in await reader.batch()] == [b"2"]
    async with bus.reader(streams.JOBS, "jobs.>", start=first.time + timedelta(days=1)) as reader:
        assert not await reader.opened()


async def test_the_newest_message_of_a_subject_is_known_by_its_sequence(bus: Bus) -> None:
    subject = streams.job_subject("*", "http")
    assert await bus.newest(streams.JOBS, subject) == 0
    await publish(bus, 1, 2)
    await publish(bus, 3, upstream="flickr")
    assert await bus.newest(streams.JOBS, subject) == 2


async def test_a_consumer_has_acknowledged_up_to_what_it_handled_without_a_gap(bus: Bus) -> None:
    assert await bus.acknowledged(streams.JOBS, "test") == 0
    await publish(bus, 1, 2, 3)
    refused = asyncio.Event()

    async def handle(batch: Sequence[Incoming]) -> None:
        for message in batch:
            if message.payload == b"2":
                message.retry(timedelta(minutes=1))
        refused.set()

    config = streams.consumer_config("test", streams.job_subject("started", "http"))
    task = asyncio.create_task(bus.consumer(streams.JOBS, config).run(handle))
    await refused.wait()

    async def acknowledged() -> bool:
        return await bus.acknowledged(streams.JOBS, "test") == 1

    await eventually(acknowledged, what="the first one acknowledged")
    task.cancel()


async def test_readers_and_watches_go_on_after_the_server_was_killed() -> None:
    with servers() as stack:
        bus = await connect(
            Secret(stack.layout.nats_url), "test", streams.StreamLimits(replicas=1, max_bytes=64 * 1024**2)
        )
        bucket = await bus.bucket("test", replicas=1)
        await bucket.put("a", b"1")
        await publish(bus, *range(10))
        read: list[int] = []

        async def read_on() -> None:
            async with bus.reader(streams.JOBS, "jobs.>", start=1) as reader:
                while True:
                    try:
                        read.extend(int(message.payload) for message in await reader.batch())
                    except Unavailable:
                        await asyncio.sleep(0.05)

        task = asyncio.create_task(read_on())
        async with watching(bucket) as told:
            await eventually(lambda: told and len(read) == 10)
            stack.supervisor.stop_program(NATS)
            with pytest.raises(Unavailable):
                await bucket.get("a")
            stack.start_also(NATS)
            await eventually(lambda: put(bucket, "a", b"2"))
            await publish(bus, *range(10, 20))
            await eventually(lambda: read == list(range(20)))
            await eventually(lambda: told[-1] == ("a", b"2"))
            assert told[0] == ("a", b"1")
        task.cancel()
        await bus.close()


async def put(bucket: Bucket, key: str, value: bytes) -> bool:
    try:
        await bucket.put(key, value)
    except Unavailable:
        return False
    return True
