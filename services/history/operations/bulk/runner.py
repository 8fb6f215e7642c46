"""Does to all jobs that match what one call has asked for: a walk over them, the oldest first, a hand at a time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from penstock.events.v1 import events_pb2
from penstock.history.v1 import history_pb2

from services.history.operations.bulk.domain import (
    CANCELED_AT_ONCE,
    COUNTED,
    DEFAULT_PER_SECOND,
    MOST_FAILURES,
    Cursor,
    Pace,
    Picked,
)
from services.history.operations.bulk.orders import CANCEL_STATES, FORCED_STATES, RETRY_STATES, wanted_by
from services.history.operations.domain import Kind, State, Step
from shared import streams

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from services.history.jobs.domain import Filter, Record
    from services.history.listing.store import JobLists
    from services.history.operations.bulk.domain import Outcome
    from services.history.operations.bulk.intake import Intake
    from services.history.operations.domain import Operation
    from shared.bus import Progress
    from shared.clock import Clock

#: Between two looks at whether history has heard of all that was submitted before.
_CATCHING_UP = timedelta(milliseconds=100)
_QUEUE_FULL = "QUEUE_FULL"
#: Where intake does not say when there may be room.
_FULL_PAUSE = timedelta(seconds=5)


class Log(Protocol):
    """Says how far the log of jobs is; `shared.bus.Bus` is one. All of it raises `Unavailable`."""

    async def progress(self, stream: str, durable: str) -> Progress:
        """How far a consumer is, all who share it taken together."""
        ...

    async def newest(self, stream: str, subject: str) -> int:
        """The sequence of a subject's newest message, or 0."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """What is done to which jobs, and how many at a time."""

    wanted: Filter
    at_once: int
    pause: timedelta


class BulkRunner:
    """Cancels jobs, or tries them again.

    Args:
        lists: Find the jobs.
        intake: Does it to them.
        log: Knows what history has still to hear of.
        clock: The time.
    """

    def __init__(self, *, lists: JobLists, intake: Intake, log: Log, clock: Clock) -> None:
        self._lists = lists
        self._intake = intake
        self._log = log
        self._clock = clock

    async def take_turn(self, operation: Operation) -> Step:
        """See `Runner`: does what is in hand, and takes the next jobs in hand."""
        metadata = history_pb2.BulkMetadata.FromString(operation.metadata)
        cursor, now = Cursor.from_bytes(operation.cursor), self._clock.now()
        metadata.updated_at.FromDatetime(now)
        if operation.cancel_requested:
            return _step(metadata, replace(cursor, hand=()), state=State.CANCELED)
        if not cursor.counted:
            return await self._begin(operation, metadata, cursor)
        work = _work(operation)
        left, pause = await self._do(operation, cursor.hand, metadata)
        if left:
            return _step(metadata, replace(cursor, hand=left), due=now + pause)
        done = bool(cursor.hand)
        cursor, more = await self._next(operation, work, cursor)
        if not more:
            return _step(metadata, cursor, state=State.SUCCEEDED)
        return _step(metadata, cursor, due=now + work.pause if done else now)

    async def response(self, operation: Operation) -> bytes:
        """See `Runner`."""
        return operation.response

    async def _begin(self, operation: Operation, metadata: history_pb2.BulkMetadata, cursor: Cursor) -> Step:
        """Waits for history to have heard of all jobs that are meant, and counts them."""
        now = self._clock.now()
        if cursor.began_at is None:
            newest = await self._log.newest(streams.JOBS, streams.job_subject("*", "*"))
            return _step(metadata, replace(cursor, began_at=newest), due=now)
        progress = await self._log.progress(streams.JOBS, streams.HISTORY_CONSUMER)
        if progress.acknowledged < cursor.began_at:
            return _step(metadata, cursor, due=now + _CATCHING_UP)
        work = _work(operation)
        metadata.matched = await self._lists.count(operation.tenant, work.wanted, limit=COUNTED)
        cursor, more = await self._next(operation, work, replace(cursor, counted=True))
        return _step(metadata, cursor, due=now) if more else _step(metadata, cursor, state=State.SUCCEEDED)

    async def _next(self, operation: Operation, work: _Work, cursor: Cursor) -> tuple[Cursor, bool]:
        """The next jobs taken in hand, and whether any are left: none where all that are left were passed over."""
        found = await self._lists.page(
            operation.tenant, work.wanted, after=cursor.position, limit=work.at_once, oldest_first=True
        )
        if not found:
            return cursor.with_hand((), None), False
        picked = [Picked(job_id=position.id, sequence=_sequence(record)) for position, record in found]
        # A job that this operation has made is not meant, whatever the clocks of services say of when it was made.
        meant = [each for each in picked if each.sequence <= (cursor.began_at or 0)]
        return cursor.with_hand(meant, found[-1][0]), True

    async def _do(
        self, operation: Operation, hand: Sequence[Picked], metadata: history_pb2.BulkMetadata
    ) -> tuple[tuple[Picked, ...], timedelta]:
        """Does it to the jobs in hand; answers with those for which there is no room now, and how long to wait."""
        if not hand:
            return (), timedelta()
        pause = timedelta()
        if operation.kind is Kind.CANCEL_JOBS:
            request = history_pb2.CancelJobsRequest.FromString(operation.request)
            outcomes = await self._intake.cancel(operation.tenant, hand, force=request.force)
        else:
            outcomes, pause = await self._intake.retry(
                operation.tenant, hand, principal=operation.principal, operation=operation.id
            )
        full = {each.job_id for each in outcomes if each.reason == _QUEUE_FULL}
        _count(metadata, [each for each in outcomes if each.job_id not in full])
        return tuple(each for each in hand if each.job_id in full), pause or _FULL_PAUSE


def _count(metadata: history_pb2.BulkMetadata, outcomes: Sequence[Outcome]) -> None:
    for each in outcomes:
        if not each.reason:
            metadata.succeeded += 1
            continue
        metadata.failed[each.reason] += 1
        if len(metadata.failures) < MOST_FAILURES:
            metadata.failures.add(job_id=each.job_id, reason=each.reason, message=each.message)


def _sequence(record: Record) -> int:
    """Where a job's submission is in the log, as all of its events but the first tell; 0 where it has had none."""
    return events_pb2.JobEvent.FromString(record.event).submitted_sequence


def _work(operation: Operation) -> _Work:
    """What is left of the request once it was judged: which jobs of those from before the operation, and how fast."""
    if operation.kind is Kind.CANCEL_JOBS:
        request = history_pb2.CancelJobsRequest.FromString(operation.request)
        states = FORCED_STATES if request.force else CANCEL_STATES
        wanted = wanted_by(request.filter, default=states, indexed=None)
        return _Work(wanted=_before(wanted, operation.created_at), at_once=CANCELED_AT_ONCE, pause=timedelta())
    order = history_pb2.RetryJobsRequest.FromString(operation.request)
    pace = Pace(order.max_per_second or DEFAULT_PER_SECOND)
    wanted = wanted_by(order.filter, default=RETRY_STATES, indexed=None)
    return _Work(wanted=_before(wanted, operation.created_at), at_once=pace.at_once, pause=pace.pause)


def _before(wanted: Filter, created_at: datetime) -> Filter:
    """Those alone that were there when the operation began."""
    before = wanted.created_before
    return replace(wanted, created_before=created_at if before is None else min(before, created_at))


def _step(
    metadata: history_pb2.BulkMetadata, cursor: Cursor, *, due: datetime | None = None, state: State = State.RUNNING
) -> Step:
    response = b""
    if state is State.SUCCEEDED:
        response = history_pb2.BulkResponse(
            matched=metadata.matched, succeeded=metadata.succeeded, failed=metadata.failed
        ).SerializeToString()
    return Step(
        metadata=metadata.SerializeToString(),
        cursor=b"" if due is None else cursor.to_bytes(),
        due_at=due,
        state=state,
        response=response,
    )
