"""Makes many jobs as history keeps them, straight into MongoDB: what would take the mesh an hour, in minutes.

The documents are made by the service's own code, from events like those of the log.
"""

from __future__ import annotations

import random
import time
import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import accumulate, islice
from typing import TYPE_CHECKING

from penstock.events.v1 import events_pb2
from penstock.jobs.v1 import jobs_pb2

from services.history.jobs.attempts import left_by
from services.history.jobs.documents import COLLECTION, DATABASE, standing_of, submission_of
from services.history.jobs.reading import entry_of
from services.history.jobs.store import MongoHistory
from shared import mongo
from shared.errors import Unavailable
from shared.retry import until_done

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.protobuf.timestamp_pb2 import Timestamp

    from services.history.jobs.domain import Entry
    from shared.mongo import Client, Document

#: Times lie within it.
SPAN = timedelta(days=90)
#: The first has most of the jobs.
TENANTS = ("acme", *(f"tenant-{number}" for number in range(1, 20)))
METHODS = (
    *("http.get", "http.post", "http.put", "http.head", "http.delete", "http.patch"),
    *(f"flickr.photos.{name}" for name in ("search", "getInfo", "getSizes", "getExif", "getRecent", "getContext")),
    *(f"s3.{name}" for name in ("putObject", "getObject", "headObject", "deleteObject", "listObjects", "copyObject")),
)
#: What became of jobs, of a thousand; those that have not ended are among the newest.
STATES = {"SUCCEEDED": 940, "FAILED": 40, "EXPIRED": 10, "CANCELED": 8, "OUTCOME_UNKNOWN": 2}
PRIORITIES = {"NORMAL": 70, "LOW": 20, "HIGH": 10}
CONNECTIONS_OF_EACH = 50
_UNFINISHED = ("QUEUED", "RUNNING", "RETRYING")
_MOST_UNFINISHED = 500
#: The second of a kind is half as frequent as the first, the third a third, and so on (Zipf).
_TENANT_WEIGHTS = list(accumulate((10, *(1 / number for number in range(2, len(TENANTS) + 1)))))
METHOD_WEIGHTS = list(accumulate(1 / number for number in range(1, len(METHODS) + 1)))
CONNECTION_WEIGHTS = list(accumulate(1 / number for number in range(1, CONNECTIONS_OF_EACH + 1)))
_STATE_WEIGHTS = list(accumulate(STATES.values()))
_PRIORITY_WEIGHTS = list(accumulate(PRIORITIES.values()))
BATCH_SIZE = 20
#: Of all jobs, those that came in a batch.
_BATCHED = 0.1
#: Jobs that have the same label `order`, and the number of regions.
ORDER_SIZE, REGIONS = 5, 8
_WRITTEN_AT_ONCE = 1_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ANSWER = "x" * 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """What one job is to be."""

    id: str
    tenant: str
    method: str
    connection_id: str
    batch_id: str
    priority: str
    state: str
    metadata: dict[str, str]
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """How long it took to write all of the documents, and to make the indexes of them."""

    written_s: float
    indexed_s: float


class Generator:
    """Makes documents: the same ones for the same number, time and seed.

    Args:
        jobs: How many.
        until: The newest one's time.
        seed: Of what is drawn.
    """

    def __init__(self, *, jobs: int, until: datetime, seed: int = 9) -> None:
        self.jobs = jobs
        self.until = until
        self._random = random.Random(seed)
        self.connections = {
            tenant: [f"con_{self._uuid(until - SPAN)}" for _ in range(CONNECTIONS_OF_EACH)] for tenant in TENANTS
        }
        #: The first tenant's.
        self.batches: list[str] = []

    def documents(self) -> Iterator[Document]:
        """The documents, the oldest first."""
        return map(_document, self.drawn())

    def drawn(self) -> Iterator[Drawn]:
        """What they are made from."""
        draw, step = self._random, SPAN / self.jobs
        unfinished = min(_MOST_UNFINISHED, self.jobs // 20)
        tenant, batch, left_in_batch = TENANTS[0], "", 0
        for number in range(self.jobs):
            at = self.until - SPAN + step * (number + 1)
            if left_in_batch:
                left_in_batch -= 1
            else:
                [tenant], batch = draw.choices(TENANTS, cum_weights=_TENANT_WEIGHTS), ""
                if draw.random() < _BATCHED / BATCH_SIZE:
                    batch, left_in_batch = f"batch_{self._uuid(at)}", BATCH_SIZE - 1
                    if tenant == TENANTS[0]:
                        self.batches.append(batch)
            [method] = draw.choices(METHODS, cum_weights=METHOD_WEIGHTS)
            [connection] = draw.choices(self.connections[tenant], cum_weights=CONNECTION_WEIGHTS)
            [state] = draw.choices(tuple(STATES), cum_weights=_STATE_WEIGHTS)
            [priority] = draw.choices(tuple(PRIORITIES), cum_weights=_PRIORITY_WEIGHTS)
            upstream = method.partition(".")[0]
            yield Drawn(
                id=f"{upstream}-{self._uuid(at)}",
                tenant=tenant,
                method=method,
                connection_id="" if upstream == "http" else connection,
                batch_id=batch,
                priority=priority,
                state=state if number < self.jobs - unfinished else draw.choice(_UNFINISHED),
                metadata={"order": str(number // ORDER_SIZE), "region": str(number % REGIONS)} if number % 2 else {},
                at=at,
            )

    def _uuid(self, at: datetime) -> uuid.UUID:
        """A UUIDv7 of that time."""
        value = int(at.timestamp() * 1000) << 80 | 7 << 76 | self._random.getrandbits(12) << 64
        return uuid.UUID(int=value | 2 << 62 | self._random.getrandbits(62))


async def fill(client: Client, generator: Generator) -> Filled:
    """Writes all of the documents, and has the service make its indexes when they are there, as an upgrade does."""
    jobs = mongo.database(client, DATABASE).get_collection(COLLECTION)
    documents, began = generator.documents(), time.perf_counter()
    while some := list(islice(documents, _WRITTEN_AT_ONCE)):
        await jobs.insert_many(some, ordered=False)
    written = time.perf_counter()
    await until_done(MongoHistory(client).prepare, retry_on=(Unavailable,))
    return Filled(written_s=written - began, indexed_s=time.perf_counter() - written)


def _document(drawn: Drawn) -> Document:
    """As the projection leaves it; the statistics have counted it."""
    entry = entry_of_drawn(drawn)
    timeline = {str(revision): left for revision, left in entry.timeline.items()}
    return {
        "_id": drawn.id,
        **submission_of(entry),
        **standing_of(entry),
        "submitted_sequence": 0,
        "timeline": timeline,
    }


def entry_of_drawn(drawn: Drawn) -> Entry:
    """What the log says of the job, all together."""
    labels = tuple(f"{key}={value}" for key, value in drawn.metadata.items())
    entry = entry_of(submission(drawn), labels=labels)
    if drawn.state == "QUEUED":
        return entry
    began = drawn.at + timedelta(milliseconds=40)
    running = _event(drawn, 2, "RUNNING", began)
    if drawn.state == "RUNNING":
        return entry.merged_with(entry_of(running))
    ended = entry.merged_with(entry_of(_last(drawn, began)))
    return replace(ended, timeline={**ended.timeline, 2: left_by(running)})


def submission(drawn: Drawn) -> events_pb2.JobEvent:
    """The first event of a job."""
    event = _event(drawn, 1, "QUEUED", drawn.at)
    event.type = events_pb2.JobEvent.SUBMITTED
    event.submission.job.CopyFrom(
        jobs_pb2.Job(
            id=drawn.id,
            upstream=event.upstream,
            method=drawn.method,
            state=jobs_pb2.Job.QUEUED,
            priority=jobs_pb2.Job.Priority.Value(drawn.priority),
            connection_id=drawn.connection_id,
            batch_id=drawn.batch_id,
            metadata=drawn.metadata,
            created_at=event.time,
            updated_at=event.time,
            revision=1,
        )
    )
    return event


def _last(drawn: Drawn, began: datetime) -> events_pb2.JobEvent:
    event = _event(drawn, 3, drawn.state, began + timedelta(milliseconds=150))
    if drawn.state == "SUCCEEDED":
        event.result.CopyFrom(jobs_pb2.JobResult(status=200, content_type="text/plain", size=len(_ANSWER)))
        event.result.inline.text = _ANSWER
    else:
        event.error.CopyFrom(jobs_pb2.JobError(reason="UPSTREAM_STATUS", message="the upstream answered 503"))
    return event


def _event(drawn: Drawn, revision: int, state: str, at: datetime) -> events_pb2.JobEvent:
    event = events_pb2.JobEvent(
        job_id=drawn.id,
        tenant=drawn.tenant,
        upstream=drawn.method.partition(".")[0],
        revision=revision,
        state=jobs_pb2.Job.State.Value(state),
        attempt=int(revision > 1),
    )
    _set(event.time, at)
    if revision > 1:
        _set(event.started_at, at)
    if state not in _UNFINISHED:
        _set(event.finished_at, at)
    return event


def _set(time_: Timestamp, at: datetime) -> None:
    """What `FromDatetime` does, in a third of its time."""
    since = at - EPOCH
    time_.seconds, time_.nanos = since.days * 86_400 + since.seconds, since.microseconds * 1000
