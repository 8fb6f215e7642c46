"""What a request sends: bytes, or an upload that comes from the store while it goes out."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import aiohttp

from services.upstream.contents import Upload
from services.upstream.domain import Reason
from shared.errors import Unavailable
from shared.objects import ObjectNotFoundError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator


class SendingError(Exception):
    """What was to be sent could not be had.

    Args:
        reason: CONTENT_GONE or UNAVAILABLE.
        message: For people.
    """

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


@asynccontextmanager
async def sending(body: bytes | Upload | None) -> AsyncGenerator[bytes | _Reading | None]:
    """The body as the HTTP driver takes it, for one request.

    Raises:
        SendingError: It is gone, or the store is away; also in the middle, in place of what the driver makes of that.
    """
    if not isinstance(body, Upload):
        yield body
        return
    async with AsyncExitStack() as stack:
        try:
            chunks = await stack.enter_async_context(body.open())
        except (ObjectNotFoundError, Unavailable) as error:
            raise _translated(error, body) from error
        reading = _Reading(chunks)
        try:
            yield reading
        except aiohttp.ClientError:
            if reading.error is None:
                raise
            raise _translated(reading.error, body) from reading.error


class _Reading:
    """The bytes of an upload, to be read once.

    Args:
        chunks: The bytes as they come.
    """

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks
        self._begun = False
        #: Why they do not come; the driver hides it behind an error of its own.
        self.error: Exception | None = None

    def __aiter__(self) -> AsyncIterator[bytes]:
        """The driver asks a second time when it sends a request again because its connection was closed."""
        if self._begun:
            raise aiohttp.ServerDisconnectedError
        self._begun = True
        return self

    async def __anext__(self) -> bytes:
        try:
            return await anext(self._chunks)
        except StopAsyncIteration:
            raise
        except Exception as error:  # whatever it is, it is raised on
            self.error = error
            raise


def _translated(error: Exception, upload: Upload) -> SendingError:
    if isinstance(error, ObjectNotFoundError):
        return SendingError(Reason.CONTENT_GONE, f"the upload {upload.id} is no longer stored; upload it again")
    return SendingError(Reason.UNAVAILABLE, f"the upload {upload.id} could not be read: {error}")
