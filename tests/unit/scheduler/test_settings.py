"""What is set for queues: on disk first, then in force, whoever changes it at the same time."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from penstock.scheduler.v1 import queues_pb2
from penstock.upstream.v1 import limits_pb2

from services.scheduler.limits import BreakerPolicy, Budget, Limits, Pause, Rate, Rules
from services.scheduler.rules import Offer
from services.scheduler.settings import MAX_PAUSES, Settings
from shared.errors import InvalidArgument
from tests.fakes.bucket import FakeBucket
from tests.fakes.queue_settings import Announced, SetQueue
from tests.waiting import eventually

OFFER = Offer(
    limits=Limits(lane=Budget(rates=(Rate(calls=35, window=timedelta(seconds=6)),))), breaker=BreakerPolicy(throttles=7)
)


class Hands:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.time = datetime(2026, 1, 31, 12, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time


class Replica:
    """One scheduler's settings, over a disk and a Redis that it may share with others."""

    def __init__(self, bucket: FakeBucket | None = None, queue: SetQueue | None = None) -> None:
        self.bucket = bucket or FakeBucket()
        self.queue = queue or SetQueue()
        self.signals = Announced()
        self.clock = Hands()
        self.settings = Settings(bucket=self.bucket, queue=self.queue, signals=self.signals, clock=self.clock)
        self.settings.offer("flickr", OFFER)

    def other(self) -> Replica:
        """Another one beside it."""
        return Replica(self.bucket, self.queue)

    @property
    def paused(self) -> set[tuple[str, str]]:
        return {(tenant, lane) for _, tenant, lane in self.queue.pauses}


@pytest.fixture
def replica() -> Replica:
    return Replica()


def weights(**by_tenant: int) -> queues_pb2.QueueSettings:
    return queues_pb2.QueueSettings(weights=by_tenant)


async def test_the_catalogue_holds_where_nothing_is_set(replica: Replica) -> None:
    await replica.settings.apply("flickr")
    assert replica.queue.rules == {"flickr": Rules(limits=OFFER.limits, breaker=OFFER.breaker, weights={})}
    assert await replica.settings.of("flickr") == queues_pb2.QueueSettings()


async def test_what_is_set_stands_in_the_place_of_the_catalogues_word_for_it(replica: Replica) -> None:
    settings = queues_pb2.QueueSettings(weights={"acme": 3})
    settings.limits.upstream.concurrency = 4
    settings.limits.lane_classes.write.rates.add(calls=1).window.FromSeconds(2)
    await replica.settings.set("flickr", settings)
    rules = replica.queue.rules["flickr"]
    assert rules.limits == Limits(
        upstream=Budget(concurrency=4),
        lane_classes={"write": Budget(rates=(Rate(calls=1, window=timedelta(seconds=2)),))},
    )
    assert rules.breaker == OFFER.breaker
    assert rules.weights == {"acme": 3}
    assert await replica.settings.of("flickr") == settings


async def test_a_policy_that_is_set_takes_the_default_for_what_it_leaves_open(replica: Replica) -> None:
    breaker = limits_pb2.BreakerPolicy(throttles=2, upstream=True)
    await replica.settings.set("flickr", queues_pb2.QueueSettings(breaker=breaker))
    assert replica.queue.rules["flickr"].breaker == BreakerPolicy(throttles=2, upstream=True)


async def test_empty_settings_go_back_to_the_catalogue(replica: Replica) -> None:
    await replica.settings.set("flickr", queues_pb2.QueueSettings(limits=limits_pb2.Limits(), weights={"acme": 3}))
    assert replica.queue.rules["flickr"].limits == Limits()
    await replica.settings.set("flickr", queues_pb2.QueueSettings())
    assert replica.queue.rules["flickr"] == Rules(limits=OFFER.limits, breaker=OFFER.breaker, weights={})


async def test_another_replica_knows_what_was_set_and_brings_it_back_into_a_redis_that_lost_it(
    replica: Replica,
) -> None:
    await replica.settings.set("flickr", weights(acme=3))
    await replica.settings.pause("flickr", Pause(tenant="acme", lane="con_1", reason="quota"))
    await replica.settings.pause("flickr", Pause(reason="maintenance"))
    other = Replica(replica.bucket)
    await other.settings.restore("flickr")
    assert other.queue.asked == []  # the queue is not whole yet, so that it cannot be asked
    assert other.queue.rules["flickr"].weights == {"acme": 3}
    assert other.queue.pauses == replica.queue.pauses
    other.queue.pauses.clear()
    await other.settings.apply("flickr")
    assert other.queue.pauses == replica.queue.pauses


async def test_what_is_set_for_one_queue_holds_for_no_other(replica: Replica) -> None:
    replica.settings.offer("http", Offer())
    await replica.settings.set("flickr", weights(acme=3))
    await replica.settings.pause("flickr", Pause(tenant="acme"))
    await replica.settings.apply("http")
    assert replica.queue.rules["http"] == Rules()
    assert {upstream for upstream, _, _ in replica.queue.pauses} == {"flickr"}


async def test_of_two_who_set_at_the_same_time_the_last_on_disk_is_in_force(replica: Replica) -> None:
    other = replica.other()

    async def overtake() -> None:
        await other.settings.set("flickr", weights(acme=2))

    replica.queue.interrupt = overtake  # the first is on disk, and about to come into force
    await replica.settings.set("flickr", weights(acme=1))
    assert (await replica.settings.of("flickr")).weights["acme"] == 2
    assert replica.queue.rules["flickr"].weights == {"acme": 2}


async def test_pauses_of_two_who_pause_at_the_same_time_are_both_kept(replica: Replica) -> None:
    other = replica.other()

    async def overtake(_: str) -> None:
        await other.settings.pause("flickr", Pause(tenant="acme", lane="con_2"))

    for lane in ("con_1", "con_3"):  # the first of a tenant is created, the next one changes it
        replica.bucket.before_write = overtake
        await replica.settings.pause("flickr", Pause(tenant="acme", lane=lane))
    assert replica.paused == {("acme", "con_1"), ("acme", "con_2"), ("acme", "con_3")}
    fresh = Replica(replica.bucket)
    await fresh.settings.apply("flickr")
    assert fresh.paused == replica.paused


async def test_a_pause_that_is_taken_back_before_it_is_in_force_does_not_come_into_force(replica: Replica) -> None:
    other = replica.other()

    async def overtake() -> None:
        await other.settings.resume("flickr", tenant="acme", lane="")

    replica.queue.interrupt = overtake
    await replica.settings.pause("flickr", Pause(tenant="acme"))
    assert replica.paused == set()


async def test_a_pause_is_taken_back_by_its_own_name_alone(replica: Replica) -> None:
    for pause in (Pause(), Pause(tenant="acme"), Pause(tenant="acme", lane="con_1"), Pause(tenant="other")):
        await replica.settings.pause("flickr", pause)
    await replica.settings.resume("flickr", tenant="acme", lane="")
    assert replica.paused == {("", ""), ("acme", "con_1"), ("other", "")}
    await replica.settings.resume("flickr", tenant="acme", lane="con_7")
    assert replica.paused == {("", ""), ("acme", "con_1"), ("other", "")}


async def test_pausing_again_changes_the_reason_and_not_the_time(replica: Replica) -> None:
    await replica.settings.pause("flickr", Pause(tenant="acme", reason="one"))
    before = replica.queue.pauses["flickr", "acme", ""]
    replica.clock.time += timedelta(hours=1)
    await replica.settings.pause("flickr", Pause(tenant="acme", reason="two"))
    after = replica.queue.pauses["flickr", "acme", ""]
    assert (before.reason, after.reason) == ("one", "two")
    assert after.paused_at_ms == before.paused_at_ms == int(datetime(2026, 1, 31, 12, tzinfo=UTC).timestamp() * 1000)


async def test_a_tenant_has_a_bounded_number_of_pauses(replica: Replica) -> None:
    for number in range(MAX_PAUSES):
        await replica.settings.pause("flickr", Pause(tenant="acme", lane=f"con_{number}"))
    with pytest.raises(InvalidArgument, match="more than 100"):
        await replica.settings.pause("flickr", Pause(tenant="acme", lane="con_x"))
    await replica.settings.pause("flickr", Pause(tenant="acme", lane="con_7", reason="again"))
    await replica.settings.pause("flickr", Pause(tenant="other", lane="con_x"))
    assert len(replica.paused) == MAX_PAUSES + 1


async def test_applying_takes_back_what_stands_in_redis_alone(replica: Replica) -> None:
    await replica.settings.pause("flickr", Pause(tenant="acme", lane="con_1"))
    for pause in (Pause(tenant="acme", lane="con_2"), Pause(tenant="other"), Pause()):
        await replica.queue.pause("flickr", pause)
    await replica.settings.apply("flickr")
    assert replica.paused == {("acme", "con_1")}


async def test_who_waits_for_leases_hears_of_what_may_let_them_go(replica: Replica) -> None:
    await replica.settings.set("flickr", weights(acme=2))
    await replica.settings.pause("flickr", Pause(tenant="acme"))
    await replica.settings.resume("flickr", tenant="acme", lane="")
    assert replica.signals.upstreams == ["flickr", "flickr"]


async def test_what_another_one_put_on_disk_and_did_not_live_to_apply_comes_into_force(replica: Replica) -> None:
    following = asyncio.create_task(replica.settings.follow())
    dead = Replica(replica.bucket)  # its Redis is none
    await dead.settings.set("flickr", weights(acme=5))
    await dead.settings.pause("flickr", Pause(tenant="acme"))
    await replica.bucket.put("epoch.flickr", b"7")
    await replica.bucket.put("settings.unheard", b"")
    await dead.settings.pause("flickr", Pause(tenant="other"))
    await eventually(lambda: replica.paused == {("acme", ""), ("other", "")})
    assert replica.queue.rules["flickr"].weights == {"acme": 5}
    assert set(replica.queue.rules) == {"flickr"}
    following.cancel()
    await asyncio.wait({following})
