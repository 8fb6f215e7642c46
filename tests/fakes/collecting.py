"""What surrounds the collectors, in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from penstock.events.v1 import events_pb2, notices_pb2
from penstock.jobs.v1 import batches_pb2, jobs_pb2

from shared import ids, streams
from shared.bus import Incoming
from shared.errors import Unavailable
from tests.fakes.endpoints import NOW

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from services.webhooks.deliveries.domain import Delivery

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
CALLBACK_URL = "https://client.example:8443/hook?t=1"


@dataclass
class Deliveries:
    """Keeps deliveries, each once; can be away."""

    by_id: dict[str, Delivery] = field(default_factory=dict)
    #: How many came in each write.
    writes: list[int] = field(default_factory=list)
    away: bool = False

    async def add(self, deliveries: Sequence[Delivery]) -> int:
        if self.away:
            raise Unavailable("MongoDB does not answer")
        new = {each.id: each for each in deliveries if each.id not in self.by_id}
        self.by_id |= new
        self.writes.append(len(deliveries))
        return len(new)

    def to(self, receiver: str) -> list[Delivery]:
        """Those of a receiver."""
        return [each for each in self.by_id.values() if each.receiver == receiver]


@dataclass
class Receivers:
    """Notes what is due; can be away."""

    noted: list[dict[str, datetime]] = field(default_factory=list)
    away: bool = False

    async def note_due(self, due: Mapping[str, datetime]) -> None:
        if self.away:
            raise Unavailable("MongoDB does not answer")
        self.noted.append(dict(due))


@dataclass
class Signals:
    """Notes what is signaled; can be away."""

    sent: list[tuple[str, bytes]] = field(default_factory=list)
    away: bool = False

    async def signal(self, subject: str, payload: bytes = b"") -> None:
        if self.away:
            raise Unavailable("NATS does not answer")
        self.sent.append((subject, payload))


@dataclass
class JobLog:
    """The log of jobs; can be away."""

    messages: dict[int, bytes] = field(default_factory=dict)
    #: Sequences that were read.
    read: list[int] = field(default_factory=list)
    away: bool = False

    async def read_message(self, stream: str, sequence: int) -> tuple[bytes, Mapping[str, str]] | None:
        assert stream == streams.JOBS
        if self.away:
            raise Unavailable("NATS does not answer")
        self.read.append(sequence)
        payload = self.messages.get(sequence)
        return None if payload is None else (payload, {})

    def submit(
        self,
        *,
        callback_url: str = "",
        tenant: str = "acme",
        upstream: str = "http",
        method: str = "http.get",
        connection_id: str = "",
        metadata: Mapping[str, str] | None = None,
        ends: str = "SUCCEEDED",
        time: datetime = NOW,
    ) -> events_pb2.JobEvent:
        """Puts a submission into the log; answers with the event by which its job ends."""
        job = jobs_pb2.Job(
            id=ids.new_job_id(upstream),
            upstream=upstream,
            method=method,
            connection_id=connection_id,
            state=jobs_pb2.Job.QUEUED,
            metadata=metadata or {},
            revision=1,
        )
        submission = events_pb2.Submission(job=job, callback_url=callback_url, sealed_callback_secret=b"sealed")
        sequence = len(self.messages) + 1
        self.messages[sequence] = events_pb2.JobEvent(
            type=events_pb2.JobEvent.SUBMITTED, job_id=job.id, tenant=tenant, revision=1, submission=submission
        ).SerializeToString()
        event = events_pb2.JobEvent(
            type=events_pb2.JobEvent.Type.Value(ends),
            job_id=job.id,
            tenant=tenant,
            upstream=upstream,
            revision=3,
            state=jobs_pb2.Job.State.Value(ends),
            submitted_sequence=sequence,
            has_callback=bool(callback_url),
        )
        event.time.FromDatetime(time)
        return event


def incoming(event: events_pb2.JobEvent | bytes, *, sequence: int = 9, deliveries: int = 1) -> Incoming:
    """An event as a consumer is given it."""
    return _incoming("jobs.x.http", event, sequence=sequence, deliveries=deliveries)


def heard(notice: notices_pb2.Notice | bytes) -> Incoming:
    """A notice likewise."""
    return _incoming("notices.x", notice, sequence=9, deliveries=1)


def finished_batch(*, callback_url: str = CALLBACK_URL, tenant: str = "acme", **changes: str) -> notices_pb2.Notice:
    """The notice of a batch's end."""
    batch = batches_pb2.Batch(
        id=ids.new_batch_id(), size=3, counts=batches_pb2.BatchCounts(succeeded=2, outcome_unknown=1)
    )
    batch.created_at.FromDatetime(NOW)
    batch.finished_at.FromDatetime(NOW)
    fact = notices_pb2.BatchFinished(batch=batch, callback_url=callback_url, sealed_callback_secret=b"sealed")
    notice = notices_pb2.Notice(**{"id": batch.id, "tenant": tenant} | changes, batch_finished=fact)
    notice.time.FromDatetime(NOW)
    return notice


def _incoming(
    subject: str, content: events_pb2.JobEvent | notices_pb2.Notice | bytes, *, sequence: int, deliveries: int
) -> Incoming:
    return Incoming(
        subject=subject,
        payload=content if isinstance(content, bytes) else content.SerializeToString(),
        headers={"traceparent": TRACEPARENT},
        sequence=sequence,
        deliveries=deliveries,
        reply="",
    )
