"""Which upstreams there are, and the loops that keep the queue of each."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

from penstock.upstream.v1 import upstream_pb2

from services.scheduler.recovery import submitted_consumer
from services.scheduler.rules import offer_of
from shared import observability, streams
from shared.errors import InvalidArgument, PenstockError, UpstreamNotFound
from shared.retry import Backoff, until_done

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from penstock.upstream.v1.upstream_pb2_grpc import UpstreamServiceAsyncStub

    from services.scheduler.latecomers import Latecomers
    from services.scheduler.outcomes import Outcomes
    from services.scheduler.rules import Offer
    from services.scheduler.settings import Settings
    from services.scheduler.submissions import Submissions
    from services.scheduler.suspensions import Suspensions
    from services.scheduler.sweep import Sweeper
    from services.scheduler.wholeness import Wholeness
    from shared.bus import Bus

log = observability.logger()

#: Between two looks at the catalogue; a worker of a new upstream asks for leases, and has it looked up at once.
REFRESH_INTERVAL = timedelta(seconds=60)
_BACKOFF = Backoff(initial=timedelta(milliseconds=100), maximum=timedelta(seconds=2))
_PAGE_SIZE = 500
#: Of a wrong name that is shown again in an error.
_SHOWN_CHARACTERS = 60


class QueueKeeper:
    """Keeps one queue going: takes in what was submitted and what came out, and sweeps.

    Each upstream has consumers of its own, so that one upstream's trouble never holds up another's messages.

    Args:
        bus: Where the messages are.
        submissions: Takes submitted jobs.
        outcomes: Takes attempts.
        sweeper: Sweeps.
        wholeness: Has the queue rebuilt where Redis has lost it.
        latecomers: Applies what was published too late for that.
    """

    def __init__(
        self,
        *,
        bus: Bus,
        submissions: Submissions,
        outcomes: Outcomes,
        sweeper: Sweeper,
        wholeness: Wholeness,
        latecomers: Latecomers,
    ) -> None:
        self._bus = bus
        self._submissions = submissions
        self._outcomes = outcomes
        self._sweeper = sweeper
        self._wholeness = wholeness
        self._latecomers = latecomers

    async def run(self, upstream: str) -> None:
        """Keeps an upstream's queue, until canceled."""
        submitted = self._bus.consumer(
            streams.JOBS,
            streams.consumer_config(submitted_consumer(upstream), streams.job_subject("submitted", upstream)),
        )
        attempts = self._bus.consumer(
            streams.ATTEMPTS,
            streams.consumer_config(f"scheduler-attempts-{upstream}", streams.attempt_subject(upstream)),
        )
        async with asyncio.TaskGroup() as group:
            group.create_task(self._wholeness.run(upstream))
            group.create_task(self._latecomers.run(upstream))
            await self._wholeness.seen(upstream)  # before that the others could do nothing
            group.create_task(submitted.run(lambda batch: self._submissions.take(upstream, batch)))
            group.create_task(attempts.run(lambda batch: self._outcomes.take(upstream, batch)))
            group.create_task(self._sweeper.run(upstream))


class Upstreams:
    """The upstreams of the catalogue. One that leaves it keeps its queue until the process ends: jobs may be in it.

    Args:
        stub: Asks the catalogue.
        keeper: Keeps their queues.
        settings: Are told what the catalogue says of their limits.
        suspensions: Hold in each of them.
    """

    def __init__(
        self,
        stub: UpstreamServiceAsyncStub,
        *,
        keeper: QueueKeeper,
        settings: Settings,
        suspensions: Suspensions,
    ) -> None:
        self._stub = stub
        self._keeper = keeper
        self._settings = settings
        self._suspensions = suspensions
        self._offers: dict[str, Offer] = {}
        #: Those of which what is set is to be brought into force.
        self._new: set[str] = set()
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Keeps the queue of every upstream, new ones included, and has their limits in force, until canceled."""
        kept: set[str] = set()
        async with asyncio.TaskGroup() as group:
            while True:
                await _until_done(self._refresh, "catalogue_awaited")
                self._changed.clear()
                for upstream in sorted(self._offers.keys() - kept):
                    log.info("queue_kept", upstream=upstream)
                    group.create_task(self._keeper.run(upstream), name=f"queue-{upstream}")
                    kept.add(upstream)
                for upstream in sorted(self._new):
                    group.create_task(self._apply(upstream), name=f"rules-{upstream}")
                self._new.clear()
                try:
                    async with asyncio.timeout(REFRESH_INTERVAL.total_seconds()):
                        await self._changed.wait()
                except TimeoutError:
                    continue  # time for the next look

    def renew(self, upstream: str) -> None:
        """Has all that is set for the queue brought into force once more: it was rebuilt."""
        self._new.add(upstream)
        self._changed.set()

    async def names(self) -> list[str]:
        """Every upstream, in the order of their names.

        Raises:
            Unavailable: The upstream service does not answer, and has not before.
        """
        if not self._offers:
            await self._refresh()
        return sorted(self._offers)

    async def find(self, upstream: str) -> None:
        """Returns when the catalogue has the upstream.

        Raises:
            UpstreamNotFound: It has not.
            Unavailable: The upstream service does not answer, and the name has not been seen before.
        """
        if await self._has(upstream):
            return
        shown = upstream[:_SHOWN_CHARACTERS]
        raise UpstreamNotFound(
            f"there is no upstream {shown!r}; there are: {', '.join(sorted(self._offers))}",
            metadata={"upstream": shown},
        )

    async def require(self, upstream: str) -> None:
        """The same for a call in which the upstream is a field among others.

        Raises:
            InvalidArgument: The catalogue has it not.
            Unavailable: The upstream service does not answer, and the name has not been seen before.
        """
        if not await self._has(upstream):
            raise InvalidArgument.field(
                "upstream",
                f"is {upstream!r}, which no catalogue has; it takes one of {', '.join(sorted(self._offers))}",
            )

    async def _has(self, upstream: str) -> bool:
        if upstream not in self._offers:
            await self._refresh()
        return upstream in self._offers

    async def _refresh(self) -> None:
        found: dict[str, Offer] = {}
        token = ""
        while True:
            page = await self._stub.ListUpstreams(
                upstream_pb2.ListUpstreamsRequest(page_size=_PAGE_SIZE, page_token=token)
            )
            found |= {upstream.name: offer_of(upstream) for upstream in page.upstreams}
            token = page.next_page_token
            if not token:
                break
        for upstream, offer in found.items():
            if self._offers.get(upstream) != offer:
                self._offers[upstream] = offer
                self._settings.offer(upstream, offer)
                self.renew(upstream)

    async def _apply(self, upstream: str) -> None:
        """Has what holds for a queue in force, as soon as Redis and NATS are there."""
        await _until_done(lambda: self._suspensions.apply(upstream), "suspensions_awaited")
        await _until_done(lambda: self._settings.apply(upstream), "rules_awaited")


async def _until_done(act: Callable[[], Awaitable[None]], event: str) -> None:
    await until_done(
        act,
        retry_on=(PenstockError,),
        backoff=_BACKOFF,
        on_failure=lambda error, pause: log.warning(event, error=str(error), pause_s=round(pause.total_seconds(), 2)),
    )
