"""The queue of each upstream: what can be done with it, and its form in Redis, one atomic script a step."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from services.scheduler import codec, metrics
from services.scheduler.domain import MAX_BATCH, Begun, Depth, Enqueued, Leased, State, Swept
from shared import errors, kv

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from services.scheduler.domain import Fact, Late, LeaseKey, NewJob, Outcome, QueueSettings

T = TypeVar("T")

_LUA = Path(__file__).parent / "lua"
#: Where scripts have the time from.
REDIS_CLOCK = _LUA / "time.lua"


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

    async def finish(self, upstream: str, outcomes: Sequence[Outcome]) -> list[Fact | Late]:
        """Applies outcomes; one that was applied already is answered with the same fact again."""
        ...

    async def extend(self, upstream: str, keys: Sequence[LeaseKey]) -> list[str]:
        """Moves deadlines; answers with the ids of the jobs whose leases are gone."""
        ...

    async def cancel(self, upstream: str, job_id: str, *, tenant: str) -> Fact:
        """Cancels a job that has not begun, or leaves a mark that its enqueue obeys.

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


class RedisQueue:
    """The queues in Redis, each under its own hash tag `{sched:<upstream>}`.

    Args:
        client: Connected to a Redis that does not evict.
        settings: How long things last.
        clock: A Lua file that defines `read_clock()`.
    """

    def __init__(self, client: kv.Client, settings: QueueSettings, *, clock: Path = REDIS_CLOCK) -> None:
        self._client = client
        self._margin_ms = _milliseconds(settings.lease_margin)
        self._max_priority_delay_ms = _milliseconds(settings.max_priority_delay)
        self._memory_ms = _milliseconds(settings.memory)
        self._cancel_mark_ms = _milliseconds(settings.cancel_mark)
        self._outbox_delay_ms = _milliseconds(settings.outbox_delay)

        def script(name: str, *shared: str) -> _TimedScript:
            parts = [clock, *(_LUA / f"{part}.lua" for part in ("job", *shared, name))]
            return _TimedScript(name, kv.Script(*parts))

        self._enqueue = script("enqueue", "ring")
        self._lease = script("lease", "ring")
        self._begin = script("begin")
        self._finish = script("finish", "ring")
        self._extend = script("extend")
        self._cancel = script("cancel", "ring")
        self._sweep = script("sweep", "ring")

    async def enqueue(self, upstream: str, jobs: Sequence[NewJob]) -> Enqueued:
        """See `Queue`."""
        calls = [(self._memory_ms, codec.dump_jobs(part)) for part in _parts(jobs)]
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
        calls = [(self._margin_ms, codec.dump_keys(part)) for part in _parts(keys)]
        answers = await self._begin.run_many(self._client, upstream, calls)
        return [
            Begun(started=codec.read_fact(values), deadline_ms=values["deadline"]) if values else None
            for answer in answers
            for values in json.loads(answer)
        ]

    async def finish(self, upstream: str, outcomes: Sequence[Outcome]) -> list[Fact | Late]:
        """See `Queue`."""
        calls = [(self._memory_ms, codec.dump_outcomes(part)) for part in _parts(outcomes)]
        answers = await self._finish.run_many(self._client, upstream, calls)
        return [
            codec.read_finished(text, given_up=bool(outcome.reason))
            for outcome, text in zip(outcomes, (text for answer in answers for text in answer), strict=True)
        ]

    async def extend(self, upstream: str, keys: Sequence[LeaseKey]) -> list[str]:
        """See `Queue`."""
        calls = [(self._margin_ms, codec.dump_keys(part)) for part in _parts(keys)]
        answers = await self._extend.run_many(self._client, upstream, calls)
        return [job_id.decode() for answer in answers for job_id in answer]

    async def cancel(self, upstream: str, job_id: str, *, tenant: str) -> Fact:
        """See `Queue`."""
        answer = await self._cancel.run(self._client, upstream, job_id, tenant, self._cancel_mark_ms, self._memory_ms)
        outcome: bytes = answer[0]
        if outcome == b"foreign":
            raise job_not_found(job_id)
        if outcome == b"running":
            raise job_running(job_id)
        if outcome == b"finished":
            raise job_finished(job_id, State(int(answer[1])))
        return codec.read_posted(answer[1]) if outcome == b"canceled" else codec.read_fact(json.loads(answer[1]))

    async def sweep(self, upstream: str) -> Swept:
        """See `Queue`."""
        facts, unpublished, lost, again, depth = await self._sweep.run(
            self._client, upstream, MAX_BATCH, self._memory_ms, self._outbox_delay_ms
        )
        return Swept(
            facts=tuple(codec.read_posted(text) for text in facts),
            unpublished=tuple(codec.read_posted(text) for text in unpublished),
            lost=lost,
            again=bool(again),
            depth=Depth(ready=depth[0], delayed=depth[1], leased=depth[2]),
        )

    async def published(self, upstream: str, facts: Sequence[Fact]) -> None:
        """See `Queue`."""
        if facts:
            async with kv.translated():
                await self._client.zrem(f"{_prefix(upstream)}outbox", *(fact.posted for fact in facts))


def job_not_found(job_id: str) -> errors.JobNotFound:
    """The error for a job that the tenant does not have."""
    return errors.JobNotFound(f"there is no job {job_id}; check its id", metadata={"job": job_id})


def job_running(job_id: str) -> errors.JobRunning:
    """The error for a job that cannot be canceled any more."""
    return errors.JobRunning(f"the job {job_id} runs and can no longer be canceled", metadata={"job": job_id})


def job_finished(job_id: str, state: State) -> errors.JobFinished:
    """The error for a job that has ended."""
    return errors.JobFinished(
        f"the job {job_id} has ended as {state.name}, so it cannot be canceled",
        metadata={"job": job_id, "state": state.name},
    )


class _TimedScript:
    def __init__(self, name: str, script: kv.Script) -> None:
        self._script = script
        self._seconds = metrics.SCRIPT_SECONDS.labels(name)

    async def run(self, client: kv.Client, upstream: str, *arguments: kv.Argument) -> Any:
        with self._seconds.time():
            return await self._script.run(client, [_prefix(upstream)], arguments)

    async def run_many(self, client: kv.Client, upstream: str, calls: Sequence[Sequence[kv.Argument]]) -> list[Any]:
        with self._seconds.time():
            return await self._script.run_many(client, [([_prefix(upstream)], arguments) for arguments in calls])


def _prefix(upstream: str) -> str:
    return f"{{sched:{upstream}}}:"


def _milliseconds(duration: timedelta) -> int:
    return duration // timedelta(milliseconds=1)


def _parts(items: Sequence[T]) -> Iterable[Sequence[T]]:
    return (items[start : start + MAX_BATCH] for start in range(0, len(items), MAX_BATCH))
