"""What is answered to who asks for a result."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest
from penstock.jobs.v1 import jobs_pb2

from services.intake.results import ResultAnswer, Results
from shared import ids
from shared.errors import JobNotFinished, RangeNotSatisfiable, ResultNotFound, Unavailable
from tests.fakes.objects import FakeObjects

if TYPE_CHECKING:
    from services.intake.reader import JobReader

STATUS = "x-penstock-http-status"
JOB = ids.new_job_id("http")


class Links(FakeObjects):
    """Signs links that say what they were signed with."""

    async def link(
        self, key: str, *, lifetime: timedelta, content_type: str = "", content_disposition: str = ""
    ) -> str:
        assert not content_type, "it is told as it was stored"
        return f"https://store/{key}?for={lifetime.total_seconds():g}&as={content_disposition}"


class Reader:
    """Has one job."""

    def __init__(self, job: jobs_pb2.Job) -> None:
        self.job = job

    async def get(self, tenant: str, job_id: str, *, upstream: str = "") -> jobs_pb2.Job:
        assert (tenant, job_id, upstream) == ("acme", JOB, "http")
        return self.job


def succeeded(result: jobs_pb2.JobResult) -> jobs_pb2.Job:
    return jobs_pb2.Job(id=JOB, state=jobs_pb2.Job.SUCCEEDED, attempt=2, result=result)


def inline(content_type: str = "text/plain", **body: Any) -> jobs_pb2.Job:
    return succeeded(jobs_pb2.JobResult(inline=jobs_pb2.InlineResult(status=200, **body), content_type=content_type))


def stored() -> jobs_pb2.Job:
    return succeeded(jobs_pb2.JobResult(url=f"/api/v1/jobs/{JOB}/result", status=200, size=300_000))


async def answer(job: jobs_pb2.Job, store: Links | None = None, **headers: str) -> ResultAnswer:
    results = Results(
        reader=cast("JobReader", Reader(job)), objects=store or Links(), link_lifetime=timedelta(minutes=15)
    )
    metadata = {name.replace("_", "-"): value for name, value in headers.items()}
    return await results.answer("acme", JOB, upstream="http", metadata=metadata)


@pytest.mark.parametrize(
    ("body", "content"),
    [({"text": "größer"}, "größer".encode()), ({"data": b"\0\xff"}, b"\0\xff"), ({}, b"")],
)
async def test_an_inline_result_is_its_bytes_under_its_type(body: dict[str, Any], content: bytes) -> None:
    found = await answer(inline("image/png", **body))
    headers = dict(found.metadata)
    assert (found.body.content_type, found.body.data) == ("image/png", content)
    assert STATUS not in headers
    assert headers["accept-ranges"] == "bytes"
    assert headers["content-disposition"] == "attachment"
    assert headers["content-security-policy"].endswith("; sandbox")


async def test_the_etag_is_strong_and_of_the_bytes() -> None:
    first = dict((await answer(inline(text="a"))).metadata)["etag"]
    assert first.startswith('"')
    assert first == dict((await answer(inline("x/y", data=b"a"))).metadata)["etag"]
    assert first != dict((await answer(inline(text="b"))).metadata)["etag"]


async def test_a_type_that_is_none_is_told_as_that_of_bytes() -> None:
    assert (await answer(inline("", text="a"))).body.content_type == "application/octet-stream"


async def test_a_part_is_told_as_one() -> None:
    found = await answer(inline(text="0123456789"), range="bytes=2-4")
    assert found.body.data == b"234"
    assert (dict(found.metadata)[STATUS], dict(found.metadata)["content-range"]) == ("206", "bytes 2-4/10")


async def test_a_range_outside_of_it_is_refused() -> None:
    with pytest.raises(RangeNotSatisfiable):
        await answer(inline(text="0123456789"), range="bytes=10-")


async def test_what_the_reader_knows_is_not_sent_again_whatever_part_is_asked_for() -> None:
    job = inline(text="0123456789")
    etag = dict((await answer(job)).metadata)["etag"]
    found = await answer(job, if_none_match=etag, range="bytes=99-")
    assert (found.body.data, found.body.content_type) == (b"", "")
    assert (dict(found.metadata)[STATUS], dict(found.metadata)["etag"]) == ("304", etag)


async def test_a_stored_result_is_answered_with_a_link_that_ends() -> None:
    key = f"results/acme/{JOB}/2"
    store = Links()
    await store.put(key, b"x", content_type="a/b")
    found = await answer(stored(), store, range="bytes=0-1")
    assert not found.body.data
    assert dict(found.metadata) == {
        STATUS: "302",
        "location": f"https://store/{key}?for=900&as=attachment",
        "cache-control": "no-store",
    }


@pytest.mark.parametrize("job", [stored(), succeeded(jobs_pb2.JobResult(content_type="a/b", size=3))])
async def test_a_result_that_is_no_longer_kept_is_not_found(job: jobs_pb2.Job) -> None:
    with pytest.raises(ResultNotFound) as caught:
        await answer(job)
    assert caught.value.metadata == {"job": JOB, "state": "SUCCEEDED"}


async def test_a_store_that_is_away_is_no_result_that_is_gone() -> None:
    store = Links()
    store.away = True
    with pytest.raises(Unavailable):
        await answer(stored(), store)


@pytest.mark.parametrize("state", ["QUEUED", "RUNNING", "RETRYING"])
async def test_a_job_that_has_not_ended_has_none_yet(state: str) -> None:
    with pytest.raises(JobNotFinished) as caught:
        await answer(jobs_pb2.Job(id=JOB, state=jobs_pb2.Job.State.Value(state)))
    assert caught.value.metadata == {"job": JOB, "state": state}


@pytest.mark.parametrize("state", ["FAILED", "OUTCOME_UNKNOWN", "CANCELED", "EXPIRED"])
async def test_a_job_that_has_ended_otherwise_never_has_one(state: str) -> None:
    with pytest.raises(ResultNotFound) as caught:
        await answer(jobs_pb2.Job(id=JOB, state=jobs_pb2.Job.State.Value(state)))
    assert caught.value.metadata == {"job": JOB, "state": state}
