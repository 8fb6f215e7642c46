"""JOBS, and what has been read of it."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import TYPE_CHECKING

from penstock.events.v1 import events_pb2
from penstock.jobs.v1 import jobs_pb2

from shared import ids, streams
from shared.bus import Incoming, Outgoing
from tests.integration.intake.idempotency.ledger import LAST, MINUTE, SUBMITTED, Asked, Told

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.bus import Bus
    from tests.integration.intake.idempotency.hand import Hand

#: How long NATS knows a message id.
_IDS_KNOWN = 2 * MINUTE
_EVERY_EVENT = streams.job_subject("*", "*")


class Log:
    """JOBS, and what has been read of it; a message that is applied may be acknowledged, or come again."""

    def __init__(self, bus: Bus, hand: Hand) -> None:
        self._bus = bus
        self._hand = hand
        self._known: dict[str, tuple[int, int]] = {}
        #: The server knows the ids of the bench before, which had the same jobs.
        self._bench = ids.uuid7()
        self._start = self._end = 0
        #: Not in the log yet, though whoever published them has given up.
        self.on_the_way: list[Sequence[Outgoing]] = []
        self.told: list[Told] = []
        #: Of each job, what it came of: the request, and what that has made.
        self._origins: dict[str, tuple[Asked, str]] = {}
        #: By sequence, what the projection has yet to acknowledge.
        self.open: dict[int, Incoming] = {}

    async def clear(self) -> None:
        await self._bus._jetstream.purge_stream(streams.JOBS)
        state = (await self._bus._jetstream.stream_info(streams.JOBS)).state
        self._start = self._end = state.last_seq

    async def put(self, messages: Sequence[Outgoing]) -> None:
        """Puts messages into the log, all or none; it knows an id for two minutes."""
        await self._bus.publish_units([[self._of_now(message) for message in messages]])
        await self._read()

    def _of_now(self, message: Outgoing) -> Outgoing:
        now = self._hand.now_ms
        number, since = self._known.get(message.message_id, (0, 0))
        if now - since > _IDS_KNOWN:
            number, since = number + 1, now
            self._known[message.message_id] = number, since
        return replace(message, message_id=f"{self._bench}:{message.message_id}:{number}")

    @staticmethod
    def made_by(messages: Sequence[Outgoing]) -> str:
        """What the submission of these is one of."""
        event = events_pb2.JobEvent.FromString(messages[0].payload)
        return event.submission.batch.id or event.job_id

    async def happen(self, job_id: str, revision: int) -> None:
        """Something happens to a job after its submission; the last ends it."""
        asked, _ = self._origins[job_id]
        event = events_pb2.JobEvent(
            type=events_pb2.JobEvent.SUCCEEDED if revision == LAST else events_pb2.JobEvent.STARTED,
            job_id=job_id,
            tenant=asked.tenant,
            upstream="http",
            revision=revision,
            state=jobs_pb2.Job.SUCCEEDED if revision == LAST else jobs_pb2.Job.RUNNING,
        )
        event.time.FromDatetime(self._hand.now())
        if revision == LAST:
            event.finished_at.CopyFrom(event.time)
        subject = streams.job_subject("succeeded" if revision == LAST else "started", "http")
        message = Outgoing(subject=subject, payload=event.SerializeToString(), message_id=f"{job_id}:{revision}")
        await self.put([message])

    def acknowledged(self) -> int:
        """The sequence up to which the projection has acknowledged everything."""
        return min(self.open, default=self._end + 1) - 1

    async def _read(self) -> None:
        newest = await self._bus.newest(streams.JOBS, _EVERY_EVENT)
        for sequence in range(self._end + 1, newest + 1):
            payload = await self._bus.read(streams.JOBS, sequence)
            assert payload is not None
            self._take(sequence, payload)
        self._end = max(self._end, newest)

    def _take(self, sequence: int, payload: bytes) -> None:
        event = events_pb2.JobEvent.FromString(payload)
        if event.revision == SUBMITTED and event.job_id not in self._origins:
            self._origins[event.job_id] = self._origin(event)
        self.open[sequence] = Incoming(
            subject="", payload=payload, headers={}, sequence=sequence, deliveries=1, reply=""
        )
        self.told.append(self.read(payload))

    def _origin(self, event: events_pb2.JobEvent) -> tuple[Asked, str]:
        """Of a job by itself it is in its submission; of those of a batch in the first one's, which comes first."""
        place = event.submission.batch
        if place.index:
            return next(origin for origin in self._origins.values() if origin[1] == place.id)
        body = int(event.submission.params.decode().rpartition("/")[2].rstrip('"}'))
        key = event.submission.idempotency_key
        return Asked(tenant=event.tenant, key=key, body=body, jobs=place.size), place.id or event.job_id

    def read(self, payload: bytes) -> Told:
        """What a message tells."""
        event = events_pb2.JobEvent.FromString(payload)
        asked, made = self._origins[event.job_id]
        return Told(
            job_id=event.job_id,
            revision=event.revision,
            at=event.time.ToMilliseconds(),
            asked=asked,
            made=made,
            first_sight=first_sight(made),
        )


def first_sight(made: str) -> int:
    """When the id of a job or batch was made."""
    return uuid.UUID(made[-36:]).int >> 80
