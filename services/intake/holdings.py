"""What intake holds of a tenant or a connection, as it is exported and erased."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from penstock.events.v1 import events_pb2
from penstock.holdings.v1 import holdings_pb2_grpc
from penstock.jobs.v1 import jobs_pb2

from services.intake.contract import state_of
from services.intake.domain import IDEMPOTENCY_WINDOW
from services.intake.hot_view import RedisKeptRecords
from services.intake.layout import FINISHED_LIFETIME, job_key, kept_keys, pending_key
from services.intake.tally import RedisCounts
from shared import kv
from shared.holdings import SERVICE, Erased, HoldingServicer, Page, Shelf
from shared.holdings.objects import ObjectShelf
from shared.holdings.redis import delete, walk
from shared.objects import LIFETIME_DAYS, OF_INTAKE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from typing import Protocol

    import grpc

    from shared.clock import Clock
    from shared.holdings import Subject
    from shared.objects import Objects

    class Noting(Protocol):
        """Notes what the log must not bring back; `services.intake.erased.ErasedThings` is one."""

        async def note(self, tenant: str, connection_id: str, *, before: datetime) -> None:
            """Notes that all of it was erased that is of before that time."""
            ...


_LUA = Path(__file__).parent / "lua"
_ERASE = kv.Script(_LUA / "kept.lua", _LUA / "erase.lua")


def servicer(
    redis: kv.Client, objects: Objects, erased: Noting, *, clock: Clock
) -> tuple[Callable[[Any, grpc.aio.Server], None], HoldingServicer, str]:
    """HoldingService, as the server takes it.

    Args:
        redis: Keeps the hot view.
        objects: Keeps params and uploads.
        erased: Notes what the log must not bring back.
        clock: The time.
    """
    params, incoming, uploads = OF_INTAKE
    shelves: Sequence[Shelf] = (
        HotViewShelf(redis, erased, clock=clock),
        ParamsShelf("objects.params", objects, params, clock=clock),
        ObjectShelf("objects.incoming", objects, incoming, clock=clock),
        ObjectShelf("objects.uploads", objects, uploads, clock=clock),
    )
    return holdings_pb2_grpc.add_HoldingServiceServicer_to_server, HoldingServicer(shelves), SERVICE


class HotViewShelf:
    """All that is in Redis of a tenant, or of the jobs of a connection.

    Args:
        client: Connected.
        erased: Notes what the log must not bring back.
        clock: The time.
    """

    name = "redis.intake"

    def __init__(self, client: kv.Client, erased: Noting, *, clock: Clock) -> None:
        self._client = client
        self._erased = erased
        self._clock = clock
        self._counts = RedisCounts(client)
        self._kept = RedisKeptRecords(client)

    async def export(self, subject: Subject, after: str) -> Page:
        """See `Shelf`: what is here of jobs, history tells too."""
        del subject, after
        return Page()

    async def erase(self, subject: Subject, *, before: datetime) -> Erased:
        """See `Shelf`."""
        await self._erased.note(subject.tenant, subject.connection_id, before=before)
        erased = await (self._jobs_of(subject) if subject.connection_id else self._tenant(subject.tenant))
        await self._counts.note([subject.tenant], ended=0)
        await self._kept.note([subject.tenant])
        return erased

    async def _tenant(self, tenant: str) -> Erased:
        removed = 0
        async for keys in walk(self._client, f"{{intake:{tenant}}}:"):
            removed += await delete(self._client, keys)
        return Erased(removed=removed)

    async def _jobs_of(self, subject: Subject) -> Erased:
        """A job that has not ended is about to be canceled; its end is waited for, and told to who waits for it."""
        tenant = subject.tenant
        removed, unfinished = 0, False
        async for keys in walk(self._client, job_key(tenant, "")):
            pipeline = cast("Any", self._client.pipeline(transaction=False))
            for key in keys:
                pipeline.hmget(key, "job", "event")
            async with kv.translated():
                records: list[tuple[bytes | None, bytes | None]] = await pipeline.execute()
            over: list[str] = []
            for key, (job, event) in zip(keys, records, strict=True):
                if job is None or jobs_pb2.Job.FromString(job).connection_id != subject.connection_id:
                    continue
                if event is not None and not state_of(events_pb2.JobEvent.FromString(event).state).terminal:
                    unfinished = True
                else:
                    over.append(key.decode().removeprefix(job_key(tenant, "")))
            if over:
                places = [pending_key(tenant), *kept_keys(tenant), *(job_key(tenant, job_id) for job_id in over)]
                removed += await _ERASE.run(self._client, places, over)
        longest = max(IDEMPOTENCY_WINDOW, FINISHED_LIFETIME)
        return Erased(
            removed=removed,
            pending=unfinished,
            forgets_by=self._clock.now() + longest,
            note="by which idempotency keys and in which batches its jobs came, without what they were",
        )


class ParamsShelf(ObjectShelf):
    """Large params, which lie under their digest: the same ones may be another connection's jobs' too."""

    async def erase(self, subject: Subject, *, before: datetime) -> Erased:
        """See `Shelf`."""
        if not subject.connection_id:
            return await super().erase(subject, before=before)
        forgets_by = before + timedelta(days=LIFETIME_DAYS[OF_INTAKE[0]])
        return Erased(forgets_by=forgets_by, note="large params lie under their digest alone")
