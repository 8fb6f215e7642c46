"""What everything that finds jobs does: the fake in memory and the real one in MongoDB."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from penstock.events.v1 import events_pb2
from penstock.jobs.v1 import jobs_pb2

from services.history.jobs.domain import Filter
from services.history.jobs.messages import basic, full
from services.history.jobs.reading import entry_of
from services.history.jobs.store import MongoHistory
from services.history.listing.pages import page_of
from services.history.listing.store import MongoJobLists
from shared import ids, mongo
from shared.paging import Position
from tests.fakes.history_store import FakeHistory

if TYPE_CHECKING:
    from services.history.jobs.domain import Entry
    from services.history.jobs.store import HistoryStore
    from services.history.listing.pages import Page
    from services.history.listing.store import JobLists
    from shared.paging import Cursor

NOW = datetime(2026, 5, 4, 10, 30, 15, 123000, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Kept:
    """What keeps jobs, and what finds them there."""

    store: HistoryStore
    lists: JobLists


@pytest.fixture
def fake_kept() -> Kept:
    fake = FakeHistory()
    return Kept(fake, fake)


@pytest.fixture
async def mongo_kept(mongo: mongo.Client) -> Kept:
    kept = Kept(MongoHistory(mongo), MongoJobLists(mongo))
    await kept.store.prepare()
    return kept


@pytest.fixture(params=["fake_kept", "mongo_kept"])
def kept(request: pytest.FixtureRequest) -> Kept:
    return request.getfixturevalue(request.param)


def submitted(
    job_id: str, *, tenant: str = "acme", at: datetime = NOW, labels: tuple[str, ...] = (), **job: Any
) -> Entry:
    event = events_pb2.JobEvent(
        type=events_pb2.JobEvent.SUBMITTED, job_id=job_id, tenant=tenant, revision=1, state=jobs_pb2.Job.QUEUED
    )
    event.time.FromDatetime(at)
    known = {"upstream": "http", "method": "http.get", "priority": jobs_pb2.Job.NORMAL, **job}
    event.submission.job.MergeFrom(jobs_pb2.Job(id=job_id, state=jobs_pb2.Job.QUEUED, revision=1, **known))
    event.submission.job.created_at.FromDatetime(at)
    return entry_of(event, labels=labels)


def left_in(job_id: str, state: jobs_pb2.Job.State, *, revision: int = 2) -> Entry:
    event = events_pb2.JobEvent(job_id=job_id, tenant="acme", revision=revision, state=state, attempt=1)
    event.time.FromDatetime(NOW + revision * SECOND)
    if state == jobs_pb2.Job.SUCCEEDED:
        event.result.inline.text, event.result.size = "body", 4
    return entry_of(event)


async def found(kept: Kept, wanted: Filter, *, oldest_first: bool = False) -> list[str]:
    listed = await kept.lists.page("acme", wanted, after=None, limit=100, oldest_first=oldest_first)
    assert await kept.lists.count("acme", wanted, limit=100) == len(listed)
    return [position.id for position, _ in listed]


BATCH, CONNECTION = ids.new_batch_id(), ids.new_connection_id()


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Filter(), "dcba"),
        (Filter(upstream="http"), "cba"),
        (Filter(upstream="s3"), ""),
        (Filter(method="http.post"), "b"),
        (Filter(priority="HIGH"), "c"),
        (Filter(connection_id=CONNECTION), "cb"),
        (Filter(batch_id=BATCH), "da"),
        (Filter(states=("SUCCEEDED",)), "a"),
        (Filter(states=("SUCCEEDED", "QUEUED")), "dca"),
        (Filter(labels=("order=1",)), "dca"),
        (Filter(labels=("kind=x", "order=1")), "c"),
        (Filter(labels=("order",)), ""),
        (Filter(created_after=NOW + SECOND), "dcb"),
        (Filter(created_before=NOW + SECOND), "a"),
        (Filter(created_after=NOW + SECOND, created_before=NOW + 2 * SECOND), "b"),
        (Filter(method="http.get", states=("QUEUED",)), "c"),
        (Filter(states=("FAILED",), connection_id=CONNECTION), "b"),
        (Filter(states=("FAILED",), connection_id=CONNECTION, priority="HIGH"), ""),
    ],
)
async def test_filters_must_all_match_in_either_order(kept: Kept, wanted: Filter, expected: str) -> None:
    names = {ids.new_job_id("http"): name for name in "abcd"}
    a, b, c, d = names
    await kept.store.apply(
        [
            submitted(a, labels=("order=1",), batch_id=BATCH),
            submitted(b, at=NOW + SECOND, method="http.post", connection_id=CONNECTION),
            submitted(
                c,
                at=NOW + 2 * SECOND,
                priority=jobs_pb2.Job.HIGH,
                connection_id=CONNECTION,
                labels=("kind=x", "order=1"),
            ),
            submitted(
                d, at=NOW + 3 * SECOND, upstream="flickr", method="flickr.x", batch_id=BATCH, labels=("order=1",)
            ),
            submitted(ids.new_job_id("http"), tenant="other", labels=("order=1",), batch_id=BATCH),
        ]
    )
    await kept.store.apply([left_in(a, jobs_pb2.Job.SUCCEEDED), left_in(b, jobs_pb2.Job.FAILED)])
    await kept.store.apply([left_in(ids.new_job_id("http"), jobs_pb2.Job.RUNNING)])  # its submission has not come yet
    assert "".join(names[job_id] for job_id in await found(kept, wanted)) == expected
    assert "".join(names[job_id] for job_id in await found(kept, wanted, oldest_first=True)) == expected[::-1]


async def test_a_list_has_no_results_and_attempts_where_they_are_asked_for(kept: Kept) -> None:
    job_id = ids.new_job_id("http")
    await kept.store.apply([submitted(job_id)])
    await kept.store.apply([left_in(job_id, jobs_pb2.Job.SUCCEEDED)])
    [(_, bare)] = await kept.lists.page("acme", Filter(), after=None, limit=1)
    [(_, whole)] = await kept.lists.page("acme", Filter(), after=None, limit=1, whole=True)
    for record in (bare, whole):
        assert record.result is None
        assert (basic(record).result.size, basic(record).result.WhichOneof("content")) == (4, None)
    assert bare.timeline == ()
    assert [attempt.state for attempt in full(whole).attempts] == [jobs_pb2.Job.SUCCEEDED]


async def test_a_job_has_one_place_for_its_tenant_alone(kept: Kept) -> None:
    job_id, unseen = ids.new_job_id("http"), ids.new_job_id("http")
    await kept.store.apply([submitted(job_id), left_in(unseen, jobs_pb2.Job.RUNNING)])
    assert await kept.lists.position("acme", job_id) == Position(created_at=NOW, id=job_id)
    assert await kept.lists.position("other", job_id) is None
    assert await kept.lists.position("acme", unseen) is None


async def test_a_count_goes_no_further_than_it_must(kept: Kept) -> None:
    await kept.store.apply([submitted(ids.new_job_id("http")) for _ in range(5)])
    assert [await kept.lists.count("acme", Filter(), limit=limit) for limit in (3, 5, 6)] == [3, 5, 5]
    assert await kept.lists.count("acme", Filter(states=("FAILED",)), limit=3) == 0


#: Of each step through the pages: how many jobs come before it, whether it goes back, and the size of its page.
STEPS = st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.integers(1, 4)), max_size=12)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    times=st.lists(st.integers(0, 6), min_size=1, max_size=14),
    later=st.integers(0, 8),
    steps=STEPS,
    oldest=st.booleans(),
)
async def test_pages_have_every_job_once_in_both_directions_whatever_comes_meanwhile(
    kept: Kept, times: list[int], later: int, steps: list[tuple[int, bool, int]], *, oldest: bool
) -> None:
    tenant = ids.new_job_id("t")  # a list of its own for each example

    def new(at: int) -> Entry:
        return submitted(ids.new_job_id("http"), tenant=tenant, at=NOW + at * MILLISECOND)

    async def page(cursor: Cursor | None, size: int) -> Page:
        return await page_of(kept.lists, tenant, Filter(), cursor=cursor, size=size, oldest=oldest)

    def ids_of(page: Page) -> list[str]:
        return [basic(record).id for record in page.records]

    first = [new(at) for at in times]
    await kept.store.apply(first)
    order = sorted(first, key=lambda entry: (entry.submitted.created_at, entry.job_id), reverse=not oldest)
    expected = [entry.job_id for entry in order]
    there = set(expected)

    # Wander to and fro while jobs come anywhere: of those that were there, a step on shows those that follow.
    current = await page(None, 2)
    shown = [job for job in ids_of(current) if job in there]
    assert shown == expected[: len(shown)]
    for count, back, size in steps:
        for at in range(count):
            await kept.store.apply([new(later % (at + 7))])
        cursor = current.previous if back else current.next
        if cursor is None:
            continue
        before = ids_of(current)
        current = await page(cursor, size)
        both = [*ids_of(current), *before] if back else [*before, *ids_of(current)]
        assert len(set(both)) == len(both), "no job twice"
        old = [job for job in both if job in there]
        begin = expected.index(old[0]) if old else 0
        assert old == expected[begin : begin + len(old)], "none of them left out"
        assert len(current.records) <= size

    # And read whole, on to the end and back to the beginning.
    pages = [await page(None, 3)]
    while (cursor := pages[-1].next) is not None:
        await kept.store.apply([new(later)])
        pages.append(await page(cursor, 3))
    read = [job for each in pages for job in ids_of(each)]
    assert len(set(read)) == len(read)
    assert [job for job in read if job in there] == expected
    back = [pages[-1]]
    while (cursor := back[-1].previous) is not None:
        back.append(await page(cursor, 3))
    returned = list(itertools.chain.from_iterable(ids_of(each) for each in reversed(back)))
    assert len(set(returned)) == len(returned)
    assert [job for job in returned if job in there] == expected


async def test_a_page_whose_jobs_are_gone_leads_on_and_back_all_the_same(kept: Kept) -> None:
    jobs = sorted((submitted(ids.new_job_id("http")) for _ in range(4)), key=lambda entry: entry.job_id)
    await kept.store.apply(jobs)
    queued = Filter(states=("QUEUED",))
    first = await page_of(kept.lists, "acme", queued, cursor=None, size=2, oldest=True)
    second = await page_of(kept.lists, "acme", queued, cursor=first.next, size=2, oldest=True)
    assert second.next is None
    await kept.store.apply([left_in(entry.job_id, jobs_pb2.Job.FAILED) for entry in jobs[2:]])
    gone = await page_of(kept.lists, "acme", queued, cursor=first.next, size=2, oldest=True)
    assert (list(gone.records), gone.next) == ([], None)
    back = await page_of(kept.lists, "acme", queued, cursor=gone.previous, size=2, oldest=True)
    assert [basic(record).id for record in back.records] == [entry.job_id for entry in jobs[:2]]
    await kept.store.apply([left_in(entry.job_id, jobs_pb2.Job.FAILED) for entry in jobs[:2]])
    none = await page_of(kept.lists, "acme", queued, cursor=second.previous, size=2, oldest=True)
    assert (list(none.records), none.previous) == ([], None)
    assert none.next is not None
