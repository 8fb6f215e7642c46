"""Results: the bytes of small ones, signed links to large ones."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from google.api import httpbody_pb2

from services.intake.conditions import Conditions
from services.intake.contract import state_of
from shared.errors import JobNotFinished, ResultNotFound
from shared.media_types import media_type
from shared.objects import result_key
from shared.rpc.status import CONTENT_RANGE_HEADER, HTTP_STATUS_HEADER

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from penstock.jobs.v1 import jobs_pb2

    from services.intake.conditions import Part
    from services.intake.reader import JobReader
    from shared.objects import ObjectInfo

#: Whatever an upstream sends is data here: it is saved and not shown (RFC 6266).
_DISPOSITION = "attachment"
#: Where it is shown all the same, it runs nothing, sends no form and has no origin. Results never change; who keeps one
#: asks whether it may still see it.
_INERT = (
    ("content-disposition", _DISPOSITION),
    ("content-security-policy", "default-src 'none'; frame-ancestors 'none'; sandbox"),
    ("cache-control", "private, no-cache"),
)


class Objects(Protocol):
    """The object store, as far as results need it."""

    async def head(self, key: str) -> ObjectInfo | None:
        """What is known of an object, or None where there is none.

        Raises:
            Unavailable: The store is away.
        """
        ...

    async def link(self, key: str, *, lifetime: timedelta, content_disposition: str) -> str:
        """A URL by which whoever has it may read the object for so long, under this header of its name."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultAnswer:
    """An answer to who asks for a result.

    Args:
        metadata: The initial metadata: headers of the answer over HTTP, and its status where that is not 200.
        body: What goes behind them.
    """

    metadata: tuple[tuple[str, str], ...]
    body: httpbody_pb2.HttpBody


class Results:
    """Answers with the results of jobs.

    Args:
        reader: Knows the jobs.
        objects: Has the results that are too large to travel with them.
        link_lifetime: For how long a link to one of those leads there.
    """

    def __init__(self, *, reader: JobReader, objects: Objects, link_lifetime: timedelta) -> None:
        self._reader = reader
        self._objects = objects
        self._link_lifetime = link_lifetime

    async def answer(self, tenant: str, job_id: str, *, upstream: str, metadata: Mapping[str, str]) -> ResultAnswer:
        """The result of a job, the part of it that is asked for, or the link that leads to it.

        Args:
            tenant: Whose job.
            job_id: Its id.
            upstream: The one that the path names, or an empty text.
            metadata: The call's, which may ask for less than all of it (`Conditions`).

        Raises:
            InvalidArgument: The id is no id.
            JobNotFound: The tenant has no such job.
            JobNotFinished: It has not ended.
            ResultNotFound: It has ended without a result, or the result is no longer kept.
            RangeNotSatisfiable: The result has nothing of the range that is asked for.
            Unavailable: The store, history or the object store is away.
        """
        job = await self._reader.get(tenant, job_id, upstream=upstream)
        content = _checked(job).WhichOneof("content")
        if content == "inline":
            return _inline(job.result, Conditions.read(metadata))
        key = result_key(tenant, job_id, job.attempt)
        if content is None or await self._objects.head(key) is None:
            raise _not_found(job, f"the result of {job.id} is no longer kept")
        link = await self._objects.link(key, lifetime=self._link_lifetime, content_disposition=_DISPOSITION)
        found = ((HTTP_STATUS_HEADER, "302"), ("location", link), ("cache-control", "no-store"))
        return ResultAnswer(metadata=found, body=httpbody_pb2.HttpBody())


def _checked(job: jobs_pb2.Job) -> jobs_pb2.JobResult:
    state = state_of(job.state)
    if not state.terminal:
        raise JobNotFinished(
            f"{job.id} is {state} and has no result yet; wait for its end", metadata={"job": job.id, "state": state}
        )
    if not job.HasField("result"):
        raise _not_found(job, f"{job.id} has ended as {state} and has no result")
    return job.result


def _not_found(job: jobs_pb2.Job, message: str) -> ResultNotFound:
    return ResultNotFound(message, metadata={"job": job.id, "state": state_of(job.state)})


def _inline(result: jobs_pb2.JobResult, conditions: Conditions) -> ResultAnswer:
    content = result.inline.text.encode() or result.inline.data
    etag = f'"{hashlib.sha256(content).hexdigest()}"'
    headers = (("etag", etag), ("accept-ranges", "bytes"), *_INERT)
    if conditions.knows(etag):
        return ResultAnswer(metadata=((HTTP_STATUS_HEADER, "304"), *headers), body=httpbody_pb2.HttpBody())
    part = conditions.part(etag, len(content))
    if part is not None:
        headers = (*_told(part), *headers)
        content = content[part.first : part.last + 1]
    return ResultAnswer(
        metadata=headers, body=httpbody_pb2.HttpBody(content_type=media_type(result.content_type), data=content)
    )


def _told(part: Part) -> tuple[tuple[str, str], ...]:
    return (HTTP_STATUS_HEADER, "206"), (CONTENT_RANGE_HEADER, part.content_range)
