"""The projection: events in any order come to the same view; what cannot be understood is dropped."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from penstock.events.v1 import events_pb2
from penstock.jobs.v1 import jobs_pb2

from services.intake.batch_ends import BatchEnds
from services.intake.contract import view
from services.intake.erased import ErasedThings
from services.intake.projection import Projection
from shared import ids, streams
from shared.bus import Incoming
from shared.errors import Unavailable
from tests.fakes.bucket import FakeBucket
from tests.fakes.intake_batches import FakeBatchStore
from tests.fakes.intake_store import FakeJobStore
from tests.fakes.intake_tally import roomy_tally

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.bus import Outgoing

JOB_ID = ids.new_job_id("http")
State = jobs_pb2.Job


class Signals:
    """Notes what is signaled."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes]] = []

    async def signal(self, subject: str, payload: bytes = b"") -> None:
        self.sent.append((subject, payload))


class Notices:
    """Notes what is published."""

    def __init__(self) -> None:
        self.messages: list[Outgoing] = []

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        self.messages += messages


def event(
    revision: int, state: State.State.ValueType, *, job_id: str = JOB_ID, **fields: object
) -> events_pb2.JobEvent:
    found = events_pb2.JobEvent(
        job_id=job_id,
        tenant="acme",
        upstream="http",
        revision=revision,
        state=state,
        **fields,  # type: ignore[arg-type]  fields of JobEvent
    )
    found.time.GetCurrentTime()
    return found


def submitted(job_id: str = JOB_ID) -> events_pb2.JobEvent:
    job = jobs_pb2.Job(id=job_id, upstream="http", method="http.get", state=State.QUEUED, revision=1)
    return event(1, State.QUEUED, job_id=job_id, submission=events_pb2.Submission(job=job, params=b"{}"))


LIFE = [
    submitted(),
    event(2, State.RUNNING, attempt=1),
    event(3, State.RETRYING, attempt=1, error=jobs_pb2.JobError(reason="UPSTREAM_STATUS")),
    event(4, State.RUNNING, attempt=2),
    event(5, State.FAILED, attempt=2, error=jobs_pb2.JobError(reason="UPSTREAM_TIMEOUT")),
]


def message(payload: bytes | events_pb2.JobEvent) -> Incoming:
    content = payload if isinstance(payload, bytes) else payload.SerializeToString()
    return Incoming(subject="jobs.x.http", payload=content, headers={}, sequence=7, deliveries=1, reply="")


def projection_of(store: FakeJobStore, signals: Signals) -> Projection:
    return Projection(
        store=store,
        signaler=signals,
        tally=roomy_tally(),
        batch_ends=BatchEnds(store=FakeBatchStore(), publisher=Notices()),
        erased=ErasedThings(FakeBucket()),
        moved=lambda: None,
    )


async def job_after(*batches: list[events_pb2.JobEvent]) -> jobs_pb2.Job | None:
    store = FakeJobStore()
    projection = projection_of(store, Signals())
    for batch in batches:
        await projection.handle([message(each) for each in batch])
    record = await store.read("acme", JOB_ID)
    return view(record) if record is not None else None


@given(order=st.permutations(LIFE), repeated=st.lists(st.sampled_from(LIFE), max_size=6), cut=st.integers(0, 11))
async def test_events_in_any_order_come_to_the_same(
    order: list[events_pb2.JobEvent], repeated: list[events_pb2.JobEvent], cut: int
) -> None:
    events = order + repeated
    assert await job_after(events[:cut], events[cut:]) == await job_after(LIFE)


async def test_the_view_is_the_submission_with_the_newest_event() -> None:
    job = await job_after(LIFE)
    assert job is not None
    assert (job.method, job.state, job.attempt, job.revision) == ("http.get", State.FAILED, 2, 5)
    assert job.error.reason == "UPSTREAM_TIMEOUT"


async def test_a_job_without_its_submission_is_not_shown() -> None:
    assert await job_after(LIFE[1:]) is None


async def test_every_job_of_a_batch_is_signaled_once_even_where_nothing_was_new() -> None:
    signals, other = Signals(), ids.new_job_id("http")
    projection = projection_of(FakeJobStore(), signals)
    batch = [message(each) for each in (*LIFE, submitted(other))]
    await projection.handle(batch)
    await projection.handle(batch)
    assert signals.sent == [(streams.JOBS_CHANGED_SIGNAL, f"{JOB_ID}\n{other}".encode())] * 2


def odd(**fields: object) -> events_pb2.JobEvent:
    found = event(2, State.RUNNING)
    for name, value in fields.items():
        setattr(found, name, value)
    return found


@pytest.mark.parametrize(
    "payload",
    [b"\xff", b"", odd(tenant=""), odd(job_id="http-1"), odd(revision=0), odd(state=0), odd(state=99)],
)
async def test_what_cannot_be_understood_is_dropped_and_the_rest_applied(payload: bytes | events_pb2.JobEvent) -> None:
    store, signals = FakeJobStore(), Signals()
    bad, good = message(payload), message(submitted())
    await projection_of(store, signals).handle([bad, good])
    assert (bad.verdict, good.verdict) == (b"+TERM", b"+ACK")
    assert await store.read("acme", JOB_ID) is not None


async def test_a_batch_of_nothing_signals_nothing() -> None:
    signals = Signals()
    await projection_of(FakeJobStore(), signals).handle([message(b"\xff")])
    assert signals.sent == []


async def test_a_store_that_is_away_leaves_the_batch_to_come_again() -> None:
    store, signals = FakeJobStore(), Signals()
    store.away = True
    with pytest.raises(Unavailable):
        await projection_of(store, signals).handle([message(submitted())])
    assert signals.sent == []


async def test_an_end_without_a_time_of_its_own_is_kept_from_the_events_time() -> None:
    over = event(2, State.CANCELED)
    over.time.FromDatetime(over.time.ToDatetime() - timedelta(days=3))
    job = await job_after([submitted(), over])
    assert job is not None
    assert job.state == State.CANCELED
