"""What every job store does with keys, jobs and events: the fake in memory and the real one in Redis."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from services.intake.changes import Record
from services.intake.domain import Admission, Outcome
from services.intake.known_servers import KnownServers
from services.intake.layout import FINISHED_LIFETIME, MIN_LIFETIME
from services.intake.store import RedisJobStore
from shared import ids
from shared.errors import Unavailable
from tests.contract.intake_store.conftest import ONE, OTHER, admit, change, submitted
from tests.fakes.intake_requests import aged_job_id
from tests.fakes.intake_store import FakeJobStore
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from services.intake.store import JobStore
    from shared import kv

SHORT = timedelta(milliseconds=30)


async def test_a_job_without_a_key_is_admitted_and_can_be_read(store: JobStore) -> None:
    admission = await admit(store)
    assert admission.outcome is Outcome.ADMITTED
    assert admission.standing == (None,)
    assert await store.read("acme", admission.id) == Record(job=b"job", event=None)


async def test_an_unknown_job_is_none(store: JobStore) -> None:
    assert await store.read("acme", ids.new_job_id("http")) is None


async def test_a_key_is_in_flight_until_its_job_is_accepted_and_known_after(store: JobStore) -> None:
    first = await admit(store, key="k")
    assert await admit(store, key="k") == Admission(outcome=Outcome.IN_FLIGHT, id=first.id)
    assert await store.find("acme", "k", fingerprint=ONE) is None
    await store.accept("acme", first.id, idempotency_key="k")
    assert await admit(store, key="k") == Admission(outcome=Outcome.KNOWN, id=first.id)
    assert await store.find("acme", "k", fingerprint=ONE) == first.id
    assert await store.find("acme", "k", fingerprint=OTHER) is None


@pytest.mark.parametrize("accepted", [True, False])
async def test_a_key_of_another_request_is_reused(store: JobStore, *, accepted: bool) -> None:
    first = await admit(store, key="k")
    if accepted:
        await store.accept("acme", first.id, idempotency_key="k")
    assert await admit(store, key="k", fingerprint=OTHER) == Admission(outcome=Outcome.REUSED, id=first.id)


async def test_a_lapsed_claim_is_taken_up_by_one_retry_under_the_same_id(make_store: Callable[..., JobStore]) -> None:
    store = make_store(claim_lifetime=SHORT)
    first = await admit(store, key="k", job=b"first answer")

    async def lapsed() -> bool:
        return (await admit(store, key="k")).outcome is Outcome.LAPSED

    await eventually(lapsed)
    patient = make_store() if isinstance(store, RedisJobStore) else store
    retries = await asyncio.gather(*(admit(patient, key="k", job_id=first.id, job=b"another") for _ in range(5)))
    outcomes = Counter(retry.outcome for retry in retries)
    assert outcomes == {Outcome.ADMITTED: 1, Outcome.IN_FLIGHT: 4}
    taken_up = next(retry for retry in retries if retry.outcome is Outcome.ADMITTED)
    assert (taken_up.id, taken_up.standing) == (first.id, (b"first answer",))


async def test_a_released_claim_may_be_taken_up_at_once(store: JobStore) -> None:
    first = await admit(store, key="k")
    await store.release("acme", first.id, [first.id], idempotency_key="k")
    assert await admit(store, key="k") == Admission(outcome=Outcome.LAPSED, id=first.id)
    assert (await admit(store, key="k", job_id=first.id)).outcome is Outcome.ADMITTED


async def test_a_release_does_not_undo_an_acceptance(store: JobStore) -> None:
    first = await admit(store, key="k")
    await store.accept("acme", first.id, idempotency_key="k")
    await store.release("acme", first.id, [first.id], idempotency_key="k")
    assert (await admit(store, key="k")).outcome is Outcome.KNOWN


async def test_a_release_or_acceptance_of_an_unknown_key_makes_none(store: JobStore) -> None:
    unknown = ids.new_job_id("http")
    await store.release("acme", unknown, [unknown], idempotency_key="k")
    await store.accept("acme", unknown, idempotency_key="k")
    assert (await admit(store, key="k")).outcome is Outcome.ADMITTED


async def test_a_release_or_acceptance_of_a_job_that_a_key_no_longer_stands_for_leaves_its_claim(
    store: JobStore,
) -> None:
    before = ids.new_job_id("http")  # its record was lost while it was on its way
    first = await admit(store, key="k")
    await store.release("acme", before, [before], idempotency_key="k")
    await store.accept("acme", before, idempotency_key="k")
    assert await admit(store, key="k") == Admission(outcome=Outcome.IN_FLIGHT, id=first.id)


async def test_a_job_that_the_log_never_shows_stops_counting(make_store: Callable[..., JobStore]) -> None:
    store = make_store(unseen_pending_lifetime=SHORT)
    await admit(store)

    async def room() -> bool:
        return (await admit(store, max_pending=1)).outcome is Outcome.ADMITTED

    await eventually(room)


async def test_a_job_that_the_log_shows_goes_on_counting(make_store: Callable[..., JobStore]) -> None:
    store = make_store(unseen_pending_lifetime=SHORT)
    shown, unseen = await admit(store), await admit(store)
    await store.apply([submitted(shown.id)])

    async def unseen_has_lapsed() -> bool:
        return (await admit(store, max_pending=2)).outcome is Outcome.ADMITTED

    await eventually(unseen_has_lapsed)
    assert (await admit(store, max_pending=1)).outcome is Outcome.FULL
    await store.apply([submitted(unseen.id)])  # late, and counted again
    assert (await admit(store, max_pending=2)).outcome is Outcome.FULL


async def test_the_newest_revision_stands_whatever_the_order(store: JobStore) -> None:
    job_id = ids.new_job_id("http")
    events = [submitted(job_id), change(job_id, 2), change(job_id, 3), change(job_id, 4, ended=True)]
    for seed in range(6):
        shuffled = random.Random(seed).choices(events, k=8) + events
        random.Random(seed).shuffle(shuffled)
        await store.apply(shuffled)
        assert await store.read("acme", job_id) == Record(job=b"job", event=b"event 4")
    assert (await admit(store, max_pending=1)).outcome is Outcome.ADMITTED  # it has ended, and does not count


async def test_every_event_after_the_submission_is_kept_in_order_whatever_the_order(store: JobStore) -> None:
    job_id = ids.new_job_id("http")
    events = [submitted(job_id), *(change(job_id, n) for n in range(2, 12)), change(job_id, 13, ended=True)]
    for seed in range(6):
        shuffled = random.Random(seed).choices(events, k=8) + events
        random.Random(seed).shuffle(shuffled)
        await store.apply(shuffled)
        kept = await store.events("acme", job_id)
        assert kept == [f"event {n}".encode() for n in (*range(2, 12), 13)]
        assert await store.read("acme", job_id) == Record(job=b"job", event=b"event 13")


async def test_events_are_there_before_the_submission_and_nothing_is_there_of_it_alone(store: JobStore) -> None:
    early, fresh = ids.new_job_id("http"), await admit(store)
    await store.apply([change(early, 3), change(early, 2), submitted(fresh.id)])
    assert await store.events("acme", early) == [b"event 2", b"event 3"]
    assert await store.events("acme", fresh.id) == []
    assert await store.events("acme", ids.new_job_id("http")) == []


async def test_another_tenant_sees_no_events(store: JobStore) -> None:
    job_id = ids.new_job_id("http")
    await store.apply([submitted(job_id), change(job_id, 2)])
    assert await store.events("other", job_id) == []


async def test_the_first_event_of_a_revision_stands(store: JobStore) -> None:
    job_id = ids.new_job_id("http")
    other = replace(change(job_id, 2), event=b"another 2")
    await store.apply([change(job_id, 2), other, change(job_id, 3), other])
    assert await store.events("acme", job_id) == [b"event 2", b"event 3"]


async def test_an_event_before_its_submission_waits_for_it(store: JobStore) -> None:
    job_id = ids.new_job_id("http")
    await store.apply([change(job_id, 2)])
    assert await store.read("acme", job_id) == Record(job=None, event=b"event 2")
    await store.apply([submitted(job_id)])
    assert await store.read("acme", job_id) == Record(job=b"job", event=b"event 2")


async def test_what_the_log_says_of_a_job_stands(store: JobStore) -> None:
    admission = await admit(store, job=b"as admitted")
    await store.apply([submitted(admission.id, job=b"as published")])
    assert await store.read("acme", admission.id) == Record(job=b"as published", event=b"event 1")


async def test_the_log_accepts_a_key(store: JobStore) -> None:
    first = await admit(store, key="k")
    await store.apply([submitted(first.id, key="k")])
    assert await admit(store, key="k") == Admission(outcome=Outcome.KNOWN, id=first.id)


async def test_a_key_that_was_lost_comes_back_from_the_log_within_its_window_from_the_first_sight(
    store: JobStore,
) -> None:
    """The job may have been accepted much later, when the request was repeated."""
    young, old = aged_job_id(timedelta(hours=23)), aged_job_id(timedelta(hours=25))
    await store.apply([submitted(young, key="young"), submitted(old, key="old", age=timedelta(hours=1))])
    assert await admit(store, key="young") == Admission(outcome=Outcome.KNOWN, id=young)
    assert (await admit(store, key="old")).outcome is Outcome.ADMITTED


async def test_the_log_of_an_older_job_leaves_the_key_of_a_newer_one_alone(store: JobStore) -> None:
    await admit(store, key="k")
    await store.apply([submitted(ids.new_job_id("http"), key="k")])
    assert (await admit(store, key="k")).outcome is Outcome.IN_FLIGHT


async def test_hundred_duplicates_at_once_admit_one(store: JobStore) -> None:
    admissions = await asyncio.gather(*(admit(store, key="k") for _ in range(100)))
    outcomes = Counter(admission.outcome for admission in admissions)
    assert outcomes == {Outcome.ADMITTED: 1, Outcome.IN_FLIGHT: 99}
    assert len({admission.id for admission in admissions}) == 1


@pytest.mark.parametrize("ended", [False, True])
async def test_a_job_that_the_log_has_shown_is_not_taken_up_again(store: JobStore, *, ended: bool) -> None:
    """Its submission is on its way to the view yet: the claim stands, and a later event is there."""
    first = await admit(store, key="k")
    await store.apply([change(first.id, 3, ended=ended)])
    await store.release("acme", first.id, [first.id], idempotency_key="k")
    assert (await admit(store, key="k")).outcome is Outcome.LAPSED
    for _ in range(2):
        again = await admit(store, key="k", job_id=first.id)
        assert again == Admission(outcome=Outcome.KNOWN, id=first.id)
    expected = Outcome.ADMITTED if ended else Outcome.FULL
    assert (await admit(store, max_pending=1)).outcome is expected


async def test_many_events_of_several_tenants_are_applied_at_once_each_to_its_job(store: JobStore) -> None:
    jobs = [(ids.new_job_id("http"), f"tenant-{number % 3}") for number in range(200)]
    changes = [change(job_id, 1, tenant=tenant, job=job_id.encode()) for job_id, tenant in jobs]
    ends = [change(job_id, 2, tenant=tenant, ended=number % 2 == 0) for number, (job_id, tenant) in enumerate(jobs)]
    applied = await store.apply([*changes, *ends])
    assert [each.ended for each in applied] == [False] * 200 + [True, False] * 100
    for job_id, tenant in jobs:
        assert await store.read(tenant, job_id) == Record(job=job_id.encode(), event=b"event 2")
    full = [(await admit(store, tenant=f"tenant-{number}", max_pending=1)).pending for number in range(3)]
    assert full == [33, 34, 33]


async def test_a_store_that_has_lost_something_admits_nothing_and_says_so(
    redis: kv.Client,
) -> None:
    fake = FakeJobStore()
    fake.rebuilding = True
    servers = KnownServers()
    for store in (fake, RedisJobStore(redis, servers)):
        for asked in (admit(store), store.confirm()):
            with pytest.raises(Unavailable) as refused:
                await asked
            assert refused.value.metadata == {"dependency": "redis", "state": "rebuilding"}
            assert refused.value.retry_after is not None
        job_id = ids.new_job_id("http")
        applied = await store.apply([submitted(job_id), change(job_id, 2, ended=True)])
        assert [each.ended for each in applied] == [False, True]
        assert await store.read("acme", job_id) == Record(job=b"job", event=b"event 2")
    await asyncio.wait_for(servers.stranger(), 30)


async def test_redis_forgets_everything_in_time(redis: kv.Client, real: Callable[..., JobStore]) -> None:
    store = real()
    hour, day = 3600, 86400
    unseen, running, ended, long_ended = [(await admit(store, key=f"key {n}")).id for n in range(4)]
    await store.apply([submitted(running), change(ended, 2, ended=True)])
    await store.apply([change(long_ended, 2, ended=True, age=FINISHED_LIFETIME)])

    async def lives(key: str) -> float:
        return await redis.pttl(f"{{intake:acme}}:{key}") / 1000

    assert await lives(f"job:{unseen}") == pytest.approx(hour, abs=5)
    assert await lives(f"job:{running}") == pytest.approx(8 * day, abs=5)
    assert await lives(f"job:{ended}") == pytest.approx(day, abs=5)
    assert await lives(f"job:{long_ended}") == pytest.approx(MIN_LIFETIME.total_seconds(), abs=5)
    assert await lives("key:key 0") == pytest.approx(day, abs=5)
    assert await lives("pending") == pytest.approx(8 * day, abs=5)
    names = {key.decode() for key in await redis.keys()}
    assert all(name.startswith("{intake:acme}:") for name in names)


async def test_another_tenant_sees_neither_job_nor_key_nor_counts(store: JobStore) -> None:
    admission = await admit(store, key="k", max_pending=1)
    assert await store.read("other", admission.id) is None
    assert await store.find("other", "k", fingerprint=ONE) is None
    assert (await admit(store, tenant="other", key="k", fingerprint=OTHER, max_pending=1)).outcome is Outcome.ADMITTED


async def test_the_window_of_a_key_counts_from_its_first_sight(redis: kv.Client, real: Callable[..., JobStore]) -> None:
    store = real()
    first = await admit(store, key="k")
    await redis.pexpire("{intake:acme}:key:k", timedelta(hours=1))
    await store.release("acme", first.id, [first.id], idempotency_key="k")
    await admit(store, key="k", job_id=first.id)
    assert await redis.pttl("{intake:acme}:key:k") <= timedelta(hours=1).total_seconds() * 1000
