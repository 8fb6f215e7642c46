"""Which calls are served, and with what."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from services.upstream.cache.entries import MAX_BODY_IN_REDIS, Scope
from services.upstream.cache.store import Bounds
from services.upstream.credentials import BearerSecret
from services.upstream.domain import MAX_INLINE_BYTES, Health, Stored, Success
from shared.objects import cache_key, result_key
from tests.fakes.cache_replicas import FAILED
from tests.fakes.cached_answers import FakeAnswers
from tests.fakes.contents import ContentStore
from tests.integration.upstream.outcomes import success

if TYPE_CHECKING:
    from services.upstream.domain import Outcome
    from tests.fakes.cache_replicas import Replica, Shop, World
    from tests.fakes.cached_answers import Shelf


async def repeated(replica: Replica, times: int = 2, **fields: Any) -> list[bool]:
    """Which of several like jobs, one after the other, were served."""
    served: list[bool] = []
    for _ in range(times):
        served.append(success(await replica.job(**fields)).from_cache)
        await replica.settled()
    return served


async def test_a_read_is_called_once_and_then_served_as_it_was_answered(replica: Replica, shop: Shop) -> None:
    first = success(await replica.job())
    await replica.settled()
    again = success(await replica.job())
    assert (first.from_cache, again) == (False, replace(first, from_cache=True))
    assert again.health is Health.NOTHING
    assert len(shop.calls) == 1


async def test_it_is_called_again_when_its_time_is_over(replica: Replica, shelf: Shelf) -> None:
    assert await repeated(replica) == [False, True]
    shelf.now_ms += 300_000
    assert await repeated(replica) == [False, True]


@pytest.mark.parametrize(
    "other",
    [
        {"tenant": "globex"},
        {"connection": "con_1"},
        {"name": "shop.list"},
        {"params": {"id": "1"}},
        {"params": {"id": 1.0}},
        {"params": {"id": 1, "a": None}},
        {"params": {}},
    ],
)
async def test_what_is_not_the_same_in_all_is_called(replica: Replica, other: dict[str, Any]) -> None:
    assert await repeated(replica) == [False, True]
    assert await repeated(replica, **other) == [False, True]


async def test_the_order_of_params_makes_no_difference(replica: Replica) -> None:
    await repeated(replica, 1, params={"a": {"b": 1, "c": 2}, "d": 3})
    assert await repeated(replica, 1, params={"d": 3, "a": {"c": 2, "b": 1}}) == [True]


async def test_a_connection_with_another_secret_may_be_anothers_account(replica: Replica) -> None:
    assert await repeated(replica, connection="con_1", version=1) == [False, True]
    assert await repeated(replica, connection="con_1", version=2) == [False, True]
    assert await repeated(replica, connection="con_2", version=1) == [False, True]


@pytest.mark.parametrize("fields", [{"name": "shop.raw"}, {"name": "shop.put"}, {"uploads": {"upl_1": None}}])
async def test_what_does_not_only_read_or_has_no_time_is_always_called(
    replica: Replica, fields: dict[str, Any]
) -> None:
    assert await repeated(replica, **fields) == [False, False]
    assert isinstance(replica.store, FakeAnswers)
    assert not replica.store.looks


async def test_a_job_that_was_accepted_as_one_that_may_not_be_repeated_is_always_called(replica: Replica) -> None:
    lease, request = replica.leased()
    request = replace(request, method=replace(request.method, idempotent=False))
    for _ in range(2):
        assert not success(await replica.cache.answer(lease, request, replica.world.shop.call)).from_cache


async def test_a_param_says_for_how_long_where_the_method_lets_it(replica: Replica, shelf: Shelf) -> None:
    for name in ("shop.raw", "shop.get"):
        assert await repeated(replica, name=name, params={"cacheTtlS": 3}) == [False, True]
        shelf.now_ms += 3000
        assert await repeated(replica, name=name, params={"cacheTtlS": 3}) == [False, True]


async def test_a_bypass_neither_reads_nor_writes(replica: Replica) -> None:
    assert await repeated(replica, mode="BYPASS") == [False, False]
    assert await repeated(replica) == [False, True]
    assert await repeated(replica, mode="BYPASS") == [False, False]


async def test_a_refresh_reads_nothing_and_writes(replica: Replica, shop: Shop) -> None:
    await repeated(replica)
    shop.answer = Success(status=200, body=b"dogs")
    assert success(await replica.job(mode="REFRESH")).body == b"dogs"
    await replica.settled()
    again = success(await replica.job())
    assert (again.from_cache, again.body, len(shop.calls)) == (True, b"dogs", 2)


@pytest.mark.parametrize(
    "outcome",
    [FAILED, Success(status=304), Success(status=302), Success(status=199)],
    ids=["failure", "304", "302", "199"],
)
async def test_what_is_no_success_is_not_kept(replica: Replica, shop: Shop, outcome: Outcome) -> None:
    shop.answer = outcome
    for _ in range(2):
        assert await replica.job() == outcome
        await replica.settled()
    assert len(shop.calls) == 2


@pytest.mark.parametrize("size", [0, 1, MAX_BODY_IN_REDIS, MAX_BODY_IN_REDIS + 1, MAX_INLINE_BYTES])
async def test_a_body_is_served_byte_for_byte_wherever_it_lies(
    replica: Replica, other: Replica, world: World, size: int
) -> None:
    world.shop.answer = Success(status=201, headers={"content-type": "text/plain"}, body=bytes(range(256)) * 1024)
    world.shop.answer = replace(world.shop.answer, body=(bytes(range(256)) * 1025)[:size])
    first = await replica.job()
    await replica.settled()
    assert await other.job() == replace(success(first), from_cache=True)
    kept = [key for key in world.objects.contents if key.startswith("cache/acme/")]
    assert len(kept) == (size > MAX_BODY_IN_REDIS)
    assert all(world.objects.types[key] == "text/plain" for key in kept)


async def test_a_stored_answer_is_each_jobs_own_object(replica: Replica, other: Replica, world: World) -> None:
    body = world.shop.large = b"x" * (MAX_INLINE_BYTES + 1)
    first = success(await replica.job())
    await replica.settled()
    again = success(await other.job())
    assert first.body == again.body == Stored(size=len(body))
    assert again == replace(first, from_cache=True)
    for job in ("shop-1", "shop-2"):
        assert world.objects.contents[result_key("acme", job, 1)] == body
        assert world.objects.types[result_key("acme", job, 1)] == "image/png"
    assert len(world.shop.calls) == 1
    assert (await replica.store.forget("acme", Scope(), after="")).takes.in_objects == 0


async def test_of_an_answer_that_would_take_too_much_of_the_room_nothing_is_kept(world: World, shelf: Shelf) -> None:
    replica = world.replica(FakeAnswers(shelf), bounds=Bounds(in_redis=10**6, in_all=8 * MAX_INLINE_BYTES))
    world.shop.large = b"x" * (MAX_INLINE_BYTES + 1)
    assert await repeated(replica) == [False, False]
    assert sorted(world.objects.contents) == [result_key("acme", f"shop-{job}", 1) for job in (1, 2)]
    world.shop.large, world.shop.answer = None, Success(status=200, body=b"x" * 200_000)
    assert await repeated(replica) == [False, True]


async def test_a_large_answer_that_may_not_serve_again_leaves_nothing_with_the_cache(
    replica: Replica, world: World
) -> None:
    world.shop.large, world.shop.large_status = b"x" * (MAX_INLINE_BYTES + 1), 300
    assert await repeated(replica) == [False, False]
    assert sorted(world.objects.contents) == [result_key("acme", f"shop-{job}", 1) for job in (1, 2)]


async def test_no_secret_is_in_what_is_kept_or_told_of_a_call(replica: Replica, shelf: Shelf) -> None:
    lease, request = replica.leased(connection="con_1", version=1)
    assert request.credential is not None
    request = replace(request, credential=replace(request.credential, secret=BearerSecret(token="canary")))
    read = replica.cache._read(lease, request, replica.world.shop.call)
    with capture_logs() as logs:
        await replica.cache.answer(lease, request, replica.world.shop.call)
        await replica.settled()
    assert "canary" not in f"{read}{logs}{shelf.entries}{shelf.noted}"


async def test_a_body_that_is_gone_is_called_for_again(replica: Replica, world: World) -> None:
    world.shop.large = b"x" * (MAX_INLINE_BYTES + 1)
    await repeated(replica)
    for key in [key for key in world.objects.contents if key.startswith("cache/")]:
        await world.objects.delete(key)
    assert await repeated(replica) == [False, True]


async def test_while_the_object_store_is_away_small_answers_serve_and_large_ones_are_called_for(
    replica: Replica, world: World
) -> None:
    world.shop.answer = Success(status=200, body=b"x" * (MAX_BODY_IN_REDIS + 1))
    await repeated(replica)
    world.objects.away = True
    assert await repeated(replica) == [False, False]
    world.objects.away = False
    assert await repeated(replica) == [True, True]
    world.objects.away, world.shop.answer = True, Success(status=200, body=b"x" * MAX_BODY_IN_REDIS)
    assert await repeated(replica, params={"id": 2}) == [False, True]


async def test_an_answer_that_cannot_become_a_result_fails_its_job_and_serves_the_next_try(
    world: World, shelf: Shelf
) -> None:
    class NoCopies(ContentStore):
        async def copy(self, source: str, target: str) -> None:
            self.away = True
            try:
                await super().copy(source, target)
            finally:
                self.away = False

    objects = world.objects = NoCopies()
    replica = world.replica(FakeAnswers(shelf))
    world.shop.large = b"x" * (MAX_INLINE_BYTES + 1)
    failed = await replica.job()
    assert not isinstance(failed, Success)
    assert (failed.reason, failed.retryable, failed.upstream_status) == ("UNAVAILABLE", True, 200)
    assert "could not be stored" in failed.message
    assert failed.health is Health.HEALTHY
    await replica.settled()
    replica.calls._bodies._objects = replica.cache._bodies._objects = ContentStore(dict(objects.contents))
    assert success(await replica.job()).from_cache
    assert len(world.shop.calls) == 1


async def test_what_takes_the_place_of_a_stored_body_removes_it(replica: Replica, world: World) -> None:
    world.shop.large = b"x" * (MAX_INLINE_BYTES + 1)
    first = {world.shop.calls[-1].result.key} if await replica.job() else set()
    await replica.settled()
    assert await replica.job(mode="REFRESH")
    await replica.settled()
    kept = {key for key in world.objects.contents if key.startswith("cache/")}
    assert len(kept) == 1
    assert not kept & first


async def test_room_is_made_and_the_bodies_of_what_went_are_removed(world: World, shelf: Shelf) -> None:
    replica = world.replica(FakeAnswers(shelf), bounds=Bounds(in_redis=10**6, in_all=10 * 310_000))
    world.shop.large = b"x" * 300_000
    evicted = count("evictions")
    for number in range(15):
        shelf.now_ms += 1
        await replica.job({"id": number})
        await replica.settled()
    kept = {key for key in world.objects.contents if key.startswith("cache/")}
    assert len(kept) == len(shelf.entries) == 10
    assert kept == {cache_key("acme", digest, entry.answer.object) for (_, digest), entry in shelf.entries.items()}
    assert count("evictions") == evicted + 5
    assert await repeated(replica, 1, params={"id": 14}) == [True]
    assert await repeated(replica, 1, params={"id": 0}) == [False]


async def test_what_is_over_is_swept_of_tenants_that_do_nothing_any_more(
    replica: Replica, other: Replica, world: World, shelf: Shelf
) -> None:
    world.shop.large = b"x" * 300_000
    for tenant in ("acme", "globex"):
        await repeated(replica, 1, tenant=tenant)
    shelf.now_ms += 300_000
    await other.bound.sweep()
    assert not shelf.entries
    assert not shelf.noted
    assert not [key for key in world.objects.contents if key.startswith("cache/")]
    assert REGISTRY.get_sample_value("penstock_upstream_cache_bytes", {"place": "objects"}) == 0


async def test_while_redis_is_away_calls_go_on_and_the_log_says_so_once(
    replica: Replica, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.upstream.cache.reach._LEFT_ALONE_S", 0.0)
    store = replica.store
    assert isinstance(store, FakeAnswers)
    store.away = True
    with capture_logs() as logs:
        assert await repeated(replica, 3) == [False, False, False]
        assert await repeated(replica, 2, mode="REFRESH") == [False, False]
        store.away = False
        assert await repeated(replica, 2) == [False, True]
    assert [line["event"] for line in logs if line["event"].startswith("cache_")] == ["cache_away", "cache_back"]
    assert not shelf.flights


async def test_a_redis_that_is_away_is_left_alone_for_a_moment(replica: Replica) -> None:
    store = replica.store
    assert isinstance(store, FakeAnswers)
    store.away = True
    await replica.job()
    store.away = False
    await repeated(replica, 5)
    assert store.looks == 0


async def test_a_redis_that_goes_away_during_the_call_costs_its_answer_alone(
    world: World, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.upstream.cache.reach._LEFT_ALONE_S", 0.0)
    store = FakeAnswers(shelf)
    replica = world.replica(store)
    lease, request = replica.leased()

    async def call(asked: Any) -> Outcome:
        store.away = True
        return await world.shop.call(asked)

    assert not success(await replica.cache.answer(lease, request, call)).from_cache
    await replica.settled()
    store.away = False
    assert not shelf.entries
    shelf.now_ms += round(timedelta(seconds=6).total_seconds() * 1000)
    assert await repeated(replica) == [False, True]


def count(what: str, method: str = "shop.get") -> float:
    labels = {"upstream": "shop", "method": method}
    return REGISTRY.get_sample_value(f"penstock_upstream_cache_{what}_total", labels) or 0


async def test_hits_and_misses_are_counted_by_method_and_methods_that_are_not_listed_alike(replica: Replica) -> None:
    names = ("shop.get", "shop.more.a", "shop.more.b")
    before = {what: [count(what, each) for each in ("shop.get", "other")] for what in ("hits", "misses")}
    for name in names:
        await repeated(replica, 3, name=name)
    for what, expected in (("hits", [2, 4]), ("misses", [1, 2])):
        after = [count(what, each) for each in ("shop.get", "other")]
        assert [new - old for new, old in zip(after, before[what], strict=True)] == expected
