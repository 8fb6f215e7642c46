"""Streams to and from the store: in one request where the size is known, in parts of 5 MiB where it is not."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from shared import observability
from shared.errors import Unavailable
from shared.objects.driver import STALL_TIMEOUT, ObjectNotFoundError, of_refusal, translated, unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    import aiohttp

log = observability.logger()

CHUNK_BYTES = 64 * 1024
#: S3 takes no smaller ones, but for the last.
PART_BYTES = 5 * 1024 * 1024
#: Of a link that this process follows at once.
_LINK_LIFETIME = timedelta(minutes=5)
_ABORT_TIMEOUT = timedelta(seconds=5)
_CODE = re.compile(rb"<Code>([A-Za-z0-9]{1,64})</Code>")
_MAX_REFUSAL_BYTES = 4096


class Streams:
    """Carries streams.

    Args:
        client: The driver's.
        http: Follows the links that it signs.
        bucket: The bucket's name.
    """

    def __init__(self, client: Any, http: aiohttp.ClientSession, *, bucket: str) -> None:
        self._client = client
        self._http = http
        self._bucket = bucket

    @asynccontextmanager
    async def get(self, key: str) -> AsyncGenerator[aiohttp.ClientResponse]:
        """The answer with an object's bytes.

        Raises:
            ObjectNotFoundError: There is none.
            Unavailable: The store is away.
        """
        url = await self._link("get_object", {"Key": key})
        async with translated(key, within=STALL_TIMEOUT):
            response = await self._http.get(url)
        async with response:
            await _check(response, key)
            yield response

    async def chunks(self, response: aiohttp.ClientResponse) -> AsyncGenerator[bytes]:
        """The answer's bytes as they come.

        Raises:
            Unavailable: The store is away.
        """
        while True:
            async with translated(within=None):  # the session's `sock_read` sees to it
                chunk = await response.content.read(CHUNK_BYTES)
            if not chunk:
                return
            yield chunk

    async def put_sized(self, key: str, chunks: AsyncIterator[bytes], *, size: int, content_type: str) -> int:
        """Puts so many bytes in one request.

        Raises:
            ValueError: There were more or fewer.
            Unavailable: The store is away.
        """
        headers = {"Content-Type": content_type, "Content-Length": str(size)}
        url = await self._link("put_object", {"Key": key, "ContentType": content_type, "ContentLength": size})
        failed: list[Exception] = []

        async def body(stall: asyncio.Timeout) -> AsyncGenerator[bytes]:
            try:
                async for chunk in _exactly(chunks, size):
                    _moved(stall)
                    yield chunk
                    stall.reschedule(None)  # from here on it is the source that is waited for
            except Exception as error:
                failed.append(error)
                raise
            _moved(stall)

        try:
            async with (
                translated(key, within=None),
                asyncio.timeout(None) as stall,
                self._http.put(url, data=body(stall), headers=headers) as response,
            ):
                await _check(response, key)
        except Exception:
            if failed:
                raise failed[0] from None
            raise
        return size

    async def put_parts(self, key: str, chunks: AsyncIterator[bytes], *, content_type: str) -> int:
        """Puts what comes, however much it is, and answers with how many bytes that was.

        Raises:
            Unavailable: The store is away.
        """
        parts = _parts(chunks)
        first = await anext(parts)
        target = {"Bucket": self._bucket, "Key": key}
        if len(first) < PART_BYTES:  # there are no more
            async with translated(key):
                await self._client.put_object(**target, Body=first, ContentType=content_type)
            return len(first)
        async with translated(key):
            begun = await self._client.create_multipart_upload(**target, ContentType=content_type)
        target["UploadId"] = begun["UploadId"]
        try:
            return await self._put_each(key, target, first, parts)
        except BaseException:
            await self._abort(key, target)
            raise

    async def _put_each(self, key: str, target: dict[str, str], first: bytes, rest: AsyncIterator[bytes]) -> int:
        size = 0
        done: list[dict[str, Any]] = []
        part = first
        while part:
            number = len(done) + 1
            async with translated(key, within=STALL_TIMEOUT):
                answer = await self._client.upload_part(**target, PartNumber=number, Body=part)
            done.append({"PartNumber": number, "ETag": answer["ETag"]})
            size += len(part)
            part = await anext(rest, b"")
        async with translated(key, within=STALL_TIMEOUT):
            await self._client.complete_multipart_upload(**target, MultipartUpload={"Parts": done})
        return size

    async def _abort(self, key: str, target: dict[str, str]) -> None:
        try:
            async with translated(key, within=_ABORT_TIMEOUT):
                await self._client.abort_multipart_upload(**target)
        except (ObjectNotFoundError, Unavailable) as error:  # the bucket's rules remove the parts
            log.warning("parts_left", key=key, error=str(error))

    async def _link(self, operation: str, parameters: dict[str, Any]) -> str:
        return await self._client.generate_presigned_url(
            operation,
            Params={"Bucket": self._bucket, **parameters},
            ExpiresIn=int(_LINK_LIFETIME.total_seconds()),
        )


async def _exactly(chunks: AsyncIterator[bytes], size: int) -> AsyncGenerator[bytes]:
    """The chunks; the last one only when it is known that there are neither more nor fewer bytes.

    With it the store has all that it waits for, and there is no way back.
    """
    held = b""
    seen = 0
    async for chunk in chunks:
        if not chunk:
            continue
        seen += len(chunk)
        if seen > size:
            raise ValueError(f"there are more than the {size} bytes that were to come")
        if held:
            yield held
        held = chunk
    if seen < size:
        raise ValueError(f"there are {seen} of the {size} bytes that were to come")
    if held:
        yield held


async def _parts(chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    """The bytes in parts; the last one is smaller, and may be empty."""
    part = bytearray()
    async for chunk in chunks:
        part += chunk
        while len(part) >= PART_BYTES:
            yield bytes(memoryview(part)[:PART_BYTES])
            del part[:PART_BYTES]
    yield bytes(part)


def _moved(stall: asyncio.Timeout) -> None:
    """The store has some time from now on."""
    if not stall.expired():
        stall.reschedule(asyncio.get_running_loop().time() + STALL_TIMEOUT.total_seconds())


async def _check(response: aiohttp.ClientResponse, key: str) -> None:
    """Raises where the store refuses."""
    if response.status < HTTPStatus.MULTIPLE_CHOICES:
        return
    async with translated(key):
        told = await response.content.read(_MAX_REFUSAL_BYTES)
    match = _CODE.search(told)
    code = match[1].decode() if match else ""
    raise of_refusal(code, response.status, key) or unavailable(f"the object store refuses ({code or response.status})")
