"""Each part of a backup: what it is of one moment, and what comes back of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from nats.js.api import AckPolicy, ConsumerConfig
from pymongo import IndexModel

from deploy.backup import documents, nats_streams, redis_dump, redis_load
from deploy.backup.errors import BackupError
from shared.bus import Outgoing
from shared.config import Secret
from shared.streams import JOBS
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from shared import kv
    from shared import mongo as mongo_
    from shared.bus import Bus
    from tests.integration.backup.conftest import Backups


async def _parted(content: bytes, size: int = 4096) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


@pytest.mark.parametrize("diskless", ["yes", "no"], ids=["by a mark", "by its length"])
async def test_redis_is_copied_as_of_one_moment_and_loaded_by_either_form(
    backups_of_run: Backups, redis: kv.Client, diskless: str
) -> None:
    await redis.config_set("repl-diskless-sync", diskless)
    await redis.config_set("repl-diskless-sync-delay", 0)
    await redis.mset({f"of:{number}": "x" * 1000 for number in range(2000)})
    stop = asyncio.Event()

    async def both() -> None:
        """Two keys that are never apart at any one moment."""
        count = 0
        while not stop.is_set():
            count += 1
            await redis.mset({"one": count, "two": count})

    writing = asyncio.create_task(both())
    await eventually(lambda: redis.exists("one"))
    try:
        async with redis_dump.opened(backups_of_run.config().redis_url) as (version, chunks):
            copy = b"".join([chunk async for chunk in chunks])
    finally:
        stop.set()
        await writing
    assert version.startswith("6.2")
    assert copy.startswith(b"REDIS")
    await redis.flushall()
    await redis.set("not of the copy", 1)
    before = {"masterauth": "", "masteruser": ""}

    class Content:
        async def __aenter__(self) -> AsyncIterator[bytes]:
            return _parted(copy)

        async def __aexit__(self, *_: object) -> None:
            return

    await redis_load.load(Secret(backups_of_run.stack.layout.redis_url), Content, size=len(copy))
    one, two = await redis.mget("one", "two")
    assert one == two is not None
    assert await redis.exists("not of the copy") == 0
    assert await redis.dbsize() == 2002
    assert (await redis.info("replication"))["role"] == "master"
    assert await redis.config_get("master*") == before


async def test_a_redis_that_cannot_load_a_copy_says_so_and_serves_on(backups_of_run: Backups, redis: kv.Client) -> None:
    class Content:
        async def __aenter__(self) -> AsyncIterator[bytes]:
            return _parted(b"REDIS9999 which is no copy")

        async def __aexit__(self, *_: object) -> None:
            return

    with pytest.raises(BackupError, match="does not load what it was sent"):
        await redis_load.load(Secret(backups_of_run.stack.layout.redis_url), Content, size=26)
    assert await redis.set("goes on", 1)


async def test_a_stream_comes_back_with_sequences_ids_and_consumers(backups_of_run: Backups, bus: Bus) -> None:
    jetstream = bus._jetstream
    await bus.publish([_message(number) for number in range(300)])
    await jetstream.purge_stream(JOBS, seq=11)
    handled = ConsumerConfig(durable_name="history", ack_policy=AckPolicy.EXPLICIT)
    await jetstream.add_consumer(JOBS, handled)
    pulling = await jetstream.pull_subscribe_bind(durable="history", stream=JOBS)
    for message in await pulling.fetch(100):
        await message.ack_sync()
    bucket = await bus.bucket("scheduler", replicas=1)
    await bucket.put("epoch.http", b"7")
    async with nats_streams.connected(backups_of_run.config().nats_url) as reading:
        content: dict[str, tuple[Any, bytes]] = {}
        for name in await reading.names():
            async with reading.snapshot(name, name) as (part, chunks):
                content[name] = part, b"".join([chunk async for chunk in chunks])
    async with nats_streams.connected(Secret(backups_of_run.stack.layout.nats_url)) as operating:
        for name, (part, snapshot) in content.items():
            await operating.delete(name)
            await eventually(lambda name=name: _is_gone(operating, name))
            await operating.restore(part, _parted(snapshot))
        assert await operating.acknowledged(JOBS, "history") == 110
        assert await operating.numbers("scheduler", "epoch.") == {"epoch.http": 7}
        await operating.set_back(JOBS, "history", 50)
        assert await operating.acknowledged(JOBS, "history") == 50
        await operating.make_anew(JOBS, "history", 60)  # as with a server before 2.14
        assert await operating.acknowledged(JOBS, "history") == 60
    message = await jetstream.get_msg(JOBS, 42)
    assert message.headers is not None
    assert (message.seq, message.headers["Nats-Msg-Id"]) == (42, "message-41")
    assert (await jetstream.stream_info(JOBS)).state.first_seq == 11
    assert [each.metadata.sequence.stream for each in await pulling.fetch(1)] == [61]


async def _is_gone(streams: nats_streams.Streams, name: str) -> bool:
    return name not in await streams.names()


def _message(number: int) -> Outgoing:
    return Outgoing(subject="jobs.submitted.http", payload=bytes(3000), message_id=f"message-{number}")


async def test_mongodb_is_read_at_one_moment_while_writes_go_on(backups_of_run: Backups, mongo: mongo_.Client) -> None:
    one, two = mongo["history"]["one"], mongo["webhooks"]["two"]
    await one.create_indexes(
        [IndexModel([("tenant", 1)], name="tenant", partialFilterExpression={"tenant": {"$gt": ""}})]
    )
    await one.insert_many([{"_id": number, "tenant": "x" * 500} for number in range(3000)])
    await two.insert_one({"_id": "count", "count": 0})
    await one.insert_one({"_id": "count", "count": 0})
    stop = asyncio.Event()

    async def both() -> None:
        """Two documents that no transaction ever sees apart."""
        async with mongo.start_session() as session:
            while not stop.is_set():
                async with await session.start_transaction():
                    for collection in (one, two):
                        await collection.update_one({"_id": "count"}, {"$inc": {"count": 1}}, session=session)

    writing = asyncio.create_task(both())
    content: dict[str, bytes] = {}
    try:
        async with documents.connected(backups_of_run.config().mongo_url) as reading:
            parts = await reading.collections("{}")
            async with reading.snapshot(parts[0]) as snapshot:
                seen = (await one.find_one({"_id": "count"}) or {})["count"]
                for part in parts:
                    content[part.file] = b"".join([chunk async for chunk in snapshot.read(part)])
                    at = (await one.find_one({"_id": "count"}) or {})["count"]
                    await eventually(lambda at=at: _has_passed(one, at))
    finally:
        stop.set()
        await writing
    for name in ("history", "webhooks"):
        await mongo.drop_database(name)
    async with documents.connected(Secret(backups_of_run.stack.layout.mongo_url)) as operating:
        loaded = {part.file: await operating.load(part, _parted(content[part.file], 1000)) for part in parts}
    assert loaded == snapshot.documents == {"history.one": 3001, "webhooks.two": 1}
    counts = [(await each.find_one({"_id": "count"}) or {})["count"] for each in (one, two)]
    assert counts[0] == counts[1] <= seen
    index = (await one.index_information())["tenant"]
    assert index["partialFilterExpression"] == {"tenant": {"$gt": ""}}


async def _has_passed(collection: Any, count: int) -> bool:
    return ((await collection.find_one({"_id": "count"})) or {})["count"] > count


async def test_collections_that_change_under_a_snapshot_are_read_anew(
    backups_of_run: Backups, mongo: mongo_.Client
) -> None:
    await mongo["history"]["jobs"].insert_one({"_id": 1})
    async with documents.connected(backups_of_run.config().mongo_url) as reading:
        parts = await reading.collections("{}")
        async with reading.snapshot(parts[0]) as snapshot:
            await mongo["history"]["jobs_rebuilt"].insert_one({"_id": 2})
            await mongo["history"]["jobs_rebuilt"].rename("jobs", dropTarget=True)
            with pytest.raises(documents.Changed):
                assert [chunk async for chunk in snapshot.read(parts[0])] == []
