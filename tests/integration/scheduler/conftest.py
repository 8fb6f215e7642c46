"""The scheduler on real servers, in this process, between stand-ins for what is around it."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError
from penstock.events.v1 import events_pb2
from penstock.jobs.v1 import jobs_pb2
from penstock.scheduler.v1 import scheduler_pb2, scheduler_pb2_grpc
from penstock.upstream.v1 import upstream_pb2, upstream_pb2_grpc

from services.scheduler import leases
from services.scheduler.__main__ import serve
from services.scheduler.config import Config
from shared import ids, kv, streams
from shared.bus import Outgoing
from shared.config import Secret
from shared.rpc import client
from shared.rpc.health import Health
from shared.rpc.server import Server
from tests.service import running
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from shared.bus import Bus, Incoming
    from tests.identities import Identities

State = jobs_pb2.Job.State
Event = events_pb2.JobEvent
#: Leases outlast a slow machine; a test that wants one to run out has it run out.
LEASE_MARGIN = timedelta(seconds=30)
ATTEMPT_TIMEOUT = timedelta(milliseconds=300)
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class CatalogueStandIn(upstream_pb2_grpc.UpstreamServiceServicer):
    """Answers with names of upstreams, one a page."""

    def __init__(self) -> None:
        self.names = ["empty", "http"]

    async def ListUpstreams(
        self, request: upstream_pb2.ListUpstreamsRequest, context: object
    ) -> upstream_pb2.ListUpstreamsResponse:
        index = int(request.page_token or 0)
        token = str(index + 1) if index + 1 < len(self.names) else ""
        upstream = upstream_pb2.Upstream(name=self.names[index])
        return upstream_pb2.ListUpstreamsResponse(upstreams=[upstream], next_page_token=token)


@dataclass
class JobsLog:
    """Every event in JOBS, by job, as it comes."""

    events: dict[str, list[Event]] = field(default_factory=dict)
    traceparents: dict[str, list[str]] = field(default_factory=dict)

    async def take(self, batch: Sequence[Incoming]) -> None:
        for message in batch:
            try:
                event = Event.FromString(message.payload)
            except DecodeError:  # what a test has put there to be dropped
                continue
            assert message.subject == f"jobs.{Event.Type.Name(event.type).lower()}.{event.upstream}"
            self.events.setdefault(event.job_id, []).append(event)
            self.traceparents.setdefault(event.job_id, []).append(message.traceparent)

    def states(self, job_id: str) -> list[str]:
        """The states that a job's events have told, without the first."""
        return [State.Name(event.state) for event in self.events.get(job_id, ())[1:]]

    async def until(self, job_id: str, *states: str) -> list[Event]:
        """The job's events but the first, when their states are these."""
        await eventually(lambda: self.states(job_id) == list(states), what=f"{job_id}: {states}")
        return self.events[job_id][1:]


@dataclass
class Mesh:
    """What is around the scheduler: intake's messages, and a worker's calls."""

    bus: Bus
    log: JobsLog
    channels: dict[str, scheduler_pb2_grpc.SchedulerServiceAsyncStub]

    @property
    def worker(self) -> scheduler_pb2_grpc.SchedulerServiceAsyncStub:
        """Called as a worker."""
        return self.channels["upstream"]

    @property
    def intake(self) -> scheduler_pb2_grpc.SchedulerServiceAsyncStub:
        """Called as intake."""
        return self.channels["intake"]

    def submission(self, tenant: str = "acme", **fields: Any) -> Event:
        """The `submitted` event of a new job."""
        return submission(tenant, **fields)

    async def submit(self, *events: Event) -> None:
        """Publishes them as intake does."""
        await self.bus.publish([submitted(event) for event in events])

    async def submitted(self, tenant: str = "acme", **fields: Any) -> str:
        """The id of a job that was submitted."""
        event = self.submission(tenant, **fields)
        await self.submit(event)
        return event.job_id

    async def lease(self, limit: int = 1, *, wait_s: float = 10.0) -> list[scheduler_pb2.Call]:
        """What a worker is given."""
        request = scheduler_pb2.LeaseRequest(upstream="http", max_jobs=limit, wait=seconds(wait_s), worker="w1")
        return list((await self.worker.Lease(request, timeout=wait_s + 30)).calls)

    async def call(self) -> scheduler_pb2.Call:
        """The one call that a worker is given."""
        (call,) = await self.lease()
        return call

    async def begin(self, call: scheduler_pb2.Call) -> None:
        """Begins it."""
        await self.worker.Begin(scheduler_pb2.BeginRequest(job_id=call.job_id, fence=call.fence), timeout=30)

    async def report(self, call: scheduler_pb2.Call, *, message_id: str = "", **outcome: Any) -> None:
        """Publishes how a call came out; with nothing said, well."""
        attempt = events_pb2.Attempt(
            job_id=call.job_id, tenant=call.tenant, upstream="http", fence=call.fence, number=call.attempt, worker="w1"
        )
        if not outcome:
            attempt.result.CopyFrom(jobs_pb2.JobResult(inline=jobs_pb2.InlineResult(status=200, text="ok"), size=2))
        for name, value in outcome.items():
            if isinstance(value, bool):
                setattr(attempt, name, value)
            else:
                getattr(attempt, name).CopyFrom(value)
        await self.bus.publish(
            [
                Outgoing(
                    subject=streams.attempt_subject("http"),
                    payload=attempt.SerializeToString(),
                    message_id=message_id or f"{call.job_id}:{call.fence.epoch}.{call.fence.count}",
                    traceparent=TRACEPARENT,
                )
            ]
        )

    async def cancel(self, job_id: str, tenant: str = "acme", *, force: bool = False) -> Event:
        """Cancels a job as intake does."""
        request = scheduler_pb2.CancelRequest(job_id=job_id, tenant=tenant, force=force)
        return await self.intake.Cancel(request, timeout=30)


async def enqueued(mesh: Mesh, redis: kv.Client, job_id: str) -> None:
    """Waits until the scheduler has taken the job in."""
    await eventually(lambda: redis.exists(f"{{sched:http}}:job:{job_id}"), what=f"{job_id} to be enqueued")


async def run_out(redis: kv.Client, *job_ids: str) -> None:
    """Has the leases of these jobs run out, as when their time is over: the next sweep takes them back."""
    await redis.zadd("{sched:http}:leases", dict.fromkeys(job_ids, 0), xx=True)


def submission(tenant: str = "acme", **fields: Any) -> Event:
    """The `submitted` event of a new job; fields of the submission, or of its job."""
    now = datetime.now(UTC)
    job_id = ids.new_job_id("http")
    job = jobs_pb2.Job(id=job_id, upstream="http", method="http.get", state=State.QUEUED, revision=1)
    job.created_at.FromDatetime(now)
    job.expires_at.FromDatetime(now + fields.pop("lifetime", timedelta(hours=1)))
    if "delay" in fields:
        job.not_before.FromDatetime(now + fields.pop("delay"))
    for name in ("connection_id", "priority"):
        if name in fields:
            setattr(job, name, fields.pop(name))
    retry = jobs_pb2.RetryPolicy(
        max_attempts=fields.pop("max_attempts", 3), initial_backoff=seconds(0.05), max_backoff=seconds(0.1)
    )
    submitted = events_pb2.Submission(
        job=job,
        params=b'{"url":"https://example.com/"}',
        retry=retry,
        method_class="read",
        idempotent=fields.pop("idempotent", True),
        attempt_timeout=seconds(fields.pop("timeout", ATTEMPT_TIMEOUT).total_seconds()),
        callback_url=fields.pop("callback_url", ""),
    )
    assert not fields, f"unknown fields {fields}"
    return Event(
        type=Event.SUBMITTED,
        job_id=job_id,
        tenant=tenant,
        upstream="http",
        revision=1,
        time=job.created_at,
        state=State.QUEUED,
        submission=submitted,
    )


def submitted(event: Event) -> Outgoing:
    """The event as intake publishes it."""
    return Outgoing(
        subject=streams.job_subject("submitted", "http"),
        payload=event.SerializeToString(),
        message_id=event.job_id,
        traceparent=TRACEPARENT,
    )


def seconds(number: float) -> Duration:
    """A duration."""
    duration = Duration()
    duration.FromTimedelta(timedelta(seconds=number))
    return duration


def error(*, retryable: bool = False, status: int = 503) -> jobs_pb2.JobError:
    """An upstream's failure."""
    return jobs_pb2.JobError(
        reason="UPSTREAM_STATUS", message=f"the upstream answered {status}", upstream_status=status, retryable=retryable
    )


@pytest.fixture
async def catalogue(identities: Identities) -> AsyncIterator[str]:
    """The address of the upstream service's stand-in."""
    server = Server("upstream", address="127.0.0.1:0", verifier=identities.verifier(), health=Health({}))
    server.add(
        upstream_pb2_grpc.add_UpstreamServiceServicer_to_server,
        CatalogueStandIn(),
        "penstock.upstream.v1.UpstreamService",
    )
    port = await server.start()
    yield f"127.0.0.1:{port}"
    await server.drain(timedelta(seconds=1))


@pytest.fixture
def config(identities: Identities, redis_url: str, nats_url: str, catalogue: str) -> Config:
    """A scheduler's settings."""
    return Config(
        grpc_address="127.0.0.1:0",
        identity_keys_file=identities.keys_file,
        service_key=identities.service_key("scheduler"),
        redis_url=Secret(redis_url),
        nats_url=Secret(nats_url),
        upstream_address=catalogue,
        lease_margin=LEASE_MARGIN,
        sweep_interval=timedelta(milliseconds=50),
        drain_timeout=timedelta(seconds=5),
    )


@pytest.fixture
async def log(bus: Bus) -> AsyncIterator[JobsLog]:
    """The log of jobs, followed."""
    followed = JobsLog()
    consumer = bus.consumer(streams.JOBS, streams.consumer_config("test", "jobs.*.*"))
    task = asyncio.create_task(consumer.run(followed.take))
    yield followed
    task.cancel()
    await asyncio.wait({task})


@asynccontextmanager
async def calling(address: str, identities: Identities, bus: Bus, log: JobsLog) -> AsyncIterator[Mesh]:
    """What is around the replica at this address."""
    async with AsyncExitStack() as stack:
        channels: dict[str, scheduler_pb2_grpc.SchedulerServiceAsyncStub] = {}
        for caller in ("upstream", "intake"):
            channel = client.connect(address, identities.service(caller), default_timeout=timedelta(seconds=10))
            stack.push_async_callback(channel.close)
            channels[caller] = cast(
                "scheduler_pb2_grpc.SchedulerServiceAsyncStub", scheduler_pb2_grpc.SchedulerServiceStub(channel)
            )
        yield Mesh(bus=bus, log=log, channels=channels)


@asynccontextmanager
async def scheduler(config: Config, identities: Identities, bus: Bus, log: JobsLog) -> AsyncIterator[Mesh]:
    """A replica whose queues are open, and what is around it."""
    async with (
        running("scheduler", serve, config) as address,
        calling(address, identities, bus, log) as mesh,
    ):
        await eventually(lambda: is_open(config), what="the queue's first opening")
        yield mesh


async def is_open(config: Config, upstream: str = "http") -> bool:
    """Whether the queue gives leases: it was built from the log since its Redis started."""
    redis = await kv.connect(config.redis_url)
    try:
        run = (await redis.info("server"))["run_id"].encode()
        return await redis.hget(f"{{sched:{upstream}}}:epoch", "run") == run
    finally:
        await kv.close(redis)


@pytest.fixture
def unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits for leases does not ask again by itself: it is woken by a signal, or not at all."""
    monkeypatch.setattr(leases, "_RECHECK", timedelta(hours=1))


@pytest.fixture
async def mesh(config: Config, identities: Identities, redis: kv.Client, bus: Bus, log: JobsLog) -> AsyncIterator[Mesh]:
    """One replica, and what is around it."""
    async with scheduler(config, identities, bus, log) as around:
        yield around
