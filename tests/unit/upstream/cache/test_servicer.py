"""What InvalidateCache takes, and what it answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from penstock.upstream.v1 import cache_pb2

from services.upstream.domain import MAX_INLINE_BYTES
from shared.errors import InvalidArgument, Unavailable
from tests.fakes.cached_answers import FakeAnswers
from tests.unit.upstream.cache.test_single_flight import forget, invalidated

if TYPE_CHECKING:
    from tests.fakes.cache_replicas import Replica, World

CON_1, CON_2 = "con_0198c6f2-0000-7000-8000-000000000001", "con_0198c6f2-0000-7000-8000-000000000002"


async def fill(replica: Replica) -> None:
    for tenant in ("acme", "globex"):
        for connection in ("", CON_1, CON_2):
            for name in ("shop.get", "shop.list"):
                await replica.job(tenant=tenant, connection=connection, name=name)
    await replica.settled()


@pytest.mark.parametrize(
    ("fields", "count"),
    [
        ({}, 6),
        ({"connection_id": CON_1}, 2),
        ({"token_id": CON_1}, 2),
        ({"upstream": "shop"}, 6),
        ({"method": "shop.get"}, 3),
        ({"upstream": "shop", "method": "shop.get", "token_id": CON_2}, 1),
        ({"method": "shop.more.x"}, 0),
    ],
)
async def test_it_tells_how_many_of_the_tenants_were_forgotten(
    replica: Replica, other: Replica, fields: dict[str, str], count: int
) -> None:
    await fill(replica)
    assert await forget(other, "acme", **fields) == count
    assert await forget(other, "acme", **fields) == 0
    assert await forget(other, "globex") == 6


@pytest.mark.parametrize(
    ("fields", "path", "said"),
    [
        ({"connection_id": "con_1"}, "connectionId", "'con_1' is no id of a connection; one looks like con_"),
        ({"token_id": "x"}, "tokenId", "'x' is no id of a connection"),
        ({"token_id": ""}, "tokenId", "'' is no id of a connection"),
        ({"token_id": "con_" + "x" * 100}, "tokenId", "…' is no id"),
        ({"upstream": "flicker"}, "upstream", "there is no upstream 'flicker'; there are: shop"),
        ({"upstream": "shop", "method": "shop.gte"}, "method", "the upstream shop has no method 'shop.gte'"),
        ({"method": "http.get"}, "method", "no upstream has a method 'http.get'"),
    ],
)
async def test_what_names_nothing_is_refused_by_its_path(
    replica: Replica, fields: dict[str, str], path: str, said: str
) -> None:
    await fill(replica)
    with pytest.raises(InvalidArgument) as refused:
        await invalidated(replica, "acme", cache_pb2.InvalidateCacheRequest(**fields))
    (violation,) = refused.value.violations
    assert violation.field == path
    assert said in violation.description
    assert await forget(replica) == 6, "nothing went"


async def test_every_fault_is_told(replica: Replica) -> None:
    request = cache_pb2.InvalidateCacheRequest(token_id="x", method="y")
    with pytest.raises(InvalidArgument) as refused:
        await invalidated(replica, "acme", request)
    assert [each.field for each in refused.value.violations] == ["tokenId", "method"]


async def test_the_bodies_of_what_was_forgotten_are_removed(replica: Replica, world: World) -> None:
    world.shop.large = b"x" * (MAX_INLINE_BYTES + 1)
    await fill(replica)
    assert await forget(replica, "acme") == 6
    kept = [key for key in world.objects.contents if key.startswith("cache/")]
    assert len(kept) == 6
    assert all(key.startswith("cache/globex/") for key in kept)


async def test_an_object_store_that_is_away_keeps_nobody_from_forgetting(replica: Replica, world: World) -> None:
    world.shop.large = b"x" * (MAX_INLINE_BYTES + 1)
    await fill(replica)
    world.objects.away = True
    assert await forget(replica, "acme") == 6


async def test_while_redis_is_away_nothing_is_said_to_be_forgotten(replica: Replica) -> None:
    assert isinstance(replica.store, FakeAnswers)
    replica.store.away = True
    with pytest.raises(Unavailable):
        await forget(replica)
