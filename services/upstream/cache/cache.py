"""The cache as calls meet it: an answer that is there, the call of another job under way, or the call itself."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from penstock.jobs.v1 import jobs_pb2

from services.upstream.cache import metrics
from services.upstream.cache.calls import Read
from services.upstream.cache.entries import Scope, spot_of
from services.upstream.cache.flights import Landed
from services.upstream.cache.store import Hit, Wait
from services.upstream.domain import Failure, Health, Reason
from shared import ids
from shared.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from penstock.scheduler.v1 import scheduler_pb2

    from services.upstream.cache.bodies import Bodies
    from services.upstream.cache.calls import Calls
    from services.upstream.cache.flights import Flight, Flights
    from services.upstream.cache.metrics import Labels
    from services.upstream.cache.reach import Reach
    from services.upstream.cache.store import AnswerStore, Found
    from services.upstream.cache.ttls import Ttls
    from services.upstream.connector import CallRequest
    from services.upstream.domain import Outcome

_MODE = jobs_pb2.CachePolicy


class Cache:
    """Serves calls, or has them made.

    Nothing of it fails a call that could be made: while the store is away each is made as if there were no cache.

    Args:
        store: Has the answers.
        reach: Knows whether it can be reached.
        bodies: Has what of them is large.
        flights: Who waits for whom.
        calls: Makes those that nobody else makes.
        ttls: How long answers serve.
        labels: Names methods in metrics.
    """

    def __init__(
        self,
        store: AnswerStore,
        *,
        reach: Reach,
        bodies: Bodies,
        flights: Flights,
        calls: Calls,
        ttls: Ttls,
        labels: Labels,
    ) -> None:
        self._store = store
        self._reach = reach
        self._bodies = bodies
        self._flights = flights
        self._calls = calls
        self._ttls = ttls
        self._labels = labels

    async def answer(
        self, lease: scheduler_pb2.Call, request: CallRequest, call: Callable[[CallRequest], Awaitable[Outcome]]
    ) -> Outcome:
        """How a call comes out: served, or made.

        Args:
            lease: Of the job.
            request: The call.
            call: Makes it.
        """
        read = self._read(lease, request, call)
        if read is None:
            return await call(request)
        if lease.submission.cache_policy == _MODE.REFRESH:
            return await self._refreshed(read)
        while True:
            flight = self._flights.under_way(read.spot.digest)
            outcome = await (self._fly(read) if flight is None else self._ride(read, flight))
            if outcome is not None:
                return outcome

    def _read(
        self, lease: scheduler_pb2.Call, request: CallRequest, call: Callable[[CallRequest], Awaitable[Outcome]]
    ) -> Read | None:
        """The call as one that may be served; None where it may not."""
        job = lease.submission.job
        ttl = self._ttls.of(request.method, request.params)
        if ttl is None or request.uploads or lease.submission.cache_policy == _MODE.BYPASS:
            return None
        spot = spot_of(
            request.tenant,
            Scope(connection=job.connection_id, upstream=job.upstream, method=request.method.name),
            credential_version=request.credential.version if request.credential is not None else 0,
            params=request.params,
        )
        deadline = asyncio.get_running_loop().time() + request.timeout.total_seconds()
        return Read(spot=spot, ttl=ttl, request=request, call=call, token=ids.uuid7().hex, deadline=deadline)

    async def _refreshed(self, read: Read) -> Outcome:
        """Calls, whatever there is and whoever else does: the answer of the call that began last is kept."""
        try:
            await self._look(read, refresh=True)
        except Unavailable:
            return await read.call(read.request)
        return await self._called(read, None)

    async def _ride(self, read: Read, flight: Flight) -> Outcome | None:
        """Waits for what another job of this process looks for or calls for; None where that serves nobody else."""
        try:
            landed = await flight.wait(read.deadline)
        except TimeoutError:
            return _waited_too_long(read.request)
        return await self._serve(read, landed) if landed is not None else None

    async def _fly(self, read: Read) -> Outcome:
        """Looks for the answer, for all jobs of this process that want it; calls where nobody else does."""
        loop = asyncio.get_running_loop()
        with self._flights.begun(read.spot.digest) as flight:
            waited = False
            while True:
                flight.news.clear()
                try:
                    found = await self._look(read)
                    if isinstance(found, Hit):
                        landed = Landed(answer=found.answer, called=waited)
                        served = await self._serve(read, landed)
                        if served is not None:
                            flight.land(landed)
                            return served
                        found = await self._look(read, refresh=True)  # its body is gone
                except Unavailable:
                    flight.land(None)
                    return await read.call(read.request)
                if not isinstance(found, Wait):
                    return await self._called(read, flight)
                waited = True
                if loop.time() >= read.deadline:
                    flight.land(None)
                    return _waited_too_long(read.request)
                # a signal may be lost, and whoever calls may be killed
                await flight.wait_for_news(min(loop.time() + found.seconds, read.deadline))

    async def _called(self, read: Read, flight: Flight | None) -> Outcome:
        metrics.MISSES.labels(*self._labels.of(read.spot.scope)).inc()
        return await self._calls.make(read, flight)

    async def _serve(self, read: Read, landed: Landed) -> Outcome | None:
        """Serves the job with an answer; None where its body cannot be had."""
        body = await self._bodies.fetch(read.spot, landed.answer, read.request.result)
        if body is None:
            return None
        counter = metrics.COALESCED if landed.called else metrics.HITS
        counter.labels(*self._labels.of(read.spot.scope)).inc()
        return landed.answer.served(body)

    async def _look(self, read: Read, *, refresh: bool = False) -> Found:
        async with self._reach.asking():
            return await self._store.look(
                read.spot, token=read.token, believed=self._calls.believed, ttl=read.ttl, refresh=refresh
            )


def _waited_too_long(request: CallRequest) -> Failure:
    """The failure of a job whose call another one has made for as long as its own might have taken."""
    timeout_s = request.timeout.total_seconds()
    return Failure(
        reason=Reason.UPSTREAM_TIMEOUT,
        message=f"the same call, under way for another job, was not answered within {timeout_s:g} s",
        retryable=True,
        judged=Health.NOTHING,  # that other job tells
    )
