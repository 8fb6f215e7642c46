"""Who is suspended: on disk by the newest notice, and in force in every queue."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import pytest
from penstock.events.v1 import notices_pb2

from services.scheduler.limits import Suspension
from services.scheduler.suspensions import Suspensions
from shared.errors import Unavailable
from tests.fakes.bucket import FakeBucket
from tests.fakes.queue_settings import Announced, SetQueue
from tests.fakes.tenant_notices import SUSPENDED_AT_MS, incoming, notice
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

UNPAID = Suspension(tenant="acme", reason="unpaid", suspended_at_ms=SUSPENDED_AT_MS, revision=1)


class Replica:
    """One scheduler's suspensions, over a disk and a Redis that it may share with others."""

    def __init__(self, bucket: FakeBucket | None = None, queue: SetQueue | None = None) -> None:
        self.bucket = bucket or FakeBucket()
        self.queue = queue or SetQueue()
        self.signals = Announced()
        self.suspensions = Suspensions(bucket=self.bucket, queue=cast("Any", self.queue), signals=self.signals)

    def other(self) -> Replica:
        """Another one beside it."""
        return Replica(self.bucket, self.queue)

    @property
    def suspended(self) -> set[tuple[str, str]]:
        """What is in force: upstream and tenant."""
        return {(upstream, tenant) for upstream, tenant, _ in self.queue.in_force}

    @asynccontextmanager
    async def following(self, *upstreams: str) -> AsyncIterator[None]:
        for upstream in upstreams:
            await self.suspensions.apply(upstream)
        task = asyncio.create_task(self.suspensions.follow())
        yield
        task.cancel()
        await asyncio.wait({task})


@pytest.fixture
def replica() -> Replica:
    return Replica()


async def test_a_suspension_holds_in_every_queue_and_its_end_is_announced_in_each(replica: Replica) -> None:
    async with replica.following("flickr", "http"):
        await replica.suspensions.take([notice("acme", 1)])
        await eventually(lambda: replica.suspended == {("flickr", "acme"), ("http", "acme")})
        assert replica.queue.in_force["http", "acme", ""] == UNPAID
        assert replica.signals.upstreams == []
        await replica.suspensions.take([notice("acme", 2, None)])
        await eventually(lambda: sorted(replica.signals.upstreams) == ["flickr", "http"])
        assert replica.suspended == set()


async def test_another_reason_is_told_in_every_queue(replica: Replica) -> None:
    async with replica.following("http"):
        await replica.suspensions.take([notice("acme", 1), notice("acme", 2, "abuse")])
        await eventually(lambda: [each.reason for each in replica.queue.in_force.values()] == ["abuse"])


@pytest.mark.parametrize(
    "late",
    [notice("acme", 3, None), notice("acme", 4, "an older reason"), notice("acme", 5, "the same again")],
    ids=["resumed", "suspended", "again"],
)
async def test_a_notice_that_is_not_newer_changes_nothing(replica: Replica, late: Any) -> None:
    await replica.suspensions.take([notice("acme", 5)])
    on_disk = dict(replica.bucket.values)
    await replica.suspensions.take([late])
    assert replica.bucket.values == on_disk
    await replica.suspensions.apply("http")
    assert replica.queue.in_force == {("http", "acme", ""): replace(UNPAID, revision=5)}


async def test_a_suspension_that_comes_after_its_own_end_does_not_come_into_force(replica: Replica) -> None:
    await replica.suspensions.take([notice("acme", 2, None)])
    await replica.suspensions.take([notice("acme", 1)])
    await replica.suspensions.restore("http")
    await replica.suspensions.apply("http")
    assert replica.suspended == set()


async def test_a_queue_that_comes_later_or_was_lost_has_it_before_it_opens(replica: Replica) -> None:
    await replica.suspensions.take([notice("acme", 1), notice("globex", 1), notice("globex", 2, None)])
    replica.queue.lost = True  # it is not whole, so that nobody can be reinstated there
    await replica.suspensions.restore("mail")
    assert replica.queue.in_force == {("mail", "acme", ""): UNPAID}
    with pytest.raises(Unavailable):
        await replica.suspensions.apply("mail")
    replica.queue.lost = False
    await replica.suspensions.apply("mail")
    assert replica.suspended == {("mail", "acme")}


async def test_a_queue_that_is_being_rebuilt_holds_up_no_other(replica: Replica) -> None:
    await replica.suspensions.take([notice("acme", 1)])
    async with replica.following("flickr"):
        replica.queue.lost = True
        await replica.suspensions.take([notice("acme", 2, None)])
        await replica.suspensions.take([notice("globex", 1)])
        await eventually(lambda: ("flickr", "globex") in replica.suspended)
        assert ("flickr", "acme") in replica.suspended
        replica.queue.lost = False
        await eventually(lambda: replica.suspended == {("flickr", "globex")})


async def test_what_redis_did_not_take_is_tried_again(replica: Replica) -> None:
    async def away() -> None:
        raise Unavailable("Redis does not answer")

    async with replica.following("http"):
        replica.queue.interrupt = away
        await replica.suspensions.take([notice("acme", 1)])
        await eventually(lambda: replica.suspended == {("http", "acme")})


async def test_what_a_replica_has_noted_and_not_lived_to_apply_another_one_applies(replica: Replica) -> None:
    other = replica.other()
    async with other.following("http"):
        await replica.suspensions.take([notice("acme", 1)])
        await eventually(lambda: replica.suspended == {("http", "acme")})


async def test_of_two_notices_at_two_replicas_the_newer_one_holds_whichever_is_written_first(replica: Replica) -> None:
    other = replica.other()
    for older in (1, 3):  # a tenant's first notice is created, the next one takes its place

        async def overtake(_: str, newer: int = older + 1) -> None:
            await other.suspensions.take([notice("acme", newer, None)])

        replica.bucket.before_write = overtake
        await replica.suspensions.take([notice("acme", older)])
        await replica.suspensions.apply("http")
        assert replica.suspended == set()


async def test_a_replica_that_is_behind_undoes_nothing(replica: Replica) -> None:
    await replica.suspensions.take([notice("acme", 1)])
    other = replica.other()

    async def overtake() -> None:  # the first replica has read that the tenant is suspended, and is about to write it
        await other.suspensions.take([notice("acme", 2, None)])
        await other.suspensions.apply("http")

    replica.queue.interrupt = overtake
    await replica.suspensions.restore("http")
    assert replica.suspended == set()


@pytest.mark.parametrize(
    "payload",
    [
        b"\xff",
        b"",
        notices_pb2.Notice(tenant="acme", batch_finished=notices_pb2.BatchFinished()).SerializeToString(),
        notices_pb2.Notice(tenant="acme", tenant_resumed=notices_pb2.TenantResumed()).SerializeToString(),
        notices_pb2.Notice(tenant="No.Slug", tenant_resumed=notices_pb2.TenantResumed(revision=1)).SerializeToString(),
        notices_pb2.Notice(tenant_suspended=notices_pb2.TenantSuspended(revision=1)).SerializeToString(),
    ],
)
async def test_what_is_no_such_notice_is_dropped_and_holds_up_none(replica: Replica, payload: bytes) -> None:
    malformed = incoming("notices.tenant_suspended", payload)
    good = notice("acme", 1)
    await replica.suspensions.take([malformed, good])
    assert (malformed.verdict, good.verdict) == (b"+TERM", b"+ACK")
    await replica.suspensions.apply("http")
    assert replica.suspended == {("http", "acme")}


async def test_other_keys_of_the_bucket_are_left_alone(replica: Replica) -> None:
    async with replica.following("http"):
        for key in ("pauses.http.acme", "epoch.http", "floor.suspended"):
            await replica.bucket.put(key, b"1")
        await replica.suspensions.take([notice("acme", 1)])
        await eventually(lambda: replica.suspended == {("http", "acme")})
    await replica.suspensions.apply("http")
    assert replica.suspended == {("http", "acme")}
