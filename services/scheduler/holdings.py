"""What the scheduler holds of a tenant or a connection, as it is exported and erased.

Jobs that have not ended are canceled here, by force where they run, and nowhere else: so all others learn of it by the
log. Of one that has ended the queue remembers that for a while, or a message that comes again would start it anew.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from penstock.holdings.v1 import holdings_pb2_grpc

from services.scheduler.domain import MAX_BATCH, QueueSettings
from services.scheduler.scripts import QueueScript, prefix
from shared import kv, observability
from shared.errors import JobFinished, Unavailable
from shared.holdings import SERVICE, Erased, HoldingServicer, Page, Shelf
from shared.holdings.redis import walk

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from typing import Protocol

    import grpc

    from services.scheduler.domain import Fact
    from services.scheduler.outbox import Outbox
    from services.scheduler.queue import Queue
    from services.scheduler.settings import Settings
    from shared.clock import Clock
    from shared.holdings import Subject

    class Upstreams(Protocol):
        """Knows which there are; `services.scheduler.upstreams.Upstreams` is one."""

        async def names(self) -> list[str]:
            """Every upstream."""
            ...

    class Signals(Protocol):
        """Tells workers what a cancel means for them; `services.scheduler.work.Work` is one."""

        async def announce(self, upstream: str) -> None:
            """Tells those that wait for leases that they may be served."""
            ...

        async def break_off(self, job_ids: Sequence[str]) -> None:
            """Tells those that work on these jobs."""
            ...


log = observability.logger()

#: Where jobs are that have not ended: the lines of the tenant itself, and what is of all tenants.
_PARTS = ("lines", "delayed", "leases")
_LOOKED_AT = 256


def servicer(
    redis: kv.Client,
    *,
    queue: Queue,
    outbox: Outbox,
    settings: Settings,
    signals: Signals,
    upstreams: Upstreams,
    clock: Clock,
) -> tuple[Callable[[Any, grpc.aio.Server], None], HoldingServicer, str]:
    """HoldingService, as the server takes it.

    Args:
        redis: Keeps the queues.
        queue: Cancels jobs.
        outbox: Publishes that they were canceled.
        settings: Pauses.
        signals: Tell workers what a cancel means for them.
        upstreams: Which there are.
        clock: The time.
    """
    shelves: Sequence[Shelf] = (
        JobShelf(redis, queue=queue, outbox=outbox, signals=signals, upstreams=upstreams, clock=clock),
        PauseShelf(settings, queue=queue, upstreams=upstreams),
    )
    return holdings_pb2_grpc.add_HoldingServiceServicer_to_server, HoldingServicer(shelves), SERVICE


class JobShelf:
    """Jobs that have not ended, and what is counted of the tenant beside them.

    Args:
        client: Connected.
        queue: Cancels jobs.
        outbox: Publishes that they were canceled.
        signals: Tell workers what a cancel means for them.
        upstreams: Which there are.
        clock: The time.
    """

    name = "redis.scheduler"

    def __init__(
        self,
        client: kv.Client,
        *,
        queue: Queue,
        outbox: Outbox,
        signals: Signals,
        upstreams: Upstreams,
        clock: Clock,
    ) -> None:
        self._client = client
        self._queue = queue
        self._outbox = outbox
        self._signals = signals
        self._upstreams = upstreams
        self._clock = clock
        self._unfinished = QueueScript(kv.CLOCK, "unfinished", "job", "guard", "counts", "scopes", "breakers", "ring")
        self._forget = QueueScript(kv.CLOCK, "forget", "job", "guard")

    async def export(self, subject: Subject, after: str) -> Page:
        """See `Shelf`: of every job that is here, history tells."""
        del subject, after
        return Page()

    async def erase(self, subject: Subject, *, before: datetime) -> Erased:
        """See `Shelf`."""
        del before  # whoever it is about can submit no more
        removed, breaking_off = 0, 0
        for upstream in await self._upstreams.names():
            canceled, running = await self._cancel_all(upstream, subject)
            removed += canceled
            breaking_off += running
            if not subject.connection_id and not running:
                await self._forget_tenant(upstream, subject.tenant)
        kept = max(QueueSettings().memory, QueueSettings().cancel_mark)
        return Erased(
            removed=removed,
            pending=breaking_off > 0,
            forgets_by=self._clock.now() + kept,
            note="that its jobs have ended is remembered so that nothing old starts them again",
        )

    async def _cancel_all(self, upstream: str, subject: Subject) -> tuple[int, int]:
        """Cancels all that has not ended; how many that were, and how many still hold a lease."""
        canceled, breaking_off = 0, 0
        for part in _PARTS:
            place = 0
            while place >= 0:
                ids, place, running = await self._unfinished.run(
                    self._client, upstream, subject.tenant, subject.connection_id, part, place, _LOOKED_AT
                )
                breaking_off += running
                canceled += len(ids)
                for start in range(0, len(ids), MAX_BATCH):
                    some = [job_id.decode() for job_id in ids[start : start + MAX_BATCH]]
                    breaking_off += await self._cancel(upstream, some, subject.tenant)
        return canceled, breaking_off

    async def _cancel(self, upstream: str, job_ids: Sequence[str], tenant: str) -> int:
        """Cancels these; how many of them run."""
        facts: list[Fact] = []
        running: list[str] = []
        for job_id in job_ids:
            try:
                canceled = await self._queue.cancel(upstream, job_id, tenant=tenant, force=True)
            except JobFinished:  # it has come to its end meanwhile
                continue
            if canceled.fact.posted:
                facts.append(canceled.fact)
            if canceled.running:
                running.append(job_id)
        await self._tell(upstream, running)
        await self._outbox.publish(upstream, facts)
        return len(running)

    async def _tell(self, upstream: str, running: Sequence[str]) -> None:
        try:
            if running:
                await self._signals.break_off(running)
            await self._signals.announce(upstream)
        except Unavailable as error:  # the jobs are canceled; each sweep signals again while their leases are out
            log.warning("cancel_signals_lost", upstream=upstream, jobs=len(running), error=error.message)

    async def _forget_tenant(self, upstream: str, tenant: str) -> None:
        place = prefix(upstream)
        scopes = [
            key.decode().removeprefix(place)
            async for keys in walk(self._client, f"{place}scope:lane:{tenant}:")
            for key in keys
        ]
        await self._forget.run(self._client, upstream, tenant, *scopes)


class PauseShelf:
    """What a tenant has paused.

    Args:
        settings: Has it.
        queue: Shows it.
        upstreams: Which there are.
    """

    name = "nats.scheduler.pauses"

    def __init__(self, settings: Settings, *, queue: Queue, upstreams: Upstreams) -> None:
        self._settings = settings
        self._queue = queue
        self._upstreams = upstreams

    async def export(self, subject: Subject, after: str) -> Page:
        """See `Shelf`."""
        del after
        texts: list[str] = []
        for upstream in await self._upstreams.names():
            view = await self._queue.view(upstream, tenant=subject.tenant, lanes=0)
            texts += [
                json.dumps({"upstream": upstream, **asdict(pause)})
                for pause in view.pauses
                if pause.tenant == subject.tenant and subject.connection_id in {"", pause.lane}
            ]
        return Page(texts)

    async def erase(self, subject: Subject, *, before: datetime) -> Erased:
        """See `Shelf`."""
        del before
        removed = 0
        for upstream in await self._upstreams.names():
            removed += await self._settings.forget(upstream, tenant=subject.tenant, lane=subject.connection_id)
        return Erased(removed=removed)
