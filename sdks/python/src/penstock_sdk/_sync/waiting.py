# Made of _async/waiting.py by `make sdks`; do not edit.
"""Waiting for a job's end, on the best way that there is: its stream, else long polls, else looks with growing pauses.

A stream tells of the end at once and costs one request. Where it cannot be had, for a proxy holds it back or breaks it,
`:wait` asks for the end in requests of half a minute; where these break too, the job is looked at now and then.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from penstock_sdk import operations
from penstock_sdk._sync.deadline import Deadline
from penstock_sdk.errors import ApiError, NoAnswer, PenstockError, UnexpectedAnswer
from penstock_sdk.models import Job
from penstock_sdk.operation import Repeat
from penstock_sdk.retrying import asked_for_s, ceiling_s, worth_repeating

if TYPE_CHECKING:
    from collections.abc import Generator

    from penstock_sdk._sync.calls import Calls

#: How long a stream may be silent: Penstock sends something every 15 s.
SILENCE_S = 20.0
#: How long streams are not asked for again where they do not come through.
_SHUNNED_S = 300.0
#: How long one `:wait` lasts: short enough for proxies that end what is silent for a minute.
_LONG_POLL_S = 30.0
#: How much longer than that its answer may take; in a wait that is nearly over, how much earlier it is to come.
_GRACE_S = 10.0
_MARGIN_S = 0.25
#: So many breaks in a row without a word, and a way is given up.
_BREAKS = 2
#: Looks without an end, after which the better ways are tried again: what broke them may have passed.
_LOOKS = 6
_NO_ACCESS = frozenset({401, 403, 404})


class Waiting:
    """Waits for jobs; safe for many callers at once.

    Args:
        calls: What makes the calls.
    """

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._shunned_until = float("-inf")  # whoever writes it last is right enough

    def wait(self, job_id: str, *, timeout_s: float | None) -> Job:
        """The job when it has ended.

        Args:
            job_id: Which.
            timeout_s: How long it is waited for, in seconds; None for as long as it takes.

        Raises:
            WaitTimeout: It has not ended by then.
            ApiError: Penstock does not know it, or refuses to tell.
            NoAnswer: No way led to Penstock for as long as calls are tried again.
        """
        deadline = Deadline(self._calls.pacing, timeout_s)
        job: Job | None = None
        while True:
            for way in (self._by_stream, self._by_long_polls, self._by_looks):
                job = way(job_id, deadline, job)
                if job is not None and job.finished_at is not None:
                    return job
            if deadline.left_s <= 0:
                raise deadline.timeout(job_id, _state(job))

    def watch(self, job_id: str, *, after_revision: int = 0) -> Generator[Job]:
        """The job as each event leaves it, to its end; a stream that breaks is taken up where it broke.

        Args:
            job_id: Which.
            after_revision: Only newer events.

        Raises:
            ApiError: Penstock does not know it, or refuses to tell.
            NoAnswer: The stream broke, and could not be taken up again.
        """
        tries, unheard = self._calls.tries(), 0
        while True:
            try:
                unheard += 1
                with closing(self._events(job_id, after_revision)) as events:
                    for job in events:
                        tries, unheard, after_revision = self._calls.tries(), 0, job.revision
                        yield job
                        if job.finished_at is not None:
                            return
                pause_s = ceiling_s(unheard) if unheard else 0.0
            except PenstockError as error:
                pause_s = tries.pause_after(error)
            else:
                if unheard:  # it has ended without a word: for there is none to come, or its time was over
                    job = self._calls.call(operations.GET_JOB, {"jobId": job_id}, Job)
                    if job.finished_at is not None:
                        if job.revision > after_revision:
                            yield job
                        return
            self._calls.pacing.sleep(pause_s)

    def _events(self, job_id: str, after_revision: int, timeout_s: float | None = None) -> Generator[Job]:
        watched = self._calls.transport.watch(
            job_id, after_revision=after_revision, silence_s=SILENCE_S, timeout_s=timeout_s
        )
        with closing(watched) as told:
            for said in told:
                yield self._calls.read(Job, said)

    def _by_stream(self, job_id: str, deadline: Deadline, seen: Job | None) -> Job | None:
        """The job as its stream left it: ended, unless streams cannot be had or the time for one is over."""
        breaks = 0
        while breaks < _BREAKS and deadline.left_s > SILENCE_S and self._calls.pacing.now() >= self._shunned_until:
            timeout_s = None if deadline.endless else deadline.left_s
            breaks, pause_s = breaks + 1, 0.0
            try:
                with closing(self._events(job_id, seen.revision if seen else 0, timeout_s)) as events:
                    for job in events:
                        seen, breaks = job, 0
                        if job.finished_at is not None:
                            return job
            except PenstockError as error:
                if isinstance(error, ApiError) and error.status in _NO_ACCESS:
                    raise
                if _comes_not_through(error):
                    self._shunned_until = self._calls.pacing.now() + _SHUNNED_S
                    return seen
                pause_s = self._pause_s(error, breaks)
            deadline.pause(pause_s)
        return seen

    def _by_long_polls(self, job_id: str, deadline: Deadline, job: Job | None) -> Job | None:
        """The job as the last long poll told it: ended, unless these break or the time is over."""
        breaks = 0
        while breaks < _BREAKS and deadline.left_s > _MARGIN_S:
            poll_s = min(_LONG_POLL_S, deadline.left_s - _MARGIN_S)
            try:
                said = self._calls.transport.send(
                    operations.WAIT_JOB,
                    {"jobId": job_id, "timeout": f"{poll_s:.3f}s"},
                    idempotency_key=None,
                    timeout_s=min(poll_s + _GRACE_S, deadline.left_s),
                )
            except PenstockError as error:
                if not worth_repeating(error, Repeat.ALWAYS):
                    raise
                breaks += 1
                deadline.pause(self._pause_s(error, breaks))
                continue
            breaks, job = 0, self._calls.read(Job, said)
            if job.finished_at is not None:
                return job
        return job

    def _by_looks(self, job_id: str, deadline: Deadline, job: Job | None) -> Job | None:
        """The job as it was seen last, after some looks at it."""
        for look in range(_LOOKS):
            if job is not None:
                deadline.pause(ceiling_s(look + 1))
                if deadline.left_s <= 0:
                    return job
            job = self._look(job_id, deadline, job)
            if job.finished_at is not None:
                return job
        return job

    def _look(self, job_id: str, deadline: Deadline, job: Job | None) -> Job:
        tries = self._calls.tries()
        while True:
            try:
                timeout_s = min(self._calls.timeout_s, max(deadline.left_s, 1.0))
                fields = {"jobId": job_id}
                said = self._calls.transport.send(operations.GET_JOB, fields, idempotency_key=None, timeout_s=timeout_s)
                return self._calls.read(Job, said)
            except PenstockError as error:
                pause_s = tries.pause_after(error)
                if pause_s >= deadline.left_s:
                    raise deadline.timeout(job_id, _state(job)) from error
            deadline.pause(pause_s)

    def _pause_s(self, error: PenstockError, breaks: int) -> float:
        return max(asked_for_s(error), ceiling_s(breaks) * self._calls.pacing.jitter())


def _comes_not_through(error: PenstockError) -> bool:
    """Whether it is no stream that broke, but one that cannot be had: held back, refused, or something else."""
    if isinstance(error, NoAnswer) and error.late:
        return error.sent
    return isinstance(error, ApiError | UnexpectedAnswer) and not worth_repeating(error, Repeat.ALWAYS)


def _state(job: Job | None) -> str:
    return (job.state or "") if job else ""
