"""The log of jobs in memory, and a consumer of it that replicas share."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from penstock.events.v1 import events_pb2
from penstock.jobs.v1 import jobs_pb2

from shared import ids, streams
from shared.bus import Incoming, Progress
from shared.errors import PenstockError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from shared.clock import Clock

#: What a handler could not handle comes again after this.
_RETRY_S = 1.0


class FakeEventLog:
    """Holds submissions and ends of jobs; the consumer is given the ends, each until it is acknowledged.

    Args:
        clock: What events are dated by.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._messages: list[bytes] = []
        #: By the sequence of a message that the consumer wants and has not acknowledged: when it is given again.
        self._wanted: dict[int, float] = {}
        self._given = 0
        self._arrived = asyncio.Event()

    def submit(self, tenant: str, **job: Any) -> str:
        """Puts a submission into the log, and answers with its job's id."""
        job_id = ids.new_job_id("http")
        job = jobs_pb2.Job(id=job_id, upstream="http", method="http.get", state=jobs_pb2.Job.QUEUED, revision=1, **job)
        self._put(
            events_pb2.JobEvent(
                type=events_pb2.JobEvent.SUBMITTED,
                job_id=job_id,
                tenant=tenant,
                upstream="http",
                revision=1,
                submission=events_pb2.Submission(job=job),
            )
        )
        return job_id

    def end(self, tenant: str, **job: Any) -> str:
        """Puts a job into the log that is submitted and ends at once, and answers with its id."""
        job_id = self.submit(tenant, **job)
        event = events_pb2.JobEvent(
            type=events_pb2.JobEvent.SUCCEEDED,
            job_id=job_id,
            tenant=tenant,
            upstream="http",
            revision=3,
            state=jobs_pb2.Job.SUCCEEDED,
            submitted_sequence=len(self._messages),
        )
        event.time.FromDatetime(self._clock.now())
        self._wanted[self._put(event)] = 0.0
        self._arrived.set()
        return job_id

    @property
    def pending(self) -> int:
        """How many messages the consumer has not acknowledged."""
        return len(self._wanted)

    async def read_message(self, stream: str, sequence: int) -> tuple[bytes, Mapping[str, str]] | None:
        assert stream == streams.JOBS
        return (self._messages[sequence - 1], {}) if 0 < sequence <= len(self._messages) else None

    async def progress(self, stream: str, durable: str) -> Progress:
        assert (stream, durable) == (streams.JOBS, "webhooks")
        return Progress(
            acknowledged=min(min(self._wanted, default=self._given + 1) - 1, self._given), given=self._given
        )

    async def newest(self, stream: str, subject: str) -> int:
        assert (stream, subject) == (streams.JOBS, streams.job_subject("*", "*"))
        return len(self._messages)

    async def run(
        self,
        handle: Callable[[Sequence[Incoming]], Awaitable[None]],
        *,
        at_once: int,
        step: Callable[[], Awaitable[None]],
    ) -> None:
        """Gives messages to one of the replicas, until canceled.

        Args:
            handle: What it does with them.
            at_once: So many at most.
            step: Awaited when they were handled, before they are acknowledged.
        """
        loop = asyncio.get_running_loop()
        while True:
            due = sorted(each for each, again_s in self._wanted.items() if again_s <= loop.time())[:at_once]
            if not due:
                await self._wait()
                continue
            self._given = max(self._given, *due)
            self._wanted |= dict.fromkeys(due, loop.time() + streams.ACK_WAIT.total_seconds())
            batch = [self._incoming(each) for each in due]
            try:
                await handle(batch)
            except PenstockError:  # all of it comes again
                self._wanted |= dict.fromkeys(due, loop.time() + _RETRY_S)
                continue
            await step()
            for message in batch:
                assert message.verdict != b"+TERM", message
                self._wanted.pop(message.sequence, None)

    async def _wait(self) -> None:
        self._arrived.clear()
        again_s = min(self._wanted.values(), default=float("inf")) - asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(None if again_s == float("inf") else max(again_s, 0.0)):
                await self._arrived.wait()
        except TimeoutError:  # something comes again
            return

    def _put(self, event: events_pb2.JobEvent) -> int:
        self._messages.append(event.SerializeToString())
        return len(self._messages)

    def _incoming(self, sequence: int) -> Incoming:
        return Incoming(
            subject=streams.job_subject("succeeded", "http"),
            payload=self._messages[sequence - 1],
            headers={},
            sequence=sequence,
            deliveries=1,
            reply="",
        )
