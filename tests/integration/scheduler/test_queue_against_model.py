"""The queue in Redis beside its model in plain Python, through whatever may happen: equal at every step."""

from __future__ import annotations

import asyncio
import os
import random
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from services.scheduler.domain import MAX_BATCH, Canceled, Fence, LeaseKey, Outcome
from services.scheduler.limits import Rules
from services.scheduler.views import HoldKind
from shared import kv
from shared.config import Secret
from shared.errors import PenstockError
from tests.fakes.queue_answers import differences, plain
from tests.fakes.queue_bench import UPSTREAM, Driver, FakeBench, RedisBench
from tests.fakes.queue_chances import LANES, TENANTS, a_job, a_pause, a_suspension, an_outcome, some_rules
from tests.fakes.queue_witness import Witness, misplaced

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from services.scheduler.domain import NewJob
    from services.scheduler.queue import Queue

MILLISECONDS = [1, 20, 500, 500, 1000, 1000, 4000, 4000, 16_000, 46_000, 62_000]
#: One number stands for a handful of choices: a step works on many jobs at once, so that few steps lead far.
CHOICES = st.integers(0, 2**32 - 1).map(random.Random)


class QueueMachine(RuleBasedStateMachine):
    """Drives both alike, and compares every answer."""

    redis_url = ""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.client = self.run(kv.connect(Secret(self.redis_url)))
        self.run(self.client.flushdb())
        self.real, self.model = RedisBench(self.client), FakeBench()
        self.driver = Driver(self.real)
        self.witness = Witness()
        self.jobs: list[NewJob] = []
        self.unsent: list[NewJob] = []
        self.given: list[LeaseKey] = []
        self.given_up: set[LeaseKey] = set()
        self.revision = 10
        #: Whether every check of the newest step has held.
        self.sound = False

    def run(self, coroutine: Any) -> Any:
        return self.runner.run(coroutine)

    def both(self, step: Callable[[Queue], Awaitable[Any]]) -> Any:
        """Takes a step with each, and answers with what both answered."""

        async def outcome(queue: Queue) -> Any:
            try:
                return await step(queue)
            except PenstockError as error:
                return type(error)

        real, model = self.run(outcome(self.real.queue)), self.run(outcome(self.model.queue))
        self.sound = False
        different = differences(plain(real), plain(model))
        assert not different, "\n".join(different)
        return real, model

    def advance(self, milliseconds: int) -> None:
        self.run(self.driver.advance(timedelta(milliseconds=milliseconds)))
        self.run(self.model.set_clock(self.driver.now_ms))
        self.witness.now_ms = self.driver.now_ms

    @initialize(chance=CHOICES)
    def start(self, chance: random.Random) -> None:
        self.advance(0)
        if chance.random() < 0.8:
            self.set_rules(some_rules(chance))
        self.submit(chance)

    @rule(chance=CHOICES)
    def submit(self, chance: random.Random) -> None:
        jobs = [a_job(self.driver, chance) for _ in range(chance.randint(1, 30))]
        self.jobs += jobs
        if chance.random() < 0.8:
            self.enqueue(jobs)
        else:
            self.unsent += jobs

    @precondition(lambda self: self.jobs)
    @rule(chance=CHOICES)
    def enqueue_late_or_again(self, chance: random.Random) -> None:
        jobs = [*self.unsent, *chance.sample(self.jobs, min(3, len(self.jobs)))]
        chance.shuffle(jobs)
        self.enqueue(jobs)

    def enqueue(self, jobs: list[NewJob]) -> None:
        real, _ = self.both(lambda queue: queue.enqueue(UPSTREAM, jobs))
        sent = {job.id for job in jobs}
        self.unsent = [job for job in self.unsent if job.id not in sent]
        self.witness.enqueued(jobs)
        self.witness.see(*real.canceled)

    @rule(limit=st.sampled_from([1, 2, 8, 20, 64]))
    def lease(self, limit: int) -> None:
        real, _ = self.both(lambda queue: queue.lease(UPSTREAM, limit, worker="w"))
        self.witness.leased(real, limit)
        self.given += [lease.key for lease in real.leases]

    def some_keys(self, chance: random.Random) -> list[LeaseKey]:
        """Leases of now, some that are gone, and now and then one that never was."""
        keys = [key for key in self.witness.out.values() if chance.random() < 0.5]
        keys += chance.sample(self.given, min(4, len(self.given)))
        if keys and chance.random() < 0.2:
            fence = keys[0].fence
            keys.append(LeaseKey(keys[0].job_id, Fence(fence.epoch, fence.count + 1)))
        chance.shuffle(keys)
        return keys

    @precondition(lambda self: self.given)
    @rule(chance=CHOICES)
    def begin(self, chance: random.Random) -> None:
        keys = self.some_keys(chance)
        real, _ = self.both(lambda queue: queue.begin(UPSTREAM, keys))
        self.witness.begun(keys, real)

    @precondition(lambda self: self.jobs)
    @rule(chance=CHOICES)
    def work(self, chance: random.Random) -> None:
        """As workers do all day: lease, begin, and see most of the calls through."""
        for _ in range(chance.randint(1, 6)):
            self.lease(chance.choice([2, 8, 20]))
            keys = list(self.witness.out.values())
            real, _ = self.both(lambda queue, keys=keys: queue.begin(UPSTREAM, keys))
            self.witness.begun(keys, real)
            done = [key for key in self.witness.out.values() if chance.random() < 0.7]
            self.apply([an_outcome(key, chance) for key in done if key not in self.given_up])
            self.advance(chance.choice(MILLISECONDS[:8]))

    @precondition(lambda self: self.given)
    @rule(chance=CHOICES)
    def extend(self, chance: random.Random) -> None:
        keys = self.some_keys(chance)
        real, _ = self.both(lambda queue: queue.extend(UPSTREAM, keys))
        assert real == [key.job_id for key in keys if self.witness.out.get(key.job_id) != key]

    @precondition(lambda self: self.given)
    @rule(chance=CHOICES)
    def finish(self, chance: random.Random) -> None:
        keys = [key for key in self.some_keys(chance) if key not in self.given_up]
        if keys and chance.random() < 0.2 and self.witness.holds(keys[0]):
            self.give_up(keys[0])
            keys = [key for key in keys if key != keys[0]]
        outcomes = [an_outcome(key, chance) for key in keys]
        size = chance.choice([1, len(outcomes) or 1])
        for start in range(0, len(outcomes), size):
            self.apply(outcomes[start : start + size])

    def give_up(self, key: LeaseKey) -> None:
        """As a scheduler does that cannot read a job's payload; it does so once."""
        self.given_up.add(key)
        self.apply([Outcome(key=key, reason="INTERNAL")])

    def apply(self, outcomes: list[Outcome]) -> None:
        real, _ = self.both(lambda queue: queue.finish(UPSTREAM, outcomes))
        self.witness.finished(outcomes, real)

    @precondition(lambda self: self.jobs)
    @rule(chance=CHOICES)
    def cancel(self, chance: random.Random) -> None:
        running = [job for job in self.jobs if job.id in self.witness.out]
        for job in [*chance.sample(self.jobs, min(3, len(self.jobs))), *running[:1]]:
            tenant = job.tenant if chance.random() < 0.8 else chance.choice(TENANTS)
            force = chance.random() < 0.5
            real, _ = self.both(
                lambda queue, job=job, tenant=tenant, force=force: queue.cancel(
                    UPSTREAM, job.id, tenant=tenant, force=force
                )
            )
            if isinstance(real, Canceled):
                self.witness.canceled(real, tenant)

    @rule(chance=CHOICES)
    def operate(self, chance: random.Random) -> None:
        """What operators do, at times; what they pause or suspend they resume sooner or later."""
        if chance.random() < 0.5:
            self.set_rules(some_rules(chance))
        elif chance.random() < 0.3:
            pause = a_pause(chance)
            self.both(lambda queue: queue.pause(UPSTREAM, pause))
        elif chance.random() < 0.3:
            suspension = a_suspension(chance, self.next_revision(chance))
            self.both(lambda queue: queue.suspend(UPSTREAM, suspension))
        else:
            view = self.run(self.real.queue.view(UPSTREAM, tenant="", lanes=0))
            for pause in [*view.pauses, a_pause(chance)]:
                if chance.random() < 0.8:
                    self.resume(pause.tenant, pause.lane)
            suspended, _ = self.both(lambda queue: queue.suspensions(UPSTREAM))
            for suspension in [*suspended, a_suspension(chance, 0)]:
                if chance.random() < 0.8:
                    self.reinstate(suspension.tenant, suspension.lane, self.next_revision(chance))

    def set_rules(self, rules: Rules) -> None:
        self.both(lambda queue: queue.configure(UPSTREAM, rules))
        self.witness.configured(rules)

    def resume(self, tenant: str, lane: str) -> None:
        self.both(lambda queue: queue.resume(UPSTREAM, tenant=tenant, lane=lane))
        self.witness.announced()

    def next_revision(self, chance: random.Random) -> int:
        """Of what is said of a tenant or a lane; at times of a word that comes late."""
        self.revision += 1
        return self.revision - (chance.randrange(1, 4) if chance.random() < 0.2 else 0)

    def reinstate(self, tenant: str, lane: str, revision: int) -> None:
        self.both(lambda queue: queue.reinstate(UPSTREAM, tenant=tenant, lane=lane, revision=revision))
        self.witness.announced()

    @precondition(lambda self: self.jobs)
    @rule(chance=CHOICES)
    def look(self, chance: random.Random) -> None:
        for job in chance.sample(self.jobs, min(6, len(self.jobs))):
            tenant = job.tenant if chance.random() < 0.9 else chance.choice(TENANTS)
            real, _ = self.both(lambda queue, job=job, tenant=tenant: queue.explain(UPSTREAM, job.id, tenant=tenant))
            if not isinstance(real, type):
                assert all(hold.until_ms > self.driver.now_ms for hold in real.holds if hold.until_ms)
                assert all(hold.until_ms for hold in real.holds if hold.kind in {HoldKind.RATE, HoldKind.QUOTA})
        for tenant in ("", chance.choice(TENANTS), "nobody"):
            self.both(lambda queue, tenant=tenant: queue.view(UPSTREAM, tenant=tenant, lanes=4))

    @rule(milliseconds=st.sampled_from(MILLISECONDS))
    def time_passes(self, milliseconds: int) -> None:
        self.advance(milliseconds)

    @rule()
    def sweep(self) -> None:
        real, model = self.both(lambda queue: queue.sweep(UPSTREAM))
        leased = {name.decode() for name in self.run(self.client.zrange("{sched:http}:leases", 0, -1))}
        self.witness.swept(real, leased)
        for queue, swept in ((self.real.queue, real), (self.model.queue, model)):
            old = swept.unpublished if len(swept.unpublished) < MAX_BATCH else ()
            self.run(queue.published(UPSTREAM, [*swept.facts[::2], *old]))

    @invariant()
    def every_job_stands_in_one_place(self) -> None:
        assert self.run(misplaced(self.client, self.witness)) == []
        self.sound = True

    def teardown(self) -> None:
        if self.sound:
            self.wind_up()
        self.run(kv.close(self.client))
        self.runner.close()

    def wind_up(self) -> None:
        """Lets everything come to its end."""
        for tenant in ("", *TENANTS):
            for lane in ("", *LANES) if tenant else ("",):
                self.resume(tenant, lane)
                if tenant:
                    self.reinstate(tenant, lane, self.revision + 1)
        self.set_rules(Rules())
        self.advance(48 * 3_600_000)
        for _ in range(50):
            self.sweep()
            self.lease(64)
            if not self.witness.unfinished and not self.witness.out:
                break
            self.both(lambda queue: queue.begin(UPSTREAM, list(self.witness.out.values())))
            self.advance(3_600_000)
        assert not self.witness.unfinished, "a job never ends"
        self.run(self.witness.nothing_is_held(self.real))


@pytest.mark.usefixtures("uncounted")
@pytest.mark.timeout(900)  # half a minute of a processor, of which a busy machine gives it a tenth
def test_redis_and_the_model_are_equal_at_every_step(redis_url: str) -> None:
    machine = type("Machine", (QueueMachine,), {"redis_url": redis_url})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=int(os.environ.get("QUEUE_MODEL_EXAMPLES", "25")),
            stateful_step_count=50,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
            derandomize="QUEUE_MODEL_EXAMPLES"
            not in os.environ,  # the same run for everyone, but where more is asked for
            database=None,
            phases=[Phase.generate],  # as it happened; a shrunk one takes minutes and is seldom much shorter
        ),
    )
