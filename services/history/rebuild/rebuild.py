"""How history is rebuilt while it serves.

The log is read into a collection beside the one that serves; what the log does not cover any more is carried over from
that; and when the new one has all that the log tells, it is put in the place of the old one. Replicas go on writing the
old one meanwhile, and find the new one under the same name.

    read the log            replicas serve and apply events to the old one
    hold the sweep          nothing is archived or removed any more
    carry over, read on
    hold the tally          nothing is counted any more
    read on, learn what was counted
    pause the consumer      replicas are given no more events: the new one has all that they were given
    read to the end, swap

A rebuild that dies leaves a collection that the next one removes, and leases and a pause that run out.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

from google.protobuf.message import DecodeError

from services.history.jobs.domain import merged
from services.history.leases import REBUILD, SWEEP, TALLY, LeaseLostError
from services.history.rebuild.successor import Successor, past
from shared import ids, observability, streams
from shared.errors import Unavailable
from shared.retry import Backoff, until_done

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from services.history.jobs.domain import Entry
    from services.history.jobs.reading import Reading
    from services.history.leases import Lease, Leases
    from services.history.retention.domain import Retention
    from shared.bus import Bus, Stored
    from shared.mongo import Client, Document

log = observability.logger()
T = TypeVar("T")

_BACKOFF = Backoff(initial=timedelta(milliseconds=100), maximum=timedelta(seconds=2))
_EVERY_EVENT = streams.job_subject("*", "*")
#: How long the replicas' consumer is paused at most: events wait so long where a rebuild dies just then.
_PAUSE = timedelta(seconds=30)
#: What must be left of it when the swap begins, which takes 5 s at most.
_PAUSE_LEFT = timedelta(seconds=10)


class Erased(Protocol):
    """What was erased: all that is of before a time and of a tenant, or of one of its connections."""

    @property
    def tenant(self) -> str:
        """Whose."""
        ...

    @property
    def connection_id(self) -> str:
        """Empty for all of the tenant's."""
        ...

    @property
    def before(self) -> datetime:
        """What was made from then on stays."""
        ...


class Keeping(Protocol):
    """Knows how long jobs are kept; `services.history.retention.retentions.Retentions` does."""

    @property
    def default(self) -> Retention:
        """What holds for everybody who has nothing of his own."""
        ...

    async def all(self) -> Mapping[str, Retention]:
        """What holds for each tenant that has anything of its own."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """What a rebuild came to."""

    #: Events of the log that were applied.
    events: int
    #: Jobs of the old collection that were carried over.
    carried: int


class Rebuild:
    """Rebuilds history once.

    Args:
        client: MongoDB, as who may make, drop and rename collections of history's database.
        bus: Has the log; as who may pause the consumer of history.
        leases: Keep off whoever counts or removes jobs.
        reading: Reads events, by what was erased as it is known now.
        keeping: How long jobs are kept: what is gone by it does not come back.
        erased: Answers what was erased.
    """

    def __init__(
        self,
        client: Client,
        *,
        bus: Bus,
        leases: Leases,
        reading: Reading,
        keeping: Keeping,
        erased: Callable[[], Awaitable[Sequence[Erased]]],
    ) -> None:
        self._bus = bus
        self._leases = leases
        self._reading = reading
        self._keeping = keeping
        self._erased = erased
        self._new = Successor(client, token=str(ids.uuid7()))
        #: The sequence up to which the log was applied, and how many events that were.
        self._done = 0
        self._events = 0

    async def run(self) -> Rebuilt:
        """Rebuilds history; waits for another rebuild that is at it, and for MongoDB and NATS while they are away.

        Raises:
            LeaseLostError: Another one has taken over, since this one stood still for long; history is as it was.
        """
        async with self._leases.held(REBUILD) as lease:
            await _insist(self._new.begin)
            log.info("rebuild_started")
            await self._read_on()
            async with self._leases.held(SWEEP) as sweep:
                await self._drop_overdue()
                carried = await _insist(self._new.carry_over)
                log.info("rebuild_carried_over", jobs=carried)
                await self._read_on()
                async with self._leases.held(TALLY) as tally:
                    await self._read_on()
                    await _insist(self._new.settle_counts)
                    while not await self._finish((lease, sweep, tally)):
                        log.info("rebuild_behind", events=self._events)
        await self._drop_erased()  # also what was erased in between, from under its new name
        rebuilt = Rebuilt(events=self._events, carried=carried)
        log.info("rebuild_finished", events=rebuilt.events, jobs_carried_over=rebuilt.carried)
        return rebuilt

    async def _finish(self, leases: Sequence[Lease]) -> bool:
        """Reads the end of the log and swaps, within one pause; answers whether it came to that."""
        await self._read_on()
        until = datetime.now(UTC) + _PAUSE
        async with self._bus.paused(streams.JOBS, streams.HISTORY_CONSUMER, until=until):
            await self._read_on()
            await _insist(self._new.drop_incomplete)
            await self._drop_erased()
            for lease in leases:
                if not await self._leases.renew(lease):
                    raise LeaseLostError(f"the lease {lease.name} is another's")
            if until - datetime.now(UTC) < _PAUSE_LEFT:
                return False
            await self._new.swap()
        return True

    async def _read_on(self) -> None:
        """Applies what the log has and was not applied yet."""
        newest = await _insist(partial(self._bus.newest, streams.JOBS, _EVERY_EVENT))
        if newest <= self._done:
            return
        async with self._bus.reader(streams.JOBS, _EVERY_EVENT, start=self._done + 1) as reader:
            while self._done < newest:
                batch = await _insist(reader.batch)
                entries = await self._entries(batch)
                if entries:
                    await _insist(partial(self._new.jobs.apply, entries))
                self._done = batch[-1].sequence
                self._events += len(batch)

    async def _entries(self, batch: Sequence[Stored]) -> list[Entry]:
        entries: list[Entry] = []
        for message in batch:
            read = partial(self._reading.entry, message.payload, sequence=message.sequence)
            try:
                entry = await _insist(read)
            except (DecodeError, ValueError):  # dropped and logged by the projection when it came, and dropped now
                continue
            if entry is not None:
                entries.append(entry)
        return merged(entries)

    async def _drop_overdue(self) -> None:
        """Removes what the log still tells of jobs that are past their time; the old one's are carried over yet."""
        now = datetime.now(UTC)
        own = await _insist(self._keeping.all)
        others: Document = {"$nin": list(own)}
        kept: list[tuple[Document | str, Retention]] = [(others, self._keeping.default), *own.items()]
        for tenant, retention in kept:
            for state, keep in (("SUCCEEDED", retention.succeeded_jobs), ({"$ne": "SUCCEEDED"}, retention.failed_jobs)):
                if keep < streams.JOBS_KEPT:
                    await _insist(partial(self._new.drop, past(tenant, state=state, before=now - keep)))

    async def _drop_erased(self) -> None:
        for each in await _insist(self._erased):
            what: Document = {"tenant": each.tenant, "created_at": {"$lt": each.before}}
            if each.connection_id:
                what["connection_id"] = each.connection_id
            await _insist(partial(self._new.drop, what))


async def _insist(action: Callable[[], Awaitable[T]]) -> T:
    """Does what may be repeated until it is done: an operator waits, and what was done so far is worth keeping."""
    return await until_done(action, retry_on=(Unavailable,), backoff=_BACKOFF, on_failure=_tell)


def _tell(error: Exception, _: timedelta) -> None:
    log.warning("rebuild_delayed", error=str(error))
