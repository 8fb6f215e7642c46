"""What every object store does: the fake in memory and the real one behind the S3 API."""

from __future__ import annotations

import hashlib
import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import aiohttp
import pytest

from shared.objects import ObjectNotFoundError, ObjectTooLargeError
from shared.objects.streams import PART_BYTES
from tests.fakes.objects import FakeObjects
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping

    from shared.objects import Objects

    Store = Objects | FakeObjects

KEY = "results/acme/http-1/1"
TYPE = "text/plain"


@pytest.fixture(params=["fake", "real"])
def store(request: pytest.FixtureRequest) -> Store:
    return FakeObjects() if request.param == "fake" else request.getfixturevalue("objects")


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def send(store: Store, session: aiohttp.ClientSession, url: str, body: bytes, headers: Mapping[str, str]) -> int:
    """What becomes of a PUT of someone who has nothing but the link."""
    if isinstance(store, FakeObjects):
        return store.send(url, body, headers)
    async with session.put(url, data=body, headers=headers) as answer:
        return answer.status


async def follow(store: Store, session: aiohttp.ClientSession, url: str) -> tuple[int, bytes, str]:
    """What such a one gets."""
    if isinstance(store, FakeObjects):
        return store.follow(url)
    async with session.get(url) as answer:
        return answer.status, await answer.read(), answer.headers["Content-Type"]


async def of(body: bytes, *, chunk: int = 64 * 1024, fails: bool = False) -> AsyncGenerator[bytes]:
    for start in range(0, len(body), chunk):
        yield body[start : start + chunk]
    if fails:
        raise RuntimeError("the source failed")


async def test_what_was_put_is_got_with_its_type_and_digest(store: Store) -> None:
    before = datetime.now(UTC) - timedelta(seconds=2)
    await store.put(KEY, b"a body", content_type=TYPE)
    assert await store.get(KEY, at_most=6) == b"a body"
    info = await store.head(KEY)
    assert info is not None
    assert (info.size, info.content_type) == (6, TYPE)
    assert info.sha256 == hashlib.sha256(b"a body").digest()
    assert before < info.modified < datetime.now(UTC) + timedelta(seconds=2)


async def test_what_is_put_again_is_replaced(store: Store) -> None:
    await store.put(KEY, b"one", content_type=TYPE)
    await store.put(KEY, b"other", content_type="text/html")
    assert await store.get(KEY, at_most=9) == b"other"


async def test_nothing_is_there_before_it_was_put(store: Store) -> None:
    assert await store.head(KEY) is None
    with pytest.raises(ObjectNotFoundError):
        await store.get(KEY, at_most=1)
    with pytest.raises(ObjectNotFoundError):
        async with store.open(KEY):
            pass
    with pytest.raises(ObjectNotFoundError):
        await store.copy(KEY, "uploads/acme/x")
    await store.delete(KEY)
    assert await store.head(KEY) is None


async def test_more_than_was_asked_for_is_not_got(store: Store) -> None:
    await store.put(KEY, b"a body", content_type=TYPE)
    with pytest.raises(ObjectTooLargeError):
        await store.get(KEY, at_most=5)


async def test_what_was_deleted_is_gone(store: Store) -> None:
    await store.put(KEY, b"a body", content_type=TYPE)
    await store.delete(KEY)
    assert await store.head(KEY) is None


async def test_a_copy_has_the_bytes_the_type_and_the_digest_and_outlives_its_source(store: Store) -> None:
    await store.put(KEY, b"a body", content_type=TYPE)
    source = await store.head(KEY)
    await store.copy(KEY, "uploads/acme/x")
    await store.delete(KEY)
    copied = await store.head("uploads/acme/x")
    assert source is not None
    assert copied is not None
    assert (copied.size, copied.content_type, copied.sha256) == (source.size, TYPE, source.sha256)
    assert await store.get("uploads/acme/x", at_most=6) == b"a body"


@pytest.mark.parametrize("sized", [True, False])
@pytest.mark.parametrize("size", [0, 1, PART_BYTES - 1, PART_BYTES, 2 * PART_BYTES + 1])
async def test_a_stream_is_put_byte_for_byte(store: Store, size: int, *, sized: bool) -> None:
    body = os.urandom(size)
    put = await store.put_stream(KEY, of(body), size=size if sized else None, content_type=TYPE)
    assert put == size
    async with store.open(KEY) as chunks:
        got = [chunk async for chunk in chunks]
    assert b"".join(got) == body
    assert all(0 < len(chunk) <= 64 * 1024 for chunk in got)
    info = await store.head(KEY)
    assert info is not None
    assert (info.size, info.content_type) == (size, TYPE)


@pytest.mark.parametrize("sized", [True, False])
@pytest.mark.parametrize("size", [1, 2 * PART_BYTES + 1])
async def test_of_a_stream_that_fails_nothing_is_seen(store: Store, size: int, *, sized: bool) -> None:
    with pytest.raises(RuntimeError, match="the source failed"):
        await store.put_stream(KEY, of(bytes(size), fails=True), size=size + 1 if sized else None, content_type=TYPE)
    assert await store.head(KEY) is None


@pytest.mark.parametrize("told", [99_999, 100_001])
async def test_a_stream_of_another_size_than_was_told_is_not_put(store: Store, told: int) -> None:
    with pytest.raises(ValueError, match="were to come"):
        await store.put_stream(KEY, of(bytes(100_000)), size=told, content_type=TYPE)
    assert await store.head(KEY) is None


async def test_a_link_gets_the_object_until_it_ends(store: Store, session: aiohttp.ClientSession) -> None:
    await store.put(KEY, b"a body", content_type=TYPE)
    url = await store.link(KEY, lifetime=timedelta(minutes=1))
    assert await follow(store, session, url) == (200, b"a body", TYPE)
    brief = await store.link(KEY, lifetime=timedelta(seconds=1))

    async def has_ended() -> bool:
        return (await follow(store, session, brief))[0] == 403

    await eventually(has_ended, what="the end of the link")


async def test_an_upload_link_takes_what_was_told_and_nothing_else(
    store: Store, session: aiohttp.ClientSession
) -> None:
    body = os.urandom(200_000)
    put = await store.upload_link(
        KEY,
        size=len(body),
        content_type="image/png",
        sha256=hashlib.sha256(body).digest(),
        lifetime=timedelta(minutes=1),
    )
    other_type = {**put.headers, "Content-Type": "text/html"}
    assert await send(store, session, put.url, body[:-1] + bytes([body[-1] ^ 1]), put.headers) == 400
    assert await send(store, session, put.url, body + b"x", put.headers) == 403
    assert await send(store, session, put.url, body[:-1], put.headers) == 403
    assert await send(store, session, put.url, body, other_type) == 403
    assert await send(store, session, put.url, body, {"Content-Type": "image/png"}) == 403
    assert await store.head(KEY) is None
    assert await send(store, session, put.url, body, put.headers) == 200
    info = await store.head(KEY)
    assert info is not None
    assert (info.size, info.content_type, info.sha256) == (200_000, "image/png", hashlib.sha256(body).digest())


async def test_an_upload_link_gets_nothing_and_ends(store: Store, session: aiohttp.ClientSession) -> None:
    await store.put(KEY, b"x", content_type=TYPE)
    put = await store.upload_link(
        KEY, size=1, content_type=TYPE, sha256=hashlib.sha256(b"x").digest(), lifetime=timedelta(seconds=1)
    )
    assert (await follow(store, session, put.url))[0] == 403

    async def has_ended() -> bool:
        return await send(store, session, put.url, b"x", put.headers) == 403

    await eventually(has_ended, what="the end of the link")
