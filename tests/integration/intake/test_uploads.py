"""UploadService over gRPC, and jobs that name uploads, on real servers."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import aiohttp
import grpc
import pytest
from penstock.jobs.v1 import batches_pb2, uploads_pb2

from shared import errors, ids
from shared.objects import incoming_key, upload_key
from shared.permissions import Scope
from shared.rpc.status import from_rpc_error
from tests import object_stores
from tests.fakes.intake_requests import request
from tests.integration.intake.conftest import log_of_jobs, replica, submit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable

    from services.intake.config import Config
    from shared import kv
    from shared.bus import Bus
    from shared.objects import Objects, ObjectSettings
    from tests.identities import Identities
    from tests.integration.intake.conftest import Intake

pytestmark = pytest.mark.usefixtures("no_stalls")

BODY = os.urandom(300_000)
PENDING, READY = uploads_pb2.Upload.PENDING, uploads_pb2.Upload.READY


@pytest.fixture
async def intake(
    config: Config, identities: Identities, objects: Objects, object_settings: ObjectSettings
) -> AsyncIterator[Intake]:
    """A replica with an object store, which is empty."""
    del objects
    async with replica(replace(config, **object_stores.as_config(object_settings)), identities) as intake:
        yield intake


async def answer(call: Awaitable[Any]) -> Any:
    """What the call answers with, or its error as ours."""
    try:
        return await call
    except grpc.aio.AioRpcError as failure:
        raise from_rpc_error(failure) from failure


async def create(
    intake: Intake, body: bytes = BODY, *, content_type: str = "image/png", tenant: str = "acme"
) -> uploads_pb2.Upload:
    told = {"size": len(body), "sha256": hashlib.sha256(body).hexdigest(), "content_type": content_type}
    async with intake.uploads(tenant) as uploads:
        return await answer(uploads.CreateUpload(uploads_pb2.CreateUploadRequest(**told)))


async def get(
    intake: Intake, upload_id: str, *, tenant: str = "acme", scopes: tuple[str, ...] | None = None
) -> uploads_pb2.Upload:
    async with intake.uploads(tenant, scopes=scopes) as uploads:
        return await answer(uploads.GetUpload(uploads_pb2.GetUploadRequest(upload_id=upload_id)))


async def complete(intake: Intake, upload_id: str, *, tenant: str = "acme") -> uploads_pb2.Upload:
    async with intake.uploads(tenant) as uploads:
        return await answer(uploads.CompleteUpload(uploads_pb2.CompleteUploadRequest(upload_id=upload_id)))


async def delete(intake: Intake, upload_id: str, *, tenant: str = "acme") -> None:
    async with intake.uploads(tenant) as uploads:
        await answer(uploads.DeleteUpload(uploads_pb2.DeleteUploadRequest(upload_id=upload_id)))


async def send(put: uploads_pb2.SignedPut, body: bytes = BODY, **headers: str) -> int:
    """Sends the bytes as anyone does who has nothing but the link."""
    async with (
        aiohttp.ClientSession() as session,
        session.put(put.url, data=body, headers=dict(put.headers) | headers) as answered,
    ):
        return answered.status


async def uploaded(intake: Intake, body: bytes = BODY, *, content_type: str = "image/png") -> str:
    """The id of an upload that is READY."""
    upload = await create(intake, body, content_type=content_type)
    assert await send(upload.put, body) == 200
    assert (await complete(intake, upload.id)).state == READY
    return upload.id


async def test_an_upload_is_created_sent_and_completed(intake: Intake, objects: Objects) -> None:
    upload = await create(intake)
    now = datetime.now(UTC)
    assert ids.is_upload_id(upload.id)
    assert (upload.state, upload.size, upload.content_type) == (PENDING, len(BODY), "image/png")
    assert upload.sha256 == hashlib.sha256(BODY).hexdigest()
    assert abs(upload.created_at.ToDatetime(tzinfo=UTC) - now) < timedelta(seconds=10)
    assert upload.expires_at.ToDatetime() - upload.created_at.ToDatetime() == timedelta(hours=24)
    assert abs(upload.put.expires_at.ToDatetime(tzinfo=UTC) - now - timedelta(minutes=15)) < timedelta(seconds=10)

    assert await send(upload.put) == 200
    pending = await get(intake, upload.id)
    assert (pending.state, pending.created_at) == (PENDING, upload.created_at)

    ready = await complete(intake, upload.id)
    assert (ready.state, ready.size, ready.sha256) == (READY, len(BODY), upload.sha256)
    assert (ready.content_type, ready.created_at) == ("image/png", upload.created_at)
    assert abs(ready.expires_at.ToDatetime(tzinfo=UTC) - now - timedelta(days=7)) < timedelta(seconds=20)
    assert not ready.HasField("put")
    assert await get(intake, upload.id) == ready
    assert await objects.get(upload_key("acme", upload.id), at_most=len(BODY)) == BODY
    assert await object_stores.keys_in(objects) == [upload_key("acme", upload.id)]


async def test_the_store_itself_refuses_other_bytes_sizes_and_types(intake: Intake, objects: Objects) -> None:
    upload = await create(intake)
    assert await send(upload.put, bytes(len(BODY))) == 400
    assert await send(upload.put, BODY[:-1]) == 403
    assert await send(upload.put, BODY + b"x") == 403
    assert await send(upload.put, **{"Content-Type": "text/html"}) == 403
    assert await object_stores.keys_in(objects) == []
    with pytest.raises(errors.UploadIncomplete, match="are not there; PUT them to its link") as refused:
        await complete(intake, upload.id)
    assert refused.value.metadata == {"upload": upload.id}
    assert await send(upload.put) == 200
    assert (await complete(intake, upload.id)).state == READY


async def test_bytes_that_came_another_way_are_told_apart(intake: Intake, objects: Objects) -> None:
    upload = await create(intake)
    await objects.put(incoming_key("acme", upload.id), b"other", content_type="text/html")
    with pytest.raises(errors.UploadIncomplete) as refused:
        await complete(intake, upload.id)
    for difference in ("size is 5 and not 300000", "content type is text/html and not image/png", "SHA-256 is "):
        assert difference in refused.value.message
    assert await objects.head(upload_key("acme", upload.id)) is None
    assert (await get(intake, upload.id)).state == PENDING


async def test_completing_again_answers_the_same(intake: Intake) -> None:
    upload_id = await uploaded(intake)
    first = await complete(intake, upload_id)
    assert await complete(intake, upload_id) == first


async def test_what_is_sent_after_it_was_completed_changes_nothing(intake: Intake, objects: Objects) -> None:
    upload = await create(intake)
    assert await send(upload.put) == 200
    ready = await complete(intake, upload.id)
    before = await objects.head(upload_key("acme", upload.id))
    assert await send(upload.put) == 200
    await objects.put(incoming_key("acme", upload.id), b"other", content_type="text/html")
    assert await complete(intake, upload.id) == ready
    assert await objects.head(upload_key("acme", upload.id)) == before


async def test_another_tenants_upload_is_not_found(intake: Intake, objects: Objects) -> None:
    upload = await create(intake)
    assert await send(upload.put) == 200
    for act in (get, complete, delete):
        with pytest.raises(errors.UploadNotFound):
            await act(intake, upload.id, tenant="globex")
    await complete(intake, upload.id)
    for act in (get, complete, delete):
        with pytest.raises(errors.UploadNotFound):
            await act(intake, upload.id, tenant="globex")
    assert await objects.head(upload_key("acme", upload.id)) is not None


async def test_a_deleted_upload_is_gone_with_its_bytes(intake: Intake, objects: Objects) -> None:
    pending = await create(intake)
    assert await send(pending.put) == 200
    for upload_id in (pending.id, await uploaded(intake)):
        await delete(intake, upload_id)
        for act in (get, complete, delete):
            with pytest.raises(errors.UploadNotFound):
                await act(intake, upload_id)
    assert await object_stores.keys_in(objects) == []
    assert await send(pending.put) == 200  # the link still leads to where nothing is read from
    with pytest.raises(errors.UploadNotFound):
        await complete(intake, pending.id)


async def test_who_may_only_read_gets_no_link_that_writes(intake: Intake) -> None:
    upload = await create(intake)
    assert (await get(intake, upload.id)).put.url
    assert not (await get(intake, upload.id, scopes=(Scope.JOBS_READ,))).HasField("put")


async def test_a_completed_upload_outlives_the_loss_of_redis(intake: Intake, redis: kv.Client) -> None:
    upload_id = await uploaded(intake)
    waiting = await create(intake)
    await redis.delete(f"{{intake:acme}}:upload:{waiting.id}")
    assert (await get(intake, upload_id)).state == READY
    with pytest.raises(errors.UploadNotFound):
        await complete(intake, waiting.id)


@pytest.mark.parametrize("act", [get, complete, delete])
@pytest.mark.parametrize("upload_id", ["", "x", "upl_1", f"upl_{ids.uuid7()}/../x", "job_" + str(ids.uuid7())])
async def test_an_id_that_is_none_is_refused(intake: Intake, act: Any, upload_id: str) -> None:
    with pytest.raises(errors.InvalidArgument) as refused:
        await act(intake, upload_id)
    assert [violation.field for violation in refused.value.violations] == ["uploadId"]


async def test_a_job_carries_what_it_names(intake: Intake, bus: Bus) -> None:
    file, thumbnail = await uploaded(intake), await uploaded(intake, b"small", content_type="image/gif")
    await submit(
        intake, upstream="photos", method="photos.upload", params={"file": file, "thumbnail": thumbnail, "title": "x"}
    )
    [event] = await log_of_jobs(bus)
    attached = {each.upload_id: each for each in event.submission.uploads}
    assert set(attached) == {file, thumbnail}
    assert (attached[file].size, attached[file].content_type) == (len(BODY), "image/png")
    assert attached[thumbnail].sha256 == hashlib.sha256(b"small").digest()
    assert file.encode() in event.submission.params


async def test_an_upload_named_twice_is_carried_once(intake: Intake, bus: Bus) -> None:
    file = await uploaded(intake)
    await submit(intake, upstream="photos", method="photos.upload", params={"file": file, "thumbnail": file})
    [event] = await log_of_jobs(bus)
    assert [each.upload_id for each in event.submission.uploads] == [file]


async def test_a_job_that_names_what_is_not_ready_is_refused_with_the_way_out(intake: Intake, bus: Bus) -> None:
    waiting, unknown = (await create(intake)).id, ids.new_upload_id()
    others = (await create(intake, tenant="globex")).id
    for named, told in ((waiting, "is not complete; PUT"), (unknown, "create another"), (others, "create another")):
        with pytest.raises(errors.InvalidArgument, match=told) as refused:
            await submit(intake, upstream="photos", method="photos.upload", params={"file": named, "title": 5})
        assert [violation.field for violation in refused.value.violations] == ["params.file", "params.title"]
    with pytest.raises(errors.InvalidArgument, match=r"params\.file: is no id of an upload"):
        await submit(intake, upstream="photos", method="photos.upload", params={"file": "upl_x"})
    assert await log_of_jobs(bus) == []


async def test_the_same_content_under_another_id_is_the_same_request(intake: Intake, bus: Bus) -> None:
    first, again = await uploaded(intake), await uploaded(intake)
    other, renamed = await uploaded(intake, b"other"), await uploaded(intake, content_type="image/gif")

    async def job(upload_id: str) -> str:
        params = {"file": upload_id}
        return (await submit(intake, upstream="photos", method="photos.upload", params=params, request_id="k")).id

    made = await job(first)
    assert await job(again) == made
    for differing in (other, renamed):
        with pytest.raises(errors.IdempotencyKeyReused):
            await job(differing)
    assert len(await log_of_jobs(bus)) == 1


async def test_jobs_of_a_batch_name_uploads_and_one_that_is_not_ready_refuses_all(intake: Intake, bus: Bus) -> None:
    file, waiting = await uploaded(intake), (await create(intake)).id

    async def batch(*named: str) -> None:
        asked = [request(upstream="photos", method="photos.upload", params={"file": each}) for each in named]
        async with intake.jobs() as jobs:
            await answer(jobs.SubmitBatch(batches_pb2.SubmitBatchRequest(jobs=asked)))

    await submit(intake)  # when the catalogue is loaded
    with pytest.raises(errors.InvalidArgument) as refused:
        await batch(file, waiting)
    assert [violation.field for violation in refused.value.violations] == ["jobs[1].params.file"]
    await batch(file, file)
    [_, *events] = await log_of_jobs(bus)
    assert [[each.upload_id for each in event.submission.uploads] for event in events] == [[file], [file]]
