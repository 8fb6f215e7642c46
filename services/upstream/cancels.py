"""Cancels of jobs whose calls are under way here: told by a signal, obeyed at once."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from shared import observability

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

log = observability.logger()


class JobCanceledError(Exception):
    """The job was canceled while this was at work for it."""


class Cancels:
    """Knows what is at work for which job, and breaks it off when the job is canceled.

    A signal may come several times, and goes to every worker: one about a job that is not at work here, or that is
    broken off already, does nothing. The scheduler repeats it for as long as the lease is out.
    """

    def __init__(self) -> None:
        # of one job there may be two: a call whose lease was lost may still let go of its connection
        self._at_work: defaultdict[str, set[asyncio.Timeout]] = defaultdict(set)

    async def receive(self, payload: bytes) -> None:
        """Obeys a signal; its payload is the job's id."""
        self.break_off(payload.decode(errors="replace"))

    def break_off(self, job_id: str) -> None:
        """Breaks off what is at work for the job."""
        at_work = self._at_work.get(job_id, ())
        for scope in at_work:
            if not scope.expired():
                log.info("call_broken_off", job=job_id)
                scope.reschedule(0.0)  # by the loop's clock long over

    @asynccontextmanager
    async def obeyed(self, job_id: str) -> AsyncGenerator[None]:
        """Breaks off the body when the job is canceled; what has ended by then stays as it came out.

        A cancel of the task itself is passed on as that, also when both come at once.

        Raises:
            JobCanceledError: The body was broken off.
        """
        scope = asyncio.timeout(None)  # an end from outside, told from a cancel of the task: what `Timeout` is made for
        self._at_work[job_id].add(scope)
        try:
            async with scope:
                yield
        except TimeoutError as error:
            if not scope.expired():  # the body's own
                raise
            raise JobCanceledError(job_id) from error
        finally:
            self._at_work[job_id].discard(scope)
            if not self._at_work[job_id]:
                del self._at_work[job_id]
