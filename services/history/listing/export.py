"""Exports: all jobs that match, as lines of JSON (NDJSON), page after page for as long as the client reads.

A page is read when the lines of the one before are on their way: the client's pace is the store's, and what is in
memory is one page. Each page is a question of its own and no cursor stays open between two; so whoever goes away leaves
nothing behind, and a job that moves on meanwhile neither comes twice nor is left out.

An export that is not whole ends with an error. A client over HTTP/1.1 is told no status at the end; it knows that it
has all when going on after its last job brings no more.
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING

from google.api import httpbody_pb2
from google.protobuf import json_format

from services.history.jobs.messages import full
from shared.errors import DeadlineExceeded, JobNotFound, Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator, Sequence

    from services.history.jobs.domain import Filter
    from services.history.listing.store import JobLists, Listed
    from shared.paging import Position

_CONTENT_TYPE = "application/x-ndjson"
#: What a browser saves it as (RFC 6266).
HEADERS = (("content-disposition", 'attachment; filename="jobs.ndjson"'),)
#: As long as other streams.
MAX_EXPORT = timedelta(minutes=5)
#: Jobs read at once.
_PAGE = 250
#: A message is sent when its lines are so many: large enough to cost little each, and some ten milliseconds of work.
_MESSAGE_BYTES = 64 * 1024
#: What is kept of the caller's time to end the stream with its reason: past its deadline it is cut off.
_END_MARGIN_S = 0.5
_GO_ON = "go on with after_job_id, the last job that you have read"


class Exporter:
    """Begins exports.

    Args:
        lists: Finds jobs.
        stopping: Whether this replica is told to stop.
        longest: How long an export may last.
        page: Jobs read at once.
        monotonic: Seconds that only grow.
    """

    def __init__(
        self,
        lists: JobLists,
        *,
        stopping: Callable[[], bool],
        longest: timedelta = MAX_EXPORT,
        page: int = _PAGE,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lists = lists
        self._stopping = stopping
        self._longest = longest
        self._page = page
        self._monotonic = monotonic

    async def after(self, tenant: str, job_id: str) -> Position | None:
        """Where an export goes on that was read up to this job; None, from the beginning, for an empty id.

        Raises:
            JobNotFound: The tenant has no such job.
            Unavailable: The store is away.
        """
        if not job_id:
            return None
        position = await self._lists.position(tenant, job_id)
        if position is None:
            raise JobNotFound(f"there is no job {job_id} to go on after", metadata={"job": job_id})
        return position

    async def messages(
        self, tenant: str, wanted: Filter, *, after: Position | None, oldest_first: bool, remaining_s: float | None
    ) -> AsyncGenerator[httpbody_pb2.HttpBody]:
        """The lines of every job that matches; the first message tells what they are, and has none.

        Before it comes the first page is read: what is away from the beginning is told as by any other call.

        Args:
            tenant: Whose jobs.
            wanted: Which of them.
            after: The last job that the client has.
            oldest_first: Their order.
            remaining_s: Until the caller's deadline; None where there is none.

        Raises:
            DeadlineExceeded: Time is up, and there are more.
            Unavailable: The store is away, or this replica stops; there may be more.
        """
        seconds = self._longest.total_seconds()
        if remaining_s is not None:
            seconds = min(seconds, remaining_s - _END_MARGIN_S)
        ends = self._monotonic() + seconds
        found = await self._read(tenant, wanted, after=after, oldest_first=oldest_first)
        begun = False  # however little time there is, the client comes further
        yield httpbody_pb2.HttpBody(content_type=_CONTENT_TYPE)
        while True:
            for lines in _lines(found):
                if begun:
                    self._check(ends)
                yield httpbody_pb2.HttpBody(content_type=_CONTENT_TYPE, data=lines)
                begun = True
            if len(found) < self._page:
                return
            found = await self._read(tenant, wanted, after=found[-1][0], oldest_first=oldest_first)

    async def _read(
        self, tenant: str, wanted: Filter, *, after: Position | None, oldest_first: bool
    ) -> Sequence[Listed]:
        return await self._lists.page(
            tenant, wanted, after=after, limit=self._page, oldest_first=oldest_first, whole=True
        )

    def _check(self, ends: float) -> None:
        if self._stopping():
            raise Unavailable(f"the export is not whole: its replica stops; {_GO_ON}", retry_after=timedelta(seconds=1))
        if self._monotonic() >= ends:
            raise DeadlineExceeded(f"the export is not whole: an export ends after 5 minutes; {_GO_ON}")


def _lines(found: Sequence[Listed]) -> Iterator[bytes]:
    """The jobs as whole lines, many at once."""
    lines = bytearray()
    for _, record in found:
        job = full(record)
        lines += json_format.MessageToJson(job, indent=None, ensure_ascii=False).encode() + b"\n"
        if len(lines) >= _MESSAGE_BYTES:
            yield bytes(lines)
            lines.clear()
    if lines:
        yield bytes(lines)
