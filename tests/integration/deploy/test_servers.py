"""The servers of a test run, and the fixtures that stand on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared import streams
from shared.bus import Outgoing

if TYPE_CHECKING:
    from shared import kv
    from shared import mongo as mongo_
    from shared.bus import Bus


async def test_redis_is_empty_and_answers(redis: kv.Client) -> None:
    assert await redis.dbsize() == 0
    await redis.set("left-behind", "1")


async def test_redis_is_empty_after_a_test_that_wrote(redis: kv.Client) -> None:
    assert await redis.dbsize() == 0


async def test_bus_takes_messages_into_empty_streams(bus: Bus) -> None:
    await bus.publish([Outgoing(subject=streams.job_subject("submitted", "http"), payload=b"x", message_id="1")])
    assert await bus.read(streams.JOBS, 1) == b"x"
    assert await bus.read(streams.JOBS, 2) is None


async def test_streams_are_empty_after_a_test_that_wrote(bus: Bus) -> None:
    assert await bus.read(streams.JOBS, 1) is None


async def test_mongo_is_a_replica_set_with_transactions(mongo: mongo_.Client) -> None:
    async with mongo.start_session() as session, await session.start_transaction():
        await mongo.left_behind.things.insert_one({"_id": 1}, session=session)
    assert await mongo.left_behind.things.count_documents({}) == 1


async def test_mongo_is_empty_after_a_test_that_wrote(mongo: mongo_.Client) -> None:
    assert "left_behind" not in await mongo.list_database_names()
