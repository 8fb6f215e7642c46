"""The queue of each upstream: what can be done with it, and its form in Redis, one atomic script a step."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from services.scheduler import codec, view_codec
from services.scheduler.domain import MAX_BATCH, Begun, Canceled, Depth, Enqueued, Finished, Leased, State, Swept
from services.scheduler.refusals import job_finished, job_not_found, job_running
from services.scheduler.scripts import QueueScript, milliseconds, parts, prefix
from shared import kv

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from services.scheduler.domain import Fact, LeaseKey, NewJob, Outcome, QueueSettings
    from services.scheduler.limits import Pause, Rules, Suspension
    from services.scheduler.views import Explanation, QueueView


class Queue(Protocol):
    """The queues of all upstreams. Every call is atomic for each 64 of its jobs; each raises `Unavailable`."""

    async def enqueue(self, upstream: str, jobs: Sequence[NewJob]) -> Enqueued:
        """Lines jobs up; those that are known already, finished ones included, are left alone."""
        ...

    async def lease(self, upstream: str, limit: int, *, worker: str) -> Leased:
        """Leases the next jobs, at most `limit` and at most 64."""
        ...

    async def begin(self, upstream: str, keys: Sequence[LeaseKey]) -> list[Begun | None]:
        """Marks attempts as begun; None where the lease is gone. Under the same fence the answer is the same again."""
        ...

    async def finish(self, upstream: str, outcomes: Sequence[Outcome]) -> Finished:
        """Applies outcomes; one that was applied already is answered with the same fact again."""
        ...

    async def extend(self, upstream: str, keys: Sequence[LeaseKey]) -> list[str]:
        """Moves deadlines; answers with the ids of the jobs whose leases are gone."""
        ...

    async def cancel(self, upstream: str, job_id: str, *, tenant: str, force: bool = False) -> Canceled:
        """Cancels a job that has not begun, or leaves a mark that its enqueue obeys.

        With `force` also one that has begun; its lease stays until its attempt comes out, or its time is over.

        Raises:
            JobNotFound: It is another tenant's.
            JobRunning: It has begun.
            JobFinished: It has ended, and not by a cancel.
        """
        ...

    async def sweep(self, upstream: str) -> Swept:
        """Takes back lost leases, ends expired jobs, and finds what was left unpublished."""
        ...

    async def published(self, upstream: str, facts: Sequence[Fact]) -> None:
        """Takes facts out of the outbox: their events are on disk."""
        ...

    async def configure(self, upstream: str, rules: Rules) -> None:
        """Sets what holds the queue back; what was counted stays."""
        ...

    async def pause(self, upstream: str, pause: Pause) -> None:
        """Gives no lease to what is named, until it is resumed."""
        ...

    async def resume(self, upstream: str, *, tenant: str, lane: str) -> None:
        """Takes back the pause of exactly this; an empty text stands for all."""
        ...

    async def suspend(self, upstream: str, suspension: Suspension) -> None:
        """Gives no lease to the tenant, or the lane, until it is reinstated, whatever is paused or resumed.

        A word that is of a lower revision than one that was heard about the same changes nothing.
        """
        ...

    async def reinstate(self, upstream: str, *, tenant: str, lane: str, revision: int) -> None:
        """Takes a suspension back, where there is one; what is paused stays so. An empty `lane` is for the tenant's."""
        ...

    async def suspensions(self, upstream: str) -> list[Suspension]:
        """All that are in force."""
        ...

    async def explain(self, upstream: str, job_id: str, *, tenant: str) -> Explanation:
        """Why a job waits.

        Raises:
            JobNotFound: The tenant has no such job in this queue, or not any more.
        """
        ...

    async def view(self, upstream: str, *, tenant: str, lanes: int) -> QueueView:
        """How a queue stands: with the jobs, pauses and suspension of one tenant, or of all where `tenant` is empty.

        At most so many lanes are shown, the deepest first, and the suspensions of these; of all tenants' lanes, those
        of the ten tenants with the most jobs that wait are looked at.
        """
        ...


class RedisQueue:
    """The queues in Redis, each under its own hash tag `{sched:<upstream>}`.

    Args:
        client: Connected to a Redis that does not evict.
        settings: How long things last.
        clock: A Lua file that defines `read_clock()`.
    """

    def __init__(self, client: kv.Client, settings: QueueSettings, *, clock: Path = kv.CLOCK) -> None:
        self._client = client
        self._margin_ms = milliseconds(settings.lease_margin)
        self._max_priority_delay_ms = milliseconds(settings.max_priority_delay)
        self._memory_ms = milliseconds(settings.memory)
        self._cancel_mark_ms = milliseconds(settings.cancel_mark)
        self._outbox_delay_ms = milliseconds(settings.outbox_delay)

        lease = ("job", "guard")
        whole = (*lease, "counts", "scopes", "breakers", "ring", "line")
        self._enqueue = QueueScript(clock, "enqueue", *whole)
        self._lease = QueueScript(clock, "lease", *whole)
        self._begin = QueueScript(clock, "begin", *whole)
        self._finish = QueueScript(clock, "finish", *whole)
        self._extend = QueueScript(clock, "extend", *lease)
        self._cancel = QueueScript(clock, "cancel", *whole)
        self._sweep = QueueScript(clock, "sweep", *whole)
        self._configure = QueueScript(clock, "configure", "job")
        self._pause = QueueScript(clock, "pause", "job")
        self._resume = QueueScript(clock, "resume", *whole)
        self._suspend = QueueScript(clock, "suspend", "job", "standing")
        self._reinstate = QueueScript(clock, "reinstate", *whole, "standing")
        self._suspensions = QueueScript(clock, "suspensions", "job", "guard")
        self._explain = QueueScript(clock, "explain", *whole, "looking")
        self._view = QueueScript(clock, "view", *whole, "looking")

    async def enqueue(self, upstream: str, jobs: Sequence[NewJob]) -> Enqueued:
        """See `Queue`."""
        calls = [(self._memory_ms, codec.dump_jobs(part)) for part in parts(jobs)]
        answers = await self._enqueue.run_many(self._client, upstream, calls)
        return Enqueued(
            fresh=sum(fresh for fresh, _ in answers),
            canceled=tuple(codec.read_posted(text) for _, facts in answers for text in facts),
        )

    async def lease(self, upstream: str, limit: int, *, worker: str) -> Leased:
        """See `Queue`."""
        granted, expired, next_due_ms, again = await self._lease.run(
            self._client,
            upstream,
            min(limit, MAX_BATCH),
            worker,
            self._margin_ms,
            self._max_priority_delay_ms,
            self._memory_ms,
        )
        return Leased(
            leases=tuple(codec.read_lease(values) for values in json.loads(granted)),
            expired=tuple(codec.read_posted(text) for text in expired),
            next_due=timedelta(milliseconds=next_due_ms) if next_due_ms >= 0 else None,
            again=bool(again),
        )

    async def begin(self, upstream: str, keys: Sequence[LeaseKey]) -> list[Begun | None]:
        """See `Queue`."""
        calls = [(self._margin_ms, codec.dump_keys(part)) for part in parts(keys)]
        answers = await self._begin.run_many(self._client, upstream, calls)
        return [
            Begun(started=codec.read_fact(values), deadline_ms=values["deadline"]) if values else None
            for answer in answers
            for values in json.loads(answer)
        ]

    async def finish(self, upstream: str, outcomes: Sequence[Outcome]) -> Finished:
        """See `Queue`."""
        calls = [(self._memory_ms, codec.dump_outcomes(part)) for part in parts(outcomes)]
        results = await self._finish.run_many(self._client, upstream, calls)
        answers = [text for texts, _, _ in results for text in texts]
        return Finished(
            answers=tuple(
                codec.read_finished(text, given_up=bool(outcome.reason))
                for outcome, text in zip(outcomes, answers, strict=True)
            ),
            opened=tuple(codec.read_opened(values) for _, opened, _ in results for values in json.loads(opened)),
            room=any(room for _, _, room in results),
        )

    async def extend(self, upstream: str, keys: Sequence[LeaseKey]) -> list[str]:
        """See `Queue`."""
        calls = [(self._margin_ms, codec.dump_keys(part)) for part in parts(keys)]
        answers = await self._extend.run_many(self._client, upstream, calls)
        return [job_id.decode() for answer in answers for job_id in answer]

    async def cancel(self, upstream: str, job_id: str, *, tenant: str, force: bool = False) -> Canceled:
        """See `Queue`."""
        answer = await self._cancel.run(
            self._client, upstream, job_id, tenant, int(force), self._cancel_mark_ms, self._memory_ms
        )
        outcome: bytes = answer[0]
        match outcome:
            case b"foreign":
                raise job_not_found(job_id)
            case b"running":
                raise job_running(job_id)
            case b"finished":
                raise job_finished(job_id, State(int(answer[1])))
            case b"canceled" | b"broken off":
                return Canceled(fact=codec.read_posted(answer[1]), running=outcome == b"broken off")
            case _:  # marked for its enqueue, or canceled before
                return Canceled(fact=codec.read_fact(json.loads(answer[1])), running=bool(answer[2:] and answer[2]))

    async def sweep(self, upstream: str) -> Swept:
        """See `Queue`."""
        facts, unpublished, lost, again, depth, canceling, room, oldest = await self._sweep.run(
            self._client, upstream, MAX_BATCH, self._memory_ms, self._outbox_delay_ms
        )
        return Swept(
            facts=tuple(codec.read_posted(text) for text in facts),
            unpublished=tuple(codec.read_posted(text) for text in unpublished),
            lost=lost,
            again=bool(again),
            depth=Depth(ready=depth[0], delayed=depth[1], leased=depth[2]),
            canceling=tuple(job_id.decode() for job_id in canceling),
            room=bool(room),
            oldest_sequence=oldest,
        )

    async def published(self, upstream: str, facts: Sequence[Fact]) -> None:
        """See `Queue`."""
        if facts:
            async with kv.translated():
                await self._client.zrem(f"{prefix(upstream)}outbox", *(fact.posted for fact in facts))

    async def configure(self, upstream: str, rules: Rules) -> None:
        """See `Queue`."""
        await self._configure.run(self._client, upstream, *view_codec.dump_rules(rules))

    async def pause(self, upstream: str, pause: Pause) -> None:
        """See `Queue`."""
        await self._pause.run(self._client, upstream, pause.tenant, pause.lane, pause.reason, pause.paused_at_ms)

    async def resume(self, upstream: str, *, tenant: str, lane: str) -> None:
        """See `Queue`."""
        await self._resume.run(self._client, upstream, tenant, lane)

    async def suspend(self, upstream: str, suspension: Suspension) -> None:
        """See `Queue`."""
        whose = (suspension.tenant, suspension.lane, suspension.revision)
        await self._suspend.run(self._client, upstream, *whose, suspension.reason, suspension.suspended_at_ms)

    async def reinstate(self, upstream: str, *, tenant: str, lane: str, revision: int) -> None:
        """See `Queue`."""
        await self._reinstate.run(self._client, upstream, tenant, lane, revision, self._memory_ms)

    async def suspensions(self, upstream: str) -> list[Suspension]:
        """See `Queue`."""
        return view_codec.read_suspensions(await self._suspensions.run(self._client, upstream))

    async def explain(self, upstream: str, job_id: str, *, tenant: str) -> Explanation:
        """See `Queue`."""
        answer = await self._explain.run(self._client, upstream, job_id, tenant)
        if answer is None:
            raise job_not_found(job_id)
        return view_codec.read_explanation(json.loads(answer))

    async def view(self, upstream: str, *, tenant: str, lanes: int) -> QueueView:
        """See `Queue`."""
        view, pauses, suspensions = await self._view.run(self._client, upstream, tenant, lanes)
        return view_codec.read_view(json.loads(view), pauses, suspensions, tenant=tenant)
