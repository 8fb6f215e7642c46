"""The log of jobs: submissions are read back from it, and every event of a job goes into it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError
from penstock.events.v1 import events_pb2

from services.scheduler import metrics
from services.scheduler.events import event_of, message_of, name_of
from shared import observability, streams

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.scheduler.domain import Fact
    from shared.bus import Bus

log = observability.logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """What a job asks for, and the W3C trace context it was submitted in."""

    submission: events_pb2.Submission
    traceparent: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A fact to be told.

    Args:
        attempt: The outcome that brought it about, where one did.
        traceparent: The W3C trace context of what brought it about.
    """

    fact: Fact
    attempt: events_pb2.Attempt | None = None
    traceparent: str


class JobLog:
    """Writes and reads the stream JOBS.

    Args:
        bus: Where it is.
    """

    #: Of submissions that are held in memory for their first lease; those of a longer queue are read from the stream.
    HELD_BYTES = 16 * 1024 * 1024

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._group = bus.group_publisher()
        self._held: dict[int, tuple[events_pb2.JobEvent, str]] = {}
        self._held_bytes = 0

    async def run(self) -> None:
        """Writes what comes by `append`, until canceled."""
        await self._group.run()

    async def write(self, upstream: str, entries: Sequence[Entry]) -> None:
        """Publishes the events of facts as one batch; on return they are on disk.

        Raises:
            Unavailable: NATS is away. Any of them may be on disk; writing them again does no harm.
        """
        events = [event_of(upstream, entry.fact, entry.attempt) for entry in entries]
        await self._bus.publish(
            [
                message_of(event, entry.fact.fence, traceparent=entry.traceparent)
                for event, entry in zip(events, entries, strict=True)
            ]
        )
        for event in events:
            metrics.EVENTS.labels(upstream, name_of(event)).inc()

    async def append(self, upstream: str, entry: Entry) -> None:
        """The same for one, together with what others append at the same time.

        Raises:
            Unavailable: The same.
        """
        event = event_of(upstream, entry.fact, entry.attempt)
        await self._group.publish(message_of(event, entry.fact.fence, traceparent=entry.traceparent))
        metrics.EVENTS.labels(upstream, name_of(event)).inc()

    def hold(self, sequence: int, event: events_pb2.JobEvent, traceparent: str) -> None:
        """Holds a submission that this process has just seen: it is likely to be asked for soon, and once."""
        if sequence in self._held:
            return
        self._held[sequence] = event, traceparent
        self._held_bytes += event.ByteSize()
        while self._held_bytes > self.HELD_BYTES:
            oldest, _ = self._held.pop(next(iter(self._held)))
            self._held_bytes -= oldest.ByteSize()

    async def read(self, facts: Sequence[Fact]) -> list[Submitted | None]:
        """What the jobs ask for, all read at the same time; None where the log does not have it any more.

        Raises:
            Unavailable: NATS is away.
        """
        found = [self._take_held(fact) for fact in facts]
        absent = [fact for fact, held in zip(facts, found, strict=True) if held is None]
        read = iter(await asyncio.gather(*(self._read(fact) for fact in absent)))
        return [held if held is not None else next(read) for held in found]

    def _take_held(self, fact: Fact) -> Submitted | None:
        held = self._held.pop(fact.sequence, None)
        if held is None:
            return None
        event, traceparent = held
        self._held_bytes -= event.ByteSize()
        if event.job_id != fact.job_id:
            return None
        return Submitted(submission=event.submission, traceparent=traceparent)

    async def _read(self, fact: Fact) -> Submitted | None:
        found = await self._bus.read_message(streams.JOBS, fact.sequence)
        if found is None:
            return None
        payload, headers = found
        try:
            event = events_pb2.JobEvent.FromString(payload)
        except DecodeError:  # it was well formed when it was enqueued, so this is another message
            return None
        if event.job_id != fact.job_id:  # the stream was made anew, and counts from 1 again
            return None
        return Submitted(submission=event.submission, traceparent=headers.get(observability.TRACEPARENT, ""))
