"""The Python SDK before a whole mesh, with everything going wrong in between that may: nothing twice, nothing lost."""

from __future__ import annotations

import asyncio
import itertools
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, closing
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Literal

import pytest
from penstock_sdk import (
    AsyncPenstock,
    JobFailed,
    NoAnswer,
    Penstock,
    UnexpectedAnswer,
    WaitTimeout,
    reasons,
)

from deploy.local import client_settings
from tests.sdks.faults import PASSING, Fault, Kind, always, calm
from tests.sdks.runs import NUMBER, Runs, far_end, job

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from tests.docs.stack import DocsStack
    from tests.sdks.faulty_gateway import FaultyGateway
    from tests.sdks.runs import Run, Tenant

#: No answer that is waited for comes later, but for those that never come.
TIMEOUT_S = 1.0
SUBMITTED, MAPPED, BATCHED = range(40), range(40, 80), range(80, 100)
#: Job 7 of what is mapped is no job.
FAULTY = 7
UPLOADED = bytes(range(256)) * 2000
PICTURE_BYTES = 4 + 300 * 1024


def settings(tenant: Tenant, gateway: FaultyGateway) -> tuple[str, str]:
    return gateway.url, tenant.settings[client_settings.API_KEY]


def mapped(run: str) -> list[dict[str, object]]:
    requests = [job(run, number) for number in MAPPED]
    requests.insert(FAULTY, {"upstream": "http", "method": "http.get", "params": {"url": "nowhere"}})
    return requests


def check_faults(gateway: FaultyGateway, *kinds: Kind) -> None:
    """Every fault was met, and passed over."""
    assert {fault for kind in kinds for fault in PASSING[kind]} - set(gateway.done) == set()


async def asynchronously(
    transport: Literal["http", "grpc"], tenant: Tenant, gateway: FaultyGateway, folder: Path
) -> None:
    run = f"async-{transport}"
    url, key = settings(tenant, gateway)
    async with AsyncPenstock(url, key, timeout_s=TIMEOUT_S, transport=transport) as penstock:
        ran = await asyncio.gather(*(penstock.jobs.run(**job(run, number)) for number in SUBMITTED))
        assert [(each.metadata[NUMBER], each.state) for each in ran] == [(str(n), "SUCCEEDED") for n in SUBMITTED]

        batch = await penstock.batches.submit([job(run, number) for number in BATCHED])
        async with aclosing(penstock.map(mapped(run), name=run, concurrency=20)) as outcomes:
            assert len([outcome async for outcome in first(5, outcomes)]) == 5  # and the program dies
        ended = {outcome.index: outcome async for outcome in penstock.map(mapped(run), name=run, concurrency=20)}
        refused = ended.pop(FAULTY)
        assert isinstance(refused.error, reasons.InvalidArgument)
        assert refused.error.violations[0].field == "params.url"
        numbers = [outcome.job.metadata[NUMBER] for _, outcome in sorted(ended.items()) if outcome.job]
        assert numbers == [str(number) for number in MAPPED]
        assert {outcome.error for outcome in ended.values()} == {None}
        assert [each.state for each in (await penstock.batches.wait(batch.id)).jobs] == ["SUCCEEDED"] * len(BATCHED)

        watched = await penstock.jobs.submit(**job(run, "watched"))
        revisions = [(each.revision, each.state) async for each in penstock.jobs.watch(watched.id)]
        assert revisions == sorted(set(revisions))
        assert revisions[-1][1] == "SUCCEEDED"

        upload = await penstock.uploads.upload(UPLOADED, "image/png")
        await penstock.jobs.run(**job(run, "uploaded", upload=upload.id))
        picture = await penstock.jobs.run(**job(run, "picture.jpg"))
        assert (await penstock.jobs.download(picture.id, folder / "picture.jpg")).stat().st_size == PICTURE_BYTES
        assert len((await penstock.jobs.result(picture.id)).content) == PICTURE_BYTES
    await tenant.check(run, [*SUBMITTED, *MAPPED, *BATCHED, "watched", "uploaded", "picture.jpg"])
    check_faults(gateway, Kind.CALL if transport == "http" else Kind.RPC)


async def first(count: int, of: AsyncIterator[object]) -> AsyncIterator[object]:
    for _ in range(count):
        yield await anext(of)


async def synchronously(tenant: Tenant, gateway: FaultyGateway, folder: Path) -> None:
    await asyncio.to_thread(in_a_thread, tenant, gateway, folder)
    await tenant.check("sync", [*SUBMITTED, *MAPPED, *BATCHED, "uploaded", "picture.jpg"])
    check_faults(gateway, Kind.CALL)


def in_a_thread(tenant: Tenant, gateway: FaultyGateway, folder: Path) -> None:
    run = "sync"
    url, key = settings(tenant, gateway)
    with Penstock(url, key, timeout_s=TIMEOUT_S, sign_requests=False) as penstock:
        with ThreadPoolExecutor(len(SUBMITTED)) as threads:
            ran = [*threads.map(lambda number: penstock.jobs.run(**job(run, number)), SUBMITTED)]
        assert [(each.metadata[NUMBER], each.state) for each in ran] == [(str(n), "SUCCEEDED") for n in SUBMITTED]

        batch = penstock.batches.submit([job(run, number) for number in BATCHED])
        with closing(penstock.map(mapped(run), name=run, concurrency=20)) as outcomes:
            assert len([*itertools.islice(outcomes, 5)]) == 5
        ended = {outcome.index: outcome for outcome in penstock.map(mapped(run), name=run, concurrency=20)}
        assert isinstance(ended.pop(FAULTY).error, reasons.InvalidArgument)
        assert {outcome.error for outcome in ended.values()} == {None}
        assert len(ended) == len(MAPPED)
        assert penstock.batches.wait(batch.id).finished_at is not None

        upload = penstock.uploads.upload(UPLOADED, "image/png")
        penstock.jobs.run(**job(run, "uploaded", upload=upload.id))
        picture = penstock.jobs.run(**job(run, "picture.jpg"))
        assert penstock.jobs.download(picture.id, folder / "picture.jpg").stat().st_size == PICTURE_BYTES


RUNS: dict[str, Run] = {
    "async over HTTP": partial(asynchronously, "http"),
    "async over gRPC": partial(asynchronously, "grpc"),
    "sync": synchronously,
}


@pytest.fixture(scope="module")
def runs(stack: DocsStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    runs = Runs(stack, tmp_path_factory.mktemp("python"))
    for name, run in RUNS.items():
        runs.begin(name, run)
    yield runs
    runs.close()


@pytest.mark.parametrize("name", RUNS)
def test_a_client_loses_no_job_and_makes_none_twice(name: str, runs: Runs) -> None:
    runs.end(name)


async def test_what_cannot_succeed_says_why(tenant: Tenant, gateway: FaultyGateway) -> None:
    run = "hopeless"
    url, key = settings(tenant, gateway)
    async with AsyncPenstock(url, key, timeout_s=TIMEOUT_S, retry_for_s=0.8) as penstock:
        gateway.plan = always(Fault.RESET_AFTER)
        with pytest.raises(NoAnswer, match=rf"POST {url}/api/v1/jobs: .* \(given up after \d+ tries in \d") as lost:
            await penstock.jobs.submit(**job(run, 0), idempotency_key="once")
        assert lost.value.tries > 1
        gateway.plan = always(Fault.LIMITED)
        with pytest.raises(reasons.RateLimited) as limited:
            await penstock.jobs.submit(**job(run, 1))
        assert limited.value.retry_after_s == 1
        gateway.plan = always(Fault.FOREIGN)
        with pytest.raises(UnexpectedAnswer, match="502"):
            await penstock.jobs.get("http-0")
        gateway.plan = calm()
        again = await penstock.jobs.submit(**job(run, 0), idempotency_key="once")
        await penstock.jobs.wait(again.id)
        with pytest.raises(reasons.JobNotFound):
            await penstock.jobs.wait("http-00000000-0000-7000-8000-000000000000")
        with pytest.raises(reasons.InvalidArgument) as wrong:
            await penstock.jobs.submit("http", "http.get", {"url": "nowhere"})
        assert [violation.field for violation in wrong.value.violations] == ["params.url"]
        with pytest.raises(JobFailed, match="404"):
            await penstock.jobs.run("http", "http.get", {"url": "https://httpbin.org/status/404"})
        with pytest.raises(WaitTimeout):
            await penstock.jobs.wait((await penstock.jobs.submit(**later(run))).id, timeout_s=0.5)
    async with AsyncPenstock(gateway.url, f"{key}0") as stranger:
        with pytest.raises(reasons.Unauthenticated):
            await stranger.jobs.get(again.id)
    made = [each for each in tenant.jobs(run) if each["metadata"][NUMBER] == "0"]
    assert [each["id"] for each in made] == [again.id]
    assert tenant.asked[far_end(run).removeprefix("https://") + "/1"] == 0


def later(run: str) -> dict[str, object]:
    """A job that does not end soon."""
    return job(run, "later") | {"not_before": datetime.now(UTC) + timedelta(hours=1)}
