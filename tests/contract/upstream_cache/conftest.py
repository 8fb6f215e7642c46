from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from services.upstream.cache.entries import Answer, Scope, spot_of
from services.upstream.cache.redis_store import RedisAnswers
from services.upstream.cache.store import Bounds, Held, Hit, Lead
from shared import kv
from tests.fakes.cached_answers import FakeAnswers, Shelf

if TYPE_CHECKING:
    from services.upstream.cache.entries import Spot
    from services.upstream.cache.store import AnswerStore, Found, Kept, Room, Sums, Takes

CLOCK = Path(__file__).parents[2] / "fakes" / "upstream_clock.lua"
TTL = timedelta(minutes=5)
BELIEVED = timedelta(seconds=6)
UNBOUND = Bounds(in_redis=10**12, in_all=10**12)


def spot(
    params: object = 1, *, tenant: str = "acme", connection: str = "", method: str = "flickr.photos.search"
) -> Spot:
    scope = Scope(connection=connection, upstream=method.partition(".")[0], method=method)
    return spot_of(tenant, scope, credential_version=0, params={"p": params})


def answer(body: bytes = b"cats", **headers: str) -> Answer:
    return Answer(status=200, headers=headers, size=len(body), body=body)


def large(size: int = 300_000, name: str = "obj") -> Answer:
    return Answer(status=200, size=size, object=name)


@dataclass
class Store:
    """A store whose time a test sets, as two replicas have it."""

    one: AnswerStore
    other: AnswerStore
    shelf: Shelf | None = None
    client: kv.Client | None = None

    async def at(self, seconds: float) -> None:
        """Has it that many seconds after the start."""
        now_ms = 1_800_000_000_000 + round(seconds * 1000)
        if self.shelf is not None:
            self.shelf.now_ms = now_ms
        if self.client is not None:
            await self.client.set("upstream-test-clock", now_ms)

    async def look(self, where: Spot, token: str = "t1", *, ttl: timedelta = TTL, refresh: bool = False) -> Found:
        return await self.one.look(where, token=token, believed=BELIEVED, ttl=ttl, refresh=refresh)

    async def hit(self, where: Spot) -> Answer | None:
        """The answer, where there is one; asking leaves nothing behind."""
        found = await self.look(where, "asks")
        if isinstance(found, Lead):
            await self.hold(where, "asks", for_=timedelta())
        return found.answer if isinstance(found, Hit) else None

    async def hold(self, where: Spot, token: str = "t1", *, for_: timedelta = BELIEVED) -> Held:
        return await self.one.hold(where, token=token, believed=for_)

    async def keep(self, where: Spot, what: Answer | None = None, *, ttl: timedelta = TTL) -> Takes:
        """Looks, calls, and keeps."""
        assert await self.look(where, refresh=True) == Lead()
        kept = await self.one.keep(where, what or answer(), token="t1", ttl=ttl)
        assert kept.takes is not None
        return kept.takes

    async def store(self, where: Spot, token: str, **fields: Any) -> Kept:
        return await self.one.keep(where, answer(), token=token, **({"ttl": TTL} | fields))

    async def make_room(self, bounds: Bounds, takes: Takes | None = None) -> Sums:
        """What `Bound` does."""
        sums = await self.one.note(takes, bounds)
        while sums.room is not None:
            room: Room = sums.room
            evicted = await self.one.evict(room.tenant, in_redis=room.in_redis, in_all=room.in_all)
            sums = await self.one.note(evicted.takes, bounds)
        return sums


@pytest.fixture
def fake_store() -> Store:
    shelf = Shelf()
    return Store(FakeAnswers(shelf, "one"), FakeAnswers(shelf, "other"), shelf=shelf)


def in_redis(client: kv.Client) -> Store:
    """The real one; patient, for this machine may be busy."""
    one, other = (RedisAnswers(client, clock=CLOCK, patience=kv.TIMEOUT) for _ in range(2))
    return Store(one, other, client=client)


@pytest.fixture
async def redis_store(redis: kv.Client) -> Store:
    store = in_redis(redis)
    await store.at(0)
    return store


@pytest.fixture(params=["fake_store", "redis_store"])
def store(request: pytest.FixtureRequest) -> Store:
    return request.getfixturevalue(request.param)
