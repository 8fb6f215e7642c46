"""Streams and buckets of NATS, by the server's own snapshots (`$JS.API.STREAM.SNAPSHOT`, `$JS.API.STREAM.RESTORE`).

A snapshot has messages with their sequences, times and ids, and the consumers with what they have acknowledged. It
comes in chunks, of which the server keeps some 8 MiB under way until they are acknowledged; where it hears nothing for
5 s it gives up. So one is acknowledged as it is taken, and one every 2 s while nobody takes any.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import nats
import nats.errors

from deploy.backup.errors import BackupError
from deploy.backup.manifest import StreamPart

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping

    from nats.aio.client import Client
    from nats.aio.msg import Msg

    from shared.config import Secret

_API = "$JS.API"
_TIMEOUT_S = 10.0
#: For the next chunk to come.
_STALL_S = 60.0
#: After the last chunk the server builds the stream, before it answers.
_BUILD_S = 3600.0
_PATIENCE = timedelta(seconds=2)
_CHUNK_BYTES = 128 * 1024
_DONE = "204"
_NOT_FOUND = 404
_PAGE = 256
BUCKETS = "KV_"


class Streams:
    """Streams of one server.

    Args:
        client: Connected.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    @property
    def version(self) -> str:
        """Of the server."""
        return str(self._client.connected_server_version)

    async def names(self) -> list[str]:
        """All there are, in order."""
        found: list[str] = []
        while True:
            page = await self.ask("STREAM.NAMES", {"offset": len(found)})
            found += page.get("streams") or ()
            if len(found) >= int(page.get("total", 0)):
                return sorted(found)

    async def acknowledged(self, stream: str, consumer: str) -> int | None:
        """Up to which sequence a consumer has been handled; None where there is none of this name."""
        info = await self.info(stream, consumer)
        return None if info is None else int(info["ack_floor"]["stream_seq"])

    async def info(self, stream: str, consumer: str) -> dict[str, Any] | None:
        """What the server says of a consumer; None where there is none of this name."""
        try:
            return await self.ask(f"CONSUMER.INFO.{stream}.{consumer}")
        except _Refused as refusal:
            if refusal.code == _NOT_FOUND:
                return None
            raise

    @asynccontextmanager
    async def snapshot(self, name: str, file: str) -> AsyncGenerator[tuple[StreamPart, AsyncIterator[bytes]]]:
        """A stream as it is now, and the bytes of its snapshot as they come.

        Args:
            name: Of the stream.
            file: Where they will be.

        Raises:
            BackupError: The server refuses, or gives up in the middle.
        """
        chunks = _Chunks(self._client)
        inbox = self._client.new_inbox()
        subscription = await self._client.subscribe(inbox, cb=chunks.come, pending_bytes_limit=-1)
        try:
            wanted = {"deliver_subject": inbox, "no_consumers": False, "chunk_size": _CHUNK_BYTES}
            answer = await self.ask(f"STREAM.SNAPSHOT.{name}", wanted)
            part = StreamPart(name=name, config=answer["config"], state=answer["state"], file=file)
            yield part, chunks.taken(name)
        finally:
            await subscription.unsubscribe()

    async def restore(self, part: StreamPart, chunks: AsyncIterator[bytes], *, replicas: int = 0) -> None:
        """Makes a stream from its snapshot.

        Args:
            part: What there was.
            chunks: Of the snapshot.
            replicas: Copies of it; 0 for as many as it had.

        Raises:
            BackupError: The server refuses.
        """
        config = dict(part.config) | ({"num_replicas": replicas} if replicas else {})
        begun = await self.ask(f"STREAM.RESTORE.{part.name}", {"config": config, "state": dict(part.state)})
        target: str = begun["deliver_subject"]
        async for chunk in chunks:
            for start in range(0, len(chunk), _CHUNK_BYTES):
                await self._send(target, chunk[start : start + _CHUNK_BYTES], within=_TIMEOUT_S)
        await self._send(target, b"", within=_BUILD_S)

    async def set_back(self, stream: str, consumer: str, sequence: int) -> None:
        """Has a consumer given again all that comes after a sequence, by a server that can (2.14), or else anew."""
        try:
            await self.ask(f"CONSUMER.RESET.{stream}.{consumer}", {"seq": sequence + 1})
        except nats.errors.NoRespondersError:
            await self.make_anew(stream, consumer, sequence)

    async def make_anew(self, stream: str, consumer: str, sequence: int) -> None:
        """Makes a consumer anew, as one that was handled up to a sequence: all before it is given and acknowledged."""
        info = await self.info(stream, consumer)
        if info is None:
            return
        await self.ask(f"CONSUMER.DELETE.{stream}.{consumer}")
        await self.ask(
            f"CONSUMER.CREATE.{stream}.{consumer}",
            {"stream_name": stream, "config": info["config"], "action": "create"},
        )
        pulling = await self._client.jetstream().pull_subscribe_bind(durable=consumer, stream=stream)
        pending = sequence > 0
        while pending:
            for message in await pulling.fetch(_PAGE, timeout=_TIMEOUT_S):
                if message.metadata.sequence.stream <= sequence:
                    await message.ack_sync()
                else:
                    await message.nak()
                pending = pending and message.metadata.sequence.stream < sequence and message.metadata.num_pending > 0
        await pulling.unsubscribe()

    async def last_sequence(self, stream: str) -> int:
        """Of the newest message that a stream ever had."""
        return int((await self.ask(f"STREAM.INFO.{stream}"))["state"]["last_seq"])

    async def consumers(self, stream: str) -> list[dict[str, Any]]:
        """What the server says of a stream's consumers."""
        found: list[dict[str, Any]] = []
        while True:
            page = await self.ask(f"CONSUMER.LIST.{stream}", {"offset": len(found)})
            found += page.get("consumers") or ()
            if len(found) >= int(page.get("total", 0)):
                return found

    async def delete(self, stream: str) -> None:
        """Deletes a stream with all in it."""
        await self.ask(f"STREAM.DELETE.{stream}")

    async def numbers(self, bucket: str, prefix: str) -> Mapping[str, int]:
        """The numbers in a bucket under keys of this prefix."""
        subjects = await self.ask(f"STREAM.INFO.{BUCKETS}{bucket}", {"subjects_filter": f"$KV.{bucket}.{prefix}>"})
        found: dict[str, int] = {}
        for subject in subjects["state"].get("subjects") or ():
            message = await self._client.jetstream().get_last_msg(f"{BUCKETS}{bucket}", subject)
            found[subject.removeprefix(f"$KV.{bucket}.")] = int(message.data or b"0")
        return found

    async def put(self, bucket: str, key: str, value: bytes) -> None:
        """Puts a value into a bucket."""
        await self._client.jetstream().publish(f"$KV.{bucket}.{key}", value)

    async def ask(self, what: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The answer of JetStream's API.

        Raises:
            BackupError: It refuses, or does not answer.
        """
        request = json.dumps(body).encode() if body is not None else b""
        try:
            reply = await self._client.request(f"{_API}.{what}", request, timeout=_TIMEOUT_S)
        except nats.errors.NoRespondersError:
            raise
        except (nats.errors.Error, TimeoutError) as error:
            raise BackupError(f"NATS does not answer {what} ({type(error).__name__}); may this user ask it?") from error
        answer: dict[str, Any] = json.loads(reply.data)
        if refusal := answer.get("error"):
            raise _Refused(what, refusal)
        return answer

    async def _send(self, target: str, chunk: bytes, *, within: float) -> None:
        try:
            reply = await self._client.request(target, chunk, timeout=within)
        except (nats.errors.Error, TimeoutError) as error:
            raise BackupError(f"NATS takes no more of a stream ({type(error).__name__}); its log says why") from error
        if reply.data and (refusal := json.loads(reply.data).get("error")):
            raise _Refused("a snapshot", refusal)


class _Refused(BackupError):
    """NATS has said no."""

    def __init__(self, what: str, refusal: Mapping[str, Any]) -> None:
        super().__init__(f"NATS refuses {what}: {refusal.get('description')}")
        self.code = refusal.get("code")


class _Chunks:
    """What has come of a snapshot and was not taken yet."""

    def __init__(self, client: Client, *, patience: timedelta = _PATIENCE) -> None:
        self._client = client
        self._patience_s = patience.total_seconds()
        self._came: deque[Msg] = deque()
        self._unacknowledged: deque[str] = deque()
        self._arrived = asyncio.Event()

    async def come(self, message: Msg) -> None:
        """A chunk."""
        self._came.append(message)
        if message.data and message.reply:
            self._unacknowledged.append(message.reply)
        self._arrived.set()

    async def taken(self, name: str) -> AsyncGenerator[bytes]:
        """The chunks, each acknowledged when the next one is wanted.

        Raises:
            BackupError: The server gives up.
        """
        patience = asyncio.create_task(self._be_patient(), name="acknowledging slowly")
        try:
            while True:
                if not self._came:
                    self._arrived.clear()
                    async with asyncio.timeout(_STALL_S):
                        await self._arrived.wait()
                message = self._came.popleft()
                if not message.data:
                    _check_end(name, message)
                    return
                yield message.data
                await self._acknowledge()
        except TimeoutError as error:
            raise BackupError(f"NATS sends no more of the stream {name}; its log says why") from error
        finally:
            patience.cancel()

    async def _acknowledge(self) -> None:
        if self._unacknowledged:
            await self._client.publish(self._unacknowledged.popleft())

    async def _be_patient(self) -> None:
        while True:
            await asyncio.sleep(self._patience_s)
            await self._acknowledge()


@asynccontextmanager
async def connected(url: Secret) -> AsyncGenerator[Streams]:
    """A server, whose answers come to `_INBOX.backup`.

    Raises:
        BackupError: It is away, or refuses.
    """
    troubles: list[str] = []

    async def note(error: Exception) -> None:
        troubles.append(str(error) or type(error).__name__)

    try:
        client = await nats.connect(
            servers=url.reveal().split(","),
            name="backup",
            inbox_prefix=b"_INBOX.backup",
            connect_timeout=5,
            allow_reconnect=False,
            error_cb=note,
            max_reconnect_attempts=1,
        )
    except (nats.errors.Error, OSError, TimeoutError) as error:
        raise BackupError(f"NATS does not answer: {'; '.join(troubles) or type(error).__name__}") from error
    try:
        yield Streams(client)
    except BackupError as error:
        said = f" ({'; '.join(dict.fromkeys(troubles))})" if troubles else ""
        error.args = (f"{error}{said}",)
        raise
    finally:
        await client.close()


def _check_end(name: str, message: Msg) -> None:
    headers = message.headers or {}
    status = headers.get("Status", _DONE)
    if status != _DONE:
        raise BackupError(f"NATS gives up on the stream {name}: {status} {headers.get('Description', '')}")
