"""Order by connection, and batches, under retries and across replicas."""

from __future__ import annotations

import random
from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from penstock.webhooks.v1.endpoints_pb2 import Endpoint

from shared import ids
from tests.integration.webhooks.receiver import Answer
from tests.integration.webhooks.tenant import State, tenant_at
from tests.integration.webhooks.test_crashes import killed
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.integration.webhooks.conftest import Mesh
    from tests.integration.webhooks.receiver import Received

pytestmark = pytest.mark.usefixtures("no_stalls")

SECOND = timedelta(seconds=1)


class Wavering:
    """A receiver that refuses at random, and remembers what it took."""

    def __init__(self, seed: int, *, ratio: float = 0.3, never: Sequence[str] = ()) -> None:
        self._chance = random.Random(seed)
        self._ratio = ratio
        self._never = never
        #: In the order in which they were taken.
        self.took: list[Received] = []

    def __call__(self, received: Received) -> Answer:
        if not set(self._never).isdisjoint(received.about) or self._chance.random() < self._ratio:
            return Answer(self._chance.choice((500, 503, 429)))
        self.took.append(received)
        return Answer()

    def order(self, of: Sequence[str]) -> list[str]:
        """What it took of these, in the order in which it took each first."""
        return list(dict.fromkeys(about for received in self.took for about in received.about if about in of))


async def test_of_a_connection_each_job_is_told_when_the_one_before_is_whatever_fails(mesh: Mesh) -> None:
    mesh.receiver.judge = wavering = Wavering(8)
    connections = [ids.new_connection_id() for _ in range(4)]
    jobs: dict[str, list[str]] = defaultdict(list)
    settings = {"retry_schedule": (SECOND / 20,) * 40}
    async with mesh.running(**settings) as one, mesh.running(**settings), tenant_at(one, mesh.identities) as tenant:
        endpoint_id = await tenant.endpoint(f"{mesh.receiver.url}/hook", order=Endpoint.BY_CONNECTION)
        for _ in range(5):
            for connection in connections:
                jobs[connection] += await mesh.ended_jobs(2, connection_id=connection)
        ended = await tenant.all_ended(endpoint_id, 40)
    assert {each.state for each in ended} == {State.DELIVERED}
    assert any(each.attempts > 1 for each in ended)
    assert {connection: wavering.order(jobs[connection]) for connection in connections} == jobs


async def test_a_dead_head_goes_to_the_dead_letters_and_its_line_moves_on(mesh: Mesh) -> None:
    stuck, free = ids.new_connection_id(), ids.new_connection_id()
    async with mesh.running() as process, tenant_at(process, mesh.identities) as tenant:
        url = f"{mesh.receiver.url}/hook"
        endpoint_id = await tenant.endpoint(url, order=Endpoint.BY_CONNECTION, pauses=[2 * SECOND])
        dead = await mesh.submit(None, connection_id=stuck)
        mesh.receiver.judge = wavering = Wavering(1, ratio=0.0, never=[dead])
        await mesh.end(dead)
        behind = await mesh.ended_jobs(5, connection_id=stuck)
        others = await mesh.ended_jobs(5, connection_id=free)
        without = await mesh.ended_jobs(5)
        await eventually(lambda: set(wavering.order(others + without)) == {*others, *without}, what="the others")
        assert not wavering.order(behind)
        head = await tenant.settled(endpoint_id, dead)
        await tenant.all_ended(endpoint_id, 16)
    assert (head.state, head.attempts) == (State.FAILED, 2)
    assert wavering.order(behind) == behind
    assert wavering.order(others) == others


async def test_the_members_of_a_batch_stay_together_over_retries(mesh: Mesh) -> None:
    mesh.receiver.answers["/hook"] += [Answer(503), Answer(500)]
    async with mesh.running() as process, tenant_at(process, mesh.identities) as tenant:
        batching = {"max_events": 10, "max_wait": SECOND}
        endpoint_id = await tenant.endpoint(f"{mesh.receiver.url}/hook", batching=batching, pauses=[SECOND] * 3)
        jobs = await mesh.ended_jobs(25)
        deliveries = await tenant.all_ended(endpoint_id, 25)
    assert {each.state for each in deliveries} == {State.DELIVERED}
    assert_batches_hold(mesh.receiver.received)
    sizes = {each.webhook_id: len(each.events) for each in mesh.receiver.received}
    assert max(sizes.values()) == 10
    assert sum(sizes.values()) == 25
    assert len(mesh.receiver.received) == len(sizes) + 2
    for batch_id in sizes:
        members = next(each.about for each in mesh.receiver.received if each.webhook_id == batch_id)
        assert members == [job_id for job_id in jobs if job_id in members], "they are in order"
        assert {each.about for each in deliveries if each.batch_id == batch_id} == set(members)


async def test_a_batch_outlives_the_replica_that_made_it(mesh: Mesh) -> None:
    mesh.receiver.answers["/hook"] += [Answer(held=True)]
    short = {"attempt_timeout": SECOND}
    async with killed(mesh, **short) as process, tenant_at(process, mesh.identities) as tenant:
        batching = {"max_events": 5, "max_wait": SECOND}
        endpoint_id = await tenant.endpoint(f"{mesh.receiver.url}/hook", batching=batching, pauses=[SECOND] * 5)
        await mesh.ended_jobs(5)
        await eventually(lambda: mesh.receiver.received, what="the first batch")
        await mesh.ended_jobs(5)
    async with mesh.running() as process, tenant_at(process, mesh.identities) as tenant:
        deliveries = await tenant.all_ended(endpoint_id, 10)
    assert {each.state for each in deliveries} == {State.DELIVERED}
    assert_batches_hold(mesh.receiver.received)
    first = mesh.receiver.received[0]
    assert len([each for each in mesh.receiver.received if each.webhook_id == first.webhook_id]) >= 2


async def test_a_batch_of_an_ordered_endpoint_holds_jobs_of_one_connection_in_order(mesh: Mesh) -> None:
    mesh.receiver.judge = wavering = Wavering(5)
    connections = [ids.new_connection_id() for _ in range(3)]
    jobs: dict[str, list[str]] = defaultdict(list)
    async with (
        mesh.running(retry_schedule=(SECOND / 20,) * 40) as process,
        tenant_at(process, mesh.identities) as tenant,
    ):
        endpoint_id = await tenant.endpoint(
            f"{mesh.receiver.url}/hook",
            order=Endpoint.BY_CONNECTION,
            batching={"max_events": 4, "max_wait": SECOND},
        )
        for _ in range(5):
            for connection in connections:
                jobs[connection] += await mesh.ended_jobs(2, connection_id=connection)
        await tenant.all_ended(endpoint_id, 30)
    assert_batches_hold(mesh.receiver.received)
    assert any(len(each.events) > 1 for each in wavering.took)
    line_of = {job_id: connection for connection, line in jobs.items() for job_id in line}
    assert all(len({line_of[about] for about in each.about}) == 1 for each in wavering.took)
    assert {connection: wavering.order(jobs[connection]) for connection in connections} == jobs


def assert_batches_hold(received: Sequence[Received]) -> None:
    """What goes under one id is the same bytes each time, and no event goes under two ids."""
    bodies: dict[str, set[bytes]] = defaultdict(set)
    batches: dict[str, set[str]] = defaultdict(set)
    for each in received:
        bodies[each.webhook_id].add(each.body)
        for about in each.about:
            batches[about].add(each.webhook_id)
    assert all(len(different) == 1 for different in bodies.values())
    assert all(len(different) == 1 for different in batches.values())
