"""The service under test, and all that surrounds it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penstock.events.v1 import events_pb2

from services.upstream.__main__ import serve
from services.upstream.config import Config
from shared import streams
from shared.config import Environment, Secret
from shared.lifecycle import Process
from tests import object_stores
from tests.service import running_process
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from shared.bus import Bus
    from tests.fakes.far_end import FarEnd
    from tests.identities import Identities
    from tests.integration.upstream.scheduler import SchedulerStandIn


#: A Redis that nobody has started: port 9 is `discard`.
NOWHERE = "redis://127.0.0.1:9/0"


@dataclass
class Mesh:
    """A stand-in of the scheduler, real NATS, a far end that counts; and the service, run when asked."""

    scheduler: SchedulerStandIn
    bus: Bus
    far: FarEnd
    identities: Identities
    nats_url: str
    redis_url: str = NOWHERE

    @asynccontextmanager
    async def running(self, **settings: Any) -> AsyncGenerator[Process]:
        config = Config(
            grpc_address="127.0.0.1:0",
            identity_keys_file=self.identities.keys_file,
            service_key=self.identities.service_key("upstream"),
            nats_url=Secret(self.nats_url),
            redis_url=Secret(self.redis_url),
            scheduler_address=self.scheduler.address,
            environment=Environment.TEST,
            allow_loopback=True,
            **(object_stores.AWAY | {"auth_address": self.scheduler.address} | settings),
        )
        process = Process("upstream", config)
        async with running_process(process, serve(config, process)):
            yield process

    async def outcomes(self) -> dict[str, events_pb2.Attempt]:
        """What was published, by job; each message must be the only one of its job."""
        found: dict[str, events_pb2.Attempt] = {}
        sequence = 1
        while (payload := await self.bus.read(streams.ATTEMPTS, sequence)) is not None:
            attempt = events_pb2.Attempt.FromString(payload)
            assert attempt.job_id not in found
            found[attempt.job_id] = attempt
            sequence += 1
        return found

    async def outcome(self, job_id: str) -> events_pb2.Attempt:
        async def published() -> events_pb2.Attempt | None:
            return (await self.outcomes()).get(job_id)

        found = await eventually(published, what=f"the outcome of {job_id}")
        assert found is not None
        return found

    async def count(self, number: int) -> None:
        async def published() -> bool:
            return len(await self.outcomes()) == number

        await eventually(published, what=f"{number} outcomes")
