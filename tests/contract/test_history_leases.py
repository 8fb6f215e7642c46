"""Leases of history, in MongoDB: one holds each at a time, and whoever has lost one can commit nothing under it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from services.history.leases import TALLY, LeaseLostError, Leases
from tests.waiting import eventually

if TYPE_CHECKING:
    from shared.mongo import Client


async def run_out(mongo: Client) -> None:
    """As when the holder has not renewed it for long."""
    await mongo.history.leases.update_one({"_id": TALLY}, {"$set": {"until": datetime(2026, 1, 1, tzinfo=UTC)}})


async def test_of_many_who_want_it_one_has_it(mongo: Client) -> None:
    taken = await asyncio.gather(*(Leases(mongo).take(TALLY) for _ in range(20)))
    assert len([lease for lease in taken if lease is not None]) == 1
    assert await Leases(mongo).take("another") is not None


async def test_what_was_given_back_or_has_run_out_is_anothers_to_take(mongo: Client) -> None:
    leases = Leases(mongo)
    first = await leases.take(TALLY)
    assert first is not None
    assert await leases.renew(first)
    await leases.release(first)
    second = await leases.take(TALLY)
    assert second is not None
    await run_out(mongo)
    third = await leases.take(TALLY)
    assert third is not None
    assert not await leases.renew(second)
    await leases.release(second)
    assert await leases.renew(third), "nobody gives back what is another's"


async def test_whoever_has_lost_it_commits_nothing(mongo: Client) -> None:
    leases = Leases(mongo)
    lost = await leases.take(TALLY)
    assert lost is not None
    await run_out(mongo)
    assert await leases.take(TALLY) is not None

    async def commit() -> None:
        async with mongo.start_session() as session, await session.start_transaction():
            await mongo.history.counts.insert_one({"_id": "counted"}, session=session)
            await leases.fence(lost, session)

    with pytest.raises(LeaseLostError):
        await commit()
    assert await mongo.history.counts.count_documents({}) == 0


async def test_one_that_is_waited_for_is_held_to_the_end_of_the_block(mongo: Client) -> None:
    leases = Leases(mongo)
    first = await leases.take(TALLY)
    assert first is not None

    async def hold() -> None:
        async with leases.held(TALLY) as lease:
            assert await leases.renew(lease)
            assert await leases.take(TALLY) is None

    waiting = asyncio.create_task(hold())
    await leases.release(first)
    await waiting
    assert await mongo.history.leases.count_documents({}) == 0


async def test_who_would_hold_it_for_ever_gives_way_to_who_waits_and_not_to_who_passes(mongo: Client) -> None:
    leases, left = Leases(mongo), asyncio.Event()
    first = await leases.take(TALLY)
    assert first is not None
    assert await leases.renew_or_give_way(first), "nobody waits"

    async def hold() -> None:
        async with leases.held(TALLY) as lease:
            assert await leases.renew_or_give_way(lease), "it has come to who waited"
            left.set()

    waiting = asyncio.create_task(hold())
    assert await eventually(lambda: awaited(mongo))
    assert await leases.renew(first), "who does not give way goes on"
    assert not await leases.renew_or_give_way(first)
    passing = [await leases.take(TALLY) for _ in range(5)]
    await waiting
    assert left.is_set()
    assert passing == [None] * 5
    assert await leases.take(TALLY) is not None, "nobody waits any more"


async def awaited(mongo: Client) -> bool:
    return await mongo.history.leases.count_documents({"awaited": {"$exists": True}}) == 1
