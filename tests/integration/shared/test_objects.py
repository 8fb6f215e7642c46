"""The object store as the services use it: its rules, and what becomes of objects when it is lost in the middle."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import tracemalloc
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import aiohttp
import pytest

from deploy.local import layout, programs
from deploy.local.stack import Stack
from shared import objects as objects_
from shared.config import Secret
from shared.errors import Unavailable
from shared.objects import bucket, streams
from shared.objects.keys import LIFETIME_DAYS
from shared.objects.streams import PART_BYTES
from tests import object_stores
from tests.servers import OBJECTS, wait_for_objects
from tests.waiting import eventually
from tests.wires import wire_to

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterator
    from pathlib import Path

    from shared.objects import Objects, ObjectSettings
    from tests.wires import Wire

KEY = "results/acme/http-1/1"
TYPE = "application/octet-stream"
CHUNK = bytes(64 * 1024)


@pytest.fixture
async def wire(object_settings: ObjectSettings) -> AsyncIterator[Wire]:
    """A way to the store that can be cut."""
    store = urlsplit(object_settings.url)
    async with wire_to(store.hostname or "", store.port or 0) as wire:
        yield wire


@pytest.fixture
async def by_wire(wire: Wire, objects: Objects, object_settings: ObjectSettings) -> AsyncIterator[Objects]:
    """A client that reaches the store by the wire."""
    del objects
    url = f"http://127.0.0.1:{wire.port}"
    client = await objects_.connect(replace(object_settings, url=url, public_url=url))
    yield client
    await client.close()


async def of(size: int) -> AsyncGenerator[bytes]:
    for _ in range(size // len(CHUNK)):
        yield CHUNK


async def rules_of(client: Objects) -> dict[str, tuple[str, int, int]]:
    """The bucket's rules by their ids: prefix, days of objects, days of parts that were left."""
    answer = await client._asking.get_bucket_lifecycle_configuration(Bucket=client._bucket)
    return {
        rule["ID"]: (
            rule["Filter"]["Prefix"],
            rule["Expiration"]["Days"],
            rule.get("AbortIncompleteMultipartUpload", {}).get("DaysAfterInitiation", 0),
        )
        for rule in answer["Rules"]
    }


async def test_the_bucket_is_made_with_its_rules_and_made_once(object_settings: ObjectSettings) -> None:
    own = replace(object_settings, bucket="made-anew")
    first = await objects_.connect(own)
    expected = {
        "penstock-cache": ("cache/", 2, 1),
        "penstock-incoming": ("incoming/", 1, 1),
        "penstock-params": ("params/", 8, 1),
        "penstock-uploads": ("uploads/", 15, 1),
        "penstock-results": ("results/", 90, 1),
        "penstock-exports": ("exports/", 7, 1),
        "penstock-erasures": ("erasures/", 400, 1),
    }
    assert await rules_of(first) == expected
    await first.put(KEY, b"kept", content_type=TYPE)
    again = await objects_.connect(own)
    assert await again.get(KEY, at_most=4) == b"kept"
    assert await rules_of(again) == expected
    await first.close()
    await again.close()


async def test_rules_that_were_changed_come_back_and_an_operators_stay(object_settings: ObjectSettings) -> None:
    own = replace(object_settings, bucket="with-rules")
    client = await objects_.connect(own)
    expected = await rules_of(client)
    operators = {"ID": "logs", "Status": "Enabled", "Filter": {"Prefix": "logs/"}, "Expiration": {"Days": 3}}
    changed = [operators, *(rule | {"Expiration": {"Days": 400}} for rule in bucket.rules()[:2])]
    await client._asking.put_bucket_lifecycle_configuration(
        Bucket=own.bucket, LifecycleConfiguration={"Rules": changed}
    )
    again = await objects_.connect(own)
    assert await rules_of(again) == {"logs": ("logs/", 3, 0), **expected}
    await client.close()
    await again.close()


async def test_replicas_that_make_the_bucket_at_once_make_one(object_settings: ObjectSettings) -> None:
    own = replace(object_settings, bucket="made-by-many")
    clients = await asyncio.gather(*(objects_.connect(own) for _ in range(4)))
    await clients[0].put(KEY, b"x", content_type=TYPE)
    assert [await client.get(KEY, at_most=1) for client in clients] == [b"x"] * 4
    for client in clients:
        await client.close()


async def test_a_bucket_that_was_lost_is_made_again_by_the_check(object_settings: ObjectSettings) -> None:
    client = await objects_.connect(replace(object_settings, bucket="soon-gone"))
    await client._asking.delete_bucket(Bucket="soon-gone")
    with pytest.raises(Unavailable):
        await client.check()
    await client.check()
    assert len(await rules_of(client)) == len(LIFETIME_DAYS)
    await client.close()


async def test_a_store_that_is_away_is_unavailable_and_usable_once_it_is_back(by_wire: Objects, wire: Wire) -> None:
    await by_wire.put(KEY, b"kept", content_type=TYPE)
    await wire.cut()
    for act in (
        by_wire.check(),
        by_wire.put(KEY, b"lost", content_type=TYPE),
        by_wire.put_stream(KEY, of(len(CHUNK)), size=len(CHUNK), content_type=TYPE),
        by_wire.put_stream(KEY, of(len(CHUNK)), size=None, content_type=TYPE),
        by_wire.get(KEY, at_most=4),
        by_wire.head(KEY),
        by_wire.copy(KEY, KEY + "2"),
        by_wire.delete(KEY),
    ):
        with pytest.raises(Unavailable) as refused:
            await act
        assert refused.value.metadata == {"dependency": "objects"}
        assert refused.value.retry_after is not None
    assert await by_wire.link(KEY, lifetime=timedelta(minutes=1))  # asks nobody
    await wire.mend()
    await by_wire.check()
    assert await by_wire.get(KEY, at_most=4) == b"kept"


async def test_a_wrong_secret_is_told_as_the_stores_refusal(object_settings: ObjectSettings) -> None:
    client = await objects_.open_objects(replace(object_settings, secret_key=Secret("wrong")))
    for act in (client.check(), client.put(KEY, b"x", content_type=TYPE), client.get(KEY, at_most=1)):
        with pytest.raises(Unavailable, match="refuses"):
            await act
    with pytest.raises(Unavailable):
        await objects_.connect(replace(object_settings, secret_key=Secret("wrong")))
    await client.close()


@pytest.mark.parametrize("sized", [True, False])
async def test_of_a_stream_that_is_cut_nothing_is_seen(
    by_wire: Objects, wire: Wire, objects: Objects, *, sized: bool
) -> None:
    size = 4 * PART_BYTES

    async def cut_in_the_middle() -> AsyncGenerator[bytes]:
        sent = 0
        async for chunk in of(size):
            if sent == size // 2:
                await wire.cut()
            sent += len(chunk)
            yield chunk

    with pytest.raises(Unavailable):
        await by_wire.put_stream(KEY, cut_in_the_middle(), size=size if sized else None, content_type=TYPE)
    assert await objects.head(KEY) is None


async def test_parts_of_a_stream_that_fails_are_removed(objects: Objects) -> None:
    async def failing() -> AsyncGenerator[bytes]:
        async for chunk in of(2 * PART_BYTES):
            yield chunk
        raise RuntimeError("the source failed")

    with pytest.raises(RuntimeError):
        await objects.put_stream(KEY, failing(), size=None, content_type=TYPE)
    assert await object_stores.unfinished_in(objects) == []


async def test_a_stream_that_is_canceled_leaves_nothing(objects: Objects) -> None:
    begun = asyncio.Event()

    async def without_end() -> AsyncGenerator[bytes]:
        async for chunk in of(2 * PART_BYTES):
            yield chunk
        begun.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(objects.put_stream(KEY, without_end(), size=None, content_type=TYPE))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await objects.head(KEY) is None
    assert await object_stores.unfinished_in(objects) == []


async def test_an_object_whose_stream_is_cut_is_never_taken_for_whole(by_wire: Objects, wire: Wire) -> None:
    size = 32 * 1024 * 1024
    await by_wire.put_stream(KEY, of(size), size=size, content_type=TYPE)
    got: list[int] = []

    async def get() -> None:
        async with by_wire.open(KEY) as chunks:
            async for chunk in chunks:
                got.append(len(chunk))
                await wire.cut()

    with pytest.raises(Unavailable):
        await get()
    assert 0 < sum(got) < size


@asynccontextmanager
async def a_store_that_is_stuck() -> AsyncGenerator[str]:
    """The URL of a server that takes connections, and neither reads nor answers."""

    async def hold(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined]  it is a socket's
        await stuck.wait()
        writer.close()

    stuck = asyncio.Event()
    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        stuck.set()


async def test_a_store_that_takes_no_more_bytes_is_unavailable_and_a_slow_source_is_not_blamed_on_it(
    objects: Objects, object_settings: ObjectSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "STALL_TIMEOUT", timedelta(seconds=3))
    waited = asyncio.Event()

    async def slow() -> AsyncGenerator[bytes]:
        yield CHUNK
        asyncio.get_running_loop().call_later(3.5, waited.set)
        await waited.wait()
        yield CHUNK

    assert await objects.put_stream(KEY, slow(), size=2 * len(CHUNK), content_type=TYPE) == 2 * len(CHUNK)
    async with a_store_that_is_stuck() as url:
        client = await objects_.open_objects(replace(object_settings, url=url))
        with pytest.raises(Unavailable):
            await client.put_stream(KEY, of(64 * 1024 * 1024), size=64 * 1024 * 1024, content_type=TYPE)
        await client.close()


async def test_memory_stays_flat_however_much_streams(objects: Objects) -> None:
    size = 64 * 1024 * 1024
    tracemalloc.start()
    try:
        await objects.put_stream(KEY, of(size), size=size, content_type=TYPE)
        async with objects.open(KEY) as chunks:
            got = sum([len(chunk) async for chunk in chunks])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert got == size
    assert peak < 8 * 1024 * 1024


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Stack]:
    """A store of the test's own."""
    stack = Stack(layout.on_free_ports(tmp_path, programs.PORTS))
    program = next(program for program in programs.PROGRAMS if program.name == OBJECTS)
    stack.start([program], tied=True)
    wait_for_objects(stack)
    yield stack
    stack.stop()


async def test_a_store_that_is_killed_in_the_middle_keeps_what_it_acknowledged_and_nothing_half(own: Stack) -> None:
    client = await objects_.connect(object_stores.settings_of(own))
    kept = {f"params/acme/{number}": os.urandom(100_000) for number in range(10)}
    for key, body in kept.items():
        await client.put(key, body, content_type=TYPE)
    body = os.urandom(40 * 1024 * 1024)
    put = await client.upload_link(
        "incoming/acme/x",
        size=len(body),
        content_type=TYPE,
        sha256=hashlib.sha256(body).digest(),
        lifetime=timedelta(minutes=10),
    )

    async def killing() -> AsyncGenerator[bytes]:
        half = len(body) // 2
        yield body[:half]
        pid = next(status.pid for status in own.supervisor.statuses() if status.name == OBJECTS)
        os.kill(pid, signal.SIGKILL)
        yield body[half:]

    async with aiohttp.ClientSession() as session:
        headers = dict(put.headers) | {"Content-Length": str(len(body))}
        with pytest.raises(aiohttp.ClientError):
            await session.put(put.url, data=killing(), headers=headers)

        async def what_is_kept() -> dict[str, bytes] | None:
            try:
                return {key: await client.get(key, at_most=100_000) for key in kept}
            except Unavailable:  # it answers before it has found its volumes
                return None

        assert await eventually(what_is_kept, within=150) == kept
        assert await client.head("incoming/acme/x") is None
        async with session.put(put.url, data=body, headers=dict(put.headers)) as answer:  # by the link as it was
            assert answer.status == 200
    assert await client.get("incoming/acme/x", at_most=len(body)) == body
    await client.close()
