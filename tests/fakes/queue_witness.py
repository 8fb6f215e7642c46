"""Watches a queue on the bench, and knows what must hold whatever a model says: it keeps a log of its own."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from services.scheduler.domain import Fact, Late, State
from services.scheduler.limits import Budget, Limits, Rules
from tests.fakes.queue_bench import UPSTREAM, Driver, RedisBench
from tests.fakes.queue_budgets import milliseconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.scheduler.domain import Begun, Canceled, Finished, Leased, LeaseKey, NewJob, Outcome, Swept
    from shared import kv


@dataclass(frozen=True, slots=True)
class Scope:
    """A budget's, as the witness counts: `lane` stands for every lane by itself."""

    place: str
    method_class: str

    def joins(self, one: NewJob, other: NewJob) -> bool:
        """Whether two calls count in the same budget."""
        same_lane = self.place == "upstream" or (one.tenant, one.lane) == (other.tenant, other.lane)
        return same_lane and (not self.method_class or one.method_class == other.method_class == self.method_class)


def budgets_of(limits: Limits) -> dict[Scope, Budget]:
    return {
        Scope("upstream", ""): limits.upstream,
        Scope("lane", ""): limits.lane,
        **{Scope("upstream", name): budget for name, budget in limits.classes.items()},
        **{Scope("lane", name): budget for name, budget in limits.lane_classes.items()},
    }


@dataclass(slots=True)
class Witness:
    """What a queue has been told, and what it has said."""

    now_ms: int = 0
    jobs: dict[str, NewJob] = field(default_factory=dict)
    #: Leases that are out, those of jobs that were canceled meanwhile among them.
    out: dict[str, LeaseKey] = field(default_factory=dict)
    ended: dict[str, Fact] = field(default_factory=dict)
    revisions: dict[str, int] = field(default_factory=dict)
    once_leased: set[str] = field(default_factory=set)
    grants: list[tuple[int, NewJob]] = field(default_factory=list)
    #: Which of them came to no call, and count in no rate.
    unspent: set[int] = field(default_factory=set)
    budgets: dict[Scope, Budget] = field(default_factory=dict)
    #: From which grant on a window's calls have been counted, by scope and the window's length.
    counted_from: dict[Scope, dict[int, int]] = field(default_factory=dict)
    #: Which grant each lease is that is out, by its job.
    _grant_of: dict[str, int] = field(default_factory=dict)
    open_until: dict[tuple[str, str], int] = field(default_factory=dict)
    #: Whoever asks for leases has been told to wait until then, and has not been called since; None: may ask.
    asleep_until: float | None = None

    @property
    def unfinished(self) -> set[str]:
        return self.jobs.keys() - self.ended.keys()

    @property
    def waiting(self) -> set[str]:
        return self.unfinished - self.out.keys()

    def holds(self, key: LeaseKey) -> bool:
        """Whether the lease is out and its job goes on."""
        return self.out.get(key.job_id) == key and key.job_id not in self.ended

    def announced(self) -> None:
        """Whoever waits for leases is called."""
        self.asleep_until = None

    def due(self, at_ms: int) -> None:
        """They know that there will be something by then."""
        if self.asleep_until is not None:
            self.asleep_until = min(self.asleep_until, at_ms)

    def enqueued(self, jobs: Sequence[NewJob]) -> None:
        self.jobs.update({job.id: job for job in jobs})
        self.announced()
        for job in jobs:
            self.due(job.not_before_ms)

    def configured(self, rules: Rules) -> None:
        budgets = budgets_of(rules.limits)
        counted: dict[Scope, dict[int, int]] = {}
        for scope, budget in budgets.items():
            before = self.counted_from.get(scope, {})
            counted[scope] = {}
            for window in (milliseconds(rate.window) for rate in budget.rates):
                longer = [other for other in before if other >= window]
                counted[scope][window] = before[min(longer)] if longer else self._still_counted(before)
        self.budgets, self.counted_from = budgets, counted
        if not rules.breaker.upstream:
            self.open_until.pop(("", ""), None)
        self.announced()

    def _still_counted(self, windows: dict[int, int]) -> int:
        """From which grant on the longest of these windows counts calls; the next one where there is none."""
        if not windows:
            return len(self.grants)
        longest = max(windows)
        return max(windows[longest], bisect_right(self.grants, self.now_ms - longest, key=lambda grant: grant[0]))

    def leased(self, leased: Leased, limit: int) -> None:
        self.see(*leased.expired)
        if leased.leases and self.asleep_until is not None:
            assert self.now_ms >= self.asleep_until, "nobody would have asked for this lease"
        for lease in leased.leases:
            self._granted(lease.key)
        hungry = len(leased.leases) < limit and not leased.again
        due = leased.next_due
        self.asleep_until = (self.now_ms + milliseconds(due) if due is not None else math.inf) if hungry else None

    def _granted(self, key: LeaseKey) -> None:
        assert key.job_id not in self.out, "two live leases of one job"
        assert key.job_id not in self.ended, "a job that has ended was leased"
        job = self.jobs[key.job_id]
        overtaken = [other for other in self._line_of(job) if other.sequence < job.sequence]
        assert not overtaken, "a job was overtaken in its line"
        for place in (("", ""), (job.tenant, job.lane)):
            assert self.open_until.get(place, 0) <= self.now_ms, "a call went out through an open breaker"
        self.out[job.id] = key
        self.once_leased.add(job.id)
        self._grant_of[job.id] = len(self.grants)
        self.grants.append((self.now_ms, job))
        for scope, budget in self.budgets.items():
            if scope.joins(job, job):
                self._within(scope, budget, job)

    def _within(self, scope: Scope, budget: Budget, job: NewJob) -> None:
        """Holds the newest grant against a budget."""
        running = sum(scope.joins(job, self.jobs[other]) for other in self.out)
        assert running <= (budget.concurrency or math.inf), f"more calls at a time than {scope} allows"
        for rate in budget.rates:
            window = milliseconds(rate.window)
            counted = set(range(self.counted_from[scope][window], len(self.grants))) - self.unspent
            grants = (self.grants[number] for number in counted)
            calls = sum(at > self.now_ms - window and scope.joins(job, other) for at, other in grants)
            assert calls <= rate.calls, f"more calls within {rate.window} than {scope} allows"

    def _line_of(self, job: NewJob) -> list[NewJob]:
        """Who stands in the same line, ready since its enqueue and never leased before."""
        place = (job.tenant, job.lane, job.priority, job.method_class)
        waiting = (self.jobs[job_id] for job_id in self.waiting - self.once_leased)
        return [
            each
            for each in waiting
            if (each.tenant, each.lane, each.priority, each.method_class) == place and not each.not_before_ms
        ]

    def begun(self, keys: Sequence[LeaseKey], begun: Sequence[Begun | None]) -> None:
        assert [each is not None for each in begun] == [self.holds(key) for key in keys]
        for key in keys:
            if self.out.get(key.job_id) == key and key.job_id in self.ended:
                del self.out[key.job_id]  # canceled since it was leased: no call goes out
                self.announced()

    def finished(self, outcomes: Sequence[Outcome], finished: Finished) -> None:
        for outcome, answer in zip(outcomes, finished.answers, strict=True):
            if self.out.get(outcome.key.job_id) != outcome.key:
                continue
            if outcome.unspent:
                self.unspent.add(self._grant_of[outcome.key.job_id])
            if isinstance(answer, Late):
                assert answer.state is State.CANCELED, "an outcome was refused though its lease was out"
                assert outcome.key.job_id in self.ended
            else:
                self.see(answer)
            del self.out[outcome.key.job_id]
        self.open_until |= {(opened.tenant, opened.lane): opened.until_ms for opened in finished.opened}
        if finished.room:
            self.announced()

    def canceled(self, canceled: Canceled, tenant: str) -> None:
        fact = canceled.fact
        if fact.posted:
            assert tenant == self.jobs[fact.job_id].tenant
            self.see(fact)
        if not canceled.running and self.out.pop(fact.job_id, None) is not None:
            self.announced()  # its process does so, for it knows that a lease was taken away
        assert canceled.running == (fact.job_id in self.out)

    def swept(self, swept: Swept, leased: set[str]) -> None:
        """Takes a sweep in, and which jobs are leased after it."""
        self.see(*swept.facts)
        lost = self.out.keys() - leased
        assert len(lost) == swept.lost
        for job_id in lost:
            del self.out[job_id]
        assert set(swept.canceling) == self.out.keys() & self.ended.keys()
        if swept.room or lost:
            self.announced()

    def see(self, *facts: Fact) -> None:
        """Checks facts against each other: nothing ends twice, and revisions only grow."""
        for fact in facts:
            assert fact.job_id not in self.ended, "a job has ended twice"
            assert fact.revision > self.revisions.get(fact.job_id, 1)
            self.revisions[fact.job_id] = fact.revision
            self.due(fact.not_before_ms)
            if fact.state.terminal:
                self.ended[fact.job_id] = fact

    async def nothing_is_held(self, bench: RedisBench) -> None:
        """With no lease out, each lane that allows one call at a time has room for one."""
        one = Budget(concurrency=1)
        driver = Driver(bench, now_ms=self.now_ms, sequence=10**6)
        lanes = {(job.tenant, job.lane) for job in self.jobs.values()}
        await driver.configure(lane=one, lane_classes={"read": one}, upstream=Budget(concurrency=len(lanes) + 1))
        assert [use.running for use in (await driver.view()).budgets] == [0]
        await driver.enqueue(*(driver.job(tenant, lane=lane) for tenant, lane in lanes))
        assert len(await driver.lease()) == len(lanes)


async def misplaced(redis: kv.Client, witness: Witness) -> list[str]:
    """What stands in no place of the queue in Redis, or in more than one, or where it should not."""
    places = await _places(redis)

    def of_kind(kind: str) -> dict[str, set[str]]:
        return {name.split(":", 1)[1]: members for name, members in places.items() if name.startswith(f"{kind}:")}

    fifos = of_kind("fifo")
    waiting = [job_id for jobs in (*fifos.values(), places["delayed"]) for job_id in jobs]
    shown = {
        f"{tenant}:{priority}:{method_class}:{lane}"
        for name, lanes in of_kind("lanes").items()
        for tenant, priority, method_class in (name.split(":"),)
        for lane in lanes
    }
    heads = {
        f"{tenant}:{head[0]}:{method_class}:{head[2:]}"
        for name, entries in of_kind("heads").items()
        for tenant, method_class in (name.split(":"),)
        for head in entries
    }
    parked = places["parked"]
    problems = {
        "waiting in one place each": sorted(waiting) == sorted(witness.waiting),
        "waiting by expiry": places["expiry"] == witness.waiting,
        "leased": places["leases"] == witness.out.keys(),
        "lanes and heads": shown == heads,
        "a line is shown or parked": shown | parked == fifos.keys() and not shown & parked,
    }
    return [what for what, holds in problems.items() if not holds]


async def _places(redis: kv.Client) -> dict[str, set[str]]:
    """What stands in each place of the queue in Redis; two round trips, for they are looked at after every step."""
    client: Any = redis
    prefix = f"{{sched:{UPSTREAM}}}:"
    found = {name.decode().removeprefix(prefix) for name in await client.keys(f"{prefix}*")}
    names = [name for name in found if name.split(":")[0] in {"fifo", "lanes", "heads"}]
    names += ["delayed", "expiry", "leases", "parked"]
    async with client.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.zrange(f"{prefix}{name}", 0, -1)
        members = await pipe.execute()
    return {name: {member.decode() for member in each} for name, each in zip(names, members, strict=True)}
