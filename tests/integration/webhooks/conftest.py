"""The webhooks service on real servers, in this process, beside a receiver; the test is the rest of the mesh."""

from __future__ import annotations

import base64
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest
from penstock.events.v1 import events_pb2
from penstock.jobs.v1 import jobs_pb2
from penstock.webhooks.v1 import webhooks_pb2, webhooks_pb2_grpc

from services.webhooks.__main__ import serve
from services.webhooks.collecting.collector import host_of
from services.webhooks.config import Config
from services.webhooks.deliveries.domain import State, delivery_id, receiver_of, webhook_id
from services.webhooks.deliveries.store import MongoDeliveryStore
from shared import ids, streams
from shared.bus import Outgoing
from shared.config import Environment, Secret
from shared.lifecycle import Process
from shared.sealing import CALLBACK_SECRET, Sealer
from tests.integration.webhooks.endpoint_api import api_at
from tests.integration.webhooks.receiver import receiver as receiver_
from tests.service import channel, running_process
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from services.webhooks.deliveries.domain import Delivery
    from shared.bus import Bus
    from shared.mongo import Client
    from tests.identities import Identities
    from tests.integration.webhooks.endpoint_api import Api
    from tests.integration.webhooks.receiver import Receiver

TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE}-b7ad6b7169203331-01"


@dataclass
class Mesh:
    """All that surrounds the service under test."""

    config: Config
    bus: Bus
    store: MongoDeliveryStore
    receiver: Receiver
    identities: Identities
    #: By job, where its submission is in the log.
    sequences: dict[str, int] = field(default_factory=dict)
    #: By job, the callback that it names.
    urls: dict[str, str] = field(default_factory=dict)

    def process(self, **settings: Any) -> Process:
        """A replica that has not started."""
        return Process("webhooks", replace(self.config, **settings))

    @asynccontextmanager
    async def running(self, **settings: Any) -> AsyncGenerator[Process]:
        process = self.process(**settings)
        async with running_process(process, serve(cast("Config", process.config), process)):
            yield process

    async def submit(self, url: str | None = "", *, tenant: str = "acme", secret: str = "", **job: Any) -> str:
        """Puts a job into the log, as intake does: with a callback, unless its URL is None."""
        job_id = ids.new_job_id("http")
        url = f"{self.receiver.url}/hook" if url == "" else url
        sealer = Sealer.from_setting(self.config.sealing_key, CALLBACK_SECRET)
        submission = events_pb2.Submission(
            job=jobs_pb2.Job(
                id=job_id, upstream="http", method="http.get", state=jobs_pb2.Job.QUEUED, revision=1, **job
            ),
            callback_url=url or "",
            sealed_callback_secret=sealer.seal(secret.encode(), tenant, job_id) if secret else b"",
        )
        submission.job.created_at.GetCurrentTime()
        event = events_pb2.JobEvent(
            type=events_pb2.JobEvent.SUBMITTED,
            job_id=job_id,
            tenant=tenant,
            upstream="http",
            revision=1,
            state=jobs_pb2.Job.QUEUED,
            submission=submission,
        )
        ack = await self.bus._jetstream.publish("jobs.submitted.http", event.SerializeToString())
        self.sequences[job_id] = ack.seq
        if url is not None:
            self.urls[job_id] = url
        return job_id

    async def end(self, *job_ids: str, kind: str = "SUCCEEDED", tenant: str = "acme", nth: int = 1) -> None:
        """Puts the events by which jobs end into the log, as the scheduler does; `nth` tells a repeated one apart."""
        await self.bus.publish(
            [
                Outgoing(
                    subject=streams.job_subject(kind.lower(), "http"),
                    payload=self.ended(job_id, kind, tenant).SerializeToString(),
                    message_id=f"{job_id}:3:{nth}",
                    traceparent=TRACEPARENT,
                )
                for job_id in job_ids
            ]
        )

    def ended(self, job_id: str, kind: str, tenant: str) -> events_pb2.JobEvent:
        """The event by which a job ends."""
        event = events_pb2.JobEvent(
            type=events_pb2.JobEvent.Type.Value(kind),
            job_id=job_id,
            tenant=tenant,
            upstream="http",
            revision=3,
            state=jobs_pb2.Job.State.Value(kind),
            attempt=1,
            submitted_sequence=self.sequences[job_id],
            has_callback=job_id in self.urls,
        )
        event.time.GetCurrentTime()
        if kind == "SUCCEEDED":
            inline = jobs_pb2.InlineResult(status=200, text="hello")
            event.result.CopyFrom(jobs_pb2.JobResult(inline=inline, content_type="text/plain", size=5))
        return event

    async def finished_job(self, url: str = "", *, secret: str = "", tenant: str = "acme") -> str:
        """A job that has just ended."""
        job_id = await self.submit(url, secret=secret, tenant=tenant)
        await self.end(job_id, tenant=tenant)
        return job_id

    async def ended_jobs(self, count: int = 1, *, tenant: str = "acme", **job: Any) -> list[str]:
        """Jobs without callbacks that have just ended, in this order."""
        jobs = [await self.submit(None, tenant=tenant, **job) for _ in range(count)]
        await self.end(*jobs, tenant=tenant)
        return jobs

    async def delivery(self, job_id: str, tenant: str = "acme") -> Delivery | None:
        """What a job's callback is told."""
        of_host = receiver_of(tenant, host=host_of(self.urls[job_id]))
        return await self.store.delivery(tenant, delivery_id(webhook_id(job_id, 3), of_host))

    async def stored(self, *job_ids: str) -> None:
        """Waits until the jobs' deliveries are in the store."""

        async def all_stored() -> bool:
            return all([await self.delivery(job_id) is not None for job_id in job_ids])

        await eventually(all_stored, what="the deliveries in the store")

    async def delivered(self, *job_ids: str, within: float = 60.0) -> None:
        """Waits until the jobs' deliveries are DELIVERED."""
        for job_id in job_ids:
            await self.settled(job_id, State.DELIVERED, within=within)

    async def settled(self, job_id: str, state: State, *, within: float = 60.0) -> Delivery:
        """Waits until a job's delivery has come to a state, and an attempt of it has come out."""

        async def is_settled() -> Delivery | None:
            delivery = await self.delivery(job_id)
            assert delivery is not None, "it is not stored"
            assert delivery.state is state, delivery
            return delivery if delivery.last_reason else None

        found = await eventually(is_settled, within=within, what=f"{state} of {job_id}")
        assert found is not None
        return found

    async def tenants_key(self, process: Process, tenant: str = "acme") -> bytes:
        """The key of a tenant's own secret, as the API shows it."""
        async with channel(f"127.0.0.1:{process.port}", self.identities.mint(tenant)) as connection:
            stub = cast("Any", webhooks_pb2_grpc.CallbackSecretServiceStub(connection))
            answer = await stub.GetCallbackSecret(webhooks_pb2.GetCallbackSecretRequest(), timeout=5)
        return base64.b64decode(answer.secret.removeprefix("whsec_"), validate=True)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiver_() as running:
        yield running


@pytest.fixture
def config(mongo_url: str, nats_url: str, identities: Identities) -> Config:
    return Config(
        grpc_address="127.0.0.1:0",
        identity_keys_file=identities.keys_file,
        service_key=identities.service_key("webhooks"),
        mongo_url=Secret(mongo_url),
        nats_url=Secret(nats_url),
        sealing_key=Secret(identities.sealing_key_file.read_text(encoding="utf-8").strip()),
        callback_key=Secret(base64.b64encode(bytes(range(32))).decode()),
        retry_schedule=(timedelta(seconds=1), timedelta(seconds=1)),
        environment=Environment.TEST,
        allow_loopback=True,
        drain_timeout=timedelta(seconds=5),
    )


@pytest.fixture
async def mesh(config: Config, bus: Bus, mongo: Client, identities: Identities, receiver: Receiver) -> Mesh:
    return Mesh(config, bus, MongoDeliveryStore(mongo), receiver, identities)


@pytest.fixture
async def process(mesh: Mesh) -> AsyncIterator[Process]:
    async with mesh.running() as process:
        yield process


@pytest.fixture
async def api(process: Process, mesh: Mesh) -> AsyncIterator[Api]:
    async with api_at(process, mesh.identities) as api:
        yield api
