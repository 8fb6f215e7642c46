"""What a submit of a batch comes to: all of it, or nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from penstock.events.v1 import events_pb2
from penstock.jobs.v1 import batches_pb2, jobs_pb2

from services.intake.batch_ends import BatchEnds
from services.intake.contract import change_of
from services.intake.reading import read_batch_draft, read_draft
from shared import errors, ids
from shared.identity import Principal, PrincipalKind
from tests.fakes.intake_batches import FakeBatchStore
from tests.fakes.intake_requests import request
from tests.fakes.intake_store import FakeJobStore
from tests.fakes.intake_submitters import SEALER, batch_submitter_of, submitter_of
from tests.fakes.intake_tally import roomy_tally
from tests.fakes.objects import FakeObjects

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shared.bus import Outgoing

PRINCIPAL = Principal(kind=PrincipalKind.KEY, id="key_1", tenant="acme", scopes=frozenset())
SECRET = "a secret of more than 24 characters"


@dataclass
class World:
    """A store and a log; the log may fail."""

    store: FakeJobStore = field(default_factory=FakeJobStore)
    batches: FakeBatchStore = field(default_factory=FakeBatchStore)
    groups: list[Sequence[Outgoing]] = field(default_factory=list)
    objects: FakeObjects = field(default_factory=FakeObjects)
    fails: bool = False

    async def publish_whole(self, messages: Sequence[Outgoing]) -> None:
        self.groups.append(messages)
        if self.fails:
            raise errors.Unavailable("no acknowledgement came")

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        """Takes notices."""

    @property
    def events(self) -> list[events_pb2.JobEvent]:
        return [events_pb2.JobEvent.FromString(message.payload) for group in self.groups for message in group]

    async def project(self) -> None:
        changes = [change_of(event) for event in self.events]
        await BatchEnds(store=self.batches, publisher=self).follow(changes, await self.store.apply(changes))

    async def send(
        self,
        *jobs: jobs_pb2.SubmitJobRequest,
        metadata: Mapping[str, str] | None = None,
        max_pending: int = 1000,
        **fields: Any,
    ) -> batches_pb2.Batch:
        draft = read_batch_draft(batches_pb2.SubmitBatchRequest(jobs=jobs, **fields), metadata or {})
        through = batch_submitter_of(self.store, self.batches, self, max_pending=max_pending, objects=self.objects)
        return await through.submit(draft, PRINCIPAL, remaining_s=0.3)


def two() -> list[jobs_pb2.SubmitJobRequest]:
    return [request(), request(metadata={"order": "2"}, priority=jobs_pb2.Job.HIGH)]


async def refused(world: World, *jobs: jobs_pb2.SubmitJobRequest, **fields: Any) -> dict[str, str]:
    with pytest.raises(errors.InvalidArgument) as error:
        await world.send(*jobs, **fields)
    assert world.groups == []
    assert world.store._tenants.get("acme") is None
    return {violation.field: violation.description for violation in error.value.violations}


async def test_a_batch_is_published_as_a_whole_and_answered_with_its_jobs_in_order() -> None:
    world = World()
    batch = await world.send(*two(), request_id="k", callback_url="https://client.example/", callback_secret=SECRET)
    [messages] = world.groups
    assert [message.message_id for message in messages] == [job.id for job in batch.jobs]
    assert [job.id for job in batch.jobs] == [ids.job_id_in_batch(batch.id, index, "http") for index in range(2)]
    assert (batch.size, batch.counts) == (2, batches_pb2.BatchCounts(queued=2))
    assert [job.metadata for job in batch.jobs] == [{}, {"order": "2"}]
    assert {job.batch_id for job in batch.jobs} == {batch.id}
    assert batch.created_at == batch.jobs[0].created_at
    assert not batch.HasField("finished_at")
    first, second = (event.submission for event in world.events)
    assert (first.batch.id, first.batch.index, first.batch.size) == (batch.id, 0, 2)
    assert first.batch.callback_url == "https://client.example/"
    assert SEALER.open(first.batch.sealed_callback_secret, "acme", batch.id) == SECRET.encode()
    assert (first.idempotency_key, second.idempotency_key) == ("k", "")
    assert second.batch == events_pb2.BatchMembership(id=batch.id, index=1, size=2)


async def test_the_same_request_again_is_the_same_batch_as_it_stands_then() -> None:
    world = World()
    first = await world.send(*two(), request_id="k")
    await world.project()
    assert await world.send(*two(), metadata={"idempotency-key": '"k"'}) == first
    assert len(world.groups) == 1


async def test_a_batch_of_one_is_another_request_than_its_job() -> None:
    world = World()
    await world.send(request(), request_id="k")
    with pytest.raises(errors.IdempotencyKeyReused) as reused:
        await submitter_of(world.store, world).submit(
            read_draft(request(request_id="k"), {}), PRINCIPAL, remaining_s=None
        )
    assert ids.is_batch_id(reused.value.metadata["batch"])


@pytest.mark.parametrize(
    "changed",
    [
        {"jobs": [request()]},
        {"jobs": list(reversed(two()))},
        {"callback_url": "https://client.example/other"},
        {"callback_url": "https://client.example/", "callback_secret": SECRET},
    ],
)
async def test_another_batch_under_the_same_key_is_refused(changed: dict[str, Any]) -> None:
    world = World()
    await world.send(*two(), request_id="k", callback_url="https://client.example/")
    fields = {"jobs": two(), "callback_url": "https://client.example/"} | changed
    with pytest.raises(errors.IdempotencyKeyReused):
        await world.send(*fields.pop("jobs"), request_id="k", **fields)


async def test_the_upstream_of_the_batch_is_that_of_jobs_which_name_none() -> None:
    world = World()
    named = await world.send(request(), request(), request_id="k")
    await world.project()
    assert await world.send(request(upstream=""), request(), upstream="http", request_id="k") == named


async def test_every_fault_of_every_job_is_told_under_its_index() -> None:
    faults = await refused(
        World(),
        request(),
        request(method="http.got", request_id="mine"),
        request(upstream="empty"),
        request(params={"url": "https://example.com/", "page": 1.5}, priority=9),
        upstream="http",
        callback_secret="short",
    )
    assert set(faults) == {
        "jobs[1].method",
        "jobs[1].requestId",
        "jobs[2].upstream",
        "jobs[2].method",
        "jobs[3].params.page",
        "jobs[3].priority",
        "callbackSecret",
    }
    assert "beside jobs" in faults["jobs[1].requestId"]


async def test_of_too_many_faults_all_jobs_that_have_them_are_told() -> None:
    with pytest.raises(errors.InvalidArgument) as error:
        await World().send(request(), *(request(method="", priority=9) for _ in range(99)))
    assert len(error.value.violations) == 32
    assert error.value.metadata["faulty_jobs"].split(",") == [str(index) for index in range(1, 100)]
    assert "in all of the jobs 1,2,3" in error.value.message


@pytest.mark.parametrize("count", [0, 101, 5000])
async def test_a_batch_has_1_to_100_jobs(count: int) -> None:
    assert (await refused(World(), *[request()] * count))["jobs"] == f"has {count} jobs; a batch takes 1 to 100"


async def test_params_that_are_too_large_are_told_as_such() -> None:
    with pytest.raises(errors.TooLarge) as error:
        await World().send(request(), request(params={"url": "https://example.com/", "json": "x" * 2_000_000}))
    assert [violation.field for violation in error.value.violations] == ["jobs[1].params"]


async def test_a_batch_counts_as_its_jobs() -> None:
    world = World()
    await world.send(*two(), max_pending=3)
    with pytest.raises(errors.QueueFull) as full:
        await world.send(*two(), max_pending=3)
    assert full.value.metadata["pending"] == "2"
    assert "too many for 2 more" in full.value.message
    await world.send(request(), max_pending=3)
    with pytest.raises(errors.QueueFull, match="submit smaller ones"):
        await World().send(*two(), *two(), max_pending=3)


async def test_all_tenants_have_room_for_as_many_jobs_as_it_has() -> None:
    world, tally = World(), roomy_tally(cap=3)
    draft = read_batch_draft(batches_pb2.SubmitBatchRequest(jobs=[*two(), *two()]), {})
    through = batch_submitter_of(world.store, world.batches, world, tally=tally)
    await through.submit(draft, PRINCIPAL, remaining_s=None)  # the cap of all is about, and not to the job
    with pytest.raises(errors.QueueFull):
        await through.submit(draft, PRINCIPAL, remaining_s=None)


async def test_a_batch_that_could_not_be_published_counts_no_more_and_its_retry_is_the_same() -> None:
    world = World(fails=True)
    with pytest.raises(errors.Unavailable) as unavailable:
        await world.send(*two(), request_id="k", max_pending=2)
    world.fails = False
    batch = await world.send(*two(), request_id="k", max_pending=2)
    assert batch.id == unavailable.value.metadata["batch"]
    assert {tuple(message.message_id for message in group) for group in world.groups} == {
        tuple(job.id for job in batch.jobs)
    }


async def test_a_batch_that_was_good_when_it_came_is_replayed_when_its_times_are_over() -> None:
    world = World()
    soon = request()
    soon.expires_at.FromDatetime(datetime.now(UTC) + timedelta(milliseconds=200))
    first = await world.send(soon, request_id="k")
    await world.project()
    late = read_batch_draft(batches_pb2.SubmitBatchRequest(jobs=[soon], request_id="k"), {})
    submitter = batch_submitter_of(world.store, world.batches, world)
    submitter._clock = Later()
    assert await submitter.submit(late, PRINCIPAL, remaining_s=None) == first
    with pytest.raises(errors.InvalidArgument):
        await world.send(request(method=""), request_id="k")
    with pytest.raises(errors.InvalidArgument):
        await world.send(request(params={"url": float("nan")}), request_id="k")


def large(fill: str = "x") -> jobs_pb2.SubmitJobRequest:
    return request(params={"url": "https://example.com/", "json": fill * 70_000})


async def test_large_params_of_a_batch_lie_in_the_object_store_before_it_is_published() -> None:
    world = World()
    await world.send(large(), request(), large(), large("y"))
    assert len(world.objects.objects) == 2  # the same params lie there once
    assert [bool(event.submission.params) for event in world.events] == [False, True, False, False]
    assert {event.submission.stored_params.size > 70_000 for event in world.events} == {True, False}


async def test_a_batch_whose_large_params_cannot_be_kept_is_not_accepted_and_counts_no_more() -> None:
    world = World()
    world.objects.away = True
    with pytest.raises(errors.Unavailable) as away:
        await world.send(large(), request(), max_pending=2, request_id="k")
    assert (away.value.metadata["dependency"], world.groups) == ("objects", [])
    world.objects.away = False
    assert (await world.send(large(), request(), max_pending=2, request_id="k")).size == 2


async def test_a_batch_that_is_too_late_is_not_refused_while_its_key_may_be_lost() -> None:
    world = World()
    world.store.rebuilding = True
    late = request()
    late.expires_at.FromSeconds(1)
    with pytest.raises(errors.Unavailable) as refused:
        await world.send(late, request_id="k")
    assert refused.value.metadata == {"dependency": "redis", "state": "rebuilding"}


async def test_a_key_whose_batch_is_not_to_be_had_says_so() -> None:
    world = World()
    first = await world.send(*two(), request_id="k")
    with pytest.raises(errors.Unavailable) as lost:  # nothing of it has been projected
        await world.send(*two(), request_id="k")
    assert lost.value.metadata == {"batch": first.id}


class Later:
    """A clock an hour ahead."""

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(hours=1)
