"""The floor: up to where Redis has all that the log tells."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from services.intake.floor import Floor
from services.intake.known_servers import KnownServers
from services.intake.store import server_id
from shared.errors import Unavailable
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from shared import kv


class Consumer:
    """Has acknowledged so much, and fails as often as told before it says so."""

    def __init__(self, *, failures: int = 0) -> None:
        self.floor = 0
        self.asked = 0
        self._failures = failures

    async def acknowledged(self) -> int:
        self.asked += 1
        if self._failures:
            self._failures -= 1
            raise Unavailable("NATS is away")
        return self.floor


@asynccontextmanager
async def running(floor: Floor) -> AsyncIterator[None]:
    task = asyncio.create_task(floor.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


def floor_of(redis: kv.Client, servers: KnownServers, consumer: Consumer) -> Floor:
    return Floor(redis, servers, consumer.acknowledged, interval=timedelta(milliseconds=1))


async def test_it_follows_what_was_acknowledged_and_asks_for_it_only_when_it_may_have_moved(redis: kv.Client) -> None:
    consumer = Consumer(failures=2)
    floor = floor_of(redis, KnownServers(await server_id(redis)), consumer)
    assert await floor.read() is None
    async with running(floor):
        for sequence in (7, 20):
            consumer.floor = sequence
            floor.moved()

            async def noted(sequence: int = sequence) -> bool:
                return await floor.read() == sequence

            await eventually(noted)
    assert consumer.asked == 4


async def test_a_server_that_has_lost_something_is_not_said_to_have_it(redis: kv.Client) -> None:
    """Else a rebuild would begin behind what was lost."""
    servers = KnownServers("another")
    floor = floor_of(redis, servers, Consumer())
    await floor.note(7, known=servers.text)
    assert await floor.read() is None
    await asyncio.wait_for(servers.stranger(), 30)
    await floor.note(7, known=await server_id(redis))
    assert await floor.read() == 7
