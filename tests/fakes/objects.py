"""An object store in memory, and what its clients get who follow links to it."""

from __future__ import annotations

import base64
import hashlib
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING

from shared.errors import Unavailable
from shared.objects import ObjectInfo, ObjectNotFoundError, ObjectTooLargeError, SignedPut

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
    from datetime import timedelta

_CHUNK_BYTES = 64 * 1024
_CHECKSUM = "x-amz-checksum-sha256"


@dataclass(frozen=True, slots=True)
class _Object:
    body: bytes
    content_type: str
    sha256: bytes
    modified: datetime


@dataclass(frozen=True, slots=True)
class _Link:
    key: str
    ends: datetime
    #: Of a PUT: what has to be sent.
    headers: Mapping[str, str] | None = None
    size: int = 0


class FakeObjects:
    """Keeps the promises of `shared.objects.Objects`.

    Args:
        now: Tells the time.
    """

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        self.objects: dict[str, _Object] = {}
        self._links: dict[str, _Link] = {}
        #: Set to have the store away.
        self.away = False

    async def check(self) -> None:
        self._ask()

    async def close(self) -> None:
        return

    async def put(self, key: str, body: bytes, *, content_type: str) -> None:
        self._ask()
        self._put(key, body, content_type, hashlib.sha256(body).digest())

    async def put_stream(self, key: str, chunks: AsyncIterator[bytes], *, size: int | None, content_type: str) -> int:
        body = b"".join([chunk async for chunk in chunks])
        if size not in {None, len(body)}:
            raise ValueError(f"there are {len(body)} bytes where {size} were to come")
        self._ask()
        self._put(key, body, content_type, b"")
        return len(body)

    async def get(self, key: str, *, at_most: int) -> bytes:
        body = self._get(key).body
        if len(body) > at_most:
            raise ObjectTooLargeError(key)
        return body

    @asynccontextmanager
    async def open(self, key: str) -> AsyncGenerator[AsyncIterator[bytes]]:
        body = self._get(key).body

        async def chunks() -> AsyncGenerator[bytes]:
            for start in range(0, len(body), _CHUNK_BYTES):
                self._ask()
                yield body[start : start + _CHUNK_BYTES]

        yield chunks()

    async def head(self, key: str) -> ObjectInfo | None:
        self._ask()
        found = self.objects.get(key)
        if found is None:
            return None
        return ObjectInfo(
            size=len(found.body),
            content_type=found.content_type,
            sha256=found.sha256,
            modified=found.modified.replace(microsecond=0),
        )

    async def copy(self, source: str, target: str) -> None:
        found = self._get(source)
        self._put(target, found.body, found.content_type, found.sha256)

    async def delete(self, key: str) -> None:
        self._ask()
        self.objects.pop(key, None)

    async def older(self, prefix: str, before: datetime) -> AsyncGenerator[list[str]]:
        self._ask()
        found = [key for key, each in self.objects.items() if key.startswith(prefix) and each.modified < before]
        if found:
            yield found

    async def delete_many(self, keys: Sequence[str]) -> None:
        for key in keys:
            await self.delete(key)

    async def link(self, key: str, *, lifetime: timedelta, content_disposition: str = "") -> str:
        del content_disposition
        return self._new_link(_Link(key, self._now() + lifetime))

    async def upload_link(
        self, key: str, *, size: int, content_type: str, sha256: bytes, lifetime: timedelta
    ) -> SignedPut:
        headers = {"Content-Type": content_type, _CHECKSUM: base64.b64encode(sha256).decode()}
        url = self._new_link(_Link(key, self._now() + lifetime, headers=headers, size=size))
        return SignedPut(url=url, headers=headers)

    def send(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """Follows a link that puts; answers with the HTTP status."""
        link = self._links[url]
        if link.headers is None or self._now() >= link.ends or len(body) != link.size or dict(headers) != link.headers:
            return HTTPStatus.FORBIDDEN
        digest = hashlib.sha256(body).digest()
        if base64.b64encode(digest).decode() != headers[_CHECKSUM]:
            return HTTPStatus.BAD_REQUEST
        self._put(link.key, body, headers["Content-Type"], digest)
        return HTTPStatus.OK

    def follow(self, url: str) -> tuple[int, bytes, str]:
        """Follows a link that gets; answers with the HTTP status, the body and its type."""
        link = self._links[url]
        if link.headers is not None or self._now() >= link.ends:
            return HTTPStatus.FORBIDDEN, b"", ""
        found = self.objects.get(link.key)
        if found is None:
            return HTTPStatus.NOT_FOUND, b"", ""
        return HTTPStatus.OK, found.body, found.content_type

    def _new_link(self, link: _Link) -> str:
        url = f"https://objects.example/{link.key}?signed={len(self._links)}"
        self._links[url] = link
        return url

    def _put(self, key: str, body: bytes, content_type: str, sha256: bytes) -> None:
        self.objects[key] = _Object(body, content_type, sha256, self._now())

    def _get(self, key: str) -> _Object:
        self._ask()
        if key not in self.objects:
            raise ObjectNotFoundError(key)
        return self.objects[key]

    def _ask(self) -> None:
        if self.away:
            raise Unavailable("the object store does not answer", metadata={"dependency": "objects"})
