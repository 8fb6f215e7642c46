"""What every history store does: the fake in memory and the real one in MongoDB."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

import bson
import pytest
from penstock.events.v1 import events_pb2
from penstock.jobs.v1 import jobs_pb2

from services.history.jobs.domain import merged
from services.history.jobs.messages import full
from services.history.jobs.reading import entry_of
from services.history.jobs.store import HistoryStore, MongoHistory
from shared import ids, mongo
from shared.errors import Unavailable
from shared.retry import until_done
from tests.fakes.history_events import Event, life
from tests.fakes.history_store import FakeHistory

if TYPE_CHECKING:
    from services.history.jobs.domain import Entry

NOW = datetime(2026, 5, 4, 10, 30, 15, 123000, tzinfo=UTC)


@pytest.fixture
def fake_store() -> FakeHistory:
    return FakeHistory()


@pytest.fixture
async def mongo_store(mongo: mongo.Client) -> MongoHistory:
    store = MongoHistory(mongo)
    await store.prepare()
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
    await store.apply([submitted(job_id)])
    record = await store.get("acme", job_id)
    assert record is not None
    assert event_in(record.event).revision == 2


async def test_another_tenants_jobs_are_not_there(store: HistoryStore) -> None:
    ours, theirs = ids.new_job_id("http"), ids.new_job_id("http")
    await store.apply([submitted(ours), submitted(theirs, tenant="other")])
    assert await store.get("acme", theirs) is None
    assert await store.get("acme", ours) is not None


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


@pytest.mark.parametrize("seed", range(4))
async def test_the_documents_of_jobs_are_the_same_in_any_order(mongo: mongo.Client, seed: int) -> None:
    """As those that the fake makes of the events in order; replicas write at the same time."""
    chance = random.Random(seed)
    lives = ((), (Event.STARTED,), (Event.CANCELED,), (Event.STARTED, Event.RETRYING, Event.STARTED, Event.FAILED))
    lives += ((Event.STARTED, Event.SUCCEEDED), (Event.STARTED, Event.RETRYING, Event.EXPIRED))
    jobs = {ids.new_job_id("http"): chance.choice(lives) for _ in range(30)}
    in_order = [entry_of(event, sequence=7) for job, types in jobs.items() for event in life(job, *types)]
    fake, real = FakeHistory(), MongoHistory(mongo)
    await real.prepare()
    await fake.apply(in_order)
    shuffled = [*in_order, *chance.sample(in_order, len(in_order) // 3)]
    chance.shuffle(shuffled)
    cuts = sorted(chance.sample(range(len(shuffled)), 8))
    batches = [merged(shuffled[start:end]) for start, end in pairwise([0, *cuts, len(shuffled)]) if end > start]
    for together in (batches[:4], batches[4:]):
        await asyncio.gather(*(until_done(partial(real.apply, each), retry_on=(Unavailable,)) for each in together))
    documents = {each["_id"]: each async for each in database_of(mongo).jobs.find({})}
    for document in documents.values():
        document["uncounted"].sort()
    assert documents == {job: fake.document(job) for job in jobs}


async def test_a_mark_that_was_taken_off_does_not_come_back(mongo: mongo.Client) -> None:
    real = MongoHistory(mongo)
    await real.prepare()
    job = ids.new_job_id("http")
    entries = [entry_of(event) for event in life(job, Event.STARTED, Event.SUCCEEDED)]
    for entry in entries:
        await real.apply([entry])
    await database_of(mongo).jobs.update_one({"_id": job}, {"$unset": {"uncounted": True}})
    for again in (entries, entries[::-1], merged(entries)):
        for entry in again:
            await real.apply([entry])
    document = await database_of(mongo).jobs.find_one({"_id": job})
    assert document is not None
    assert "uncounted" not in document


async def test_a_document_without_submission_goes_with_its_time(mongo: mongo.Client) -> None:
    real = MongoHistory(mongo)
    await real.prepare()
    job = ids.new_job_id("http")
    submission, *rest = [entry_of(event) for event in life(job, Event.STARTED, Event.SUCCEEDED)]
    jobs = database_of(mongo).jobs
    for entry in rest:
        await real.apply([entry])
    document = await jobs.find_one({"_id": job})
    assert document is not None
    assert isinstance(document["incomplete_since"], datetime)
    assert (await jobs.index_information())["incomplete"]["expireAfterSeconds"] == 24 * 3600
    await real.apply([submission])
    document = await jobs.find_one({"_id": job})
    assert document is not None
    assert "incomplete_since" not in document


async def test_documents_of_the_version_before_are_read_and_moved_on(mongo: mongo.Client) -> None:
    real = MongoHistory(mongo)
    await real.prepare()
    job = ids.new_job_id("http")
    submission, started, ended = [entry_of(event) for event in life(job, Event.STARTED, Event.SUCCEEDED)]
    await real.apply([submission])
    later_fields = ("labels", "timeline", "uncounted", "submitted_sequence")
    await database_of(mongo).jobs.update_one({"_id": job}, {"$unset": dict.fromkeys(later_fields, True)})
    record = await real.get("acme", job)
    assert record is not None
    assert full(record).attempts == []
    await real.apply([started])
    await real.apply([ended])
    record = await real.get("acme", job)
    assert record is not None
    assert [attempt.state for attempt in full(record).attempts] == [jobs_pb2.Job.SUCCEEDED]


async def test_nothing_that_is_secret_in_a_job_is_kept(mongo: mongo.Client) -> None:
    real = MongoHistory(mongo)
    await real.prepare()
    submission, *rest = life(ids.new_job_id("http"), Event.STARTED, Event.RETRYING, Event.STARTED, Event.SUCCEEDED)
    asked = submission.submission
    asked.params = b'{"headers": {"authorization": "canary-params"}}'
    asked.callback_url = "https://client.example/canary-url"
    asked.sealed_callback_secret = b"canary-sealed"
    asked.idempotency_key = "canary-key"
    asked.fingerprint = b"canary-fingerprint"
    asked.batch.sealed_callback_secret = b"canary-of-the-batch"
    asked.batch.callback_url = "https://client.example/canary-of-the-batch"
    asked.stored_params.sha256 = b"canary-digest"
    for entry in [entry_of(event) for event in (submission, *rest)]:
        await real.apply([entry])
    dump = [bson.encode(document) async for document in database_of(mongo).jobs.find({})]
    assert len(dump) == 1
    assert b"body" in dump[0], "the result is there"
    assert b"canary" not in dump[0]
