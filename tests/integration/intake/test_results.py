"""Results, asked of intake on real servers: from its own view or from history, inline or by a link to a real store."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import aiohttp
import grpc
import pytest
from penstock.jobs.v1 import jobs_pb2

from shared import errors, ids
from shared.objects import result_key
from shared.rpc.status import from_rpc_error
from tests import object_stores
from tests.integration.intake.conftest import ended, event, publish, replica, submit
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from services.intake.config import Config
    from shared.bus import Bus
    from shared.objects import Objects, ObjectSettings
    from tests.identities import Identities
    from tests.integration.intake.conftest import HistoryStandIn, Intake

pytestmark = pytest.mark.usefixtures("no_stalls")

CONTENT = b"x" * 300_000


async def asked(intake: Intake, job_id: str, *, tenant: str = "acme", **metadata: str) -> tuple[Any, dict[str, str]]:
    """The body, and the initial metadata; a failure is an error of the tree."""
    sent = {name.replace("_", "-"): value for name, value in metadata.items()}
    async with intake.jobs(tenant, metadata=sent) as jobs:
        call = jobs.GetJobResult(jobs_pb2.GetJobResultRequest(job_id=job_id), timeout=120)
        try:
            body = await call
        except grpc.aio.AioRpcError as failure:
            raise from_rpc_error(failure) from failure
        return body, {key: value for key, value in await call.initial_metadata() if isinstance(value, str)}


def inline(text: str) -> jobs_pb2.JobResult:
    return jobs_pb2.JobResult(
        inline=jobs_pb2.InlineResult(status=200, text=text), content_type="text/plain", size=len(text)
    )


def stored(job_id: str) -> jobs_pb2.JobResult:
    return jobs_pb2.JobResult(url=f"/api/v1/jobs/{job_id}/result", status=200, size=len(CONTENT))


async def succeeded(intake: Intake, bus: Bus, result: jobs_pb2.JobResult | None = None) -> str:
    """A job that has succeeded, and is seen to have."""
    job = await submit(intake)
    await publish(bus, ended(job.id, "acme", "SUCCEEDED", revision=3, result=result or stored(job.id)))

    async def seen() -> bool:
        async with intake.jobs() as jobs:
            return (await jobs.GetJob(jobs_pb2.GetJobRequest(job_id=job.id))).state == jobs_pb2.Job.SUCCEEDED

    await eventually(seen, what="the end of the job")
    return job.id


@pytest.fixture
async def storing(config: Config, identities: Identities, object_settings: ObjectSettings) -> AsyncIterator[Intake]:
    """Intake beside a real store; its links end after 2 s."""
    settings = replace(config, **object_stores.as_config(object_settings), result_link_lifetime=timedelta(seconds=2))
    async with replica(settings, identities) as intake:
        yield intake


async def test_a_result_of_the_hot_view_is_its_bytes(intake: Intake, bus: Bus) -> None:
    job = await succeeded(intake, bus, inline("0123456789"))
    body, headers = await asked(intake, job)
    assert (body.content_type, body.data) == ("text/plain", b"0123456789")
    part, told = await asked(intake, job, range="bytes=2-4")
    assert (part.data, told["content-range"], told["etag"]) == (b"234", "bytes 2-4/10", headers["etag"])
    assert not (await asked(intake, job, if_none_match=headers["etag"]))[0].data
    with pytest.raises(errors.RangeNotSatisfiable) as caught:
        await asked(intake, job, range="bytes=10-")
    assert caught.value.metadata == {"size": "10"}


async def test_a_result_that_has_left_the_hot_view_is_that_of_history(intake: Intake, history: HistoryStandIn) -> None:
    job = jobs_pb2.Job(id=ids.new_job_id("http"), state=jobs_pb2.Job.SUCCEEDED, revision=3, result=inline("old"))
    history.jobs["acme", job.id] = job
    assert (await asked(intake, job.id))[0].data == b"old"
    with pytest.raises(errors.JobNotFound):
        await asked(intake, job.id, tenant="other")


async def test_a_link_leads_to_a_stored_result_without_a_key_until_it_ends(
    storing: Intake, bus: Bus, objects: Objects
) -> None:
    job = await succeeded(storing, bus)
    await objects.put(result_key("acme", job, 1), CONTENT, content_type="image/png")
    body, headers = await asked(storing, job)
    assert (body.data, body.content_type, headers["x-penstock-http-status"]) == (b"", "", "302")
    async with aiohttp.ClientSession() as session:
        async with session.get(headers["location"]) as answer:
            assert (answer.status, await answer.read()) == (HTTPStatus.OK, CONTENT)

        async def refused() -> bool:
            async with session.get(headers["location"]) as answer:
                return answer.status == HTTPStatus.FORBIDDEN

        await eventually(refused, what="the end of the link")


async def test_a_stored_result_that_is_gone_or_anothers_is_not_found(
    storing: Intake, bus: Bus, objects: Objects
) -> None:
    job = await succeeded(storing, bus)
    with pytest.raises(errors.ResultNotFound) as caught:
        await asked(storing, job)
    assert caught.value.metadata == {"job": job, "state": "SUCCEEDED"}
    await objects.put(result_key("acme", job, 1), CONTENT, content_type="image/png")
    with pytest.raises(errors.JobNotFound):
        await asked(storing, job, tenant="other")


async def test_without_the_store_inline_results_are_answered_and_stored_ones_are_unavailable(
    intake: Intake, bus: Bus
) -> None:
    assert (await asked(intake, await succeeded(intake, bus, inline("here"))))[0].data == b"here"
    with pytest.raises(errors.Unavailable):
        await asked(intake, await succeeded(intake, bus))


async def test_a_job_has_no_result_before_its_end_nor_after_one_without(intake: Intake, bus: Bus) -> None:
    job = await submit(intake)
    with pytest.raises(errors.JobNotFinished) as caught:
        await asked(intake, job.id)
    assert caught.value.metadata == {"job": job.id, "state": "QUEUED"}
    await publish(bus, event(job.id, "acme", "STARTED", state="RUNNING", revision=2))
    await publish(bus, ended(job.id, "acme", "CANCELED", revision=3))

    async def over() -> bool:
        with pytest.raises((errors.JobNotFinished, errors.ResultNotFound)) as refused:
            await asked(intake, job.id)
        return refused.value.metadata["state"] == "CANCELED"

    await eventually(over)
    with pytest.raises(errors.ResultNotFound):
        await asked(intake, job.id)
