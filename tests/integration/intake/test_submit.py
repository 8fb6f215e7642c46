"""SubmitJob over gRPC, on real servers."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from penstock.events.v1 import events_pb2
from penstock.jobs.v1 import jobs_pb2

from shared import errors, ids, streams
from shared.rpc.status import from_rpc_error
from shared.sealing import CALLBACK_SECRET, Sealer
from tests.fakes.intake_requests import request
from tests.integration.intake.conftest import ended, log_of_jobs, publish, replica, submit
from tests.waiting import eventually

if TYPE_CHECKING:
    from services.intake.config import Config
    from shared import kv
    from shared.bus import Bus
    from tests.identities import Identities
    from tests.integration.intake.conftest import Intake

pytestmark = pytest.mark.usefixtures("uncounted", "no_stalls")

SECRET = "correct-horse-battery-staple"
TRACE = "0af7651916cd43dd8448eb211c80319c"


async def pending(redis: kv.Client, tenant: str = "acme") -> int:
    return await redis.zcard(f"{{intake:{tenant}}}:pending")


async def test_a_submitted_job_is_answered_and_is_in_the_log(
    intake: Intake, bus: Bus, config: Config, identities: Identities
) -> None:
    not_before = Timestamp()
    not_before.FromDatetime(datetime.now(UTC) + timedelta(hours=1))
    job = await submit(
        intake,
        metadata={"traceparent": f"00-{TRACE}-b7ad6b7169203331-01", "idempotency-key": '"k1"'},
        params={"url": "https://example.com/x", "timeoutS": 2.5, "json": {"b": 1.0, "a": [None, True, "ü"]}},
        priority=jobs_pb2.Job.HIGH,
        cache_policy=jobs_pb2.CachePolicy.BYPASS,
        not_before=not_before,
        retry=jobs_pb2.RetryPolicy(max_attempts=5, initial_backoff=Duration(seconds=2)),
        callback_url="https://example.com/hook",
        callback_secret=SECRET,
        labels={"order": "123"},
    )
    assert ids.upstream_of(job.id) == "http"
    created = job.created_at.ToDatetime(tzinfo=UTC)
    assert abs(datetime.now(UTC) - created) < timedelta(seconds=10)
    assert job.expires_at.ToDatetime() == not_before.ToDatetime() + timedelta(hours=24)
    expected = jobs_pb2.Job(
        id=job.id,
        upstream="http",
        method="http.get",
        state=jobs_pb2.Job.QUEUED,
        priority=jobs_pb2.Job.HIGH,
        max_attempts=5,
        created_at=job.created_at,
        updated_at=job.created_at,
        not_before=not_before,
        expires_at=job.expires_at,
        metadata={"order": "123"},
        trace_id=TRACE,
        revision=1,
    )
    assert job == expected

    [event] = await log_of_jobs(bus)
    submission = event.submission
    assert (event.type, event.tenant, event.upstream) == (events_pb2.JobEvent.SUBMITTED, "acme", "http")
    assert (event.job_id, event.revision, event.state) == (job.id, 1, jobs_pb2.Job.QUEUED)
    assert event.time == job.created_at
    assert submission.job == job
    assert submission.params == (
        '{"json":{"a":[null,true,"ü"],"b":1},"timeoutS":2.5,"url":"https://example.com/x"}'.encode()
    )
    assert submission.cache_policy == jobs_pb2.CachePolicy.BYPASS
    assert submission.retry.max_attempts == 5
    assert submission.retry.initial_backoff.ToTimedelta() == timedelta(seconds=2)
    assert submission.retry.max_backoff.ToTimedelta() == timedelta(minutes=5)
    assert submission.callback_url == "https://example.com/hook"
    assert submission.idempotency_key == "k1"
    assert len(submission.fingerprint) == 32
    assert (submission.method_class, submission.idempotent) == ("read", True)
    assert submission.lane == "example.com"
    assert submission.attempt_timeout.ToTimedelta() == timedelta(seconds=2.5)
    assert submission.principal.startswith("key_")
    sealer = Sealer.from_setting(config.sealing_key, CALLBACK_SECRET)
    assert sealer.open(submission.sealed_callback_secret, "acme", job.id) == SECRET.encode()

    message = await bus.read_message(streams.JOBS, 1)
    assert message is not None
    _, headers = message
    assert headers["Nats-Msg-Id"] == job.id
    assert headers["traceparent"].split("-")[1] == TRACE


async def test_a_secret_is_nowhere_in_the_clear(intake: Intake, bus: Bus, redis: kv.Client) -> None:
    job = await submit(intake, callback_url="https://example.com/hook", callback_secret=SECRET, request_id="k")
    await eventually(lambda: redis.hexists(f"{{intake:acme}}:job:{job.id}", "event"))
    dumps = [await redis.dump(key) for key in await redis.keys()]
    logged = [event.SerializeToString() for event in await log_of_jobs(bus)]
    assert dumps
    assert logged
    assert not [part for part in (*dumps, *logged) if SECRET.encode() in part]


async def test_a_bad_request_is_refused_with_paths_and_leaves_nothing(
    intake: Intake, bus: Bus, redis: kv.Client
) -> None:
    with pytest.raises(errors.InvalidArgument) as refused:
        await submit(intake, params={"headers": {"Cookie": "x"}}, priority=9, request_id="k")
    fields = {violation.field for violation in refused.value.violations}
    assert fields == {"params.url", "params.headers.Cookie", "priority"}
    assert await redis.keys("{intake:*") == []
    assert await log_of_jobs(bus) == []


async def test_too_large_params_are_told_with_the_limit(intake: Intake) -> None:
    with pytest.raises(errors.TooLarge) as refused:
        await submit(intake, params={"url": "https://example.com", "json": "x" * 1_048_576})
    assert refused.value.metadata == {"limit_bytes": "1048576"}


async def test_the_same_key_and_body_make_one_job(intake: Intake, bus: Bus) -> None:
    first = await submit(intake, request_id="k")
    assert await submit(intake, metadata={"idempotency-key": "k"}) == first
    assert await submit(intake, metadata={"x-idempotency-key": '"k"'}) == first
    assert len(await log_of_jobs(bus)) == 1


async def test_a_replay_answers_the_job_in_its_present_state(intake: Intake, bus: Bus) -> None:
    first = await submit(intake, request_id="k")
    await publish(bus, ended(first.id, "acme", "SUCCEEDED", revision=3))

    async def succeeded() -> bool:
        again = await submit(intake, request_id="k")
        return (again.id, again.state, again.created_at) == (first.id, jobs_pb2.Job.SUCCEEDED, first.created_at)

    await eventually(succeeded)


async def test_a_request_that_was_good_is_replayed_after_its_end(intake: Intake) -> None:
    soon = Timestamp()
    soon.FromDatetime(datetime.now(UTC) + timedelta(seconds=1))
    first = await submit(intake, request_id="k", expires_at=soon)

    async def refused_under_another_key() -> bool:
        try:
            await submit(intake, expires_at=soon)
        except errors.InvalidArgument:
            return True
        return False

    await eventually(refused_under_another_key)
    assert (await submit(intake, request_id="k", expires_at=soon)).id == first.id


async def test_the_same_key_with_another_body_is_refused(intake: Intake, bus: Bus) -> None:
    first = await submit(intake, request_id="k")
    with pytest.raises(errors.IdempotencyKeyReused) as refused:
        await submit(intake, request_id="k", priority=jobs_pb2.Job.LOW)
    assert refused.value.metadata == {"job": first.id}
    assert len(await log_of_jobs(bus)) == 1


async def test_two_keys_that_differ_are_refused(intake: Intake) -> None:
    with pytest.raises(errors.InvalidArgument, match="differ"):
        await submit(intake, metadata={"idempotency-key": "a", "x-idempotency-key": "b"})


async def test_hundred_duplicates_at_once_make_one_job(intake: Intake, bus: Bus) -> None:
    await submit(intake)  # the catalogue is loaded
    async with intake.jobs() as jobs:
        calls = [jobs.SubmitJob(request(request_id="k"), timeout=120) for _ in range(100)]
        answers = await asyncio.gather(*calls, return_exceptions=True)
    made = {answer.id for answer in answers if isinstance(answer, jobs_pb2.Job)}
    refusals = [from_rpc_error(answer) for answer in answers if isinstance(answer, grpc.aio.AioRpcError)]
    assert len(made) == 1
    assert all(isinstance(error, errors.IdempotencyKeyInFlight) for error in refusals)
    assert all(error.retry_after == timedelta(seconds=1) for error in refusals)
    assert (await submit(intake, request_id="k")).id in made
    assert len(await log_of_jobs(bus)) == 2


async def test_tenants_may_use_the_same_key(intake: Intake) -> None:
    ours, theirs = await submit(intake, request_id="k"), await submit(intake, tenant="globex", request_id="k")
    assert ours.id != theirs.id


async def test_a_tenant_has_so_many_unfinished_jobs_and_no_more(
    config: Config, identities: Identities, bus: Bus, redis: kv.Client
) -> None:
    async with replica(replace(config, max_pending_jobs=3), identities) as intake:
        first = [await submit(intake) for _ in range(3)]
        with pytest.raises(errors.QueueFull) as refused:
            await submit(intake, request_id="k")
        assert refused.value.metadata == {"scope": "tenant", "pending": "3", "limit": "3", "drain_per_s": "0"}
        assert refused.value.retry_after is not None
        await submit(intake, tenant="globex")
        await publish(bus, ended(first[0].id, "acme", "FAILED", revision=3))

        async def room() -> bool:
            return await pending(redis) == 2

        await eventually(room)
        await submit(intake, request_id="k")


async def test_a_tenant_may_have_a_limit_of_its_own(config: Config, identities: Identities) -> None:
    limits = replace(config, max_pending_jobs=1, tenant_max_pending=("globex=2",))
    async with replica(limits, identities) as intake:
        for tenant, places in (("acme", 1), ("globex", 2)):
            for _ in range(places):
                await submit(intake, tenant=tenant)
            with pytest.raises(errors.QueueFull) as refused:
                await submit(intake, tenant=tenant)
            assert refused.value.metadata["limit"] == str(places)


async def test_all_tenants_together_have_so_many_unfinished_jobs_whatever_the_replica(
    config: Config, identities: Identities, bus: Bus
) -> None:
    small = replace(config, max_pending_jobs_of_all=3)
    async with replica(small, identities) as one, replica(small, identities) as other:
        first = await submit(one, request_id="k")
        for tenant in ("globex", "initech"):
            await submit(one, tenant=tenant)
        with pytest.raises(errors.QueueFull) as refused:
            await submit(one, tenant="umbrella")
        assert refused.value.metadata == {"scope": "all_tenants"}
        assert refused.value.retry_after is not None
        assert (await submit(one, request_id="k")).id == first.id

        async def refuses(where: Intake) -> bool:
            try:
                await submit(where, tenant="umbrella")
            except errors.QueueFull as error:
                return error.metadata == {"scope": "all_tenants"}
            return False

        await eventually(lambda: refuses(other))  # it may have admitted some before it knew
        for accepted in await log_of_jobs(bus):
            await publish(bus, ended(accepted.job_id, accepted.tenant, "SUCCEEDED", revision=3))

        async def admits(where: Intake) -> bool:
            return not await refuses(where)

        await eventually(lambda: admits(one))
        await eventually(lambda: admits(other))


async def test_submitting_takes_the_scope(intake: Intake) -> None:
    async with intake.jobs(scopes=("jobs:read",)) as jobs:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await jobs.SubmitJob(request(), timeout=120)
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_without_a_catalogue_nothing_is_accepted(config: Config, identities: Identities) -> None:
    async with replica(replace(config, upstream_address="127.0.0.1:1"), identities) as intake, intake.jobs() as jobs:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await jobs.SubmitJob(request(), timeout=120)
    error = from_rpc_error(refused.value)
    assert isinstance(error, errors.Unavailable)
    assert error.metadata == {"dependency": "upstream"}
    assert error.retry_after is not None
