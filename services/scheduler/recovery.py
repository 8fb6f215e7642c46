"""Recovery: a queue that Redis has lost, or whose last writes it has lost, is rebuilt from the log of jobs.

`guard.lua`, a part of every script, refuses to work on such a queue. Whoever notices it begins a rebuild, and every
other replica that does joins it: events are replayed in the order of the log, each once, whoever brings them. Then the
queue is opened under a new epoch, and leases flow again.

From where the log is replayed: all that was submitted before the consumer's acknowledgement floor had been enqueued,
perhaps only by writes that were lost since that floor was noted; what is not acknowledged comes again by itself. All
else that was done and lost was told by events after the queue was known to be whole last.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from services.scheduler import metrics
from services.scheduler.rebuild import SessionBehind, SessionOver
from services.scheduler.replay import chapters_of
from shared import ids, observability, streams
from shared.retry import Backoff

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from services.scheduler.checkpoints import Checkpoints
    from services.scheduler.outbox import Outbox
    from services.scheduler.rebuild import Rebuild, Session
    from services.scheduler.work import Work
    from shared.bus import Bus

log = observability.logger()

#: An event may be on disk so much before the write that it tells of, and the clocks of NATS and Redis so far apart.
OVERLAP = timedelta(seconds=60)
_BACKOFF = Backoff(initial=timedelta(milliseconds=100), maximum=timedelta(seconds=2))


def submitted_consumer(upstream: str) -> str:
    """The durable consumer by which an upstream's jobs come to be enqueued."""
    return f"scheduler-submitted-{upstream}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """What a rebuild came to.

    Args:
        upto: The sequence in JOBS up to which the log was replayed.
    """

    upstream: str
    epoch: int
    upto: int


class Recovery:
    """Rebuilds queues.

    Args:
        bus: Where the log is.
        rebuild: The queues in Redis.
        checkpoints: What is known of them beside.
        outbox: Publishes what a queue had done before its rebuild.
        signals: Tell who waits that leases flow.
    """

    def __init__(self, *, bus: Bus, rebuild: Rebuild, checkpoints: Checkpoints, outbox: Outbox, signals: Work) -> None:
        self._bus = bus
        self._rebuild = rebuild
        self._checkpoints = checkpoints
        self._outbox = outbox
        self._signals = signals
        self._hooks: list[Callable[[str], Awaitable[None]]] = []
        self._followers: list[Callable[[Recovered], None]] = []
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._under_way: set[str] = set()

    def on_recovered(self, hook: Callable[[str], Awaitable[None]]) -> None:
        """Awaits `hook` with the upstream in each rebuild, before it replays: what is set for the queue may be lost."""
        self._hooks.append(hook)

    def follow(self, tell: Callable[[Recovered], None]) -> None:
        """Calls `tell` whenever this replica has opened a queue."""
        self._followers.append(tell)

    def recovering(self, upstream: str) -> bool:
        """Whether this replica is rebuilding the queue."""
        return upstream in self._under_way

    async def recover(self, upstream: str) -> None:
        """Has the queue rebuilt from nothing, though it seems whole; returns when leases flow.

        Raises:
            Unavailable: Redis or NATS is away; the rebuild goes on when they are back.
        """
        await self._run(upstream, forced=True)

    async def mend(self, upstream: str) -> None:
        """Has the queue rebuilt if it is not whole; returns when leases flow.

        Raises:
            Unavailable: Redis or NATS is away.
        """
        await self._run(upstream, forced=False)

    async def _run(self, upstream: str, *, forced: bool) -> None:
        async with self._locks[upstream]:
            cause = "asked" if forced else "noticed"
            began = time.monotonic()
            failures = 0
            while True:
                session = await self._rebuild.begin(upstream, str(ids.uuid7()), forced=forced)
                if not session.name:
                    return
                forced = False  # once begun, it is not begun again
                self._under_way.add(upstream)
                try:
                    recovered = await self._work_on(upstream, session)
                except SessionOver:  # another replica was faster, or Redis was lost once more
                    log.info("recovery_ended_elsewhere", upstream=upstream)
                except SessionBehind:  # another replica has begun further back: from there on, then
                    failures += 1
                    await asyncio.sleep(_BACKOFF.pause(failures).total_seconds())
                else:
                    metrics.RECOVERIES.labels(upstream, cause).inc()
                    self._tell(recovered, seconds=time.monotonic() - began)
                    await self._signals.announce(upstream)
                finally:
                    self._under_way.discard(upstream)

    async def _work_on(self, upstream: str, session: Session) -> Recovered:
        log.info(
            "recovery_begun",
            upstream=upstream,
            lost="all" if session.clear else "last writes",
            session=session.name,
            replayed=session.replayed,
        )
        # It is taken after the session was begun: every epoch under which the queue was open before is smaller.
        epoch = await self._checkpoints.next_epoch(upstream)
        while facts := await self._rebuild.unpublished(upstream):  # so that the log tells them
            await self._outbox.publish(upstream, facts)
        if session.clear and session.replayed is None:
            await self._rebuild.clear(upstream, session)
        for hook in self._hooks:
            await hook(upstream)
        acked = await self._bus.acknowledged(streams.JOBS, submitted_consumer(upstream))
        upto = await self._replay(upstream, session, acked=acked, epoch=epoch)
        opened = await self._rebuild.open(upstream, session, epoch, acked=acked)
        return Recovered(upstream=upstream, epoch=opened, upto=upto)

    async def _replay(self, upstream: str, session: Session, *, acked: int, epoch: int) -> int:
        """Replays the log until nothing but submissions comes any more; they come by their consumer too."""
        after = await self._start(upstream, session) - 1
        news = 0
        async with self._bus.reader(streams.JOBS, streams.job_subject("*", upstream), start=after + 1) as reader:
            goes_on = True
            while goes_on:
                goes_on = False
                newest = await self._bus.newest(streams.JOBS, streams.job_subject("*", upstream))
                while after < newest:
                    messages = await reader.batch()
                    chapters = chapters_of(upstream, after, messages)
                    news += await self._rebuild.restore(upstream, session, chapters, acked=acked, epoch=epoch)
                    metrics.REPLAYED_EVENTS.labels(upstream).inc(len(messages))
                    after = messages[-1].sequence
                    # a process that has not noticed may have published more since
                    goes_on = goes_on or not all(chapter.only_submissions for chapter in chapters)
        log.info("log_replayed", upstream=upstream, upto=after, news=news)
        return after

    async def _start(self, upstream: str, session: Session) -> int:
        """The sequence from which the log has to be replayed."""
        if session.replayed is not None:
            return session.replayed + 1
        if session.clear or session.acked is None or session.applied_ms is None:
            floor, since_ms = (
                await self._checkpoints.floor(upstream),
                session.now_ms,
            )  # calls begun lately count in rates
        else:
            floor, since_ms = session.acked + 1, session.applied_ms
        since = datetime.fromtimestamp(since_ms / 1000, UTC) - OVERLAP
        subject = streams.job_subject("*", upstream)
        if floor > await self._bus.newest(streams.JOBS, subject) + 1:
            return 1  # the stream was made anew and counts from 1 again, or has forgotten what was there
        async with self._bus.reader(streams.JOBS, subject, start=since) as reader:
            if await reader.opened():
                return min(floor, (await reader.batch())[0].sequence)
        return floor

    def _tell(self, recovered: Recovered, *, seconds: float) -> None:
        metrics.RECOVERY_SECONDS.observe(seconds)
        metrics.EPOCH.labels(recovered.upstream).set(recovered.epoch)
        log.warning(
            "queue_recovered",
            upstream=recovered.upstream,
            epoch=recovered.epoch,
            upto=recovered.upto,
            seconds=round(seconds, 3),
        )
        for follow in self._followers:
            follow(recovered)
