"""Reads jobs: now, or when they have ended; off the hot view, or, where they have left it, from history."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from penstock.events.v1 import events_pb2
from penstock.jobs.v1 import jobs_pb2

from services.intake.contract import left_by, state_of, view
from services.intake.domain import State
from shared import ids
from shared.errors import InvalidArgument, JobNotFound

if TYPE_CHECKING:
    from datetime import timedelta

    from services.intake.changes import Record
    from services.intake.recorded import RecordedJobs
    from services.intake.store import JobStore
    from services.intake.waiters import Waiters

#: What is kept of the caller's time to answer with the job as it stands.
_ANSWER_MARGIN_S = 0.25
_MAX_SHOWN_CHARACTERS = 80


class JobReader:
    """Answers with jobs.

    Args:
        store: Where they are.
        recorded: Where they are when they have left the hot view.
        waiters: Who waits for one.
    """

    def __init__(self, *, store: JobStore, recorded: RecordedJobs, waiters: Waiters) -> None:
        self._store = store
        self._recorded = recorded
        self._waiters = waiters

    async def get(self, tenant: str, job_id: str, *, upstream: str = "") -> jobs_pb2.Job:
        """The job as it stands.

        Args:
            tenant: Whose job.
            job_id: Its id.
            upstream: The one that the path names, or an empty text. A job is found only under its own.

        Raises:
            InvalidArgument: The id is no id.
            JobNotFound: The tenant has no such job.
            Unavailable: The store or history is away.
        """
        job, _ = await self._get(tenant, job_id, upstream)
        return job

    async def get_full(self, tenant: str, job_id: str, *, upstream: str = "") -> jobs_pb2.Job:
        """The same, with its attempts, which history has; the newest may come a moment later.

        Raises:
            InvalidArgument: The id is no id.
            JobNotFound: The tenant has no such job.
            Unavailable: The store or history is away.
        """
        job, recorded = await self._get(tenant, job_id, upstream, full=True)
        if not recorded:
            job.attempts.extend(await self._recorded.attempts(job_id))
        return job

    async def get_hot(self, tenant: str, job_id: str, *, upstream: str = "") -> jobs_pb2.Job:
        """The same, by the hot view alone: for what no job can undergo that has left it.

        Raises:
            InvalidArgument: The id is no id.
            JobNotFound: The tenant has no such job there.
            Unavailable: The store is away.
        """
        record = await self._read(tenant, job_id, upstream)
        job = view(record) if record is not None else None
        if job is None:
            await self._store.confirm()
            raise _not_found(job_id)
        return job

    async def first(self, tenant: str, job_id: str) -> jobs_pb2.Job:
        """The job as it was first answered, or, where that is not known any more, as history has it.

        Raises:
            InvalidArgument: The id is no id.
            JobNotFound: The tenant has no such job.
            Unavailable: The store or history is away.
        """
        record = await self._read(tenant, job_id)
        if record is None or record.job is None:
            return await self._get_recorded(job_id)
        return jobs_pb2.Job.FromString(record.job)

    async def ended_as(self, tenant: str, job_id: str) -> tuple[State, int]:
        """How a job stands, and, where it has ended, the place of its `submitted` in the log; 0 where nobody knows.

        Raises:
            InvalidArgument: The id is no id.
            JobNotFound: The tenant has no such job.
            Unavailable: The store or history is away.
        """
        record = await self._read(tenant, job_id)
        if record is None:
            job = await self._get_recorded(job_id)
            state, sequence = state_of(job.state), 0
        elif record.event is None:
            return State.QUEUED, 0
        else:
            event = events_pb2.JobEvent.FromString(record.event)
            state, sequence = state_of(event.state), event.submitted_sequence
        if state.terminal and not sequence:
            sequence = await self._recorded.located(job_id)
        return state, sequence

    async def wait(self, tenant: str, job_id: str, *, at_most: timedelta, remaining_s: float | None) -> jobs_pb2.Job:
        """The job when it has ended, or as it stands when the timeout or the caller's deadline is near.

        Args:
            tenant: Whose job.
            job_id: Its id.
            at_most: How long to wait.
            remaining_s: Until the caller's deadline; None where there is none.

        Raises:
            InvalidArgument: The id is no id.
            JobNotFound: The tenant has no such job.
            Unavailable: The store or history is away.
        """
        seconds = at_most.total_seconds()
        if remaining_s is not None:
            seconds = min(seconds, remaining_s - _ANSWER_MARGIN_S)
        until = asyncio.get_running_loop().time() + seconds
        with self._waiters.waiting_for(job_id) as waiter:
            while True:
                job = await self.get(tenant, job_id)
                if state_of(job.state).terminal or self._waiters.released:
                    return job
                if not await waiter.woken(until):
                    return job

    async def _get(self, tenant: str, job_id: str, upstream: str, *, full: bool = False) -> tuple[jobs_pb2.Job, bool]:
        """The job as it stands, and whether history has told it."""
        record = await self._read(tenant, job_id, upstream)
        job = view(record) if record is not None else None
        if job is not None:
            return job, False
        job = await self._get_recorded(job_id, full=full)
        if record is None or record.event is None:
            return job, True
        return left_by(events_pb2.JobEvent.FromString(record.event), job), True

    async def _get_recorded(self, job_id: str, *, full: bool = False) -> jobs_pb2.Job:
        try:
            return await (self._recorded.get_full(job_id) if full else self._recorded.get(job_id))
        except JobNotFound:  # history may be behind, and the hot view may have lost the job a moment ago
            await self._store.confirm()
            raise

    async def _read(self, tenant: str, job_id: str, upstream: str = "") -> Record | None:
        known = ids.upstream_of(job_id)
        if known is None:
            shown = job_id[:_MAX_SHOWN_CHARACTERS]
            raise InvalidArgument.field("jobId", f"{shown!r} is not the id of a job; ids look like <upstream>-<UUIDv7>")
        if upstream not in {"", known}:
            raise _not_found(job_id)
        return await self._store.read(tenant, job_id)


def _not_found(job_id: str) -> JobNotFound:
    return JobNotFound(f"there is no job {job_id}", metadata={"job": job_id})
