"""The rebuild: what Redis has lost of idempotency keys, pending jobs and the hot view comes back from the log of jobs.

A script that runs on a server that is not known (`lua/guard.lua`) says so. Then nothing is admitted until one replica
has applied again what the log tells: from the floor on, where the server has lost only its last writes; all of the log,
the 7 days that it is kept, where the floor is lost too. Of that, jobs that ended over a day ago are passed over, unless
another one of their batch has not. Events may come by the projection at the same time, for it does not matter how often
one is applied.

Meanwhile jobs are read as they are found, in the hot view or in history. One found in neither is not said to be
unknown: the call is UNAVAILABLE, as every submit is. A job may be shown in an older state than before until its events
have been applied again.

One thing is not made good. Where Redis loses a submit under an idempotency key, with its last writes or with all, while
it is on its way to the log, a retry that comes after the rebuild and before the log shows its job makes a second one.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from services.intake import metrics
from services.intake.backlog import Backlog
from services.intake.layout import FINISHED_LIFETIME
from services.intake.projection import read_change
from services.intake.store import server_id
from shared import observability, streams
from shared.errors import PenstockError, Unavailable
from shared.retry import Backoff, until_done

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from services.intake.batch_ends import BatchEnds
    from services.intake.changes import Change
    from services.intake.erased import ErasedThings
    from services.intake.floor import Floor
    from services.intake.known_servers import KnownServers
    from services.intake.rebuilds import Rebuilds
    from services.intake.store import JobStore
    from services.intake.tally import Tally
    from shared import kv
    from shared.bus import Bus, Stored

log = observability.logger()
T = TypeVar("T")

#: Between two looks whether another replica has finished, and between two renewals of one's own claim.
_INTERVAL_S = 1.0
_BACKOFF = Backoff(initial=timedelta(milliseconds=100), maximum=timedelta(seconds=2))
#: Events of one round trip.
_MAX_EVENTS = 256
_EVERY_EVENT = streams.job_subject("*", "*")


class _AbandonedError(Exception):
    """The rebuild is another replica's now, or the server is another one."""


class Rebuilder:
    """Rebuilds what a server has lost, or waits for the replica that does.

    Args:
        client: Connected to the server.
        servers: Those that hold all that the log tells.
        rebuilds: What replicas agree on.
        bus: Has the log.
        store: What is rebuilt.
        batch_ends: The same for batches.
        erased: What the log must not bring back.
        floor: From where.
        tally: Counts what was rebuilt.
    """

    def __init__(
        self,
        *,
        client: kv.Client,
        servers: KnownServers,
        rebuilds: Rebuilds,
        bus: Bus,
        store: JobStore,
        batch_ends: BatchEnds,
        erased: ErasedThings,
        floor: Floor,
        tally: Tally,
    ) -> None:
        self._client = client
        self._servers = servers
        self._rebuilds = rebuilds
        self._bus = bus
        self._store = store
        self._batch_ends = batch_ends
        self._erased = erased
        self._floor = floor
        self._tally = tally

    async def look(self) -> None:
        """Learns whether the server is known before the first call comes; a log without events needs no rebuild.

        Raises:
            Unavailable: Redis or NATS is away.
        """
        server = await server_id(self._client)
        if await self._rebuilds.is_done(server):
            self._servers.add(server)
        elif not await self._bus.newest(streams.JOBS, _EVERY_EVENT):
            await self._finish(server, 0)
        else:
            self._servers.met(server)

    async def run(self) -> None:
        """Rebuilds whatever server is met that is not known, until canceled."""
        while True:
            await self._servers.stranger()
            await until_done(
                self._settle,
                retry_on=(PenstockError,),
                backoff=_BACKOFF,
                on_failure=lambda error, _: log.warning("rebuild_delayed", error=str(error)),
            )

    async def _settle(self) -> None:
        """Returns when the server is known."""
        while (server := await server_id(self._client)) not in self._servers:
            metrics.REBUILDING.set(1)
            if await self._rebuilds.is_done(server):
                self._servers.add(server)
                log.info("rebuild_learnt", server=server)
                break
            claim = await self._rebuilds.claim(server)
            if claim is None:
                await asyncio.sleep(_INTERVAL_S)
                continue
            try:
                await self._rebuild(server, claim)
            except _AbandonedError as reason:
                log.warning("rebuild_abandoned", server=server, reason=str(reason))
        metrics.REBUILDING.set(0)

    async def _rebuild(self, server: str, claim: int) -> None:
        began = time.monotonic()
        floor = await self._floor.read()
        newest = await self._bus.newest(streams.JOBS, _EVERY_EVENT)
        if floor is not None and floor > newest:  # of a log that is no more
            floor = None
        log.warning("rebuild_started", server=server, after=floor, upto=newest)
        renewal = _Renewal(self._rebuilds, self._client, server, claim)
        events = await self._replay(floor, newest, renewal)
        await renewal.check()
        await self._tally.look()
        await self._finish(server, newest)
        seconds = time.monotonic() - began
        metrics.REBUILD_SECONDS.observe(seconds)
        log.warning("rebuild_finished", server=server, events=events, seconds=round(seconds, 3))

    async def _finish(self, server: str, newest: int) -> None:
        await self._floor.note(newest, known=server)
        await self._rebuilds.finish(server)
        self._servers.add(server)

    async def _replay(self, floor: int | None, newest: int, renewal: _Renewal) -> int:
        """Applies what the log tells behind the floor; answers with how many events that were."""
        horizon = datetime.now(UTC) - FINISHED_LIFETIME
        backlog = Backlog(horizon) if floor is None else None
        done, events = floor or 0, 0
        async with self._bus.reader(streams.JOBS, _EVERY_EVENT, start=done + 1) as reader:
            while done < newest:
                batch = await until_done(reader.batch, retry_on=(Unavailable,), backoff=_BACKOFF)
                for part in _parts(batch):
                    changes = self._erased.left(_changes(part))
                    if backlog is not None:
                        backlog.add(changes)
                        if part[-1].time < horizon:
                            continue
                        changes, backlog = backlog.take(), None
                    await self._apply(changes, renewal)
                done = batch[-1].sequence
                events += len(batch)
                await renewal.due()
        if backlog is not None:
            await self._apply(backlog.take(), renewal)
        return events

    async def _apply(self, changes: Sequence[Change], renewal: _Renewal) -> None:
        for part in _parts(changes):
            await self._batch_ends.note(part, await self._store.apply(part))
            metrics.REBUILT_EVENTS.inc(len(part))
            self._tally.applied({change.tenant for change in part}, ended=0)
            await renewal.due()


class _Renewal:
    """Keeps the claim on a rebuild, and sees to it that it is still about the server."""

    def __init__(self, rebuilds: Rebuilds, client: kv.Client, server: str, claim: int) -> None:
        self._rebuilds = rebuilds
        self._client = client
        self._server = server
        self._claim = claim
        self._renewed = time.monotonic()

    async def due(self) -> None:
        """Renews it from time to time.

        Raises:
            _AbandonedError: It was lost, or the server is another one.
        """
        if time.monotonic() - self._renewed >= _INTERVAL_S:
            await self.check()

    async def check(self) -> None:
        """Renews it now.

        Raises:
            _AbandonedError: It was lost, or the server is another one.
        """
        if await server_id(self._client) != self._server:
            raise _AbandonedError("the server is another one")
        claim = await self._rebuilds.renew(self._server, self._claim)
        if claim is None:
            raise _AbandonedError("another replica has taken over")
        self._claim, self._renewed = claim, time.monotonic()


def _parts(items: Sequence[T]) -> Iterable[Sequence[T]]:
    return (items[start : start + _MAX_EVENTS] for start in range(0, len(items), _MAX_EVENTS))


def _changes(batch: Sequence[Stored]) -> list[Change]:
    """What events change; those that cannot be understood were logged when they came first."""
    changes: list[Change] = []
    for message in batch:
        try:
            changes.append(read_change(message.payload, message.sequence))
        except ValueError:  # dropped then, and now
            continue
    return changes
