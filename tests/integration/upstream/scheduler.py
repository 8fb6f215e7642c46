"""A stand-in of the scheduler: gives the leases that a test puts in, and notes what it is asked."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from penstock.events.v1 import events_pb2
from penstock.jobs.v1 import jobs_pb2
from penstock.scheduler.v1 import scheduler_pb2, scheduler_pb2_grpc

from shared import ids
from shared.errors import LeaseLost, Unavailable
from shared.rpc.health import Health
from shared.rpc.server import Server

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.identities import Identities


class SchedulerStandIn(scheduler_pb2_grpc.SchedulerServiceServicer):
    """Each of its lists holds what it was asked, in order."""

    def __init__(self, identities: Identities) -> None:
        self._identities = identities
        self._server: Server | None = None
        self._port = 0
        self._calls: deque[scheduler_pb2.Call] = deque()
        self._arrived = asyncio.Condition()
        self.leases: list[scheduler_pb2.LeaseRequest] = []
        self.waiting = 0
        self.canceled_waits = 0
        self.begun: list[str] = []
        self.extended: list[set[str]] = []
        #: Jobs whose leases are gone.
        self.lost: set[str] = set()
        #: How many calls to `Begin` are to fail before one does not.
        self.begin_failures = 0
        #: Called with the job's id when it begins.
        self.on_begin: Any = None
        #: Answers at once with nothing, whatever there is.
        self.empty = False

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._port}"

    async def start(self) -> None:
        """Listens, on the port that it had before, where it had one."""
        address = f"127.0.0.1:{self._port}"
        server = Server("scheduler", address=address, verifier=self._identities.verifier(), health=Health({}))
        server.add(
            scheduler_pb2_grpc.add_SchedulerServiceServicer_to_server, self, "penstock.scheduler.v1.SchedulerService"
        )
        self._port = await server.start()
        self._server = server

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.drain(timedelta())
            self._server = None

    async def put(
        self,
        method: str,
        url: str,
        *,
        lease_s: float = 45.0,
        raw_params: bytes | None = None,
        traceparent: str = "",
        stored_params: events_pb2.StoredParams | None = None,
        uploads: Sequence[events_pb2.AttachedUpload] = (),
        connection: str = "",
        tenant: str = "acme",
        cache: str = "DEFAULT",
        **params: Any,
    ) -> str:
        """Has a job leased to the next who asks; answers with its id."""
        job_id = ids.new_job_id("http")
        call = scheduler_pb2.Call(
            job_id=job_id,
            tenant=tenant,
            fence=events_pb2.Fence(epoch=1, count=1),
            attempt=1,
            submission=events_pb2.Submission(
                job=jobs_pb2.Job(id=job_id, upstream="http", method=f"http.{method}", connection_id=connection),
                idempotent=method in {"get", "head", "put", "delete"},
                params=raw_params if raw_params is not None else json.dumps({"url": url, **params}).encode(),
                stored_params=stored_params,
                uploads=uploads,
                cache_policy=jobs_pb2.CachePolicy.Mode.Value(cache),
            ),
            traceparent=traceparent,
        )
        call.submission.attempt_timeout.FromTimedelta(timedelta(seconds=30))
        call.deadline.FromDatetime(datetime.now(UTC) + timedelta(seconds=lease_s))
        async with self._arrived:
            self._calls.append(call)
            self._arrived.notify_all()
        return job_id

    async def Lease(self, request: scheduler_pb2.LeaseRequest, context: Any) -> scheduler_pb2.LeaseResponse:
        if request.upstream != "http":  # of others there are no jobs
            with suppress(TimeoutError):
                async with asyncio.timeout(request.wait.ToTimedelta().total_seconds()):
                    await asyncio.Event().wait()
            return scheduler_pb2.LeaseResponse()
        self.leases.append(request)
        if self.empty:
            return scheduler_pb2.LeaseResponse()
        self.waiting += 1
        try:
            async with self._arrived, asyncio.timeout(request.wait.ToTimedelta().total_seconds()):
                await self._arrived.wait_for(lambda: self._calls)
        except TimeoutError:
            return scheduler_pb2.LeaseResponse()
        except asyncio.CancelledError:
            self.canceled_waits += 1
            raise
        finally:
            self.waiting -= 1
        count = min(request.max_jobs, len(self._calls))
        return scheduler_pb2.LeaseResponse(calls=[self._calls.popleft() for _ in range(count)])

    async def Begin(self, request: scheduler_pb2.BeginRequest, context: Any) -> scheduler_pb2.BeginResponse:
        if self.begin_failures:
            self.begin_failures -= 1
            raise Unavailable("not now")
        if request.job_id in self.lost:
            raise LeaseLost(f"the lease of {request.job_id} is gone")
        self.begun.append(request.job_id)
        if self.on_begin is not None:
            self.on_begin(request.job_id)
        return scheduler_pb2.BeginResponse()

    async def Cancel(self, request: scheduler_pb2.CancelRequest, context: Any) -> events_pb2.JobEvent:
        raise AssertionError("a worker cancels nothing")

    async def Extend(self, request: scheduler_pb2.ExtendRequest, context: Any) -> scheduler_pb2.ExtendResponse:
        asked = {lease.job_id for lease in request.leases}
        self.extended.append(asked)
        return scheduler_pb2.ExtendResponse(lost_job_ids=sorted(asked & self.lost))
