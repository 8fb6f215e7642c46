"""Jobs that are tried again: one by one, and many for history."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import grpc
import pytest
from penstock.auth.v1 import connections_pb2, credentials_pb2
from penstock.jobs.v1 import bulk_pb2, bulk_pb2_grpc, jobs_pb2

from shared import errors, ids
from shared.config import Secret
from shared.objects import params_key
from shared.rpc import client
from shared.rpc.status import from_rpc_error
from shared.sealing import CALLBACK_SECRET, Sealer
from tests import object_stores
from tests.integration.intake.conftest import ended, log_of_jobs, publish, replica, submit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from penstock.events.v1 import events_pb2

    from services.intake.config import Config
    from shared.bus import Bus
    from shared.objects import Objects, ObjectSettings
    from tests.identities import Identities
    from tests.integration.intake.conftest import AuthStandIn, Intake

pytestmark = pytest.mark.usefixtures("no_stalls")

SECRET = "a secret of at least 24 characters"
CALLBACK = "https://client.example/hook"


async def finished(intake: Intake, bus: Bus, *, kind: str = "FAILED", **changes: Any) -> jobs_pb2.Job:
    """A job that has ended, as its view has it."""
    job = await submit(intake, **changes)
    [submitted] = [each for each in await submissions(bus) if each.job_id == job.id]
    await publish(
        bus, ended(job.id, "acme", kind, revision=2, submitted_sequence=await place_of(bus, submitted.job_id))
    )
    async with intake.jobs() as jobs:
        return await jobs.WaitJob(jobs_pb2.WaitJobRequest(job_id=job.id), timeout=60)


async def submissions(bus: Bus) -> list[events_pb2.JobEvent]:
    return [each for each in await log_of_jobs(bus) if each.HasField("submission")]


async def place_of(bus: Bus, job_id: str) -> int:
    """Where a job's submission is in a log that has lost nothing."""
    events = await log_of_jobs(bus)
    return next(place for place, each in enumerate(events, 1) if each.job_id == job_id and each.HasField("submission"))


async def retry(intake: Intake, job_id: str, *, tenant: str = "acme", key: str = "", header: str = "") -> jobs_pb2.Job:
    metadata = {"idempotency-key": header} if header else None
    async with intake.jobs(tenant, metadata=metadata) as jobs:
        try:
            return await jobs.RetryJob(jobs_pb2.RetryJobRequest(job_id=job_id, request_id=key), timeout=60)
        except grpc.aio.AioRpcError as failure:
            raise from_rpc_error(failure) from failure


@asynccontextmanager
async def bulk(intake: Intake, identities: Identities) -> AsyncIterator[bulk_pb2_grpc.BulkServiceAsyncStub]:
    """BulkService, as history calls it."""
    service = client.connect(intake.address, identities.service("history"), default_timeout=timedelta(seconds=60))
    async with service:
        yield cast("bulk_pb2_grpc.BulkServiceAsyncStub", bulk_pb2_grpc.BulkServiceStub(service))


async def test_a_retry_is_a_new_job_of_the_same_request(intake: Intake, bus: Bus, identities: Identities) -> None:
    asked = {"priority": jobs_pb2.Job.HIGH, "callback_url": CALLBACK, "callback_secret": SECRET}
    old = await finished(intake, bus, labels={"order": "1"}, request_id="first", **asked)
    new = await retry(intake, old.id)
    assert new.id != old.id
    assert (new.retry_of, new.state, new.revision) == (old.id, jobs_pb2.Job.QUEUED, 1)
    first, second = (each.submission for each in await submissions(bus))
    same = ("params", "cache_policy", "retry", "callback_url", "method_class", "idempotent", "attempt_timeout", "lane")
    assert [getattr(first, name) for name in same] == [getattr(second, name) for name in same]
    assert (new.upstream, new.method, new.priority, new.metadata) == (
        old.upstream,
        old.method,
        old.priority,
        old.metadata,
    )
    assert second.idempotency_key == ""
    span = old.expires_at.ToDatetime() - old.created_at.ToDatetime()
    assert new.expires_at.ToDatetime() - new.created_at.ToDatetime() == span
    sealer = Sealer.from_setting(Secret(identities.sealing_key_file.read_text().strip()), CALLBACK_SECRET)
    assert sealer.open(second.sealed_callback_secret, "acme", new.id).decode() == SECRET
    again = await retry(intake, old.id)
    assert again.id not in {old.id, new.id}


async def test_the_same_retry_under_one_key_makes_one_job_and_another_is_refused(intake: Intake, bus: Bus) -> None:
    old, other = await finished(intake, bus), await finished(intake, bus)
    first, second = await asyncio.gather(
        retry(intake, old.id, key="k"), retry(intake, old.id, header='"k"'), return_exceptions=True
    )
    made = await retry(intake, old.id, key="k")
    assert {each.id for each in (first, second) if isinstance(each, jobs_pb2.Job)} == {made.id}
    with pytest.raises(errors.IdempotencyKeyReused):
        await retry(intake, other.id, key="k")
    with pytest.raises(errors.InvalidArgument):
        await retry(intake, old.id, key="k", header="other")
    assert len(await submissions(bus)) == 3


async def test_what_cannot_be_tried_again_is_refused_with_the_reason(intake: Intake, bus: Bus) -> None:
    waiting = await submit(intake)
    with pytest.raises(errors.JobNotFinished):
        await retry(intake, waiting.id)
    old = await finished(intake, bus)
    with pytest.raises(errors.JobNotFound):
        await retry(intake, old.id, tenant="other")
    place = await place_of(bus, old.id)
    moved = await submit(intake)
    await publish(
        bus, ended(moved.id, "acme", "FAILED", revision=2, submitted_sequence=place)
    )  # another's message lies there
    async with intake.jobs() as jobs:
        await jobs.WaitJob(jobs_pb2.WaitJobRequest(job_id=moved.id), timeout=60)
    with pytest.raises(errors.SubmissionGone):
        await retry(intake, moved.id)
    kept = await retry(intake, old.id, key="k")
    await bus._jetstream.delete_msg("JOBS", place)
    with pytest.raises(errors.SubmissionGone) as gone:
        await retry(intake, old.id)
    assert gone.value.metadata == {"job": old.id}
    assert (await retry(intake, old.id, key="k")).id == kept.id


async def test_a_connection_that_needs_to_be_authorized_anew_is_told(
    intake: Intake, bus: Bus, auth: AuthStandIn
) -> None:
    connection = ids.new_connection_id()
    facts = credentials_pb2.ConnectionFacts(upstream="http", hosts=["example.com"])
    facts.state = connections_pb2.Connection.ACTIVE
    auth.connections["acme", connection] = facts
    old = await finished(intake, bus, connection_id=connection)
    facts.state = connections_pb2.Connection.NEEDS_REAUTH
    await bus.signal("signal.auth.connection_changed", connection.encode())

    async def refused() -> bool:
        with pytest.raises(errors.ConnectionNeedsReauth):
            await retry(intake, old.id)
        return True

    assert await refused()


@pytest.fixture
async def with_objects(
    config: Config, identities: Identities, objects: Objects, object_settings: ObjectSettings
) -> AsyncIterator[Intake]:
    del objects
    async with replica(replace(config, **object_stores.as_config(object_settings)), identities) as intake:
        yield intake


async def test_large_params_are_stored_anew_and_their_loss_is_told(
    with_objects: Intake, bus: Bus, objects: Objects
) -> None:
    params = {"url": "https://example.com/x", "json": "x" * 70_000}
    old = await finished(with_objects, bus, params=params)
    new = await retry(with_objects, old.id)
    first, second = (each.submission for each in await submissions(bus))
    assert first.stored_params == second.stored_params
    assert second.job.id == new.id
    await objects.delete(params_key("acme", first.stored_params.sha256))
    with pytest.raises(errors.SubmissionGone, match="params"):
        await retry(with_objects, old.id)


async def test_many_are_tried_again_once_for_an_operation_until_the_tenant_is_full(
    config: Config, identities: Identities, bus: Bus
) -> None:
    async with replica(replace(config, max_pending_jobs=8), identities) as intake, bulk(intake, identities) as service:
        made = [await finished(intake, bus) for _ in range(3)]
        request = bulk_pb2.RetryManyRequest(tenant="acme", principal="key_1", operation=ids.new_operation_id())
        for job in made:
            request.jobs.add(job_id=job.id, submitted_sequence=await place_of(bus, job.id))
        request.jobs.add(job_id=ids.new_job_id("http"), submitted_sequence=1)
        first, second = await asyncio.gather(
            service.RetryMany(request), service.RetryMany(request), return_exceptions=True
        )
        again = await service.RetryMany(request)
        assert [each.reason for each in again.outcomes] == ["", "", "", "SUBMISSION_GONE"]
        for answer in (first, second):
            if isinstance(answer, bulk_pb2.RetryManyResponse):
                assert answer == again
        retried = [each.submission for each in await submissions(bus) if each.submission.job.retry_of]
        assert sorted(each.job.retry_of for each in retried) == sorted(job.id for job in made)
        assert {each.principal for each in retried} == {"key_1"}
        other = bulk_pb2.RetryManyRequest()
        other.CopyFrom(request)
        other.operation = ids.new_operation_id()
        assert (await service.RetryMany(other)).retry_after_s == 0
        other.operation = ids.new_operation_id()
        full = await service.RetryMany(other)
        assert sum(each.reason == "QUEUE_FULL" for each in full.outcomes) == 1
        assert full.retry_after_s > 0


async def test_many_are_canceled_each_for_itself(intake: Intake, identities: Identities, bus: Bus) -> None:
    waiting, over = await submit(intake), await finished(intake, bus)
    unknown = ids.new_job_id("http")
    request = bulk_pb2.CancelManyRequest(tenant="acme", job_ids=[waiting.id, over.id, unknown])
    async with bulk(intake, identities) as service:
        for _ in range(2):
            answer = await service.CancelMany(request)
            assert [(each.job_id, each.reason) for each in answer.outcomes] == [
                (waiting.id, ""),
                (over.id, "JOB_FINISHED"),
                (unknown, "JOB_NOT_FOUND"),
            ]
        wrong = bulk_pb2.CancelManyRequest(tenant="acme", job_ids=[waiting.id] * 101)
        with pytest.raises(errors.InvalidArgument):
            await service.CancelMany(wrong)
