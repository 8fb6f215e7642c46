"""What is done to many jobs: once each, at a bounded rate, whatever dies meanwhile."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from penstock.events.v1 import events_pb2
from penstock.history.v1 import history_pb2

from services.history.jobs.domain import Record
from services.history.operations.bulk.domain import Outcome, Pace, Picked
from services.history.operations.bulk.runner import BulkRunner
from services.history.operations.domain import Kind, Operation, State
from shared import ids
from shared.bus import Progress
from shared.paging import Position
from tests.fakes.doomed import Died, dying
from tests.fakes.operations import NOW, SECOND, make_operation
from tests.unit.webhooks.conftest import Time

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from services.history.jobs.domain import Filter
    from services.history.listing.store import Listed


@dataclass
class Job:
    id: str
    sequence: int
    state: str
    created_at: datetime


@dataclass
class Mesh:
    """Jobs, and what intake does to them; each retry fails at once, so that it would match again."""

    time: Time = field(default_factory=lambda: Time(NOW))
    jobs: list[Job] = field(default_factory=list)
    made: list[str] = field(default_factory=list)
    at: list[datetime] = field(default_factory=list)
    room: int = 10_000
    behind: int = 0

    def add(self, count: int, state: str) -> None:
        for _ in range(count):
            self.jobs.append(Job(ids.new_job_id("http"), len(self.jobs) + 1, state, NOW - SECOND))

    def matching(self, wanted: Filter) -> list[Job]:
        before = wanted.created_before
        found = [
            each for each in self.jobs if each.state in wanted.states and (before is None or each.created_at < before)
        ]
        return sorted(found, key=lambda each: (each.created_at, each.id))

    async def page(
        self,
        tenant: str,
        wanted: Filter,
        *,
        after: Position | None,
        limit: int,
        oldest_first: bool = False,
        whole: bool = False,
    ) -> list[Listed]:
        assert (tenant, oldest_first, whole) == ("acme", True, False)
        found = self.matching(wanted)
        if after is not None:
            found = [each for each in found if (each.created_at, each.id) > (after.created_at, after.id)]
        return [(Position(created_at=each.created_at, id=each.id), self.record(each)) for each in found[:limit]]

    @staticmethod
    def record(job: Job) -> Record:
        event = events_pb2.JobEvent(job_id=job.id, submitted_sequence=0 if job.state == "QUEUED" else job.sequence)
        return Record(job=b"", event=event.SerializeToString(), result=None)

    async def count(self, tenant: str, wanted: Filter, *, limit: int) -> int:
        assert tenant == "acme"
        return min(limit, len(self.matching(wanted)))

    async def position(self, tenant: str, job_id: str) -> Position | None:
        raise NotImplementedError

    async def progress(self, stream: str, durable: str) -> Progress:
        assert (stream, durable) == ("JOBS", "history")
        return Progress(acknowledged=len(self.jobs) - self.behind, given=len(self.jobs))

    async def newest(self, stream: str, subject: str) -> int:
        assert (stream, subject) == ("JOBS", "jobs.*.*")
        return len(self.jobs)

    async def cancel(self, tenant: str, jobs: Sequence[Picked], *, force: bool) -> list[Outcome]:
        del tenant, force
        by_id = {each.id: each for each in self.jobs}
        outcomes: list[Outcome] = []
        for each in jobs:
            over = by_id[each.job_id].state not in {"QUEUED", "CANCELED"}
            outcomes.append(Outcome(job_id=each.job_id, reason="JOB_FINISHED" if over else "", message="why"))
            by_id[each.job_id].state = by_id[each.job_id].state if over else "CANCELED"
        return outcomes

    async def retry(
        self, tenant: str, jobs: Sequence[Picked], *, principal: str, operation: str
    ) -> tuple[list[Outcome], timedelta]:
        assert (tenant, principal) == ("acme", "key_1")
        assert operation
        outcomes: list[Outcome] = []
        for each in jobs:
            if each.job_id in self.made:  # known by its key
                outcomes.append(Outcome(job_id=each.job_id))
            elif self.room:
                self.room -= 1
                self.made.append(each.job_id)
                self.at.append(self.time.at)
                # By a clock that is behind ours.
                self.jobs.append(Job(ids.new_job_id("http"), len(self.jobs) + 1, "FAILED", NOW - SECOND))
                outcomes.append(Outcome(job_id=each.job_id))
            else:
                outcomes.append(Outcome(job_id=each.job_id, reason="QUEUE_FULL"))
        return outcomes, timedelta(seconds=7)

    async def run(self, operation: Operation, *, turns: int = 10_000) -> Operation:
        """Takes turns to the end; the time is moved on to when the next one is due."""
        runner = BulkRunner(lists=self, intake=self, log=self, clock=self.time)
        for _ in range(turns):
            step = await runner.take_turn(operation)
            operation = replace(
                operation, metadata=step.metadata, cursor=step.cursor, state=step.state, response=step.response
            )
            if step.due_at is None:
                return operation
            self.time.at = max(self.time.at, step.due_at)
        return operation


@pytest.fixture
def mesh() -> Mesh:
    return Mesh()


def canceling() -> Operation:
    request = history_pb2.CancelJobsRequest(filter=history_pb2.JobFilter(method="http.get"))
    return make_operation(kind=Kind.CANCEL_JOBS, request=request.SerializeToString(), metadata=b"")


def retrying(per_second: int = 100) -> Operation:
    request = history_pb2.RetryJobsRequest(filter=history_pb2.JobFilter(method="m"), max_per_second=per_second)
    return make_operation(kind=Kind.RETRY_JOBS, request=request.SerializeToString(), metadata=b"")


def told(operation: Operation) -> history_pb2.BulkMetadata:
    return history_pb2.BulkMetadata.FromString(operation.metadata)


async def test_every_job_that_waits_is_canceled_and_those_that_cannot_be_are_told(mesh: Mesh) -> None:
    mesh.add(1000, "QUEUED")
    mesh.add(5, "RUNNING")
    operation = await mesh.run(canceling(), turns=2)  # it has taken its first hand
    for job in mesh.jobs[:30]:
        job.state = "SUCCEEDED"
    over = await mesh.run(operation)
    metadata = told(over)
    assert (metadata.matched, metadata.succeeded, dict(metadata.failed)) == (1000, 970, {"JOB_FINISHED": 30})
    assert [(each.reason, each.message) for each in metadata.failures] == [("JOB_FINISHED", "why")] * 20
    response = history_pb2.BulkResponse.FromString(over.response)
    assert (response.matched, response.succeeded, dict(response.failed)) == (1000, 970, {"JOB_FINISHED": 30})
    assert sum(job.state == "RUNNING" for job in mesh.jobs) == 5


async def test_each_is_tried_again_once_and_never_what_came_of_that(mesh: Mesh) -> None:
    mesh.add(120, "FAILED")
    old = sorted(job.id for job in mesh.jobs)
    over = await mesh.run(retrying())
    assert (over.state, told(over).matched, told(over).succeeded) == (State.SUCCEEDED, 120, 120)
    assert sorted(mesh.made) == old


@pytest.mark.parametrize("per_second", [1, 3, 100, 1000])
async def test_no_second_sees_more_retries_than_were_asked_for(mesh: Mesh, per_second: int) -> None:
    mesh.add(per_second * 2 + 1, "FAILED")
    await mesh.run(retrying(per_second))
    assert max(sum(start <= at < start + SECOND for at in mesh.at) for start in set(mesh.at)) <= per_second
    assert Pace(per_second).at_once >= 1


async def test_where_there_is_no_room_the_rest_waits_for_it(mesh: Mesh) -> None:
    mesh.add(30, "FAILED")
    mesh.room = 10
    operation = await mesh.run(retrying(), turns=4)
    assert (operation.state, told(operation).succeeded, dict(told(operation).failed)) == (State.RUNNING, 10, {})
    assert mesh.time.at >= NOW + timedelta(seconds=7)
    mesh.room = 100
    over = await mesh.run(operation)
    assert (told(over).succeeded, len(mesh.made), len(set(mesh.made))) == (30, 30, 30)


async def test_it_begins_when_history_has_heard_of_all_that_was_submitted_before(mesh: Mesh) -> None:
    mesh.add(3, "QUEUED")
    mesh.behind = 1
    operation = await mesh.run(canceling(), turns=20)
    assert (operation.state, told(operation).matched) == (State.RUNNING, 0)
    mesh.behind = 0
    assert told(await mesh.run(operation)).succeeded == 3


async def test_a_cancel_ends_it_with_what_was_done_so_far(mesh: Mesh) -> None:
    mesh.add(30, "FAILED")
    operation = await mesh.run(retrying(10), turns=4)
    over = await mesh.run(replace(operation, cancel_requested=True))
    assert over.state is State.CANCELED
    # among those looked at may be one that it has made itself, which is passed over
    assert 0 < told(over).succeeded == len(mesh.made) <= 10
    assert over.response == b""


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("kind", list(Kind)[:2])
async def test_whoever_goes_on_after_a_death_does_each_once_and_counts_each_once(
    mesh: Mesh, kind: Kind, *, after: bool
) -> None:
    mesh.add(90, "QUEUED" if kind is Kind.CANCEL_JOBS else "FAILED")
    operation = canceling() if kind is Kind.CANCEL_JOBS else retrying(40)
    while operation.state is State.RUNNING:
        doomed = BulkRunner(lists=mesh, intake=mesh, log=mesh, clock=mesh.time)
        name = "cancel" if kind is Kind.CANCEL_JOBS else "retry"
        living = getattr(mesh, name)
        setattr(mesh, name, dying(living, after=after))
        try:
            await doomed.take_turn(operation)
        except Died:  # and nothing of the turn is kept
            pass
        finally:
            delattr(mesh, name)
        operation = await mesh.run(operation, turns=1)
    assert (operation.state, told(operation).succeeded) == (State.SUCCEEDED, 90)
    assert len(mesh.made) == len(set(mesh.made)) == (0 if kind is Kind.CANCEL_JOBS else 90)
    assert sum(job.state == "CANCELED" for job in mesh.jobs) == (90 if kind is Kind.CANCEL_JOBS else 0)
