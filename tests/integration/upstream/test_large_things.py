"""Large params, uploads and results: the service, a real object store, and a far end that checks every byte."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import aiohttp
import pytest
from penstock.events.v1 import events_pb2

from shared import ids
from shared.objects import params_key, result_key, upload_key
from tests import object_stores
from tests.fakes import large_far_end
from tests.fakes.large_far_end import content, digest
from tests.integration.upstream.worker_process import worker_process
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from shared.lifecycle import Process
    from shared.objects import Objects, ObjectSettings
    from tests.fakes.large_far_end import LargeFarEnd
    from tests.integration.upstream.mesh import Mesh
    from tests.integration.upstream.worker_process import WorkerProcess

MIB = 1024 * 1024
SIZE = 3 * MIB // 2
#: Over one part of a multipart upload.
PARTS_SIZE = 6 * MIB
#: How many calls at once, and what each sends and is answered.
CALLS = 20
LARGE = 20 * MIB

pytestmark = pytest.mark.usefixtures("no_stalls")


@pytest.fixture
async def far() -> AsyncIterator[LargeFarEnd]:
    async with large_far_end.large_far_end() as far:
        yield far


@dataclass(frozen=True, slots=True)
class Storing:
    """The mesh, and a real object store."""

    mesh: Mesh
    objects: Objects
    settings: ObjectSettings

    def running(self, **settings: int) -> AbstractAsyncContextManager[Process]:
        """The service, that reaches it."""
        return self.mesh.running(**object_stores.as_config(self.settings), **settings)

    def process(self, folder: Path) -> AbstractAsyncContextManager[WorkerProcess]:
        """The same as a process of its own."""
        return worker_process(self.mesh, self.settings, folder / "log")

    async def result(self, job_id: str) -> str:
        """SHA-256 of what is stored as the job's result."""
        sha256 = hashlib.sha256()
        async with self.objects.open(result_key("acme", job_id, 1)) as chunks:
            async for chunk in chunks:
                sha256.update(chunk)
        return sha256.hexdigest()

    async def is_empty(self) -> bool:
        """Whether no result is there, whole or in parts."""
        keys = await object_stores.keys_in(self.objects)
        begun = await self.objects._asking.list_multipart_uploads(Bucket=self.objects._bucket)
        return not [key for key in keys if key.startswith("results/")] and not begun.get("Uploads")

    async def upload(self, size: int) -> events_pb2.AttachedUpload:
        """A completed upload of `content(size)`."""
        upload_id = ids.new_upload_id()

        async def chunks() -> AsyncIterator[bytes]:
            for chunk in content(size):
                yield chunk

        await self.objects.put_stream(upload_key("acme", upload_id), chunks(), size=size, content_type="image/png")
        return events_pb2.AttachedUpload(
            upload_id=upload_id, content_type="image/png", size=size, sha256=bytes.fromhex(digest(size))
        )


@pytest.fixture
def storing(mesh: Mesh, objects: Objects, object_settings: ObjectSettings) -> Storing:
    return Storing(mesh, objects, object_settings)


@pytest.mark.parametrize("how", ["known", "chunked", "gzip"])
@pytest.mark.parametrize("size", [SIZE, PARTS_SIZE])
async def test_a_large_answer_is_stored_byte_for_byte(storing: Storing, far: LargeFarEnd, how: str, size: int) -> None:
    async with storing.running():
        job = await storing.mesh.scheduler.put("get", f"{far.url}/large/{size}?how={how}&type=image/png")
        result = (await storing.mesh.outcome(job)).result
    assert (result.url, result.status, result.size) == (f"/api/v1/jobs/{job}/result", 200, size)
    assert (result.content_type, result.headers["content-type"]) == ("image/png", "image/png")
    assert await storing.result(job) == digest(size)
    found = await storing.objects.head(result_key("acme", job, 1))
    assert found is not None
    assert (found.size, found.content_type) == (size, "image/png")


@pytest.mark.parametrize("how", ["cut", "cut-chunked"])
async def test_of_an_answer_that_is_cut_off_nothing_is_kept(storing: Storing, far: LargeFarEnd, how: str) -> None:
    async with storing.running():
        url = f"{far.url}/large/{2 * PARTS_SIZE}?how={how}"
        read, sent = await storing.mesh.scheduler.put("get", url), await storing.mesh.scheduler.put("post", url)
        assert (await storing.mesh.outcome(read)).error.retryable
        assert (await storing.mesh.outcome(sent)).outcome_unknown
        assert await storing.is_empty()


@pytest.mark.parametrize("how", ["known", "chunked", "gzip"])
async def test_of_an_answer_that_is_too_large_nothing_is_kept(storing: Storing, far: LargeFarEnd, how: str) -> None:
    async with storing.running(max_result_bytes=PARTS_SIZE):
        job = await storing.mesh.scheduler.put("get", f"{far.url}/large/{PARTS_SIZE + 1}?how={how}")
        error = (await storing.mesh.outcome(job)).error
        assert (error.reason, error.retryable) == ("RESULT_TOO_LARGE", False)
        assert await storing.is_empty()


@pytest.mark.parametrize("how", ["half", "half-chunked"])
async def test_of_an_answer_whose_job_is_canceled_nothing_is_kept(storing: Storing, far: LargeFarEnd, how: str) -> None:
    async with storing.running():
        job = await storing.mesh.scheduler.put("get", f"{far.url}/large/{4 * PARTS_SIZE}?how={how}")
        await eventually(lambda: far.sent_bytes >= 2 * PARTS_SIZE)
        await storing.mesh.bus.signal(f"signal.cancel.{job}", job.encode())
        assert (await storing.mesh.outcome(job)).error.reason == "JOB_CANCELED"
        assert await storing.is_empty()


@pytest.mark.parametrize("how", ["half", "half-chunked"])
async def test_a_worker_that_is_killed_as_it_stores_leaves_nothing_to_be_seen(
    storing: Storing, far: LargeFarEnd, tmp_path: Path, how: str
) -> None:
    async with storing.process(tmp_path) as worker:
        job = await storing.mesh.scheduler.put("get", f"{far.url}/large/{4 * PARTS_SIZE}?how={how}")
        await eventually(lambda: far.sent_bytes >= 2 * PARTS_SIZE, within=120)
        worker.kill()
        await worker.process.wait()
    assert await storing.objects.head(result_key("acme", job, 1)) is None
    assert not await storing.mesh.outcomes()
    far.release.set()


async def test_answers_that_travel_need_no_store(mesh: Mesh, far: LargeFarEnd) -> None:
    async with mesh.running():
        small = await mesh.scheduler.put("get", f"{far.url}/large/{MIB // 4}")
        assert (await mesh.outcome(small)).result.size == MIB // 4
        read, sent = [
            await mesh.scheduler.put(method, f"{far.url}/large/{SIZE}?status=201") for method in ("get", "post")
        ]
        lost, unknown = await mesh.outcome(read), await mesh.outcome(sent)
    assert (lost.error.reason, lost.error.retryable, lost.outcome_unknown) == ("UNAVAILABLE", True, False)
    assert (unknown.error.reason, unknown.error.retryable, unknown.outcome_unknown) == ("UNAVAILABLE", False, True)
    assert unknown.error.upstream_status == 201
    assert "was carried out" in unknown.error.message
    assert unknown.health == events_pb2.Attempt.HEALTHY


async def test_stored_params_are_those_of_the_call(storing: Storing, far: LargeFarEnd) -> None:
    text = "ä" * 200_000
    params = json.dumps({"url": f"{far.url}/large/1", "text": text}, ensure_ascii=False).encode()
    sha256 = hashlib.sha256(params).digest()
    await storing.objects.put(params_key("acme", sha256), params, content_type="application/json")
    async with storing.running():
        told = events_pb2.StoredParams(size=len(params), sha256=sha256)
        job = await storing.mesh.scheduler.put("post", "", raw_params=b"", stored_params=told)
        assert (await storing.mesh.outcome(job)).result.inline.status == 200
        gone = await storing.mesh.scheduler.put(
            "post", "", raw_params=b"", stored_params=events_pb2.StoredParams(size=1, sha256=b"x" * 32)
        )
        error = (await storing.mesh.outcome(gone)).error
    assert far.received == [hashlib.sha256(text.encode()).hexdigest()]
    assert (error.reason, error.retryable) == ("CONTENT_GONE", False)
    assert storing.mesh.scheduler.begun == [job]


async def test_an_upload_arrives_byte_for_byte(storing: Storing, far: LargeFarEnd) -> None:
    attached = await storing.upload(PARTS_SIZE)
    async with storing.running():
        url = f"{far.url}/large/{SIZE}"
        job = await storing.mesh.scheduler.put("post", url, upload=attached.upload_id, uploads=[attached])
        assert (await storing.mesh.outcome(job)).result.size == SIZE
        await storing.objects.delete(upload_key("acme", attached.upload_id))
        gone = await storing.mesh.scheduler.put("post", url, upload=attached.upload_id, uploads=[attached])
        assert (await storing.mesh.outcome(gone)).error.reason == "CONTENT_GONE"
    assert far.received == [digest(PARTS_SIZE)]
    assert storing.mesh.scheduler.begun == [job]


async def test_links_lead_to_a_result_and_to_parts_of_it(storing: Storing, far: LargeFarEnd) -> None:
    async with storing.running():
        job = await storing.mesh.scheduler.put("get", f"{far.url}/large/{SIZE}")
        await storing.mesh.outcome(job)
    link = await storing.objects.link(
        result_key("acme", job, 1), lifetime=timedelta(minutes=1), content_disposition="attachment"
    )
    async with aiohttp.ClientSession() as session, session.get(link, headers={"Range": "bytes=100-199"}) as answer:
        assert (answer.status, answer.headers["Content-Range"]) == (206, f"bytes 100-199/{SIZE}")
        assert await answer.read() == next(content(SIZE))[100:200]
        assert answer.headers["Content-Disposition"] == "attachment"


@pytest.mark.parametrize(("how", "sent", "most"), [("known", LARGE, 60 * MIB), ("chunked", 0, 220 * MIB)])
async def test_memory_stays_flat_whatever_goes_through(
    storing: Storing, tmp_path: Path, how: str, sent: int, most: int
) -> None:
    """20 calls at once, each of which sends 20 MiB and is answered with 20 MiB: 800 MiB that are nowhere whole.

    Of a known length a call has some chunks of 64 KiB in the buffers of its connections: 20 MiB were measured for all
    of them. Of an unknown one it has the part of 5 MiB besides that it gathers or sends, and what a buffer that grows
    has in reserve: 155 MiB. Nothing is answered before all is sent, so what is sent is measured once.
    """
    async with large_far_end.large_far_end(gathers=CALLS) as far, storing.process(tmp_path) as worker:
        uploads = [await storing.upload(sent)] if sent else []
        params = {"upload": uploads[0].upload_id} if uploads else {}
        scheduler = storing.mesh.scheduler
        await eventually(lambda: scheduler.waiting == 1, within=150)
        before = worker.memory_bytes
        url = f"{far.url}/large/{LARGE}?how={how}"

        async def call() -> str:
            return await scheduler.put("put", url, **params, uploads=uploads, timeoutS=300)

        for _ in range(CALLS):
            await call()
        await eventually(lambda: len(far.received) >= CALLS, within=240, what="the uploads")
        repeated: set[str] = set()

        async def all_stored() -> bool:
            outcomes = (await storing.mesh.outcomes()).values()
            for lost in (each for each in outcomes if each.error.retryable and each.job_id not in repeated):
                repeated.add(lost.job_id)  # a busy machine's store may stall for too long; the scheduler does the same
                await call()
            return sum(each.result.size == LARGE for each in outcomes) == CALLS

        await eventually(all_stored, within=240, what="the results")
        grown = worker.peak_memory_bytes - before
    assert set(far.received) == {digest(sent)}
    outcomes = await storing.mesh.outcomes()
    stored = next(job_id for job_id, each in outcomes.items() if each.HasField("result"))
    assert await storing.result(stored) == digest(LARGE)
    assert grown < most
