"""What may die or go away on the way of a delivery, and that nothing is lost by it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import pytest
from structlog.testing import capture_logs

from services.webhooks.__main__ import serve
from services.webhooks.deliveries.domain import State
from shared.clock import SystemClock
from shared.config import Secret
from tests.integration.webhooks.receiver import Answer
from tests.waiting import eventually
from tests.wires import wire_to

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator
    from datetime import datetime

    from services.webhooks.config import Config
    from shared.lifecycle import Process
    from tests.integration.webhooks.conftest import Mesh
    from tests.wires import Wire

pytestmark = pytest.mark.usefixtures("uncounted", "no_stalls")


@asynccontextmanager
async def killed(mesh: Mesh, **settings: Any) -> AsyncGenerator[Process]:
    """Runs a replica that ends without a drain, as far as one can be killed in a test."""
    # the others take over what it holds a little sooner than by default
    process = mesh.process(**{"receiver_hold": timedelta(seconds=3)} | settings)
    task = asyncio.create_task(serve(cast("Config", process.config), process))
    try:
        await asyncio.wait_for(process.started.wait(), 30)
        yield process
    finally:
        task.cancel()
        await asyncio.wait({task})


async def test_what_was_stored_and_not_sent_is_sent_by_the_next_replica(mesh: Mesh) -> None:
    mesh.receiver.answers["/held"] += [Answer(held=True)]
    async with killed(mesh, concurrency=1):
        await mesh.finished_job(f"{mesh.receiver.url}/held")
        await eventually(lambda: mesh.receiver.at("/held"))  # the one place is taken
        waiting = [await mesh.finished_job() for _ in range(3)]
        await mesh.stored(*waiting)
    assert not mesh.receiver.at("/hook")
    async with mesh.running():
        await mesh.delivered(*waiting)
    assert sorted(each.webhook_id for each in mesh.receiver.at("/hook")) == sorted(f"{job}:3" for job in waiting)


class Advanced(SystemClock):
    """The machine's time, and what a test has put it forward by."""

    def __init__(self) -> None:
        self.by = timedelta()

    def now(self) -> datetime:
        return super().now() + self.by


async def test_an_attempt_that_died_is_counted_and_made_again_once_its_claim_is_over(
    mesh: Mesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Advanced()
    monkeypatch.setattr("services.webhooks.__main__.SystemClock", lambda: clock)
    mesh.receiver.answers["/hook"] += [Answer(held=True)]
    async with killed(mesh):
        job_id = await mesh.finished_job()
        await eventually(lambda: mesh.receiver.received)
    async with mesh.running():
        await mesh.delivered(await mesh.finished_job())
        assert len(mesh.receiver.of_job(job_id)) == 1, "its claim is not over"
        clock.by = timedelta(minutes=1)
        await mesh.delivered(job_id)
    delivery = await mesh.delivery(job_id)
    assert delivery is not None
    assert delivery.attempts == 2
    first, second = mesh.receiver.of_job(job_id)
    assert (first.webhook_id, first.body) == (second.webhook_id, second.body)


async def test_events_of_a_time_without_any_replica_are_told_later(mesh: Mesh) -> None:
    before = await mesh.finished_job()
    async with killed(mesh):
        await mesh.delivered(before)
    meanwhile = [await mesh.finished_job() for _ in range(5)]
    async with mesh.running():
        await mesh.delivered(*meanwhile)
    assert len(mesh.receiver.received) == 6


async def test_two_replicas_tell_each_job_once(mesh: Mesh) -> None:
    jobs = [await mesh.submit() for _ in range(100)]
    async with mesh.running(concurrency=8), mesh.running(concurrency=8):
        for start in range(0, 100, 20):
            await mesh.end(*jobs[start : start + 20])
        await mesh.delivered(*jobs, within=60)
    assert sorted(each.webhook_id for each in mesh.receiver.received) == sorted(f"{job_id}:3" for job_id in jobs)


async def test_what_one_replica_left_pending_is_found_by_another(mesh: Mesh) -> None:
    async with mesh.running():
        mesh.receiver.answers["/hook"] += [Answer(503)]
        async with killed(mesh, retry_schedule=(timedelta(seconds=2),)):
            job_id = await mesh.finished_job()
            await mesh.settled(job_id, State.PENDING)
        await mesh.delivered(job_id)
    assert len(mesh.receiver.received) == 2


async def test_a_stopping_replica_finishes_what_is_begun_and_takes_nothing_new(mesh: Mesh) -> None:
    mesh.receiver.answers["/held"] += [Answer(held=True)]
    async with mesh.running() as process:
        begun = await mesh.finished_job(f"{mesh.receiver.url}/held")
        await eventually(lambda: mesh.receiver.at("/held"))
        process.stopping.set()
        new = await mesh.finished_job()
        await mesh.stored(new)  # what comes is stored still
        mesh.receiver.release.set()
        await mesh.delivered(begun)
    assert not mesh.receiver.at("/hook")
    async with mesh.running():
        await mesh.delivered(new)


@pytest.fixture
async def wire(mongo_url: str) -> AsyncIterator[Wire]:
    server = urlsplit(mongo_url)
    async with wire_to(server.hostname or "", server.port or 0) as wire:
        yield wire


async def test_deliveries_go_on_when_mongodb_is_back(mesh: Mesh, wire: Wire, mongo_url: str) -> None:
    mesh.receiver.answers["/held"] += [Answer(held=True)]
    severable = Secret(wire.on_the_way_to(mongo_url).replace("replicaSet=penstock", "directConnection=true"))
    with capture_logs() as lines:
        async with mesh.running(mongo_url=severable):
            at_work = await mesh.finished_job(f"{mesh.receiver.url}/held")
            await eventually(lambda: mesh.receiver.at("/held"))
            await wire.cut()
            meanwhile = [await mesh.finished_job() for _ in range(3)]
            mesh.receiver.release.set()
            parts = {"outcome_not_kept_yet", "dispatch_interrupted", "batch_delayed"}
            await eventually(
                lambda: parts <= {line["event"] for line in lines}, within=30, what="every part that waits for it"
            )
            assert len(mesh.receiver.received) == 1
            await wire.mend()
            await mesh.delivered(at_work, *meanwhile, within=30)
    assert len(mesh.receiver.of_job(at_work)) == 1
    assert all(len(mesh.receiver.of_job(job_id)) == 1 for job_id in meanwhile)
