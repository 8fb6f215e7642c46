"""What of a job is too large to travel in messages, and lies in the object store: params, uploads, and its result."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from services.upstream.domain import Stored
from shared import observability
from shared.errors import Unavailable
from shared.objects import ObjectNotFoundError, ObjectTooLargeError, params_key, result_key, upload_key
from shared.retry import Backoff, until_done

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from contextlib import AbstractAsyncContextManager
    from typing import TypeVar

    from penstock.events.v1 import events_pb2
    from penstock.scheduler.v1 import scheduler_pb2

    from shared.objects import ObjectInfo

    T = TypeVar("T")

log = observability.logger()

#: How long a call that has not gone out waits for the store. It holds a place of the worker meanwhile: a short absence
#: costs no attempt, and a long one leaves the places to jobs that do not need the store.
PATIENCE = timedelta(seconds=30)
_BACKOFF = Backoff(initial=timedelta(milliseconds=100), maximum=timedelta(seconds=2))


class ContentGoneError(Exception):
    """What a job needs is no longer in the store; the message is for people."""


class Store(Protocol):
    """The object store, as far as calls need it; see `shared.objects.Objects`."""

    async def get(self, key: str, *, at_most: int) -> bytes:
        """The bytes of an object."""
        ...

    async def head(self, key: str) -> ObjectInfo | None:
        """What is known of an object."""
        ...

    def open(self, key: str) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """The bytes of an object as they come."""
        ...

    async def put_stream(self, key: str, chunks: AsyncIterator[bytes], *, size: int | None, content_type: str) -> int:
        """Puts an object as its bytes come, whole or not at all."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """An upload that a job names; its bytes can be read any number of times.

    Args:
        id: As the params have it.
        content_type: As its sender told it.
        size: Bytes.
        store: Has it.
        key: Where.
    """

    id: str
    content_type: str
    size: int
    store: Store
    key: str

    def open(self) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Its bytes from the first on, as they come.

        Raises:
            ObjectNotFoundError: They are gone.
            Unavailable: The store is away; also in the middle.
        """
        return self.store.open(self.key)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultPlace:
    """Where the answer to one attempt goes if it is too large to travel in messages.

    Args:
        store: Takes it.
        key: Under which.
        at_most: Bytes that it may have.
    """

    store: Store
    key: str
    at_most: int

    async def put(self, chunks: AsyncIterator[bytes], *, size: int | None, content_type: str) -> Stored:
        """Stores the answer as it comes; nothing of it stays unless all of it came.

        Args:
            chunks: The answer; what it raises is raised here.
            size: Bytes, where that is known.
            content_type: Under which the store hands it out.

        Raises:
            Unavailable: The store is away.
        """
        return Stored(size=await self.store.put_stream(self.key, chunks, size=size, content_type=content_type))


class Contents:
    """Finds what calls need in the store, and the places for what they bring.

    Args:
        store: The object store.
        max_result_bytes: Bytes that a result may have.
        patience: How long a call waits for the store before it goes out.
    """

    def __init__(self, store: Store, *, max_result_bytes: int, patience: timedelta = PATIENCE) -> None:
        self._store = store
        self._max_result_bytes = max_result_bytes
        self._patience = patience

    def result_place(self, call: scheduler_pb2.Call) -> ResultPlace:
        """Where the answer to this attempt goes; each attempt has a place of its own."""
        key = result_key(call.tenant, call.job_id, call.attempt)
        return ResultPlace(store=self._store, key=key, at_most=self._max_result_bytes)

    async def params(self, call: scheduler_pb2.Call) -> bytes:
        """The call's params, as JSON, from wherever they are.

        Raises:
            ContentGoneError: They are no longer stored.
            Unavailable: The store is away, and has been for too long.
        """
        if not call.submission.HasField("stored_params"):
            return call.submission.params
        size, digest = call.submission.stored_params.size, call.submission.stored_params.sha256
        key = params_key(call.tenant, digest)
        try:
            params = await self._patiently(lambda: self._store.get(key, at_most=size))
        except (ObjectNotFoundError, ObjectTooLargeError) as error:
            raise ContentGoneError("the job's params are no longer stored; submit it again") from error
        if hashlib.sha256(params).digest() != digest:
            raise ContentGoneError("the job's params are no longer stored as they were accepted; submit it again")
        return params

    async def uploads(self, call: scheduler_pb2.Call) -> Mapping[str, Upload]:
        """The uploads that the call's params name, by their ids; they are there now.

        Raises:
            ContentGoneError: One is no longer stored.
            Unavailable: The store is away, and has been for too long.
        """
        return {each.upload_id: await self._upload(call.tenant, each) for each in call.submission.uploads}

    async def _upload(self, tenant: str, attached: events_pb2.AttachedUpload) -> Upload:
        key = upload_key(tenant, attached.upload_id)
        found = await self._patiently(lambda: self._store.head(key))
        if found is None or found.size != attached.size:
            raise ContentGoneError(f"the upload {attached.upload_id} is no longer stored; upload it again")
        return Upload(
            id=attached.upload_id,
            content_type=attached.content_type,
            size=attached.size,
            store=self._store,
            key=key,
        )

    async def _patiently(self, ask: Callable[[], Awaitable[T]]) -> T:
        """What the store answers, asked again while it is away, for a time."""
        deadline = asyncio.timeout(self._patience.total_seconds())
        try:
            async with deadline:
                return await until_done(
                    ask,
                    retry_on=(Unavailable,),
                    backoff=_BACKOFF,
                    on_failure=lambda error, _: log.warning("store_awaited", error=str(error)),
                )
        except TimeoutError as error:
            if not deadline.expired():
                raise
            raise Unavailable(
                f"the object store has not answered for {self._patience.total_seconds():g} s",
                metadata={"dependency": "objects"},
            ) from error
