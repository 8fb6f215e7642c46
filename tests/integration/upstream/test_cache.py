"""Answers that serve again: replicas of the service on one Redis, real NATS, and a far end that counts."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from penstock.upstream.v1 import cache_pb2, cache_pb2_grpc

from services.upstream.cache.ttls import TtlError
from shared.objects import result_key
from shared.permissions import Scope
from tests import object_stores
from tests.fakes import large_far_end
from tests.integration.upstream.worker_process import worker_process
from tests.service import channel
from tests.waiting import eventually
from tests.wires import wire_to

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Sequence
    from pathlib import Path

    from penstock.events.v1 import events_pb2

    from shared import kv
    from shared.lifecycle import Process
    from shared.objects import Objects, ObjectSettings
    from tests.fakes.large_far_end import LargeFarEnd
    from tests.integration.upstream.mesh import Mesh

JOBS = 50
TTL = 300

pytestmark = pytest.mark.usefixtures("no_stalls")


@pytest.fixture
def cached(mesh: Mesh, redis: kv.Client, redis_url: str) -> Mesh:
    """The mesh, with an empty Redis."""
    mesh.redis_url = redis_url
    return mesh


@pytest.fixture
async def large(object_store: object) -> AsyncIterator[LargeFarEnd]:
    async with large_far_end.large_far_end() as far:
        yield far


@asynccontextmanager
async def replicas(mesh: Mesh, count: int, **settings: Any) -> AsyncGenerator[list[Process]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(mesh.running(**settings)) for _ in range(count)]


async def outcome(mesh: Mesh, path: str = "/echo", **fields: Any) -> events_pb2.Attempt:
    """How one more job comes out."""
    url = path if path.startswith("http") else f"{mesh.far.url}{path}"
    return await mesh.outcome(await mesh.scheduler.put("get", url, **({"cacheTtlS": TTL} | fields)))


async def served(mesh: Mesh, path: str = "/echo", **fields: Any) -> bool:
    """Whether one more job is served without a call."""
    attempt = await outcome(mesh, path, **fields)
    assert attempt.HasField("result"), attempt.error
    return attempt.result.from_cache


async def outcomes(mesh: Mesh, jobs: Sequence[str]) -> list[events_pb2.Attempt]:
    """How jobs come out that were put in."""
    return [await mesh.outcome(job) for job in jobs]


async def forgotten(mesh: Mesh, process: Process, tenant: str = "acme", **fields: str) -> int:
    token = mesh.identities.mint(tenant, [Scope.CACHE_WRITE])
    async with channel(f"127.0.0.1:{process.port}", token) as connection:
        stub = cache_pb2_grpc.CacheServiceStub(connection)
        return (await stub.InvalidateCache(cache_pb2.InvalidateCacheRequest(**fields))).entries


async def test_a_repeated_read_is_served_as_it_was_answered_and_says_nothing_of_the_upstream(cached: Mesh) -> None:
    async with cached.running():
        first, again = await outcome(cached), await outcome(cached)
    assert (first.result.from_cache, again.result.from_cache) == (False, True)
    assert again.result.inline == first.result.inline
    assert again.result.content_type == first.result.content_type == "application/json; charset=utf-8"
    assert again.health == again.HEALTH_UNSPECIFIED
    assert cached.far.calls["/echo"] == 1


async def test_fifty_identical_jobs_at_two_replicas_make_one_call(cached: Mesh) -> None:
    async with replicas(cached, 2, concurrency=JOBS // 2):
        for _ in range(JOBS):
            await cached.scheduler.put("get", f"{cached.far.url}/held", cacheTtlS=TTL)
        await eventually(lambda: cached.far.calls["/held"] == 1 and cached.scheduler.waiting == 0)
        cached.far.release.set()
        await cached.count(JOBS)
        attempts = (await cached.outcomes()).values()
    assert cached.far.calls["/held"] == 1
    assert sorted(each.result.from_cache for each in attempts) == [False] + [True] * (JOBS - 1)
    assert {each.result.inline.text for each in attempts} == {"released"}


async def test_policies_and_tenants_are_kept_apart(cached: Mesh) -> None:
    async with cached.running():
        assert [await served(cached) for _ in range(2)] == [False, True]
        assert [await served(cached, tenant="globex") for _ in range(2)] == [False, True]
        assert not await served(cached, cache="BYPASS")
        assert not await served(cached, cache="REFRESH")
        assert await served(cached)
        assert not await served(cached, cacheTtlS=TTL + 1)
        assert not await served(cached, query={"a": 1})
        assert await served(cached, query={"a": 1})


@pytest.mark.parametrize("size", [100_000, 1_500_000])
async def test_a_large_answer_is_each_jobs_own(
    cached: Mesh, objects: Objects, object_settings: ObjectSettings, large: LargeFarEnd, size: int
) -> None:
    async with replicas(cached, 2, concurrency=2, **object_stores.as_config(object_settings)) as processes:
        url = f"{large.url}/large/{size}?type=image/png"
        jobs = [await cached.scheduler.put("get", url, cacheTtlS=TTL) for _ in range(4)]
        results = [(await cached.outcome(job)).result for job in jobs]
        await eventually(lambda: kept(objects, 1), what="the answer in the object store")
        assert sorted(each.from_cache for each in results) == [False, True, True, True]
        assert {(each.size, each.content_type) for each in results} == {(size, "image/png")}
        if size > 256 * 1024:
            for job in jobs:
                found = await objects.head(result_key("acme", job, 1))
                assert found is not None
                assert (found.size, found.content_type) == (size, "image/png")
        assert await forgotten(cached, processes[0]) == 1
        await eventually(lambda: kept(objects, 0), what="an empty cache")


async def kept(objects: Objects, count: int) -> bool:
    """Whether so many bodies of answers are in the object store."""
    return sum(key.startswith("cache/acme/") for key in await object_stores.keys_in(objects)) == count


async def test_where_the_object_store_is_away_small_answers_are_served_still(cached: Mesh) -> None:
    async with cached.running():
        assert [await served(cached, f"/sized/{size}") for size in (100_000, 100_000, 10, 10)] == [
            False,
            False,
            False,
            True,
        ]


async def test_when_the_job_that_calls_is_canceled_the_next_one_calls(cached: Mesh) -> None:
    async with replicas(cached, 2, concurrency=2):
        jobs = [await cached.scheduler.put("get", f"{cached.far.url}/held", cacheTtlS=TTL)]
        await eventually(lambda: cached.far.calls["/held"] == 1)
        jobs += [await cached.scheduler.put("get", f"{cached.far.url}/held", cacheTtlS=TTL) for _ in range(3)]
        await cached.bus.signal(f"signal.cancel.{jobs[0]}", jobs[0].encode())
        assert (await cached.outcome(jobs[0])).error.reason == "JOB_CANCELED"
        await eventually(lambda: cached.far.calls["/held"] == 2)
        cached.far.release.set()
        results = await outcomes(cached, jobs[1:])
    assert sorted(each.result.from_cache for each in results) == [False, True, True]
    assert cached.far.calls["/held"] == 2


async def test_when_the_worker_that_calls_is_killed_another_one_calls(
    cached: Mesh, object_settings: ObjectSettings, tmp_path: Path
) -> None:
    async with worker_process(cached, object_settings, tmp_path / "log") as worker:
        await cached.scheduler.put("get", f"{cached.far.url}/held", cacheTtlS=TTL)
        await eventually(lambda: cached.far.calls["/held"] == 1)
        async with cached.running():
            await eventually(lambda: cached.scheduler.waiting == 2)
            worker.kill()
            await worker.process.wait()
            jobs = [await cached.scheduler.put("get", f"{cached.far.url}/held", cacheTtlS=TTL) for _ in range(3)]
            await eventually(lambda: cached.far.calls["/held"] == 2)
            cached.far.release.set()
            results = await outcomes(cached, jobs)
    assert sorted(each.result.from_cache for each in results) == [False, True, True]


async def test_redis_away_at_the_start_and_in_the_middle_fails_no_job(cached: Mesh, redis_url: str) -> None:
    there = urlsplit(redis_url)
    async with wire_to("127.0.0.1", there.port or 0) as wire:
        cached.redis_url = wire.on_the_way_to(redis_url)
        await wire.cut()
        async with cached.running():
            assert [await served(cached) for _ in range(2)] == [False, False]
            await wire.mend()
            await eventually(lambda: served(cached), what="the cache")
            await wire.cut()
            assert not await served(cached)
            jobs = [await cached.scheduler.put("get", f"{cached.far.url}/held", cacheTtlS=TTL) for _ in range(4)]
            await eventually(lambda: cached.far.calls["/held"] == 4, what="a call of each")
            await wire.mend()
            cached.far.release.set()
            assert all(each.HasField("result") for each in await outcomes(cached, jobs))
            await eventually(lambda: served(cached), what="the cache again")


async def test_redis_that_is_cut_off_while_jobs_wait_fails_none_of_them(cached: Mesh, redis_url: str) -> None:
    there = urlsplit(redis_url)
    async with wire_to("127.0.0.1", there.port or 0) as wire:
        cached.redis_url = wire.on_the_way_to(redis_url)
        async with replicas(cached, 2, concurrency=3):
            jobs = [await cached.scheduler.put("get", f"{cached.far.url}/held", cacheTtlS=TTL) for _ in range(6)]
            await eventually(lambda: cached.far.calls["/held"] == 1 and cached.scheduler.waiting == 0)
            await wire.cut()
            cached.far.release.set()
            assert all(each.HasField("result") for each in await outcomes(cached, jobs))


async def test_what_is_forgotten_is_called_for_and_nobody_elses_goes(cached: Mesh) -> None:
    async with replicas(cached, 2) as processes:
        for tenant in ("acme", "globex"):
            assert not await served(cached, tenant=tenant)
        await eventually(lambda: served(cached))
        assert await forgotten(cached, processes[0], method="http.head") == 0
        assert await forgotten(cached, processes[0], token_id="con_0198c6f2-0000-7000-8000-000000000000") == 0
        assert await forgotten(cached, processes[1], upstream="http", method="http.get") == 1
        assert not await served(cached)
        assert await served(cached, tenant="globex")
        assert await forgotten(cached, processes[0], "globex") == 1


async def test_a_call_under_way_serves_nobody_who_came_after_the_answers_were_forgotten(cached: Mesh) -> None:
    async with replicas(cached, 2, concurrency=4) as processes:
        before = await cached.scheduler.put("get", f"{cached.far.url}/held", cacheTtlS=TTL)
        await eventually(lambda: cached.far.calls["/held"] == 1)
        assert await forgotten(cached, processes[0]) == 0
        after = [await cached.scheduler.put("get", f"{cached.far.url}/held", cacheTtlS=TTL) for _ in range(5)]
        await eventually(lambda: cached.far.calls["/held"] == 2)
        cached.far.release.set()
        assert not (await cached.outcome(before)).result.from_cache
        assert sum(each.result.from_cache for each in await outcomes(cached, after)) == 4
    assert cached.far.calls["/held"] == 2


async def test_a_setting_serves_the_answers_of_a_method_and_a_wrong_one_ends_the_start(cached: Mesh) -> None:
    async with cached.running(cache_ttls=("http.get=60s",)):
        url = f"{cached.far.url}/echo"
        results = [(await cached.outcome(await cached.scheduler.put("get", url))).result for _ in range(2)]
        assert [each.from_cache for each in results] == [False, True]
    with pytest.raises(TtlError, match=r"'http\.gte', which is no method; there are: http\.delete"):
        async with cached.running(cache_ttls=("http.gte=60s",)):
            pass
