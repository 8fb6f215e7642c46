"""How operations are worked: in turns, fairly, and on whatever dies meanwhile; days pass in no time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from services.history.errors import OperationNotFinished, OperationNotFound
from services.history.operations.domain import MOST_RUNNING, Kind, Operation, State, Step
from services.history.operations.ends import Ends
from services.history.operations.operations import Operations
from services.history.operations.worker import MOST_FAILURES, TURN, Worker
from shared.errors import IdempotencyKeyReused, JobNotFound, QueueFull, RateLimited, Unavailable
from tests.fakes.operation_store import FakeOperationStore
from tests.fakes.operations import SECOND, FakeRunner, asked_for, ended, going_on
from tests.virtual_time import VirtualClock

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from typing import Any

    from services.history.operations.domain import Asked


@dataclass
class World:
    """Everything that replicas share, and the time."""

    clock: VirtualClock = field(default_factory=VirtualClock)
    store: FakeOperationStore = field(default_factory=FakeOperationStore)

    def replica(self, act: Callable[[Operation], Awaitable[Step]], kind: Kind = Kind.CANCEL_JOBS) -> Replica:
        return Replica(self, {kind: FakeRunner(act)})

    def run(self, *replicas: Replica, doing: Coroutine[Any, Any, None]) -> None:
        """Runs replicas while something is done, and fails where that takes longer than a month."""

        async def all_of_it() -> None:
            loops = [asyncio.create_task(each) for replica in replicas for each in replica.loops()]
            try:
                async with asyncio.timeout(30 * 86400):
                    await doing
            finally:
                for each in loops:
                    each.cancel()
                await asyncio.gather(*loops, return_exceptions=True)

        self.clock.loop.run_until_complete(all_of_it())


class Replica:
    """One process of the service."""

    def __init__(self, world: World, runners: dict[Kind, FakeRunner]) -> None:
        self.runners = runners
        self.ends = Ends(world.store)
        self.worker = Worker(store=world.store, runners=runners, ended=self.ends.tell, clock=world.clock)
        self.operations = Operations(store=world.store, ends=self.ends, wake=self.worker.wake, clock=world.clock)

    def loops(self) -> list[Coroutine[Any, Any, None]]:
        return [self.worker.run(), self.ends.run()]

    @property
    def turns(self) -> list[Operation]:
        return [turn for runner in self.runners.values() for turn in runner.turns]

    async def begin(self, asked: Asked | None = None) -> Operation:
        return await self.operations.begin(asked or asked_for(), lambda now: now.isoformat().encode())

    async def end_of(self, operation: Operation) -> Operation:
        while not operation.ended:
            operation = await self.operations.wait(operation.tenant, operation.name, at_most=timedelta(minutes=1))
        return operation


@pytest.fixture
def world() -> World:
    return World()


def counting(world: World, turns: int, *, pause: timedelta = SECOND) -> Callable[[Operation], Awaitable[Step]]:
    """An act that ends with so many turns, each of which takes a second."""

    async def act(operation: Operation) -> Step:
        await asyncio.sleep(1)
        done = len(operation.cursor) + 1
        if done == turns:
            return ended(cursor=b"." * done)
        return going_on(world.clock.now() + pause, cursor=b"." * done)

    return act


def test_an_operation_goes_on_in_turns_to_its_end_which_is_told_at_once(world: World) -> None:
    replica = world.replica(counting(world, 3))

    async def doing() -> None:
        begun = await replica.begin()
        assert begun.metadata == begun.created_at.isoformat().encode()
        over = await replica.operations.wait("acme", begun.name, at_most=timedelta(minutes=1))
        assert (over.state, over.response, over.cursor) == (State.SUCCEEDED, b"response", b"...")
        assert world.clock.loop.time() == pytest.approx(5, abs=0.1)  # three turns, two pauses, and no look

    world.run(replica, doing=doing())


def test_another_replica_is_told_within_two_seconds_and_all_who_wait_are_let_go_at_the_end(world: World) -> None:
    replica, other = world.replica(counting(world, 3)), world.replica(counting(world, 3), Kind.EXPORT_DATA)

    async def doing() -> None:
        begun = await replica.begin()
        over = await other.operations.wait("acme", begun.name, at_most=timedelta(minutes=1))
        assert over.ended
        assert 5 <= world.clock.loop.time() <= 7
        endless = await other.begin()
        still = await other.operations.wait("acme", endless.name, at_most=2 * SECOND)
        assert not still.ended
        waiting = asyncio.create_task(other.operations.wait("acme", endless.name, at_most=timedelta(days=1)))
        await asyncio.sleep(0.1)
        await other.ends.release()
        assert (await waiting).state is State.RUNNING

    world.run(replica, other, doing=doing())


def test_operations_take_turns_and_a_tenant_with_many_leaves_places_to_others(world: World) -> None:
    replica = world.replica(counting(world, 10, pause=timedelta()))

    async def doing() -> None:
        for _ in range(20):
            await replica.begin()
        small = await replica.begin(asked_for(tenant="small"))
        await replica.end_of(small)
        assert world.clock.loop.time() < 15  # not after the 200 turns of the other, two at a time
        turns = [len(operation.cursor) for operation in replica.turns if operation.tenant == "acme"]
        assert turns == sorted(turns)  # none is ahead of the others by more than a turn

    world.run(replica, doing=doing())


def test_an_operation_outlives_whoever_works_it(world: World) -> None:
    async def for_ever(_: Operation) -> Step:
        await asyncio.sleep(86400)
        raise AssertionError

    doomed, other = world.replica(for_ever), world.replica(counting(world, 2))

    async def doing() -> None:
        begun = await doomed.begin()
        death = asyncio.create_task(doomed.worker.run())
        await asyncio.sleep(1)
        assert doomed.turns
        death.cancel()
        loops = [asyncio.create_task(each) for each in other.loops()]
        assert (await other.end_of(begun)).state is State.SUCCEEDED
        assert world.clock.loop.time() < TURN.total_seconds() + 10
        for each in loops:
            each.cancel()

    world.run(doing=doing())


def test_a_turn_that_takes_too_long_is_broken_off_before_somebody_else_has_it(world: World) -> None:
    at_work = 0

    async def act(_: Operation) -> Step:
        nonlocal at_work
        at_work += 1
        assert at_work == 1
        try:
            await asyncio.sleep(86400 if len(replica.turns) + len(other.turns) == 1 else 1)
        finally:
            at_work -= 1
        return ended()

    replica, other = world.replica(act), world.replica(act)

    async def doing() -> None:
        assert (await replica.end_of(await replica.begin())).state is State.SUCCEEDED

    world.run(replica, other, doing=doing())


def test_a_drain_waits_for_the_turns_that_are_taken_and_takes_no_more(world: World) -> None:
    replica = world.replica(counting(world, 3))

    async def doing() -> None:
        begun = await replica.begin()
        await asyncio.sleep(0.5)
        await replica.worker.drain()
        assert world.clock.loop.time() == pytest.approx(1, abs=0.1)
        await asyncio.sleep(60)
        kept = await replica.operations.find("acme", begun.name)
        assert (kept.state, kept.cursor) == (State.RUNNING, b".")
        assert world.store.due[begun.id] == begun.created_at + 2 * SECOND  # at once somebody else's

    world.run(replica, doing=doing())


def test_what_is_away_delays_an_operation_and_never_ends_it(world: World) -> None:
    errors: list[Exception] = [Unavailable("away"), QueueFull("full", retry_after=timedelta(minutes=5))] * 20

    async def act(_: Operation) -> Step:
        if errors:
            raise errors.pop()
        return ended()

    replica = world.replica(act)

    async def doing() -> None:
        over = await replica.end_of(await replica.begin())
        assert over.state is State.SUCCEEDED
        assert world.clock.loop.time() > 20 * 300

    world.run(replica, doing=doing())


def test_what_cannot_be_done_ends_an_operation_with_the_reason(world: World) -> None:
    async def act(_: Operation) -> Step:
        raise JobNotFound("there is no job x")

    replica = world.replica(act)

    async def doing() -> None:
        over = await replica.end_of(await replica.begin())
        assert (over.state, over.reason, over.message) == (State.FAILED, "JOB_NOT_FOUND", "there is no job x")
        assert over.metadata == over.created_at.isoformat().encode()

    world.run(replica, doing=doing())


def test_a_fault_of_ours_is_tried_again_and_at_last_ends_the_operation_alone(world: World) -> None:
    async def act(operation: Operation) -> Step:
        if operation.request == b"faulty":
            raise ZeroDivisionError
        return ended()

    replica = world.replica(act)

    async def doing() -> None:
        faulty = await replica.begin(asked_for(request=b"faulty"))
        assert (await replica.end_of(await replica.begin())).state is State.SUCCEEDED
        over = await replica.end_of(faulty)
        assert (over.state, over.reason) == (State.FAILED, "INTERNAL")
        assert "err_" in over.message
        assert len(replica.turns) == MOST_FAILURES + 1

    world.run(replica, doing=doing())


def test_a_store_that_is_away_for_a_while_holds_things_up_alone(world: World) -> None:
    replica = world.replica(counting(world, 3))

    async def doing() -> None:
        begun = await replica.begin()
        await asyncio.sleep(0.5)
        world.store.away = True
        await asyncio.sleep(120)
        with pytest.raises(Unavailable):
            await replica.operations.find("acme", begun.name)
        world.store.away = False
        assert (await replica.end_of(begun)).state is State.SUCCEEDED

    world.run(replica, doing=doing())


def test_a_cancel_comes_to_the_next_turn_however_far_off_that_was(world: World) -> None:
    async def act(operation: Operation) -> Step:
        await asyncio.sleep(1)
        if operation.cancel_requested:
            return ended(State.CANCELED)
        return going_on(world.clock.now() + timedelta(days=20))

    replica = world.replica(act)

    async def doing() -> None:
        for moment in (0.5, 100):  # in the middle of a turn, and long after it
            begun = await replica.begin()
            await asyncio.sleep(moment)
            await replica.operations.cancel(begun)
            asked = world.clock.loop.time()
            over = await replica.end_of(begun)
            assert over.state is State.CANCELED
            assert world.clock.loop.time() - asked < 3
            await replica.operations.cancel(over)
            assert (await replica.operations.find("acme", over.name)) == over

    world.run(replica, doing=doing())


def test_the_same_request_under_one_id_begins_one_operation_and_another_is_refused(world: World) -> None:
    replica = world.replica(counting(world, 1))
    once = asked_for(request_id="once")

    async def doing() -> None:
        begun, again = await asyncio.gather(replica.begin(once), replica.begin(once))
        assert begun.id == again.id
        over = await replica.end_of(begun)
        assert await replica.begin(once) == over
        for other in (
            asked_for(request_id="once", request=b"other"),
            asked_for(request_id="once", kind=Kind.RETRY_JOBS),
        ):
            with pytest.raises(IdempotencyKeyReused) as refused:
                await replica.begin(other)
            assert refused.value.metadata == {"operation": begun.name}
        await replica.operations.forget(over)
        assert (await replica.begin(once)).id != begun.id

    world.run(replica, doing=doing())


def test_a_tenant_has_so_many_running_of_a_kind(world: World) -> None:
    replica = world.replica(counting(world, 1))

    async def doing() -> None:
        most = MOST_RUNNING[Kind.RETRY_JOBS]
        for _ in range(most):
            await replica.begin(asked_for(kind=Kind.RETRY_JOBS))
        with pytest.raises(RateLimited) as refused:
            await replica.begin(asked_for(kind=Kind.RETRY_JOBS))
        assert refused.value.metadata == {"scope": "operations", "kind": "RETRY_JOBS", "limit": str(most)}
        await replica.begin()
        await replica.begin(asked_for(kind=Kind.RETRY_JOBS, tenant="other"))

    world.run(replica, doing=doing())


def test_only_what_has_ended_is_forgotten_and_nobody_elses_is_found(world: World) -> None:
    replica = world.replica(counting(world, 1))

    async def doing() -> None:
        begun = await replica.begin()
        with pytest.raises(OperationNotFinished):
            await replica.operations.forget(begun)
        for tenant, name in (("other", begun.name), ("acme", begun.id), ("acme", "operations/op_1"), ("acme", "")):
            with pytest.raises(OperationNotFound):
                await replica.operations.find(tenant, name)
            with pytest.raises(OperationNotFound):
                await replica.operations.wait(tenant, name, at_most=SECOND)
        over = await replica.end_of(begun)
        await replica.operations.forget(over)
        with pytest.raises(OperationNotFound):
            await replica.operations.find("acme", begun.name)
        with pytest.raises(OperationNotFound):
            await replica.operations.cancel(over)

    world.run(replica, doing=doing())
