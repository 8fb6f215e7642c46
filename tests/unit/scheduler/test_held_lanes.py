"""Lanes that are held, because their connections need to be authorized anew: on disk, and in force in one queue."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from penstock.events.v1 import notices_pb2

from services.scheduler.limits import Suspension
from services.scheduler.standings import Subject
from shared import streams
from tests.fakes.connection_notices import (
    CONNECTION,
    NEEDED_SINCE_MS,
    OTHER,
    deleted,
    heard,
    needs_reauth,
    restored,
)
from tests.fakes.tenant_notices import incoming, notice
from tests.unit.scheduler.test_suspensions import Replica
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.bus import Outgoing

HELD = ("http", "acme", CONNECTION)
KEY = f"held.http.acme.{CONNECTION}"


@pytest.fixture
def replica() -> Replica:
    return Replica()


async def hear(replica: Replica, *notices: Outgoing) -> None:
    """Has a replica take notices, in this order."""
    await replica.suspensions.take([heard(each) for each in notices])


async def test_a_lane_is_held_in_the_queue_of_its_upstream_alone(replica: Replica) -> None:
    async with replica.following("flickr", "http"):
        await hear(replica, needs_reauth(1))
        await eventually(lambda: set(replica.queue.in_force) == {HELD})
        assert replica.queue.in_force[HELD] == Suspension(
            tenant="acme", lane=CONNECTION, reason="revoked", suspended_at_ms=NEEDED_SINCE_MS, revision=1
        )
        assert replica.signals.upstreams == []


@pytest.mark.parametrize(
    "lifted",
    [restored, deleted, lambda revision: needs_reauth(revision, jobs_wait=False)],
    ids=["restored", "deleted", "its jobs wait no more"],
)
async def test_what_lets_a_lane_go_is_announced_in_its_queue(
    replica: Replica, lifted: Callable[[int], Outgoing]
) -> None:
    async with replica.following("flickr", "http"):
        await hear(replica, needs_reauth(1), needs_reauth(1, OTHER))
        await eventually(lambda: len(replica.queue.in_force) == 2)
        await hear(replica, lifted(2))
        await eventually(lambda: replica.signals.upstreams == ["http"])
        assert set(replica.queue.in_force) == {("http", "acme", OTHER)}


@pytest.mark.parametrize(
    "late",
    [restored(4), needs_reauth(4, reason="an older reason"), needs_reauth(5, reason="the same again"), deleted(4)],
    ids=["restored", "another reason", "again", "deleted"],
)
async def test_a_notice_that_is_not_newer_changes_nothing(replica: Replica, late: Outgoing) -> None:
    await hear(replica, needs_reauth(5), late)
    await replica.suspensions.apply("http")
    assert [(each.reason, each.revision) for each in replica.queue.in_force.values()] == [("revoked", 5)]


@pytest.mark.parametrize("lifted", [restored, deleted], ids=["restored", "deleted"])
async def test_one_that_comes_after_its_own_end_does_not_come_into_force(
    replica: Replica, lifted: Callable[[int], Outgoing]
) -> None:
    await hear(replica, lifted(2), needs_reauth(1))
    await replica.suspensions.restore("http")
    await replica.suspensions.apply("http")
    assert replica.queue.in_force == {}


async def test_what_lets_a_lane_go_leaves_the_disk_when_no_older_notice_can_come(replica: Replica) -> None:
    (notices,) = (
        stream
        for stream in streams.stream_configs(streams.StreamLimits(replicas=1, max_bytes=1))
        if stream.name == streams.NOTICES
    )
    await hear(replica, needs_reauth(1), needs_reauth(1, OTHER), deleted(2))
    lifetime = replica.bucket.lifetimes[KEY]
    assert lifetime is not None
    assert lifetime >= timedelta(seconds=notices.max_age or 0) + timedelta(days=1)
    assert replica.bucket.lifetimes[f"held.http.acme.{OTHER}"] is None, "what holds a lane stays"
    await replica.suspensions.take([notice("acme", 1), notice("acme", 2, None)])
    assert replica.bucket.lifetimes["suspended.acme"] == lifetime
    await hear(replica, needs_reauth(3))  # nothing comes after a deletion in life
    assert replica.bucket.lifetimes[KEY] is None


async def test_a_lane_that_was_let_go_so_long_ago_that_nobody_knows_flows_when_its_queue_is_kept_again(
    replica: Replica,
) -> None:
    await hear(replica, needs_reauth(1), needs_reauth(1, OTHER))
    await replica.suspensions.apply("http")
    await hear(replica, deleted(2))  # and no replica brings it into force before the disk forgets it
    del replica.bucket.values[KEY]
    await replica.suspensions.apply("http")
    assert set(replica.queue.in_force) == {("http", "acme", OTHER)}
    assert replica.signals.upstreams == ["http"]


async def test_a_queue_that_comes_later_or_was_lost_has_its_own_before_it_opens(replica: Replica) -> None:
    elsewhere = needs_reauth(1, upstream="flickr")
    await hear(replica, needs_reauth(1), needs_reauth(1, OTHER), restored(2, OTHER), elsewhere)
    await replica.suspensions.take([notice("globex", 1)])
    replica.queue.lost = True
    await replica.suspensions.restore("http")
    assert set(replica.queue.in_force) == {HELD, ("http", "globex", "")}


async def test_a_tenant_and_its_lane_stand_each_by_itself(replica: Replica) -> None:
    async with replica.following("http"):
        await hear(replica, needs_reauth(7))
        await replica.suspensions.take([notice("acme", 1)])
        await eventually(lambda: set(replica.queue.in_force) == {HELD, ("http", "acme", "")})
        await hear(replica, restored(8))
        await eventually(lambda: set(replica.queue.in_force) == {("http", "acme", "")})


def _without(**fields: str) -> bytes:
    fact = notices_pb2.ConnectionDeleted(connection_id=CONNECTION, upstream="http", revision=1)
    for name, value in fields.items():
        setattr(fact, name, value)
    return notices_pb2.Notice(tenant="acme", connection_deleted=fact).SerializeToString()


@pytest.mark.parametrize(
    "payload",
    [
        _without(connection_id=""),
        _without(connection_id="api.example.com"),
        _without(connection_id="con_1.>"),
        _without(upstream=""),
        _without(upstream="No.Slug"),
        notices_pb2.Notice(tenant="acme", connection_deleted=notices_pb2.ConnectionDeleted()).SerializeToString(),
    ],
)
async def test_what_is_no_such_notice_is_dropped_and_holds_up_none(replica: Replica, payload: bytes) -> None:
    malformed, good = incoming("notices.connection_deleted", payload), heard(needs_reauth(1))
    await replica.suspensions.take([malformed, good])
    assert (malformed.verdict, good.verdict) == (b"+TERM", b"+ACK")
    await replica.suspensions.apply("http")
    assert set(replica.queue.in_force) == {HELD}


@pytest.mark.parametrize(
    "subject",
    [Subject(tenant="acme"), Subject(tenant="acme", lane=CONNECTION, upstream="http")],
)
def test_a_key_of_the_bucket_names_its_subject(subject: Subject) -> None:
    assert Subject.read(subject.key) == subject


@pytest.mark.parametrize(
    "key", ["pauses.http.acme", "settings.http", "suspended", "suspended.acme.x", "held.http.acme"]
)
def test_other_keys_of_the_bucket_name_none(key: str) -> None:
    assert Subject.read(key) is None
