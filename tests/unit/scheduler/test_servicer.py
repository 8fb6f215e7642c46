"""What intake is answered: a cancel that cannot be signaled, and why a job waits while its queue is rebuilt."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import pytest
from penstock.events.v1 import events_pb2
from penstock.jobs.v1 import jobs_pb2
from penstock.scheduler.v1 import scheduler_pb2

from services.scheduler.domain import Canceled, Fact, Fence, State
from services.scheduler.scripts import RecoveryNeeded
from services.scheduler.servicer import SchedulerServicer
from shared import ids
from shared.errors import InvalidArgument, Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

JOB = ids.new_job_id("http")
CANCELED = Fact(
    job_id=JOB,
    tenant="acme",
    revision=3,
    time_ms=1,
    state=State.CANCELED,
    attempt=1,
    started_at_ms=1,
    not_before_ms=0,
    finished_at_ms=1,
    reason="",
    sequence=7,
    has_callback=False,
    fence=Fence(1, 1),
    worker="w1",
    posted="posted",
)


@dataclass
class Around:
    """Queue, outbox and signals in one: as a test sets them, and what they were told."""

    running: bool = True
    forced: list[bool] = field(default_factory=list)
    published: list[Fact] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    announced: list[str] = field(default_factory=list)
    nats_away: bool = False

    async def cancel(self, upstream: str, job_id: str, *, tenant: str, force: bool) -> Canceled:
        assert (upstream, job_id, tenant) == ("http", JOB, "acme")
        self.forced.append(force)
        return Canceled(fact=CANCELED, running=self.running)

    async def explain(self, upstream: str, job_id: str, *, tenant: str) -> Any:
        raise RecoveryNeeded(upstream)

    async def publish(self, upstream: str, facts: Sequence[Fact]) -> None:
        self.published += facts

    async def announce(self, upstream: str) -> None:
        if self.nats_away:
            raise Unavailable("NATS does not answer")
        self.announced.append(upstream)

    async def break_off(self, job_ids: Sequence[str]) -> None:
        if self.nats_away:
            raise Unavailable("NATS does not answer")
        self.told += job_ids


def servicer(around: Around) -> SchedulerServicer:
    part = cast("Any", around)
    return SchedulerServicer(upstreams=part, leases=part, queue=part, outbox=part, signals=part)


async def cancel(around: Around, *, force: bool, tenant: str = "acme") -> events_pb2.JobEvent:
    request = scheduler_pb2.CancelRequest(job_id=JOB, tenant=tenant, force=force)
    return await servicer(around).Cancel(request, cast("Any", None))


@pytest.mark.parametrize("force", [True, False])
async def test_the_worker_of_a_job_that_ran_is_told(*, force: bool) -> None:
    around = Around()
    event = await cancel(around, force=force)
    assert event.type == events_pb2.JobEvent.CANCELED
    assert (around.forced, around.told, around.published) == ([force], [JOB], [CANCELED])


async def test_a_job_that_did_not_run_leaves_its_place_to_another() -> None:
    around = Around(running=False)
    await cancel(around, force=True)
    assert (around.told, around.announced, around.published) == ([], ["http"], [CANCELED])


@pytest.mark.parametrize("running", [True, False])
async def test_a_signal_that_is_lost_fails_no_cancel(*, running: bool) -> None:
    around = Around(running=running, nats_away=True)
    assert (await cancel(around, force=True)).state == jobs_pb2.Job.CANCELED
    assert around.published == [CANCELED]


async def test_whose_job_it_is_must_be_told() -> None:
    around = Around()
    with pytest.raises(InvalidArgument, match="tenant: is empty"):
        await cancel(around, force=True, tenant="")
    with pytest.raises(InvalidArgument, match="tenant: is empty"):
        await servicer(around).Explain(scheduler_pb2.ExplainRequest(job_id=JOB), cast("Any", None))
    assert around.forced == []


async def test_a_job_of_a_queue_that_is_rebuilt_waits_for_that() -> None:
    request = scheduler_pb2.ExplainRequest(job_id=JOB, tenant="acme")
    explanation = await servicer(Around()).Explain(request, cast("Any", None))
    assert [hold.kind for hold in explanation.holds] == [jobs_pb2.Hold.RECOVERY]
