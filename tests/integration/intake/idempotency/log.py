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
        #: By message id: not in the log yet, though whoever published it has given up.
        self.on_the_way: list[Outgoing] = []
        self.told: list[Told] = []
        self._asked: dict[str, Asked] = {}
        #: By sequence, what the projection has yet to acknowledge.
        self.open: dict[int, Incoming] = {}

    async def clear(self) -> None:
        await self._bus._jetstream.purge_stream(streams.JOBS)
        state = (await self._bus._jetstream.stream_info(streams.JOBS)).state
        self._start = self._end = state.last_seq

    async def put(self, message: Outgoing) -> None:
        """Puts a message into the log, which knows an id for two minutes."""
        now = self._hand.now_ms
        number, since = self._known.get(message.message_id, (0, 0))
        if now - since > _IDS_KNOWN:
            number, since = number + 1, now
            self._known[message.message_id] = number, since
        await self._bus.publish([replace(message, message_id=f"{self._bench}:{message.message_id}:{number}")])
        await self._read()

    async def happen(self, job_id: str, revision: int) -> None:
        """Something happens to a job after its submission; the last ends it."""
        asked = self._asked[job_id]
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
        await self.put(Outgoing(subject=subject, payload=event.SerializeToString(), message_id=f"{job_id}:{revision}"))

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
        self.open[sequence] = Incoming(
            subject="", payload=payload, headers={}, sequence=sequence, deliveries=1, reply=""
        )
        self.told.append(self.read(payload))
        if event.revision == SUBMITTED:
            self._asked[event.job_id] = self.told[-1].asked

    def read(self, payload: bytes) -> Told:
        """What a message tells."""
        event = events_pb2.JobEvent.FromString(payload)
        asked = self._asked.get(event.job_id)
        if event.revision == SUBMITTED:
            url = event.submission.params.decode().rpartition("/")[2]
            body = int(url.rstrip('"}'))
            asked = Asked(tenant=event.tenant, key=event.submission.idempotency_key, body=body)
        assert asked is not None
        return Told(
            job_id=event.job_id,
            revision=event.revision,
            at=event.time.ToMilliseconds(),
            asked=asked,
            first_sight=first_sight(event.job_id),
        )


def first_sight(job_id: str) -> int:
    """When a job's id was made."""
    return uuid.UUID(job_id.partition("-")[2]).int >> 80
