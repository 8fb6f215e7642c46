"""Hundreds of endpoints, of which a tenth hangs: what the others notice of it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.integration.webhooks.receiver import Answer
from tests.integration.webhooks.tenant import tenant_at
from tests.waiting import eventually

if TYPE_CHECKING:
    from shared.lifecycle import Process
    from tests.integration.webhooks.conftest import Mesh
    from tests.integration.webhooks.receiver import Received

ENDPOINTS = 240
#: A quarter of it is for those that hang, of which there are half as many again: as of a thousand with the default.
CONCURRENCY = 60
#: Each with its share of the endpoints; an event of one goes to all of these.
TENANTS = 12
#: One of so many hangs, when they do.
HANGING = 10
#: Those that never hang.
HEALTHY = ENDPOINTS - ENDPOINTS // HANGING
#: Long, as against a phase: what hangs keeps its place throughout.
TIMEOUT = timedelta(seconds=5)
MOST_GROWTH_S = 1.0


@dataclass
class Phase:
    """When events were published, and when those who never hang first had them."""

    hanging: bool
    published_s: dict[str, float] = field(default_factory=dict)
    received_s: dict[tuple[str, str], float] = field(default_factory=dict)

    def __call__(self, received: Received) -> Answer | None:
        """Notes what came, and judges it."""
        if int(received.path.split("/")[1]) % HANGING == 0:
            return Answer(held=True) if self.hanging else None
        for job_id in received.about:
            if job_id in self.published_s:
                self.received_s.setdefault((received.path, job_id), received.at_s)
        return None

    def has(self, count: int) -> bool:
        """Whether so many receipts were noted; it says how many otherwise."""
        received = len(self.received_s)
        if received < count:
            raise AssertionError(f"{received} of {count}")
        return True

    @property
    def p99_s(self) -> float:
        """Of the latencies, from the event to its receipt."""
        latencies_s = sorted(at_s - self.published_s[job_id] for (_, job_id), at_s in self.received_s.items())
        return latencies_s[int(len(latencies_s) * 0.99)]


@pytest.mark.usefixtures("uncounted")
async def test_a_tenth_that_hangs_makes_the_others_wait_no_second_longer(mesh: Mesh) -> None:
    settings = {
        "attempt_timeout": TIMEOUT,
        "retry_schedule": (timedelta(seconds=1),) * 40,
        "max_endpoints": ENDPOINTS,
        "concurrency": CONCURRENCY,
    }
    async with mesh.running(**settings) as process:
        await _make_endpoints(mesh, process)
        without = await _measured(mesh, hanging=False)
        under = await _measured(mesh, hanging=True, rounds=2)  # and each is called again while it hangs
        mesh.receiver.release.set()
    p99s = f"p99 without: {without.p99_s:.3f} s; with a tenth that hangs: {under.p99_s:.3f} s"
    print(p99s)  # noqa: T201  for whoever measures
    assert under.p99_s < without.p99_s + MOST_GROWTH_S, p99s


def _tenant(number: int) -> str:
    return f"tenant-{number % TENANTS}"


async def _make_endpoints(mesh: Mesh, process: Process) -> None:
    async def make(first: int) -> None:
        async with tenant_at(process, mesh.identities, _tenant(first)) as tenant:
            for number in range(first, ENDPOINTS, TENANTS):
                await tenant.endpoint(f"{mesh.receiver.url}/{number // TENANTS}/of/{tenant.name}")

    async with asyncio.TaskGroup() as group:
        for first in range(TENANTS):
            group.create_task(make(first))


async def _measured(mesh: Mesh, *, hanging: bool, rounds: int = 1) -> Phase:
    """Has an event of each tenant happen once all who never hang have the one before: so none waits for the machine."""
    mesh.receiver.judge = phase = Phase(hanging)
    for number in range(rounds * TENANTS):
        job_id = await mesh.submit(None, tenant=_tenant(number))
        phase.published_s[job_id] = time.monotonic()
        await mesh.end(job_id, tenant=_tenant(number))
        expected = (number + 1) * HEALTHY // TENANTS
        await eventually(partial(phase.has, expected), within=60, what=f"{expected} receipts")
    return phase
