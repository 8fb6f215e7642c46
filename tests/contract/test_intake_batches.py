"""What every store does of batches: the fakes in memory and the real ones in Redis."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.intake.batch_ends import _notes
from services.intake.batch_store import BatchStore, RedisBatchStore
from services.intake.changes import BatchEnd, BatchNote, BatchPlace, Change, FinishedBatch
from services.intake.domain import Admission, Candidate, Outcome, State
from services.intake.known_servers import KnownServers
from services.intake.layout import FINISHED_LIFETIME, UNFINISHED_LIFETIME, batch_key
from services.intake.store import JobStore, RedisJobStore, server_id
from shared import ids
from tests.fakes.intake_batches import FakeBatchStore
from tests.fakes.intake_store import FakeJobStore

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shared import kv

ONE, OTHER = b"1" * 32, b"2" * 32
NOW = datetime.now(UTC).replace(microsecond=0)


@dataclass
class Stores:
    """Of jobs and of batches, side by side."""

    jobs: JobStore
    batches: BatchStore


@pytest.fixture
def fake() -> Callable[..., Stores]:
    return lambda **settings: Stores(FakeJobStore(**settings), FakeBatchStore())


@pytest.fixture
async def real(redis: kv.Client) -> Callable[..., Stores]:
    servers = KnownServers(await server_id(redis))
    return lambda **settings: Stores(RedisJobStore(redis, servers, **settings), RedisBatchStore(redis))


@pytest.fixture(params=["fake", "real"])
def make_stores(request: pytest.FixtureRequest) -> Callable[..., Stores]:
    """Makes the stores; lifetimes can be told."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def stores(make_stores: Callable[..., Stores]) -> Stores:
    return make_stores()


@pytest.fixture
def hasty(make_stores: Callable[..., Stores]) -> JobStore:
    """A store whose claims lapse at once."""
    return make_stores(claim_lifetime=timedelta(0)).jobs


def candidate(size: int, *, batch_id: str = "", key: str = "", fingerprint: bytes = ONE) -> Candidate:
    batch_id = batch_id or ids.new_batch_id()
    jobs = tuple((ids.job_id_in_batch(batch_id, index, "http"), b"job %d" % index) for index in range(size))
    return Candidate(id=batch_id, jobs=jobs, idempotency_key=key, fingerprint=fingerprint)


def changes(batch: Candidate, *, states: Sequence[State] = (), tenant: str = "acme") -> list[Change]:
    """What the log says of a batch: every submission, and as many ends as there are states."""
    submitted = [
        Change(
            tenant=tenant,
            job_id=job_id,
            revision=1,
            event=b"submitted",
            at=NOW + timedelta(microseconds=7),
            job=job,
            place=BatchPlace(batch_id=batch.id, index=index, size=len(batch.jobs), callback=None if index else b"call"),
            idempotency_key="" if index else batch.idempotency_key,
            fingerprint=b"" if index else batch.fingerprint,
        )
        for index, (job_id, job) in enumerate(batch.jobs)
    ]
    ended = [
        Change(
            tenant=tenant,
            job_id=job_id,
            revision=3,
            event=b"ended",
            at=NOW + timedelta(seconds=index),
            finished_at=NOW + timedelta(seconds=index),
            state=state,
        )
        for index, ((job_id, _), state) in enumerate(zip(batch.jobs, states, strict=False))
    ]
    return submitted + ended


async def follow(stores: Stores, told: Sequence[Change]) -> list[FinishedBatch]:
    applied = await stores.jobs.apply(told)
    notes: list[BatchNote] = [note for change, came in zip(told, applied, strict=True) for note in _notes(change, came)]
    return await stores.batches.note(notes) if notes else []


async def pending(store: JobStore, tenant: str = "acme") -> int:
    refused = await store.admit(tenant, candidate(1), max_pending=0)
    assert refused.outcome is Outcome.FULL
    return refused.pending


async def test_a_batch_is_admitted_with_all_of_its_jobs(stores: Stores) -> None:
    batch = candidate(100)
    admission = await stores.jobs.admit("acme", batch, max_pending=100)
    assert admission == Admission(outcome=Outcome.ADMITTED, id=batch.id, standing=(None,) * 100)
    records = await stores.jobs.read_many("acme", [job_id for job_id, _ in batch.jobs])
    assert [record.job for record in records if record is not None] == [job for _, job in batch.jobs]
    assert await pending(stores.jobs) == 100


@pytest.mark.parametrize("closed", [False, True])
async def test_a_batch_for_which_there_is_no_room_leaves_nothing_behind(stores: Stores, *, closed: bool) -> None:
    await stores.jobs.admit("acme", candidate(3), max_pending=5)
    batch = candidate(3, key="k")
    refused = await stores.jobs.admit("acme", batch, max_pending=100 if closed else 5, closed=closed)
    assert (refused.outcome, refused.pending) == (Outcome.CLOSED if closed else Outcome.FULL, 3)
    assert await stores.jobs.read_many("acme", [job_id for job_id, _ in batch.jobs]) == [None] * 3
    assert await pending(stores.jobs) == 3
    again = await stores.jobs.admit("acme", replace(batch, fingerprint=OTHER), max_pending=100)  # its key is free
    assert again.outcome is Outcome.ADMITTED


async def test_another_tenant_sees_nothing_of_a_batch(stores: Stores) -> None:
    batch = candidate(2, key="k")
    await stores.jobs.admit("acme", batch, max_pending=2)
    await follow(stores, changes(batch))
    assert await stores.batches.job_ids("other", batch.id) is None
    assert await stores.jobs.read_many("other", [job_id for job_id, _ in batch.jobs]) == [None, None]
    assert await stores.jobs.find("other", "k", fingerprint=ONE) is None
    assert await pending(stores.jobs, "other") == 0


async def test_a_key_stands_for_the_batch_and_for_no_job(stores: Stores) -> None:
    batch = candidate(2, key="k")
    await stores.jobs.admit("acme", batch, max_pending=10)
    assert (await stores.jobs.admit("acme", candidate(2, key="k"), max_pending=10)) == Admission(
        outcome=Outcome.IN_FLIGHT, id=batch.id
    )
    await follow(stores, changes(batch))
    assert (await stores.jobs.admit("acme", candidate(2, key="k"), max_pending=10)) == Admission(
        outcome=Outcome.KNOWN, id=batch.id
    )
    assert await stores.jobs.find("acme", "k", fingerprint=ONE) == batch.id
    job = Candidate(id="http-1", jobs=(("http-1", b"job"),), idempotency_key="k", fingerprint=OTHER)
    assert await stores.jobs.admit("acme", job, max_pending=10) == Admission(outcome=Outcome.REUSED, id=batch.id)


async def test_a_batch_that_nobody_is_at_any_more_is_taken_up_as_it_was(hasty: JobStore) -> None:
    batch = candidate(3, key="k")
    await hasty.admit("acme", batch, max_pending=3)
    lapsed = await hasty.admit("acme", candidate(3, key="k"), max_pending=3)
    assert lapsed == Admission(outcome=Outcome.LAPSED, id=batch.id)
    again = replace(batch, jobs=tuple((job_id, b"another time") for job_id, _ in batch.jobs))
    taken_up = await hasty.admit("acme", again, max_pending=3)  # they count already
    assert taken_up.outcome is Outcome.ADMITTED
    assert taken_up.standing == (b"job 0", b"job 1", b"job 2")


async def test_a_batch_that_the_log_has_shown_is_known_though_nobody_said_so(hasty: JobStore) -> None:
    batch = candidate(3, key="k")
    await hasty.admit("acme", batch, max_pending=3)
    await hasty.apply(changes(batch)[2:])  # the first one's event, which ends the claim, is late
    assert await hasty.admit("acme", batch, max_pending=3) == Admission(outcome=Outcome.KNOWN, id=batch.id)


async def test_a_batch_that_is_given_up_counts_no_more(stores: Stores) -> None:
    batch = candidate(3, key="k")
    await stores.jobs.admit("acme", batch, max_pending=3)
    await stores.jobs.release("acme", batch.id, [job_id for job_id, _ in batch.jobs], idempotency_key="k")
    assert await pending(stores.jobs) == 0
    assert (await stores.jobs.admit("acme", batch, max_pending=3)).outcome is Outcome.ADMITTED
    await stores.jobs.apply(changes(batch)[1:2])
    await stores.jobs.release("acme", batch.id, [job_id for job_id, _ in batch.jobs], idempotency_key="k")
    assert await pending(stores.jobs) == 1  # the log has shown it


async def test_the_jobs_of_a_batch_are_told_in_order_when_all_are_known(stores: Stores) -> None:
    batch = candidate(12)
    told = changes(batch)
    await follow(stores, told[3:])
    assert await stores.batches.job_ids("acme", batch.id) is None
    await follow(stores, told[:3])
    assert await stores.batches.job_ids("acme", batch.id) == tuple(job_id for job_id, _ in batch.jobs)
    assert await stores.batches.job_ids("acme", ids.new_batch_id()) is None


async def test_a_job_by_itself_ends_in_no_batch(stores: Stores) -> None:
    job_id = ids.new_job_id("http")
    one = Candidate(id=job_id, jobs=((job_id, b"job"),), idempotency_key="", fingerprint=ONE)
    await stores.jobs.admit("acme", one, max_pending=1)
    end = Change(tenant="acme", job_id=job_id, revision=3, event=b"", at=NOW, finished_at=NOW, state=State.SUCCEEDED)
    [applied] = await stores.jobs.apply([end])
    assert (applied.ended, applied.ended_in) == (True, None)


async def test_an_end_is_told_again_and_also_where_it_came_before_the_submission(stores: Stores) -> None:
    batch = candidate(2)
    told = changes(batch, states=[State.FAILED])
    end = BatchEnd(batch_id=batch.id, index=0, state=State.FAILED, at=NOW)
    [early] = await stores.jobs.apply(told[-1:])
    assert (early.ended, early.ended_in) == (True, None)  # that it came in a batch is not known yet
    assert [each.ended_in for each in await stores.jobs.apply(told[:2])] == [end, None]
    [again] = await stores.jobs.apply(told[-1:])
    assert (again.ended, again.ended_in) == (False, end)


STATES = [State.SUCCEEDED, State.FAILED, State.CANCELED, State.EXPIRED, State.OUTCOME_UNKNOWN, State.SUCCEEDED]


@pytest.mark.parametrize("seed", range(8))
async def test_in_whatever_order_the_events_come_the_last_of_them_finishes_the_batch(stores: Stores, seed: int) -> None:
    batch = candidate(len(STATES))
    told = changes(batch, states=STATES)
    mixed = random.Random(seed)
    mixed.shuffle(told)
    finished = FinishedBatch(
        tenant="acme",
        id=batch.id,
        ends=tuple(STATES),
        created_at=NOW + timedelta(microseconds=7),
        finished_at=NOW + timedelta(seconds=len(STATES) - 1),
        callback=b"call",
    )
    for index, change in enumerate(told):
        found = await follow(stores, [change])
        assert found == ([finished] if index == len(told) - 1 else [])
        if index < len(told) - 1 and mixed.random() < 0.3:  # it comes again, for whoever handled it may have died
            assert await follow(stores, told[: index + 1]) == []
    assert await follow(stores, mixed.sample(told, 3)) == [finished]


async def test_many_batches_of_many_tenants_are_noted_together(stores: Stores) -> None:
    ours, theirs, open_ = candidate(2), candidate(1), candidate(2)
    told = [
        *changes(ours, states=[State.SUCCEEDED, State.SUCCEEDED]),
        *changes(theirs, states=[State.CANCELED], tenant="other"),
        *changes(open_, states=[State.FAILED]),
    ]
    finished = await follow(stores, told)
    assert {(each.tenant, each.id) for each in finished} == {("acme", ours.id), ("other", theirs.id)}


async def test_a_record_outlives_its_jobs_and_goes_a_day_after_the_last_of_them(redis: kv.Client) -> None:
    stores = Stores(RedisJobStore(redis, KnownServers(await server_id(redis))), RedisBatchStore(redis))
    batch = candidate(2)
    told = changes(batch, states=[State.SUCCEEDED, State.SUCCEEDED])
    await follow(stores, told[:3])
    assert await redis.ttl(batch_key("acme", batch.id)) == pytest.approx(UNFINISHED_LIFETIME.total_seconds(), abs=60)
    await follow(stores, told[3:])
    assert await redis.ttl(batch_key("acme", batch.id)) == pytest.approx(FINISHED_LIFETIME.total_seconds(), abs=60)


@given(st.lists(st.integers(0, 40), min_size=1, max_size=6), st.integers(1, 60))
@settings(max_examples=60, deadline=None)
async def test_batches_are_let_in_as_long_as_all_of_one_fit(sizes: list[int], cap: int) -> None:
    store, counted = FakeJobStore(), 0
    for size in sizes:
        if not size:
            continue
        fits = counted + size <= cap
        admission = await store.admit("acme", candidate(size), max_pending=cap)
        assert admission.outcome is (Outcome.ADMITTED if fits else Outcome.FULL)
        counted += size if fits else 0
    assert await pending(store) == counted
