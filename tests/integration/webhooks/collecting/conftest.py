"""The collectors of any number of replicas, on real servers."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from nats.js.errors import NotFoundError
from penstock.events.v1 import events_pb2, notices_pb2
from penstock.jobs.v1 import jobs_pb2

from services.webhooks.collecting import notices as notices_
from services.webhooks.collecting.collector import CONSUMER, Collector
from services.webhooks.collecting.notices import NoticeCollector
from services.webhooks.collecting.storing import Storing
from services.webhooks.deliveries.documents import COLLECTION, DATABASE, delivery_of
from services.webhooks.deliveries.domain import receiver_of
from services.webhooks.deliveries.store import MongoDeliveryStore
from services.webhooks.delivering.news import News
from services.webhooks.delivering.receivers import MongoReceiverStore
from services.webhooks.endpoints.store import MongoEndpointStore
from shared import bus as bus_
from shared import ids, streams
from shared.bus import Outgoing
from shared.clock import SystemClock
from shared.config import Secret
from tests.fakes.collecting import TRACEPARENT
from tests.fakes.endpoints import make_endpoint
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection

    from services.webhooks.deliveries.domain import Delivery
    from services.webhooks.endpoints.domain import Endpoint
    from shared.bus import Bus
    from shared.mongo import Client

CALLBACK_URL = "https://client.example:8443/hook?t=1"
CALLBACK = receiver_of("acme", host="client.example:8443")
#: Before it, no endpoint here was made.
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass
class Site:
    """The servers, and what a test looks at of them."""

    bus: Bus
    nats_url: str
    mongo: Client
    endpoints: MongoEndpointStore
    woken: list[str] = field(default_factory=list)

    def parts(
        self, bus: Bus, mongo: Client | None = None, *, deliveries: Any = None, receivers: Any = None
    ) -> tuple[Collector, NoticeCollector, News]:
        """The collectors of one replica, and what spreads their news."""
        client = mongo or self.mongo
        news = News(receivers=receivers or MongoReceiverStore(client), dispatcher=self, signals=bus)
        storing = Storing(deliveries=deliveries or MongoDeliveryStore(client), announcer=news, clock=SystemClock())
        endpoints = MongoEndpointStore(client)
        return (
            Collector(job_log=bus, endpoints=endpoints, storing=storing),
            NoticeCollector(endpoints=endpoints, storing=storing),
            news,
        )

    @asynccontextmanager
    async def replica(self, *, url: str = "", ack_wait: float = 30.0, **parts: Any) -> AsyncGenerator[None]:
        """Runs the collectors of one, on a connection of its own; it ends as if it were killed."""
        bus = await bus_.connect(Secret(url or self.nats_url), "test")
        collector, notices, news = self.parts(bus, **parts)
        tasks = [asyncio.create_task(news.run())]
        tasks += [
            asyncio.create_task(bus.consumer(stream, config.evolve(ack_wait=ack_wait)).run(handle))
            for stream, config, handle in (
                (streams.JOBS, CONSUMER, collector.handle),
                (streams.NOTICES, notices_.CONSUMER, notices.handle),
            )
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            await bus.close()

    async def endpoint(self, **fields: Any) -> Endpoint:
        """An endpoint that has been there for long."""
        endpoint = make_endpoint(**{"created_at": LONG_AGO, "keys": ()} | fields)
        assert await self.endpoints.add(endpoint)
        return endpoint

    async def event(
        self, *, callback_url: str = "", tenant: str = "acme", kind: str = "SUCCEEDED", **job: Any
    ) -> tuple[str, Outgoing]:
        """A job that was submitted, and the event by which it ends, which is yet to be published."""
        upstream = job.pop("upstream", "http")
        given: dict[str, Any] = {"upstream": upstream, "method": f"{upstream}.get", "revision": 1} | job
        asked = jobs_pb2.Job(id=ids.new_job_id(upstream), state=jobs_pb2.Job.QUEUED, **given)
        submitted = events_pb2.JobEvent(
            type=events_pb2.JobEvent.SUBMITTED,
            job_id=asked.id,
            tenant=tenant,
            upstream=upstream,
            revision=1,
            submission=events_pb2.Submission(job=asked, callback_url=callback_url),
        )
        ack = await self.bus._jetstream.publish(f"jobs.submitted.{upstream}", submitted.SerializeToString())
        event = events_pb2.JobEvent(
            type=events_pb2.JobEvent.Type.Value(kind),
            job_id=asked.id,
            tenant=tenant,
            upstream=upstream,
            revision=3,
            state=jobs_pb2.Job.State.Value(kind),
            submitted_sequence=ack.seq,
            has_callback=bool(callback_url),
        )
        event.time.GetCurrentTime()
        outgoing = Outgoing(
            subject=streams.job_subject(kind.lower(), upstream),
            payload=event.SerializeToString(),
            message_id=f"{asked.id}:3",
            traceparent=TRACEPARENT,
        )
        return asked.id, outgoing

    async def ended(self, **job: Any) -> str:
        """A job that has ended."""
        job_id, event = await self.event(**job)
        await self.bus.publish([event])
        return job_id

    async def all(self) -> dict[str, Delivery]:
        """Every delivery, by its id."""
        documents = await self.mongo[DATABASE][COLLECTION].find().to_list()
        return {each["_id"]: delivery_of(each) for each in documents}

    async def to(self, receiver: str) -> list[Delivery]:
        """The deliveries of a receiver, in the order of their places."""
        found = [each for each in (await self.all()).values() if each.receiver == receiver]
        return sorted(found, key=lambda each: (each.place, each.created_at))

    async def due(self) -> set[str]:
        """The receivers that were noted as due."""
        documents = await self.mongo[DATABASE]["receivers"].find({"news": {"$gt": 0}}).to_list()
        return {each["_id"] for each in documents}

    async def handled(self) -> None:
        """Waits until every event and notice that is there was acknowledged."""

        async def is_handled() -> bool:
            return await self._handled(streams.JOBS, CONSUMER) and await self._handled(
                streams.NOTICES, notices_.CONSUMER
            )

        await eventually(is_handled, within=60, what="the acknowledgements of all")

    async def _handled(self, stream: str, config: Any) -> bool:
        try:
            info = await self.bus._jetstream.consumer_info(stream, config.durable_name)
        except NotFoundError:  # whoever makes it has only begun
            return False
        return (info.num_pending, info.num_ack_pending) == (0, 0)

    async def given_again(self) -> bool:
        """Whether an event was given that was given before."""
        info = await self.bus._jetstream.consumer_info(streams.JOBS, CONSUMER.durable_name or "")
        return bool(info.num_redelivered)

    def wake(self, receivers: Collection[str]) -> Collection[str]:
        """As the dispatcher of every replica, none of which holds any receiver."""
        self.woken += receivers
        return receivers

    def hear(self, receivers: Collection[str]) -> None:
        """As the same."""


@pytest.fixture
async def site(bus: Bus, nats_url: str, mongo: Client) -> Site:
    for store in (MongoDeliveryStore(mongo), MongoReceiverStore(mongo), MongoEndpointStore(mongo)):
        await store.prepare()
    return Site(bus, nats_url, mongo, MongoEndpointStore(mongo))


def as_of_now(outgoing: Outgoing) -> Outgoing:
    """The same notice, of now: those that stand here in the tests are older than their endpoints."""
    notice = notices_pb2.Notice.FromString(outgoing.payload)
    notice.time.GetCurrentTime()
    return Outgoing(subject=outgoing.subject, payload=notice.SerializeToString(), message_id=outgoing.message_id)
