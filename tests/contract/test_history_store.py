"""What every history store does: the fake in memory and the real one in MongoDB."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import pytest
from penstock.events.v1 import events_pb2
from penstock.jobs.v1 import jobs_pb2

from services.history.domain import Filter
from services.history.projection import entry_of
from services.history.store import _NEWEST_FIRST, HistoryStore, MongoHistory, _query
from shared import ids, mongo
from shared.errors import Unavailable
from shared.paging import Position
from shared.retry import until_done
from tests.fakes.history_store import FakeHistory

if TYPE_CHECKING:
    from services.history.domain import Entry

NOW = datetime(2026, 5, 4, 10, 30, 15, 123000, tzinfo=UTC)


@pytest.fixture
def fake_store() -> FakeHistory:
    return FakeHistory()


@pytest.fixture
async def mongo_store(mongo: mongo.Client) -> MongoHistory:
    store = MongoHistory(database_of(mongo))
    await store.create_indexes()
    return store


def database_of(client: mongo.Client):  # noqa: ANN201  the driver's own generic type
    return mongo.database(client, "history")


@pytest.fixture(params=["fake_store", "mongo_store"])
def store(request: pytest.FixtureRequest) -> HistoryStore:
    return request.getfixturevalue(request.param)


def submitted(
    job_id: str,
    *,
    tenant: str = "acme",
    at: datetime = NOW,
    method: str = "http.get",
    priority: jobs_pb2.Job.Priority = jobs_pb2.Job.NORMAL,
    batch_id: str = "",
) -> Entry:
    event = events_pb2.JobEvent(
        type=events_pb2.JobEvent.SUBMITTED,
        job_id=job_id,
        tenant=tenant,
        upstream="http",
        revision=1,
        state=jobs_pb2.Job.QUEUED,
    )
    event.time.FromDatetime(at)
    job = event.submission.job
    job.MergeFrom(jobs_pb2.Job(id=job_id, upstream="http", method=method, state=jobs_pb2.Job.QUEUED, revision=1))
    job.priority, job.batch_id = priority, batch_id
    job.metadata["$set"] = "$tenant"  # a caller's text is never read as a part of the update
    job.created_at.FromDatetime(at)
    return entry_of(event)


def later(job_id: str, revision: int, state: jobs_pb2.Job.State, *, tenant: str = "acme", text: str = "") -> Entry:
    event = events_pb2.JobEvent(job_id=job_id, tenant=tenant, upstream="http", revision=revision, state=state)
    event.time.FromDatetime(NOW + timedelta(seconds=revision))
    if text:
        event.result.inline.text = text
        event.result.size = len(text)
    return entry_of(event)


def event_in(raw: bytes) -> events_pb2.JobEvent:
    return events_pb2.JobEvent.FromString(raw)


async def test_a_job_is_kept_with_its_newest_event_and_its_result(store: HistoryStore) -> None:
    job_id = ids.new_job_id("http")
    await store.apply([submitted(job_id)])
    await store.apply([later(job_id, 2, jobs_pb2.Job.RUNNING)])
    await store.apply([later(job_id, 3, jobs_pb2.Job.SUCCEEDED, text="body")])
    record = await store.get("acme", job_id)
    assert record is not None
    assert jobs_pb2.Job.FromString(record.job).metadata["$set"] == "$tenant"
    assert event_in(record.event).state == jobs_pb2.Job.SUCCEEDED
    assert not event_in(record.event).result.HasField("inline")
    assert record.result is not None
    assert jobs_pb2.JobResult.FromString(record.result).inline.text == "body"


@pytest.mark.parametrize("seed", range(6))
async def test_events_may_come_in_any_order_and_more_than_once(store: HistoryStore, seed: int) -> None:
    job_id = ids.new_job_id("http")
    entries = [
        submitted(job_id),
        later(job_id, 2, jobs_pb2.Job.RUNNING),
        later(job_id, 3, jobs_pb2.Job.RETRYING),
        later(job_id, 4, jobs_pb2.Job.RUNNING),
        later(job_id, 5, jobs_pb2.Job.FAILED),
    ]
    shuffled = entries * 2
    random.Random(seed).shuffle(shuffled)
    for entry in shuffled:
        await store.apply([entry])
    record = await store.get("acme", job_id)
    assert record is not None
    assert event_in(record.event).revision == 5
    assert [found.event for _, found in await listed(store)] == [record.event]


async def test_a_batch_that_comes_again_with_more_moves_its_jobs_on(store: HistoryStore) -> None:
    old, new, unseen = (ids.new_job_id("http") for _ in range(3))
    await store.apply([submitted(old)])
    merged = submitted(old).merged_with(later(old, 3, jobs_pb2.Job.SUCCEEDED, text="body"))
    batch = [merged, submitted(new), later(new, 2, jobs_pb2.Job.RUNNING), later(unseen, 2, jobs_pb2.Job.RUNNING)]
    for _ in range(2):
        await store.apply(batch)
        assert await revisions(store, old, new) == [3, 2]
        assert await store.get("acme", unseen) is None
    await store.apply([submitted(unseen), later(old, 2, jobs_pb2.Job.RUNNING)])
    assert await revisions(store, old, new, unseen) == [3, 2, 2]


async def test_replicas_that_write_the_same_jobs_at_the_same_time_lose_nothing(store: HistoryStore) -> None:
    jobs = [ids.new_job_id("http") for _ in range(40)]
    batches = [
        [submitted(job_id) for job_id in jobs],
        [later(job_id, 2, jobs_pb2.Job.RUNNING) for job_id in jobs],
        [later(job_id, 3, jobs_pb2.Job.SUCCEEDED) for job_id in reversed(jobs)],
    ]
    await asyncio.gather(*(until_done(partial(store.apply, batch), retry_on=(Unavailable,)) for batch in batches))
    assert await revisions(store, *jobs) == [3] * 40


async def revisions(store: HistoryStore, *job_ids: str) -> list[int]:
    records = [await store.get("acme", job_id) for job_id in job_ids]
    return [event_in(record.event).revision for record in records if record is not None]


async def test_a_job_whose_submission_has_not_come_yet_is_not_shown(store: HistoryStore) -> None:
    job_id = ids.new_job_id("http")
    await store.apply([later(job_id, 2, jobs_pb2.Job.RUNNING)])
    assert await store.get("acme", job_id) is None
    assert await listed(store) == []
    await store.apply([submitted(job_id)])
    record = await store.get("acme", job_id)
    assert record is not None
    assert event_in(record.event).revision == 2


async def test_another_tenants_jobs_are_not_there(store: HistoryStore) -> None:
    ours, theirs = ids.new_job_id("http"), ids.new_job_id("http")
    await store.apply([submitted(ours), submitted(theirs, tenant="other")])
    assert await store.get("acme", theirs) is None
    assert [position.id for position, _ in await listed(store)] == [ours]


async def listed(store: HistoryStore, wanted: Filter | None = None) -> list:
    return await store.list("acme", wanted or Filter(), after=None, limit=100)


async def test_pages_follow_each_other_newest_first_without_gaps(store: HistoryStore) -> None:
    entries = [submitted(ids.new_job_id("http"), at=NOW + timedelta(milliseconds=number // 3)) for number in range(25)]
    await store.apply(entries)
    seen: list[Position] = []
    after: Position | None = None
    while True:
        page = await store.list("acme", Filter(), after=after, limit=4)
        if not page:
            break
        seen += [position for position, _ in page]
        after = seen[-1]
        await store.apply(
            [submitted(ids.new_job_id("http"), at=NOW + timedelta(hours=1))]
        )  # newer ones disturb nothing
    assert sorted((each.created_at, each.id) for each in seen) == [
        (each.created_at, each.id) for each in reversed(seen)
    ]
    assert {each.id for each in seen} == {entry.job_id for entry in entries}
    assert len(seen) == 25


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Filter(upstream="http"), {"a", "b", "c"}),
        (Filter(upstream="flickr"), set()),
        (Filter(method="http.post"), {"b"}),
        (Filter(priority="HIGH"), {"c"}),
        (Filter(states=("SUCCEEDED",)), {"a"}),
        (Filter(states=("SUCCEEDED", "QUEUED")), {"a", "b", "c"}),
        (Filter(created_after=NOW + timedelta(seconds=1)), {"b", "c"}),
        (Filter(created_before=NOW + timedelta(seconds=1)), {"a"}),
        (Filter(created_after=NOW + timedelta(seconds=1), created_before=NOW + timedelta(seconds=2)), {"b"}),
        (Filter(method="http.get", states=("QUEUED",)), {"c"}),
        (Filter(connection_id="con_1"), set()),
        (Filter(batch_id="bat_1"), set()),
    ],
)
async def test_filters_must_all_match(store: HistoryStore, wanted: Filter, expected: set[str]) -> None:
    names = {ids.new_job_id("http"): name for name in ("a", "b", "c")}
    a, b, c = names
    await store.apply(
        [
            submitted(a),
            submitted(b, at=NOW + timedelta(seconds=1), method="http.post"),
            submitted(c, at=NOW + timedelta(seconds=2), priority=jobs_pb2.Job.HIGH),
            later(a, 2, jobs_pb2.Job.SUCCEEDED),
        ]
    )
    assert {names[position.id] for position, _ in await listed(store, wanted)} == expected


async def test_lists_read_no_result(store: HistoryStore) -> None:
    job_id = ids.new_job_id("http")
    await store.apply([submitted(job_id), later(job_id, 2, jobs_pb2.Job.SUCCEEDED, text="body")])
    [(_, record)] = await listed(store)
    assert record.result is None
    assert event_in(record.event).result.size == 4


async def test_a_batch_is_its_tenants_jobs_without_the_content_of_results(store: HistoryStore) -> None:
    batch, other = ids.new_batch_id(), ids.new_batch_id()
    ours = [ids.job_id_in_batch(batch, index, "http") for index in range(3)]
    await store.apply([submitted(job_id, batch_id=batch) for job_id in ours])
    await store.apply([later(ours[1], 2, jobs_pb2.Job.SUCCEEDED, text="body")])
    await store.apply([submitted(ids.new_job_id("http"), batch_id=other), submitted(ids.new_job_id("http"))])
    await store.apply([submitted(ids.new_job_id("http"), batch_id=batch, tenant="other")])
    found = await store.batch("acme", batch)
    assert sorted(jobs_pb2.Job.FromString(record.job).id for record in found) == ours
    assert [record.result for record in found] == [None] * 3
    assert await store.batch("acme", ids.new_batch_id()) == []


async def test_lists_and_lookups_use_an_index(mongo: mongo.Client) -> None:
    store = MongoHistory(database_of(mongo))
    await store.create_indexes()
    await store.apply([submitted(ids.new_job_id("http"), at=NOW + timedelta(seconds=number)) for number in range(50)])
    after = Position(created_at=NOW + timedelta(seconds=30), id="http-z")
    lists = (
        Filter(),
        Filter(states=("QUEUED",)),
        Filter(upstream="http", method="http.get"),
        Filter(batch_id="batch_1"),
    )
    for wanted in lists:
        cursor = database_of(mongo).jobs.find(_query("acme", wanted, after)).sort(_NEWEST_FIRST).limit(5)
        plan = str((await cursor.explain())["queryPlanner"]["winningPlan"])
        assert "COLLSCAN" not in plan
        assert "'SORT'" not in plan, "the index gives the order"
