"""Intake on real servers, in this process, beside stand-ins for the services it calls."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import grpc
import pytest
from penstock.auth.v1 import credentials_pb2, credentials_pb2_grpc
from penstock.events.v1 import events_pb2
from penstock.history.v1 import history_pb2, history_pb2_grpc
from penstock.jobs.v1 import batches_pb2, job_service_pb2_grpc, jobs_pb2, uploads_pb2_grpc
from penstock.scheduler.v1 import scheduler_pb2, scheduler_pb2_grpc
from penstock.upstream.v1 import upstream_pb2, upstream_pb2_grpc

from services.intake.__main__ import serve
from services.intake.config import Config
from shared import errors, streams
from shared.config import Secret
from shared.rpc import call as current_call
from shared.rpc.health import Health
from shared.rpc.server import Server
from shared.rpc.status import from_rpc_error
from tests import object_stores
from tests.fakes.intake_requests import catalogue_page, request
from tests.service import channel, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from shared import kv
    from shared.bus import Bus
    from tests.identities import Identities


class UpstreamStandIn(upstream_pb2_grpc.UpstreamServiceServicer):
    """Answers with the catalogue; one page an upstream, so that pages are turned."""

    async def ListUpstreams(
        self, request: upstream_pb2.ListUpstreamsRequest, context: object
    ) -> upstream_pb2.ListUpstreamsResponse:
        upstreams = catalogue_page().upstreams
        index = int(request.page_token or 0)
        token = str(index + 1) if index + 1 < len(upstreams) else ""
        return upstream_pb2.ListUpstreamsResponse(upstreams=[upstreams[index]], next_page_token=token)


@dataclass
class SchedulerStandIn(scheduler_pb2_grpc.SchedulerServiceServicer):
    """Cancels and explains whatever it is asked to, or answers with the error it is told to."""

    error: errors.PenstockError | None = None
    asked_why: list[scheduler_pb2.ExplainRequest] = field(default_factory=list)
    asked: list[scheduler_pb2.CancelRequest] = field(default_factory=list)

    async def Cancel(self, request: scheduler_pb2.CancelRequest, context: object) -> events_pb2.JobEvent:
        self.asked.append(request)
        if self.error is not None:
            raise self.error
        return ended(request.job_id, request.tenant, "CANCELED", revision=9 if request.force else 2)

    async def Explain(self, request: scheduler_pb2.ExplainRequest, context: object) -> jobs_pb2.JobExplanation:
        self.asked_why.append(request)
        if self.error is not None:
            raise self.error
        return jobs_pb2.JobExplanation(
            job_id=request.job_id,
            state=jobs_pb2.Job.QUEUED,
            summary="it waits for its turn",
            holds=[jobs_pb2.Hold(kind=jobs_pb2.Hold.RATE, scope="lane", message="35 calls in 6 s are used")],
            place=jobs_pb2.Place(lane="example.com", ahead_in_lane=3),
        )


@dataclass
class HistoryStandIn(history_pb2_grpc.HistoryServiceServicer):
    """Has the jobs that it is given, each for its tenant alone, or answers with the error it is told to."""

    error: errors.PenstockError | None = None
    jobs: dict[tuple[str, str], jobs_pb2.Job] = field(default_factory=dict)
    batches: dict[tuple[str, str], batches_pb2.Batch] = field(default_factory=dict)
    #: Who asked.
    principals: list[str] = field(default_factory=list)

    async def GetRecordedJob(self, request: history_pb2.GetRecordedJobRequest, context: object) -> jobs_pb2.Job:
        self.principals.append(current_call.current_principal().id)
        if self.error is not None:
            raise self.error
        job = self.jobs.get((current_call.current_tenant(), request.job_id))
        if job is None:
            raise errors.JobNotFound(f"there is no job {request.job_id}", metadata={"job": request.job_id})
        return job

    async def GetRecordedBatch(
        self, request: history_pb2.GetRecordedBatchRequest, context: object
    ) -> batches_pb2.Batch:
        self.principals.append(current_call.current_principal().id)
        if self.error is not None:
            raise self.error
        batch = self.batches.get((current_call.current_tenant(), request.batch_id))
        if batch is None:
            raise errors.BatchNotFound(f"there is no batch {request.batch_id}", metadata={"batch": request.batch_id})
        return batch


@dataclass
class AuthStandIn(credentials_pb2_grpc.CredentialServiceServicer):
    """Describes the connections that it is given, or answers with the error it is told to."""

    error: errors.PenstockError | None = None
    connections: dict[tuple[str, str], credentials_pb2.ConnectionFacts] = field(default_factory=dict)
    #: Who asked for which.
    asked: list[tuple[str, str]] = field(default_factory=list)

    async def DescribeConnection(
        self, request: credentials_pb2.DescribeConnectionRequest, context: object
    ) -> credentials_pb2.ConnectionFacts:
        self.asked.append((current_call.current_principal().id, request.connection_id))
        if self.error is not None:
            raise self.error
        facts = self.connections.get((request.tenant, request.connection_id))
        if facts is None:
            raise errors.ConnectionNotFound("there is none", metadata={"connection": request.connection_id})
        return facts


@dataclass
class Intake:
    """A replica of intake, asked as tenants ask it."""

    address: str
    identities: Identities

    @asynccontextmanager
    async def jobs(
        self, tenant: str = "acme", *, metadata: dict[str, str] | None = None, scopes: tuple[str, ...] | None = None
    ) -> AsyncIterator[job_service_pb2_grpc.JobServiceAsyncStub]:
        """JobService, called in a tenant's name."""
        token = self.identities.mint(tenant) if scopes is None else self.identities.mint(tenant, scopes)
        async with channel(self.address, token, metadata=metadata) as connection:
            yield cast("job_service_pb2_grpc.JobServiceAsyncStub", job_service_pb2_grpc.JobServiceStub(connection))

    @asynccontextmanager
    async def uploads(
        self, tenant: str = "acme", *, scopes: tuple[str, ...] | None = None
    ) -> AsyncIterator[uploads_pb2_grpc.UploadServiceAsyncStub]:
        """UploadService, called in a tenant's name."""
        token = self.identities.mint(tenant) if scopes is None else self.identities.mint(tenant, scopes)
        async with channel(self.address, token) as connection:
            yield cast("uploads_pb2_grpc.UploadServiceAsyncStub", uploads_pb2_grpc.UploadServiceStub(connection))


def event(job_id: str, tenant: str, kind: str, *, revision: int, state: str = "", **fields: Any) -> events_pb2.JobEvent:
    """An event of a job, of now."""
    found = events_pb2.JobEvent(
        type=events_pb2.JobEvent.Type.Value(kind),
        job_id=job_id,
        tenant=tenant,
        upstream=job_id.partition("-")[0],
        revision=revision,
        state=jobs_pb2.Job.State.Value(state or kind),
        **fields,
    )
    found.time.GetCurrentTime()
    return found


def ended(job_id: str, tenant: str, kind: str, *, revision: int, **fields: Any) -> events_pb2.JobEvent:
    """An event by which a job ends."""
    found = event(job_id, tenant, kind, revision=revision, attempt=1, **fields)
    found.finished_at.CopyFrom(found.time)
    return found


async def publish(bus: Bus, happened: events_pb2.JobEvent) -> None:
    """Puts an event into the log, as the scheduler does."""
    kind = events_pb2.JobEvent.Type.Name(happened.type).lower()
    subject = streams.job_subject(kind, happened.upstream)
    await bus._jetstream.publish(subject, happened.SerializeToString())


async def log_of_jobs(bus: Bus) -> list[events_pb2.JobEvent]:
    """Every event in the log."""
    info = await bus._jetstream.stream_info(streams.JOBS)
    found: list[events_pb2.JobEvent] = []
    for sequence in range(info.state.first_seq, info.state.last_seq + 1) if info.state.messages else ():
        payload = await bus.read(streams.JOBS, sequence)
        if payload is not None:
            found.append(events_pb2.JobEvent.FromString(payload))
    return found


async def submit(
    intake: Intake,
    *,
    tenant: str = "acme",
    metadata: dict[str, str] | None = None,
    labels: dict[str, str] | None = None,
    **changes: Any,
) -> jobs_pb2.Job:
    """Submits until the catalogue is loaded, which a new replica does beside answering."""
    async with intake.jobs(tenant, metadata=metadata) as jobs:
        while True:
            try:
                return await jobs.SubmitJob(request(metadata=labels, **changes), timeout=120)
            except grpc.aio.AioRpcError as failure:
                error = from_rpc_error(failure)
                if error.metadata.get("dependency") != "upstream":
                    raise error from failure


@pytest.fixture
def scheduler() -> SchedulerStandIn:
    return SchedulerStandIn()


@pytest.fixture
def history() -> HistoryStandIn:
    return HistoryStandIn()


@pytest.fixture
def auth() -> AuthStandIn:
    return AuthStandIn()


@pytest.fixture
async def stand_ins(
    identities: Identities, scheduler: SchedulerStandIn, history: HistoryStandIn, auth: AuthStandIn
) -> AsyncIterator[str]:
    """The address of the services that intake calls."""
    server = Server("stand-ins", address="127.0.0.1:0", verifier=identities.verifier(), health=Health({}))
    server.add(
        upstream_pb2_grpc.add_UpstreamServiceServicer_to_server,
        UpstreamStandIn(),
        "penstock.upstream.v1.UpstreamService",
    )
    server.add(
        scheduler_pb2_grpc.add_SchedulerServiceServicer_to_server,
        scheduler,
        "penstock.scheduler.v1.SchedulerService",
    )
    server.add(history_pb2_grpc.add_HistoryServiceServicer_to_server, history, "penstock.history.v1.HistoryService")
    server.add(credentials_pb2_grpc.add_CredentialServiceServicer_to_server, auth, "penstock.auth.v1.CredentialService")
    yield f"127.0.0.1:{await server.start()}"
    await server.drain(timedelta(0))


@pytest.fixture
def servers_of_intake(bus: Bus, redis: kv.Client, redis_url: str, nats_url: str) -> tuple[Secret, Secret]:
    """Redis and NATS, empty."""
    return Secret(redis_url), Secret(nats_url)


@pytest.fixture
def config(servers_of_intake: tuple[Secret, Secret], identities: Identities, stand_ins: str) -> Config:
    """Settings of a replica."""
    redis_url, nats_url = servers_of_intake
    return Config(
        grpc_address="127.0.0.1:0",
        identity_keys_file=identities.keys_file,
        service_key=identities.service_key("intake"),
        redis_url=redis_url,
        nats_url=nats_url,
        scheduler_address=stand_ins,
        auth_address=stand_ins,
        upstream_address=stand_ins,
        history_address=stand_ins,
        **object_stores.AWAY,
        sealing_key=Secret(identities.sealing_key_file.read_text(encoding="utf-8").strip()),
        drain_timeout=timedelta(seconds=2),
    )


@asynccontextmanager
async def replica(config: Config, identities: Identities) -> AsyncIterator[Intake]:
    """A replica of intake that knows the catalogue."""
    async with running("intake", serve, config) as address:
        yield Intake(address, identities)


@pytest.fixture
async def intake(config: Config, identities: Identities) -> AsyncIterator[Intake]:
    async with replica(config, identities) as intake:
        yield intake
