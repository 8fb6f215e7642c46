"""A scheduler and a worker, both real, that call a far end."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from penstock.scheduler.v1 import queues_pb2, queues_pb2_grpc

from deploy.local import layout
from services.scheduler.__main__ import serve as serve_scheduler
from services.upstream.__main__ import serve as serve_upstream
from services.upstream.config import Config as UpstreamConfig
from shared.config import Environment
from shared.permissions import ADMIN_SCOPES, Scope
from tests import object_stores
from tests.integration.scheduler.conftest import calling, is_open
from tests.service import channel, running
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable
    from pathlib import Path

    from services.scheduler.config import Config
    from shared.bus import Bus
    from tests.fakes.metered_far_end import MeteredFarEnd
    from tests.identities import Identities
    from tests.integration.scheduler.conftest import Event, JobsLog, Mesh


@dataclass
class Working:
    """What surrounds the two."""

    mesh: Mesh
    queues: queues_pb2_grpc.QueueServiceAsyncStub

    async def set(self, settings: queues_pb2.QueueSettings) -> None:
        """Sets the queue's limits, as an operator does."""
        await self.queues.SetQueueSettings(
            queues_pb2.SetQueueSettingsRequest(upstream="http", settings=settings), timeout=30
        )

    def job(self, url: str, lane: str) -> Event:
        """A job that asks for the URL, in a lane of its own."""
        event = self.mesh.submission(timeout=timedelta(seconds=20), max_attempts=10)
        event.submission.params = f'{{"url": "{url}"}}'.encode()
        event.submission.lane = lane
        return event

    async def submit(self, jobs: list[Event]) -> list[str]:
        """Submits jobs, and answers with their ids."""
        for start in range(0, len(jobs), 100):
            await self.mesh.submit(*jobs[start : start + 100])
        return [job.job_id for job in jobs]

    async def refusals(self, far: MeteredFarEnd, count: int) -> None:
        """Returns when the far end has refused so many calls."""
        await eventually(lambda: far.refused.total() >= count, what=f"{count} refusals")

    async def succeeded(self, job_ids: Iterable[str], *, within: float = 60.0) -> None:
        """Returns when all of them have."""
        states = self.mesh.log.states
        await eventually(
            lambda: all(states(job_id)[-1:] == ["SUCCEEDED"] for job_id in job_ids),
            within=within,
            what="all to succeed",
        )


@asynccontextmanager
async def working(
    config: Config, identities: Identities, bus: Bus, log: JobsLog, folder: Path
) -> AsyncGenerator[Working]:
    """Runs both, each told beforehand where the other will be."""
    free = layout.on_free_ports(folder, {"scheduler": 0, "upstream": 0, "auth": 0})
    upstream = UpstreamConfig(
        grpc_address=free.address("upstream"),
        identity_keys_file=identities.keys_file,
        **object_stores.AWAY,
        service_key=identities.service_key("upstream"),
        nats_url=config.nats_url,
        redis_url=config.redis_url,
        scheduler_address=free.address("scheduler"),
        auth_address=free.address("auth"),
        environment=Environment.TEST,
        allow_loopback=True,
    )
    scheduler = replace(
        config,
        grpc_address=free.address("scheduler"),
        upstream_address=free.address("upstream"),
        sweep_interval=timedelta(milliseconds=200),
    )
    token = identities.mint("acme", {*ADMIN_SCOPES, Scope.OPERATOR})
    async with (
        running("upstream", serve_upstream, upstream),
        running("scheduler", serve_scheduler, scheduler) as address,
        calling(address, identities, bus, log) as mesh,
        channel(address, token) as connection,
    ):
        await eventually(lambda: is_open(scheduler), what="the queue's first opening")
        yield Working(mesh, queues_pb2_grpc.QueueServiceStub(connection))
