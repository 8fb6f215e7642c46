"""Which upstreams there are, and the loops that keep the queue of each."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

from penstock.upstream.v1 import upstream_pb2

from shared import observability, streams
from shared.errors import InvalidArgument, PenstockError
from shared.retry import Backoff, until_done

if TYPE_CHECKING:
    from penstock.upstream.v1.upstream_pb2_grpc import UpstreamServiceAsyncStub

    from services.scheduler.outcomes import Outcomes
    from services.scheduler.submissions import Submissions
    from services.scheduler.sweep import Sweeper
    from shared.bus import Bus

log = observability.logger()

#: Between two looks at the catalogue; a worker of a new upstream asks for leases, and has it looked up at once.
REFRESH_INTERVAL = timedelta(seconds=60)
_BACKOFF = Backoff(initial=timedelta(milliseconds=100), maximum=timedelta(seconds=2))
_PAGE_SIZE = 500


class QueueKeeper:
    """Keeps one queue going: takes in what was submitted and what came out, and sweeps.

    Each upstream has consumers of its own, so that one upstream's trouble never holds up another's messages.

    Args:
        bus: Where the messages are.
        submissions: Takes submitted jobs.
        outcomes: Takes attempts.
        sweeper: Sweeps.
    """

    def __init__(self, *, bus: Bus, submissions: Submissions, outcomes: Outcomes, sweeper: Sweeper) -> None:
        self._bus = bus
        self._submissions = submissions
        self._outcomes = outcomes
        self._sweeper = sweeper

    async def run(self, upstream: str) -> None:
        """Keeps an upstream's queue, until canceled."""
        submitted = self._bus.consumer(
            streams.JOBS,
            streams.consumer_config(f"scheduler-submitted-{upstream}", streams.job_subject("submitted", upstream)),
        )
        attempts = self._bus.consumer(
            streams.ATTEMPTS,
            streams.consumer_config(f"scheduler-attempts-{upstream}", streams.attempt_subject(upstream)),
        )
        async with asyncio.TaskGroup() as group:
            group.create_task(submitted.run(lambda batch: self._submissions.take(upstream, batch)))
            group.create_task(attempts.run(lambda batch: self._outcomes.take(upstream, batch)))
            group.create_task(self._sweeper.run(upstream))


class Upstreams:
    """The upstreams of the catalogue. One that leaves it keeps its queue until the process ends: jobs may be in it.

    Args:
        stub: Asks the catalogue.
        keeper: Keeps their queues.
    """

    def __init__(self, stub: UpstreamServiceAsyncStub, *, keeper: QueueKeeper) -> None:
        self._stub = stub
        self._keeper = keeper
        self._names: frozenset[str] = frozenset()
        self._grown = asyncio.Event()

    async def run(self) -> None:
        """Keeps the queue of every upstream, new ones included, until canceled."""
        kept: set[str] = set()
        async with asyncio.TaskGroup() as group:
            while True:
                await until_done(
                    self._refresh,
                    retry_on=(PenstockError,),
                    backoff=_BACKOFF,
                    on_failure=lambda error, pause: log.warning(
                        "catalogue_awaited", error=str(error), pause_s=round(pause.total_seconds(), 2)
                    ),
                )
                self._grown.clear()
                for upstream in sorted(self._names - kept):
                    log.info("queue_kept", upstream=upstream)
                    group.create_task(self._keeper.run(upstream), name=f"queue-{upstream}")
                kept |= self._names
                try:
                    async with asyncio.timeout(REFRESH_INTERVAL.total_seconds()):
                        await self._grown.wait()
                except TimeoutError:
                    continue  # time for the next look

    async def require(self, upstream: str) -> None:
        """Returns when the catalogue has the upstream.

        Raises:
            InvalidArgument: It has not.
            Unavailable: The upstream service does not answer, and the name has not been seen before.
        """
        if upstream in self._names:
            return
        await self._refresh()
        if upstream not in self._names:
            raise InvalidArgument.field(
                "upstream", f"is {upstream!r}, which no catalogue has; it takes one of {', '.join(sorted(self._names))}"
            )

    async def _refresh(self) -> None:
        found: set[str] = set()
        token = ""
        while True:
            page = await self._stub.ListUpstreams(
                upstream_pb2.ListUpstreamsRequest(page_size=_PAGE_SIZE, page_token=token)
            )
            found |= {upstream.name for upstream in page.upstreams}
            token = page.next_page_token
            if not token:
                break
        if not found <= self._names:
            self._names |= found
            self._grown.set()
