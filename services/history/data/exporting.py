"""Carries exports out: all that services hold, page by page, into one gzipped file of NDJSON in the object store.

    {"store": "auth.keys", "holding": {…}}

Each turn writes what it has read as a part, compressed by itself: parts of gzip behind each other are gzip (RFC 1952,
2.2). So a turn that is taken once more writes its part anew, and whoever goes on begins where the last part ended.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from penstock.history.v1 import data_pb2

from services.history.data.domain import EXPORT_KEPT, LINK_LIFETIME
from services.history.data.messages import Phase, metadata
from services.history.operations.domain import State, Step
from shared import observability
from shared.objects import export_key, export_part_key

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager
    from datetime import timedelta

    from services.history.data.holders import Holder
    from services.history.operations.domain import Operation
    from shared.clock import Clock

log = observability.logger()

_CONTENT_TYPE = "application/gzip"
#: Characters of one part, and within which a turn gathers them.
_PART_CHARACTERS = 16 * 1024 * 1024
_PATIENCE_S = 4.0
#: Half of the ratio that the best level has, at a fifth of its time.
_LEVEL = 5


class ExportObjects(Protocol):
    """The object store, as far as this needs it: `shared.objects.Objects`."""

    async def put(self, key: str, body: bytes, *, content_type: str) -> None:
        """Puts an object."""
        ...

    async def put_stream(self, key: str, chunks: AsyncIterator[bytes], *, size: int | None, content_type: str) -> int:
        """Puts an object as its bytes come."""
        ...

    def open(self, key: str) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """The bytes of an object as they come."""
        ...

    async def delete_many(self, keys: Sequence[str]) -> None:
        """Deletes objects."""
        ...

    async def link(self, key: str, *, lifetime: timedelta, content_disposition: str = "") -> str:
        """A URL under which anyone gets the object for a while."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cursor:
    """How far an export is."""

    #: Services that were read, of all by their names in order; and where the next one goes on.
    services: int = 0
    token: str = ""
    parts: int = 0
    lines: Mapping[str, int] = field(default_factory=dict[str, int])
    #: Of the whole file, when it is there; parts are deleted then.
    size: int = 0
    sha256: str = ""

    def dump(self) -> bytes:
        return json.dumps(
            {
                "services": self.services,
                "token": self.token,
                "parts": self.parts,
                "lines": dict(self.lines),
                "size": self.size,
                "sha256": self.sha256,
            }
        ).encode()

    @classmethod
    def load(cls, text: bytes) -> _Cursor:
        told: dict[str, Any] = json.loads(text) if text else {}
        return cls(**told)


class Exporting:
    """The runner of exports.

    Args:
        holders: All services that hold something, by name.
        objects: Keeps the files.
        clock: The time.
    """

    def __init__(self, holders: Mapping[str, Holder], objects: ExportObjects, *, clock: Clock) -> None:
        self._holders = sorted(holders.items())
        self._objects = objects
        self._clock = clock

    async def response(self, operation: Operation) -> bytes:
        """Where the data is, with a link that is good from now; without one when the file's time is over."""
        response = data_pb2.ExportDataResponse.FromString(operation.response)
        ended_at = operation.finished_at
        if ended_at is not None and self._clock.now() < ended_at + EXPORT_KEPT - LINK_LIFETIME:
            key = export_key(_request(operation).tenant, operation.id)
            response.url = await self._objects.link(
                key, lifetime=LINK_LIFETIME, content_disposition=f'attachment; filename="{key.rpartition("/")[2]}"'
            )
        return response.SerializeToString()

    async def take_turn(self, operation: Operation) -> Step:
        """See `services.history.operations.domain.Runner`."""
        cursor = _Cursor.load(operation.cursor)
        if operation.cancel_requested:
            await self._tidy(operation, cursor.parts + 1)  # the part of a turn that was not kept, too
            return self._step(operation, cursor, state=State.CANCELED)
        if cursor.services < len(self._holders):
            return self._step(operation, await self._read(operation, cursor))
        if not cursor.sha256:
            return self._step(operation, await self._join(operation, cursor))
        await self._tidy(operation, cursor.parts)
        log.info("export_finished", operation=operation.id, owner=_request(operation).tenant, size=cursor.size)
        response = data_pb2.ExportDataResponse(size=cursor.size, sha256=cursor.sha256, lines=cursor.lines)
        return self._step(operation, cursor, state=State.SUCCEEDED, response=response.SerializeToString())

    async def _read(self, operation: Operation, cursor: _Cursor) -> _Cursor:
        """Reads pages for a while, and writes them down as one part."""
        request = _request(operation)
        lines: list[str] = []
        counted = Counter(cursor.lines)
        characters, at = 0, (cursor.services, cursor.token)
        ends_at = asyncio.get_running_loop().time() + _PATIENCE_S
        while at[0] < len(self._holders) and characters < _PART_CHARACTERS:
            page = await self._holders[at[0]][1].export(request.tenant, request.connection_id, at[1])
            for store, text in page.holdings:
                line = f'{{"store":{json.dumps(store)},"holding":{text}}}\n'
                lines.append(line)
                characters += len(line)
                counted[store] += 1
            at = (at[0], page.token) if page.token else (at[0] + 1, "")
            if asyncio.get_running_loop().time() >= ends_at:
                break
        if not lines:
            return replace(cursor, services=at[0], token=at[1])
        body = await asyncio.to_thread(gzip.compress, "".join(lines).encode(), _LEVEL)
        part = export_part_key(request.tenant, operation.id, cursor.parts)
        await self._objects.put(part, body, content_type=_CONTENT_TYPE)
        return replace(cursor, services=at[0], token=at[1], parts=cursor.parts + 1, lines=counted)

    async def _join(self, operation: Operation, cursor: _Cursor) -> _Cursor:
        """Makes one file of the parts."""
        tenant = _request(operation).tenant
        digest = hashlib.sha256()

        async def chunks() -> AsyncIterator[bytes]:
            for number in range(cursor.parts):
                async with self._objects.open(export_part_key(tenant, operation.id, number)) as part:
                    async for chunk in part:
                        digest.update(chunk)
                        yield chunk
            if not cursor.parts:
                nothing = gzip.compress(b"")
                digest.update(nothing)
                yield nothing

        key = export_key(tenant, operation.id)
        size = await self._objects.put_stream(key, chunks(), size=None, content_type=_CONTENT_TYPE)
        return replace(cursor, size=size, sha256=digest.hexdigest())

    async def _tidy(self, operation: Operation, parts: int) -> None:
        tenant = _request(operation).tenant
        keys = [export_part_key(tenant, operation.id, number) for number in range(parts)]
        for start in range(0, len(keys), 1000):
            await self._objects.delete_many(keys[start : start + 1000])

    def _step(
        self, operation: Operation, cursor: _Cursor, *, state: State = State.RUNNING, response: bytes = b""
    ) -> Step:
        request = _request(operation)
        runs = state is State.RUNNING
        return Step(
            metadata=metadata(
                tenant=request.tenant,
                connection_id=request.connection_id,
                phase=Phase.WORKING if runs else Phase.DONE,
                created_at=operation.created_at,
            ),
            cursor=cursor.dump(),
            due_at=self._clock.now() if runs else None,
            state=state,
            response=response,
        )


def _request(operation: Operation) -> data_pb2.ExportDataRequest:
    return data_pb2.ExportDataRequest.FromString(operation.request)
