"""What a request sends: bytes, or an upload that comes from the store while it goes out, alone or in a form."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import aiohttp

from services.upstream.contents import Upload
from services.upstream.domain import Reason
from services.upstream.multipart import Multipart
from shared.errors import Unavailable
from shared.objects import ObjectNotFoundError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

#: All that can be sent; None for no body.
Body = bytes | Upload | Multipart | None


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
async def sending(body: Body) -> AsyncGenerator[bytes | _Reading | None]:
    """The body as the HTTP driver takes it, for one request.

    Raises:
        SendingError: It is gone, or the store is away; also in the middle, in place of what the driver makes of that.
    """
    if body is None or isinstance(body, bytes):
        yield body
        return
    upload = body.upload if isinstance(body, Multipart) else body
    async with AsyncExitStack() as stack:
        try:
            chunks = await stack.enter_async_context(upload.open())
        except (ObjectNotFoundError, Unavailable) as error:
            raise _translated(error, upload) from error
        reading = _Reading(_framed(body, chunks) if isinstance(body, Multipart) else chunks)
        try:
            yield reading
        except aiohttp.ClientError:
            if reading.error is None:
                raise
            raise _translated(reading.error, upload) from reading.error


def length_of(body: Body) -> int | None:
    """Bytes of a body that the driver cannot measure; None for any other."""
    return body.size if isinstance(body, Upload | Multipart) else None


async def _framed(form: Multipart, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield form.before
    async for chunk in chunks:
        yield chunk
    yield form.after


class _Reading:
    """The bytes of a body with an upload, to be read once.

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
