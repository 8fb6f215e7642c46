"""WatchJob and StreamJob over gRPC."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import grpc
import pytest
from penstock.events.v1 import events_pb2
from penstock.jobs.v1 import job_service_pb2_grpc, jobs_pb2

from services.intake import metrics
from services.intake import watching as watching_
from services.intake.contract import change_of
from services.intake.known_servers import KnownServers
from services.intake.reader import JobReader
from services.intake.servicer import JobServicer
from services.intake.store import RedisJobStore
from services.intake.waiters import Waiters
from services.intake.watching import Watcher
from shared import errors, ids
from shared.clock import SystemClock
from shared.rpc.health import Health
from shared.rpc.server import Server
from shared.rpc.status import from_rpc_error
from tests.fakes.intake_store import FakeJobStore
from tests.integration.intake.conftest import Intake, ended, event, publish, replica, submit
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from services.intake.config import Config
    from services.intake.store import JobStore
    from shared import kv
    from shared.bus import Bus
    from tests.identities import Identities

pytestmark = pytest.mark.usefixtures("uncounted", "no_stalls")

RESULT = jobs_pb2.JobResult(
    inline=jobs_pb2.InlineResult(status=200, text="line\nand line"), content_type="text/plain", size=13
)
FAILURE = jobs_pb2.JobError(reason="UPSTREAM_STATUS", message="503", upstream_status=503, retryable=True)
WHOLE = ["QUEUED", "RUNNING", "RETRYING", "RUNNING", "SUCCEEDED"]


def waiters() -> float:
    return metrics.WAITERS._value.get()


def course(job_id: str) -> list[events_pb2.JobEvent]:
    """What happens to a job that succeeds with its second attempt."""
    return [
        event(job_id, "acme", "STARTED", revision=2, state="RUNNING", attempt=1),
        event(job_id, "acme", "RETRYING", revision=3, attempt=1, error=FAILURE),
        event(job_id, "acme", "STARTED", revision=4, state="RUNNING", attempt=2),
        ended(job_id, "acme", "SUCCEEDED", revision=5, result=RESULT),
    ]


def state(job: jobs_pb2.Job) -> str:
    return jobs_pb2.Job.State.Name(job.state)


class Stream:
    """A stream under way, read as it comes."""

    def __init__(self, call: Any) -> None:
        self.call = call

    async def next(self) -> Any:
        """The next message; None at the end. A failure is an error of the tree."""
        try:
            message = await asyncio.wait_for(self.call.read(), 30)
        except grpc.aio.AioRpcError as failure:
            raise from_rpc_error(failure) from failure
        return None if message is grpc.aio.EOF else message

    async def rest(self) -> list[Any]:
        found: list[Any] = []
        while (message := await self.next()) is not None:
            found.append(message)
        return found


@asynccontextmanager
async def watching(
    intake: Intake, job_id: str, *, rpc: str = "WatchJob", tenant: str = "acme", last: str | None = None, **more: Any
) -> AsyncIterator[Stream]:
    metadata = {"last-event-id": last} if last is not None else {}
    request = getattr(jobs_pb2, f"{rpc}Request")(job_id=job_id, **more)
    async with intake.jobs(tenant, metadata=metadata) as jobs:
        stream = getattr(jobs, rpc)(request)
        try:
            yield Stream(stream)
        finally:
            stream.cancel()


async def watched(intake: Intake, job_id: str, **more: Any) -> list[jobs_pb2.Job]:
    async with watching(intake, job_id, **more) as stream:
        return [message.job for message in await stream.rest()]


async def streamed(intake: Intake, job_id: str, **more: Any) -> bytes:
    async with watching(intake, job_id, rpc="StreamJob", **more) as stream:
        return b"".join(message.data for message in await stream.rest())


async def happened(intake: Intake, bus: Bus) -> jobs_pb2.Job:
    """A job whose whole course is in the view."""
    job = await submit(intake)
    for each in course(job.id):
        await publish(bus, each)
    async with intake.jobs() as jobs:
        return await jobs.WaitJob(jobs_pb2.WaitJobRequest(job_id=job.id))


async def test_a_watcher_from_the_start_sees_each_event_when_it_happens(intake: Intake, bus: Bus) -> None:
    job = await submit(intake)
    before = waiters()
    async with watching(intake, job.id) as stream:
        assert (await stream.next()).job == job
        seen = [job]
        for each in course(job.id):
            await publish(bus, each)
            seen.append((await stream.next()).job)
        assert await stream.next() is None
    assert [state(each) for each in seen] == WHOLE
    assert [each.revision for each in seen] == [1, 2, 3, 4, 5]
    assert [each.attempt for each in seen[:4]] == [0, 1, 1, 2]
    assert (seen[2].error, seen[4].result) == (FAILURE, RESULT)
    assert not seen[4].HasField("error")
    assert {each.id for each in seen} == {job.id}
    await eventually(lambda: waiters() == before)


async def test_a_late_watcher_sees_all_of_it(intake: Intake, bus: Bus) -> None:
    done = await happened(intake, bus)
    seen = await watched(intake, done.id)
    assert [state(each) for each in seen] == WHOLE
    assert seen[-1] == done


@pytest.mark.parametrize("after", [1, 3, 4])
async def test_a_watcher_that_comes_back_goes_on_where_it_was_left(intake: Intake, bus: Bus, after: int) -> None:
    done = await happened(intake, bus)
    seen = await watched(intake, done.id, after_revision=after)
    assert [each.revision for each in seen] == list(range(after + 1, 6))


@pytest.mark.parametrize("after", [5, 6, 2**63 - 1])
async def test_who_has_seen_the_end_is_let_go_at_once(intake: Intake, bus: Bus, after: int) -> None:
    done = await happened(intake, bus)
    assert await watched(intake, done.id, after_revision=after) == []
    async with watching(intake, done.id, rpc="StreamJob", last=str(after)) as stream:
        assert await stream.rest() == []
        assert ("x-penstock-http-status", "204") in tuple(await stream.call.initial_metadata())


async def test_a_watcher_that_comes_and_goes_misses_nothing(intake: Intake, bus: Bus) -> None:
    job = await submit(intake)
    seen = [job.revision]
    for each in course(job.id):
        async with watching(intake, job.id, after_revision=seen[-1]) as stream:
            await publish(bus, each)
            seen.append((await stream.next()).job.revision)
    assert seen == [1, 2, 3, 4, 5]


async def test_events_out_of_order_are_told_in_order(intake: Intake, bus: Bus) -> None:
    job = await submit(intake)
    two, three, four, five = course(job.id)
    async with watching(intake, job.id) as stream:
        for each in (three, two, five, four):
            await publish(bus, each)
        assert [message.job.revision for message in await stream.rest()] == [1, 2, 3, 4, 5]


async def test_a_revision_that_was_left_out_holds_nobody_up(intake: Intake, bus: Bus) -> None:
    job = await submit(intake)
    await publish(bus, ended(job.id, "acme", "SUCCEEDED", revision=4))
    assert [each.revision for each in await watched(intake, job.id)] == [1, 4]


async def test_a_cancel_is_seen_at_once(intake: Intake) -> None:
    job = await submit(intake)
    async with watching(intake, job.id) as stream, intake.jobs() as jobs:
        await stream.next()
        await jobs.CancelJob(jobs_pb2.CancelJobRequest(job_id=job.id))
        assert [state(message.job) for message in await stream.rest()] == ["CANCELED"]


async def test_a_watcher_on_one_replica_sees_what_another_applied(
    config: Config, identities: Identities, bus: Bus
) -> None:
    async with replica(config, identities) as one, replica(config, identities) as other:
        jobs = [await submit(one) for _ in range(6)]
        tasks = [asyncio.create_task(watched(where, job.id)) for job in jobs for where in (one, other)]
        for job in jobs:
            for each in course(job.id):
                await publish(bus, each)
        for seen in await asyncio.wait_for(asyncio.gather(*tasks), 60):
            assert [each.revision for each in seen] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("rpc", ["WatchJob", "StreamJob"])
async def test_a_client_that_leaves_frees_its_watcher_at_once(intake: Intake, rpc: str) -> None:
    job = await submit(intake)
    before = waiters()
    async with watching(intake, job.id, rpc=rpc) as stream:
        await stream.next()
        await eventually(lambda: waiters() == before + 1)
    await eventually(lambda: waiters() == before)


@pytest.mark.parametrize("rpc", ["WatchJob", "StreamJob"])
async def test_a_replica_that_stops_ends_its_streams_well(config: Config, identities: Identities, rpc: str) -> None:
    async with AsyncExitStack() as client:
        async with replica(config, identities) as intake:
            job = await submit(intake)
            stream = await client.enter_async_context(watching(intake, job.id, rpc=rpc))
            await stream.next()
        await stream.rest()
        assert await stream.call.code() is grpc.StatusCode.OK


@pytest.mark.parametrize("rpc", ["WatchJob", "StreamJob"])
async def test_a_stream_ends_well_before_its_callers_deadline(
    intake: Intake, rpc: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching_, "_END_MARGIN_S", 19.5)
    job = await submit(intake)
    async with intake.jobs() as jobs:
        request = getattr(jobs_pb2, f"{rpc}Request")(job_id=job.id)
        assert await Stream(getattr(jobs, rpc)(request, timeout=20)).rest()


@pytest.mark.parametrize("rpc", ["WatchJob", "StreamJob"])
async def test_another_tenants_job_cannot_be_watched(intake: Intake, bus: Bus, rpc: str) -> None:
    done = await happened(intake, bus)
    for job_id in (done.id, ids.new_job_id("http")):
        async with watching(intake, job_id, rpc=rpc, tenant="globex") as stream:
            with pytest.raises(errors.JobNotFound) as refused:
                await stream.next()
            assert refused.value.message == f"there is no job {job_id}"


@pytest.mark.parametrize("rpc", ["WatchJob", "StreamJob"])
async def test_a_watch_needs_the_scope(intake: Intake, rpc: str) -> None:
    async with intake.jobs(scopes=("jobs:write",)) as jobs:
        stream = Stream(getattr(jobs, rpc)(getattr(jobs_pb2, f"{rpc}Request")(job_id=ids.new_job_id("http"))))
        with pytest.raises(errors.PermissionDenied):
            await stream.next()


@pytest.mark.parametrize(
    ("rpc", "field", "fields"),
    [
        ("WatchJob", "jobId", {"job_id": "http-1"}),
        ("StreamJob", "jobId", {"job_id": ""}),
        ("WatchJob", "afterRevision", {"after_revision": -1}),
        ("StreamJob", "afterRevision", {"after_revision": -1}),
        ("StreamJob", "Last-Event-ID", {"last": "x"}),
    ],
)
async def test_what_is_malformed_is_refused_under_its_name(
    intake: Intake, rpc: str, field: str, fields: dict[str, Any]
) -> None:
    async with watching(intake, **{"job_id": ids.new_job_id("http"), "rpc": rpc, **fields}) as stream:
        with pytest.raises(errors.InvalidArgument) as refused:
            await stream.next()
    assert [violation.field for violation in refused.value.violations] == [field]


async def test_server_sent_events_tell_the_same(intake: Intake, bus: Bus) -> None:
    done = await happened(intake, bus)
    opening, *frames = (await streamed(intake, done.id)).decode().removesuffix("\n\n").split("\n\n")
    assert opening == "retry: 1000"
    found = [dict(line.split(": ", 1) for line in frame.split("\n")) for frame in frames]
    assert [(each["id"], each["event"]) for each in found] == [
        (str(revision), name.lower()) for revision, name in enumerate(WHOLE, 1)
    ]
    assert json.loads(found[-1]["data"])["result"]["inline"]["text"] == "line\nand line"


async def test_the_last_event_id_wins_over_the_revision_of_the_query(intake: Intake, bus: Bus) -> None:
    done = await happened(intake, bus)
    assert (await streamed(intake, done.id, last="3", after_revision=1)).count(b"data: ") == 2
    assert (await streamed(intake, done.id, after_revision=1)).count(b"data: ") == 4


@asynccontextmanager
async def bare_servicer(
    identities: Identities, store: JobStore, waiting: Waiters, *, heartbeat: timedelta
) -> AsyncIterator[Intake]:
    """JobService that can only be watched."""
    reader = JobReader(store=store, recorded=cast("Any", None), waiters=waiting)
    watcher = Watcher(reader=reader, store=store, waiters=waiting, clock=SystemClock())
    unused: Any = None
    servicer = JobServicer(
        submitter=unused,
        batch_submitter=unused,
        reader=reader,
        batches=unused,
        watcher=watcher,
        canceler=unused,
        retrier=unused,
        explainer=unused,
        results=unused,
        heartbeat=heartbeat,
    )
    server = Server("intake", address="127.0.0.1:0", verifier=identities.verifier(), health=Health({}))
    server.add(job_service_pb2_grpc.add_JobServiceServicer_to_server, servicer, "penstock.jobs.v1.JobService")
    yield Intake(f"127.0.0.1:{await server.start()}", identities)
    await server.drain(timedelta(0))


async def submitted(store: JobStore) -> str:
    job = jobs_pb2.Job(id=ids.new_job_id("http"), upstream="http", state=jobs_pb2.Job.QUEUED, revision=1)
    submission = events_pb2.Submission(job=job)
    await store.apply(
        [change_of(event(job.id, "acme", "SUBMITTED", revision=1, state="QUEUED", submission=submission))]
    )
    return job.id


async def test_a_silent_stream_has_a_heartbeat(identities: Identities, redis: kv.Client) -> None:
    store = RedisJobStore(redis, KnownServers())
    job_id = await submitted(store)
    async with (
        bare_servicer(identities, store, Waiters(), heartbeat=timedelta(milliseconds=20)) as intake,
        watching(intake, job_id, rpc="StreamJob") as stream,
    ):
        frames = [(await stream.next()).data.split(b"\n")[0] for _ in range(4)]
    assert frames == [b"retry: 1000", b"id: 1", b": heartbeat", b": heartbeat"]


async def test_a_client_that_does_not_read_and_leaves_frees_its_watcher(
    identities: Identities, caplog: pytest.LogCaptureFixture
) -> None:
    """Left while the server waits for room to send: nothing may be left over, nor end in another task."""
    store, waiting = FakeJobStore(), Waiters()
    job_id = await submitted(store)
    text = "x" * 250_000
    for revision in range(2, 60):
        error = jobs_pb2.JobError(message=text)
        happened = event(job_id, "acme", "RETRYING", revision=revision, error=error)
        await store.apply([change_of(happened)])
    async with bare_servicer(identities, store, waiting, heartbeat=timedelta(seconds=15)) as intake:
        async with watching(intake, job_id) as stream:
            for _ in range(3):
                await stream.next()
            assert len(waiting) == 1
        await eventually(lambda: len(waiting) == 0)
    assert [record.getMessage() for record in caplog.records] == []


async def test_a_store_that_goes_away_ends_a_stream_with_an_error(identities: Identities) -> None:
    """After the first message, when nothing can be said in front of it any more."""
    store, waiting = FakeJobStore(), Waiters()
    job_id = await submitted(store)
    async with (
        bare_servicer(identities, store, waiting, heartbeat=timedelta(seconds=15)) as intake,
        watching(intake, job_id) as stream,
    ):
        await stream.next()
        store.away = True
        waiting.wake([job_id])
        with pytest.raises(errors.Unavailable) as refused:
            await stream.next()
    assert refused.value.metadata == {"dependency": "redis"}
