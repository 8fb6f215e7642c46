"""Streams to and from the store: in one request where the size is known, in parts of 5 MiB where it is not."""

from __future__ import annotations

import asyncio
import re
from contextlib import aclosing, asynccontextmanager
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
#: It takes 10,000 of them at most: after so many they are so large, so that 440 GiB fit.
SMALL_PARTS = 1000
LARGE_PART_BYTES = 10 * PART_BYTES
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
        url = await self._link("put_object", {"Key": key, "ContentType": content_type, "ContentLength": size})
        await self._send(key, url, _exactly(chunks, size), size=size, content_type=content_type)
        return size

    async def put_parts(self, key: str, chunks: AsyncIterator[bytes], *, content_type: str) -> int:
        """Puts what comes, however much it is, and answers with how many bytes that was; one part of it is in memory.

        Raises:
            Unavailable: The store is away.
        """
        async with aclosing(_parts(chunks)) as parts:
            first = await anext(parts)
            if len(first) < PART_BYTES:  # there are no more
                return await self.put_sized(key, _pieces(first), size=len(first), content_type=content_type)
            target = {"Bucket": self._bucket, "Key": key}
            async with translated(key):
                begun = await self._client.create_multipart_upload(**target, ContentType=content_type)
            target["UploadId"] = begun["UploadId"]
            try:
                return await self._put_each(key, target, first, parts)
            except BaseException:  # a cancel too: no parts stay behind
                await self._abort(key, target)
                raise

    async def _put_each(
        self, key: str, target: dict[str, str], first: bytearray, rest: AsyncIterator[bytearray]
    ) -> int:
        size = 0
        done: list[dict[str, Any]] = []
        part = first
        while part:
            place = {"Key": key, "UploadId": target["UploadId"], "PartNumber": len(done) + 1}
            url = await self._link("upload_part", {**place, "ContentLength": len(part)})
            etag = await self._send(key, url, _pieces(part), size=len(part))
            done.append({"PartNumber": len(done) + 1, "ETag": etag})
            size += len(part)
            part.clear()  # its memory goes before the next one is gathered, whoever still knows it
            part = await anext(rest, bytearray())
        async with translated(key, within=STALL_TIMEOUT):
            await self._client.complete_multipart_upload(**target, MultipartUpload={"Parts": done})
        return size

    async def _send(
        self, key: str, url: str, chunks: AsyncIterator[bytes], *, size: int, content_type: str = ""
    ) -> str:
        """Sends so many bytes to a link, and answers with the `ETag` of what they became."""
        headers = {"Content-Length": str(size), **({"Content-Type": content_type} if content_type else {})}
        failed: list[Exception] = []

        async def body(stall: asyncio.Timeout) -> AsyncGenerator[bytes]:
            try:
                async for chunk in chunks:
                    _moved(stall)
                    yield chunk
                    stall.reschedule(None)  # from here on it is the source that is waited for
            except Exception as error:  # whatever it is: the driver hides it behind an error of its own
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
                return response.headers.get("ETag", "")
        except Exception:  # of the driver or ours: the source's own comes first
            if failed:
                raise failed[0] from None
            raise

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


async def _parts(chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytearray]:
    """The bytes in parts; the last one is smaller, and may be empty. A part is the reader's: it is not kept here."""
    part = bytearray()
    size, count = PART_BYTES, 0
    async for chunk in chunks:
        part += chunk
        while len(part) >= size:
            rest = part[size:]
            del part[size:]
            yield part
            part = rest
            count += 1
            size = PART_BYTES if count < SMALL_PARTS else LARGE_PART_BYTES
    yield part


async def _pieces(part: bytearray) -> AsyncGenerator[bytes]:
    """A part in pieces that a connection takes one by one: written at once it would be copied once more."""
    for start in range(0, len(part), CHUNK_BYTES):
        yield bytes(part[start : start + CHUNK_BYTES])


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
