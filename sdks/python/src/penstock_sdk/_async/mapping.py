"""`map`: many jobs, submitted in batches, with so many unfinished at most; each is told of when it has ended.

One loop and no threads. It fills a window with batches, waits for the job that is likely to end next, and looks at the
batches that may have changed. What was accepted is known by keys that follow from `name`: the same requests under the
same name, mapped again after a crash, are the same jobs.

A batch with faulty jobs is refused whole, and is sent again without them *under the same key*, which a refusal leaves
free. So that key stands for one batch at most, whatever is found faulty another time: where that differs, the service
refuses the other batch (IDEMPOTENCY_KEY_REUSED), and nothing is made twice.
"""

from __future__ import annotations

import uuid
from collections.abc import Sized
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from penstock_sdk import operations
from penstock_sdk._async.source import AsyncSource
from penstock_sdk.errors import InvalidUse
from penstock_sdk.mapping import MAX_JOBS, OpenBatch, Outcome, Planned, checked_name, faults_of, key_of
from penstock_sdk.models import Batch, Job
from penstock_sdk.operation import CallOptions
from penstock_sdk.progress import Progress
from penstock_sdk.reasons import (
    BatchNotFound,
    ConnectionNeedsReauth,
    IdempotencyKeyReused,
    InvalidArgument,
    JobNotFound,
    QueueFull,
    RateLimited,
    TooLarge,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Container, Iterable, Mapping, Sequence

    from penstock_sdk._async.calls import AsyncCalls
    from penstock_sdk.errors import ApiError
    from penstock_sdk.mapping import Asked, Journal
    from penstock_sdk.operation import Operation
    from penstock_sdk.progress import ProgressTo

T = TypeVar("T")
#: For the job that is waited for; short, as others may end before it.
_WAIT_S = 1.0
#: And while none ends.
_LONGEST_WAIT_S = 5.0
#: After which a batch is looked at again though none of its jobs was waited for; and so much more for every open batch.
_LOOK_AFTER_S = 2.0
_LOOK_AFTER_EACH_S = 0.2
#: Where a full queue does not say when it is worth another try.
_PACE_S = 1.0
#: Those that are likely to end next come first.
_LIKELY = {"RUNNING": 0, "QUEUED": 1, "RETRYING": 2}
#: What refuses a batch for its jobs' sake; anything else would refuse the next one too, and ends the map.
_FAULTS = (ConnectionNeedsReauth, IdempotencyKeyReused, InvalidArgument, TooLarge)


def map_jobs(
    calls: AsyncCalls,
    requests: Iterable[Any] | AsyncIterable[Any],
    *,
    name: str | None = None,
    concurrency: int = 500,
    progress: ProgressTo = False,
    results: bool = True,
    journal: Journal | None = None,
    done: Container[int] = (),
) -> AsyncIterator[Outcome]:
    """The outcome of each request, in the order in which the jobs end.

    Requests are read as there is room for them, a batch at a time: a source that waits holds up what has ended. Whoever
    stops reading leaves what was submitted to go on; the same name takes it up again.

    Args:
        calls: Makes the calls.
        requests: Jobs to submit, as SubmitJob takes them: mappings in the API's JSON, or its dataclass.
        name: Names these requests, so that they may be mapped again. Without one, they are made anew each time.
        concurrency: So many unfinished jobs at most. Below 100 it is the size of batches too, and belongs to the name.
        progress: Draws a bar.
        results: Whether the jobs come with their results; without them it costs a call less for each.
        journal: Remembers batches for longer than keys hold.
        done: Indexes whose outcomes are not wanted any more.

    Raises:
        InvalidUse: An argument is wrong, or a request is none.
        NoAnswer: The service cannot be reached for longer than calls are repeated.
        ApiError: It refuses what it would refuse of any job, such as the key.
    """
    if concurrency < 1:
        raise InvalidUse(f"concurrency is {concurrency}, and has to be at least 1")
    mapping = _Mapping(
        calls=calls,
        source=AsyncSource(requests, size=min(MAX_JOBS, concurrency), done=done),
        name=checked_name(name) if name is not None else str(uuid.uuid4()),
        concurrency=concurrency,
        results=results,
        journal=journal,
        done=done,
    )
    total = len(requests) if isinstance(requests, Sized) else None
    return _outcomes(mapping, progress, total=total)


async def _outcomes(mapping: _Mapping, to: ProgressTo, *, total: int | None) -> AsyncIterator[Outcome]:
    failed = 0
    with Progress(to, total=total, unit="job") as progress:
        while await mapping.goes_on():
            async for outcome in mapping.step():
                failed += outcome.error is not None
                progress.advance(failed=failed)
                yield outcome


class _Mapping:
    """The loop's state; see `map_jobs`."""

    def __init__(
        self,
        *,
        calls: AsyncCalls,
        source: AsyncSource,
        name: str,
        concurrency: int,
        results: bool,
        journal: Journal | None,
        done: Container[int],
    ) -> None:
        self._calls = calls
        self._pacing = calls.pacing
        self._source = source
        self._name = name
        self._concurrency = concurrency
        self._results = results
        self._journal = journal
        self._done = done
        self._open: list[OpenBatch] = []
        self._planned: Planned | None = None
        self._exhausted = False
        self._full_until = 0.0
        self._wait_s = _WAIT_S

    async def goes_on(self) -> bool:
        """Whether there is anything left to submit or to wait for."""
        self._open = [each for each in self._open if each.jobs]
        return bool(self._open) or await self._plan() is not None

    async def step(self) -> AsyncIterator[Outcome]:
        """Submits a batch where there is room for it, else waits a moment; what has come out meanwhile."""
        planned = await self._plan() if self._has_room(1) else None
        if planned is not None and self._has_room(len(planned.asked)):
            self._planned = None
            outcomes = self._submit(planned)
        elif self._open:
            outcomes = self._look()
        else:
            await self._pacing.sleep(max(0.0, self._full_until - self._pacing.now()))
            return
        async for outcome in outcomes:
            if outcome.index not in self._done:
                yield outcome

    async def _plan(self) -> Planned | None:
        """The next batch, read where none is held; None at the end."""
        if self._planned is None and not self._exhausted:
            asked = await self._source.batch()
            self._exhausted = not asked
            self._planned = Planned.of(key_of(self._name, asked[0]), asked) if asked else None
        return self._planned

    def _has_room(self, jobs: int) -> bool:
        unfinished = sum(len(each.jobs) for each in self._open)
        return unfinished + jobs <= self._concurrency and self._pacing.now() >= self._full_until

    async def _submit(self, planned: Planned) -> AsyncIterator[Outcome]:
        """Submits a batch, without those that it is refused for."""
        while planned.asked:
            try:
                batch, members = await self._accepted(planned)
            except (QueueFull, RateLimited) as error:
                self._wait_for_room(error, planned)
                return
            except BatchNotFound as error:  # what the journal remembers is kept no more
                for each in planned.asked.values():
                    yield Outcome.refused(each, error)
                return
            except _FAULTS as error:
                positions = list(planned.asked)
                faults = {positions[at]: fault for at, fault in faults_of(error, jobs=len(positions)).items()}
                for at, fault in faults.items():
                    yield Outcome.refused(planned.asked[at], fault)
                planned = planned.without(faults)
                continue
            async for outcome in self._opened(batch, list(members.values())):
                yield outcome
            # Of a batch that is remembered: those that were faulty then. None of them was ever made.
            planned = replace(planned.without(members), key=f"{planned.key}-again", left_out=())

    async def _accepted(self, planned: Planned) -> tuple[Batch, Mapping[int, Asked]]:
        """The batch that the requests make or have made, and which of them are in it."""
        reference = self._journal.batch_of(planned.key) if self._journal is not None else None
        if reference is not None:
            batch_id, *left_out = reference.split()
            batch = await self._call(operations.GET_BATCH, {"batchId": batch_id}, Batch)
            return batch, planned.without([int(at) for at in left_out]).asked
        batch = await self._calls.call(
            operations.SUBMIT_BATCH,
            {"jobs": [each.json for each in planned.asked.values()]},
            Batch,
            CallOptions(idempotency_key=planned.key, raised_at_once=(QueueFull, RateLimited)),
        )
        if self._journal is not None:
            self._journal.accepted(planned.key, " ".join([batch.id, *map(str, planned.left_out)]))
        return batch, planned.asked

    def _wait_for_room(self, error: ApiError, planned: Planned) -> None:
        """Holds a batch back until the queue may have room for it: that is the pace, and no error."""
        limit = error.metadata.get("limit", "")
        if isinstance(error, QueueFull) and limit.isdecimal() and int(limit) < len(planned.asked):
            raise InvalidUse(
                f"a batch of {len(planned.asked)} jobs never fits: this tenant may have {limit} unfinished jobs; "
                f"map with concurrency={limit}, under another name"
            ) from error
        self._planned = planned
        self._full_until = self._pacing.now() + (error.retry_after_s or _PACE_S)

    async def _opened(self, batch: Batch, members: Sequence[Asked]) -> AsyncIterator[Outcome]:
        """Takes up a batch that was accepted, now or before."""
        if len(batch.jobs) != len(members):
            raise InvalidUse(
                f"the journal has {batch.id} for the jobs from {members[0].index} on, which has {len(batch.jobs)} jobs "
                f"where {len(members)} are asked for: it is of other jobs; map these under another name"
            )
        opened = OpenBatch(id=batch.id, looked_at=self._pacing.now())
        for asked, job in zip(members, batch.jobs, strict=True):
            if asked.index not in self._done:
                opened.asked[job.id], opened.jobs[job.id] = asked, job
        self._open.append(opened)
        async for outcome in self._seen(opened, batch.jobs):
            yield outcome

    async def _look(self) -> AsyncIterator[Outcome]:
        """Waits a moment for the job that is likely to end next, and looks at the batches that may have changed."""
        opened, awaited = min(
            ((each, job) for each in self._open for job in each.jobs.values()),
            key=lambda pair: _LIKELY.get(pair[1].state or "", len(_LIKELY)),
        )
        try:
            job = await self._waited(awaited)
        except JobNotFound as error:  # its record was erased
            yield Outcome.refused(opened.pop(awaited.id), error, job=awaited)
            return
        due_at = self._pacing.now() - _LOOK_AFTER_S - _LOOK_AFTER_EACH_S * len(self._open)
        looked = [each for each in self._open if each.looked_at <= due_at or (each is opened and job.finished_at)]
        some = False
        async for outcome in self._seen(opened, [job]):
            some = True
            yield outcome
        for each in looked:
            async for outcome in self._looked(each):
                some = True
                yield outcome
        self._wait_s = _WAIT_S if some else min(self._wait_s * 1.5, _LONGEST_WAIT_S)

    async def _waited(self, awaited: Job) -> Job:
        """A job after a moment, or as soon as it has ended."""
        room_in_s = self._full_until - self._pacing.now()
        wait_s = min(self._wait_s, room_in_s) if self._planned is not None and room_in_s > 0 else self._wait_s
        return await self._call(operations.WAIT_JOB, {"jobId": awaited.id, "timeout": timedelta(seconds=wait_s)}, Job)

    async def _looked(self, opened: OpenBatch) -> AsyncIterator[Outcome]:
        """Looks at a batch."""
        opened.looked_at = self._pacing.now()
        try:
            batch = await self._call(operations.GET_BATCH, {"batchId": opened.id}, Batch)
        except BatchNotFound as error:  # its records were erased
            for job in list(opened.jobs.values()):
                yield Outcome.refused(opened.pop(job.id), error, job=job)
            return
        async for outcome in self._seen(opened, batch.jobs):
            yield outcome

    async def _seen(self, opened: OpenBatch, jobs: Iterable[Job]) -> AsyncIterator[Outcome]:
        """Takes note of how jobs of a batch stand."""
        for job in jobs:
            if job.id not in opened.jobs:
                continue
            if job.finished_at is None:
                opened.jobs[job.id] = job
            else:
                yield await self._outcome(opened.pop(job.id), job)

    async def _outcome(self, asked: Asked, job: Job) -> Outcome:
        """The outcome of a job that has ended; batches show jobs without the content of their results."""
        if self._results and job.result is not None and job.result.inline is None and not job.result.url:
            try:
                job = await self._call(operations.GET_JOB, {"jobId": job.id}, Job)
            except JobNotFound as error:
                return Outcome.refused(asked, error, job=job)
        return Outcome.of(asked, job)

    async def _call(self, operation: Operation, fields: Mapping[str, Any], answer: type[T]) -> T:
        """A call that waits for as long as the key's rate limit has it wait: that is the pace too."""
        while True:
            try:
                return await self._calls.call(operation, fields, answer, CallOptions(raised_at_once=(RateLimited,)))
            except RateLimited as error:
                await self._pacing.sleep(error.retry_after_s or _PACE_S)
