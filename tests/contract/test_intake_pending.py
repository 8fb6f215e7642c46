"""A job counts as pending exactly from its admission to its end, whatever comes late, twice or never.

The stores are driven beside a plain model of that sentence: the fake in memory, and two replicas of the real one.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from services.intake.changes import Change
from services.intake.domain import CLAIM_LIFETIME, Admission, Candidate, Outcome, State
from services.intake.known_servers import KnownServers
from services.intake.layout import UNSEEN_PENDING_LIFETIME
from services.intake.store import RedisJobStore, server_id
from shared import ids, kv
from shared.config import Secret
from tests.fakes.intake_store import FakeJobStore

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

    from services.intake.store import JobStore

CLOCK = Path(__file__).parents[1] / "fakes" / "intake_clock.lua"
CLAIM_S, LAPSE_S = CLAIM_LIFETIME.total_seconds(), UNSEEN_PENDING_LIFETIME.total_seconds()
CAP = 5
LAST = 4
#: Which job a step is about: one of the newest, so that steps meet.
NEAR = st.integers(0, 7)
#: The submission, which accepts a job, often comes last of all.
REVISIONS = st.lists(st.sampled_from([1, 2, 2, 3, 3, LAST]), min_size=1, max_size=3)
SECONDS = st.sampled_from([1, CLAIM_S + 1, LAPSE_S / 2, LAPSE_S + 1])


@dataclass
class Job:
    """What the model knows of a job.

    Args:
        lapses: Until when it counts though the log has not shown it.
        claimed: Until when its key is held; None once it was accepted.
        newest: The newest of its events that were applied.
    """

    id: str = field(default_factory=lambda: ids.new_job_id("http"))
    admitted: bool = False
    lapses: float = 0.0
    claimed: float | None = 0.0
    newest: int = 0

    def counts(self, now: float) -> bool:
        return self.newest < LAST if self.newest else now < self.lapses


class Bench(Protocol):
    """A store of some replicas, and a hand on its clock."""

    replicas: list[JobStore]

    def set_clock(self, now: float) -> None:
        """Sets the time."""
        ...

    def close(self) -> None:
        """Ends it."""
        ...


class FakeBench:
    def __init__(self) -> None:
        self.now = 0.0
        self.replicas: list[JobStore] = [FakeJobStore(now=lambda: self.now)]
        self.runner = asyncio.Runner()

    def set_clock(self, now: float) -> None:
        self.now = now

    def close(self) -> None:
        self.runner.close()


class RedisBench:
    def __init__(self, url: str) -> None:
        self.runner = asyncio.Runner()
        self._client = self.runner.run(kv.connect(Secret(url)))
        self.runner.run(self._client.flushall())
        servers = KnownServers(self.runner.run(server_id(self._client)))
        self.replicas: list[JobStore] = [RedisJobStore(self._client, servers, clock=CLOCK) for _ in range(2)]

    def set_clock(self, now: float) -> None:
        self.runner.run(self._client.set("intake-test-clock", round(now * 1000)))

    def close(self) -> None:
        self.runner.run(kv.close(self._client))
        self.runner.close()


class PendingMachine(RuleBasedStateMachine):
    """Drives a store, and knows what each answer must be."""

    def __init__(self, bench: FakeBench | RedisBench) -> None:
        super().__init__()
        self.bench = bench
        self.jobs: list[Job] = []
        self.now = 0.0
        self.turn = 0

    @initialize()
    def begin(self) -> None:
        self.set_clock(datetime.now(UTC).timestamp())

    def set_clock(self, now: float) -> None:
        self.now = now
        self.bench.set_clock(now)

    def run(self, call: Coroutine[Any, Any, Any]) -> Any:
        return self.bench.runner.run(call)

    @property
    def store(self) -> JobStore:
        """A replica, each in its turn."""
        self.turn += 1
        return self.bench.replicas[self.turn % len(self.bench.replicas)]

    def pending(self) -> int:
        return sum(job.counts(self.now) for job in self.jobs)

    def job(self, near: int) -> Job:
        """One of the newest jobs, or a new one that no replica has admitted."""
        if near >= len(self.jobs):
            self.jobs.append(Job())
        return self.jobs[-1 - near] if near < len(self.jobs) else self.jobs[-1]

    def admit(self, job: Job, *, cap: int = CAP, closed: bool = False) -> Admission:
        return self.run(
            self.store.admit(
                "acme",
                Candidate(id=job.id, jobs=((job.id, b"job"),), idempotency_key=job.id, fingerprint=b"1"),
                max_pending=cap,
                closed=closed,
            )
        )

    @rule(closed=st.sampled_from([False, False, True]))
    def admit_a_new_one(self, *, closed: bool) -> None:
        self.enter(Job(), closed=closed)

    @rule(near=NEAR)
    def admit_again(self, near: int) -> None:
        job = self.job(near)
        if not job.admitted and job.newest:  # known by the log alone: a caller has its key, and not its id
            return
        if job.admitted and job.claimed is None:
            assert self.admit(job).outcome is Outcome.KNOWN
        elif job.admitted and job.claimed is not None and job.claimed > self.now:
            assert self.admit(job).outcome is Outcome.IN_FLIGHT
        elif job.admitted and job.newest:
            assert self.admit(job).outcome is Outcome.KNOWN
            job.claimed = None
        else:
            self.enter(job)

    def enter(self, job: Job, *, closed: bool = False) -> None:
        """Admits what is not accepted, if there is room for it or it counts already."""
        before, counted = self.pending(), job.counts(self.now)
        answer = self.admit(job, closed=closed)
        if before >= CAP and not counted:
            assert (answer.outcome, answer.pending) == (Outcome.FULL, before)
        elif closed and not counted:
            assert (answer.outcome, answer.pending) == (Outcome.CLOSED, before)
        else:
            assert answer.outcome is Outcome.ADMITTED
            job.admitted, job.claimed = True, self.now + CLAIM_S
            job.lapses = job.lapses if counted else self.now + LAPSE_S
            if job not in self.jobs:
                self.jobs.append(job)

    @rule(near=NEAR)
    def give_up(self, near: int) -> None:
        job = self.job(near)
        self.run(self.store.release("acme", job.id, [job.id], idempotency_key=job.id))
        job.lapses = 0.0
        if job.claimed is not None:
            job.claimed = 0.0

    @rule(near=NEAR, revisions=REVISIONS)
    def show(self, near: int, revisions: list[int]) -> None:
        job, at = self.job(near), datetime.fromtimestamp(self.now, UTC)
        changes = [
            Change(
                tenant="acme",
                job_id=job.id,
                revision=revision,
                event=f"event {revision}".encode(),
                at=at,
                job=b"job" if revision == 1 else None,
                finished_at=at if revision == LAST else None,
                state=State.SUCCEEDED if revision == LAST else State.QUEUED,
                idempotency_key=job.id if revision == 1 else "",
                fingerprint=b"1" if revision == 1 else b"",
            )
            for revision in revisions
        ]
        applied = self.run(self.store.apply(changes))
        assert sum(each.ended for each in applied) == (1 if LAST in revisions and job.newest < LAST else 0)
        job.newest = max(job.newest, *revisions)
        if 1 in revisions:
            job.claimed = None

    @rule(seconds=SECONDS)
    def wait(self, seconds: float) -> None:
        self.set_clock(self.now + seconds)

    @invariant()
    def as_many_count_as_the_model_says(self) -> None:
        full = self.admit(Job(), cap=0)
        assert (full.outcome, full.pending) == (Outcome.FULL, self.pending())

    def teardown(self) -> None:
        self.bench.close()


@pytest.mark.parametrize("kind", ["fake", "real"])
def test_a_job_counts_from_its_admission_to_its_end(kind: str, request: pytest.FixtureRequest) -> None:
    url = request.getfixturevalue("redis_url") if kind == "real" else ""
    run_state_machine_as_test(
        lambda: PendingMachine(RedisBench(url) if kind == "real" else FakeBench()),
        settings=settings(
            max_examples=60,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            derandomize=True,  # the same run for everyone; another seed is tried by hand
            database=None,
            phases=[Phase.generate],  # as it happened
        ),
    )
