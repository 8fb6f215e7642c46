"""The connection: publish, read, signal."""

from __future__ import annotations

import contextlib
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

import nats.errors
import nats.js.errors

from shared import ids, observability, streams
from shared.bus.bucket import Bucket
from shared.bus.consumer import Consumer
from shared.bus.driver import TIMEOUT, Troubles, translated, unavailable
from shared.bus.group import MAX_GROUP, GroupPublisher
from shared.bus.headers import Client
from shared.bus.messages import Lag, Progress
from shared.bus.reader import Reader
from shared.bus.singles import Singles
from shared.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
    from datetime import datetime

    from nats.aio.msg import Msg
    from nats.js.api import ConsumerConfig

    from shared.bus.group import Unit
    from shared.bus.messages import Outgoing
    from shared.config import Secret

log = observability.logger()

#: The server makes a store of its own for an atomic batch, on disk, which costs it and us as much as some 40 messages
#: singly. On a slow disk, where each of these waits for its own write, the groups of a busy publisher outgrow this.
_ATOMIC_FROM = 32
#: The server's error that a message of an atomic batch has an id that it knows already.
_DUPLICATE_IN_BATCH = 10201


class Bus:
    """A connection to NATS; it reconnects for as long as the process lives.

    Args:
        client: Connected.
        reconnects: Called after every reconnect; whoever holds what a loss undoes adds itself.
    """

    def __init__(self, client: Client, reconnects: list[Callable[[], None]]) -> None:
        self._client = client
        self._reconnects = reconnects
        self._jetstream = client.jetstream(timeout=TIMEOUT.total_seconds())
        self._publish_singly = Singles(client).publish

    async def check(self) -> None:
        """Tries the connection.

        Raises:
            Unavailable: The server does not answer.
        """
        if not self._client.is_connected:  # while it reconnects, the driver takes a flush as done
            raise unavailable("NATS is disconnected")
        async with translated():
            await self._client.flush(timeout=1)

    async def close(self) -> None:
        """Sends what is still held, and disconnects."""
        if self._client.is_connected:
            with contextlib.suppress(nats.errors.Error):  # what is acknowledged is on disk; signals may be lost
                await self._client.flush(timeout=1)
        await self._client.close()

    async def apply_streams(self, limits: streams.StreamLimits) -> None:
        """Makes the streams, or brings them to their definition."""
        async with translated():
            for config in streams.stream_configs(limits):
                try:
                    await self._jetstream.add_stream(config)
                except nats.js.errors.BadRequestError:  # it exists, and was defined otherwise
                    await self._jetstream.update_stream(config)

    async def signal(self, subject: str, payload: bytes = b"") -> None:
        """Publishes what may be lost."""
        async with translated():
            await self._client.publish(subject, payload)

    async def on_signal(self, subject: str, handle: Callable[[bytes], Awaitable[None]], *, one_of: str = "") -> None:
        """Calls `handle` with each signal from now on, one after the other; again after every reconnect.

        Args:
            subject: Which signals.
            handle: Is given the payload of each.
            one_of: A group of listeners of which one alone hears each signal; empty where all do.
        """

        async def receive(message: Msg) -> None:
            await handle(message.data)

        async with translated():
            await self._client.subscribe(subject, queue=one_of, cb=receive)

    async def read(self, stream: str, sequence: int) -> bytes | None:
        """One message of a stream by its sequence, or None when it is no longer kept."""
        message = await self.read_message(stream, sequence)
        return None if message is None else message[0]

    async def read_message(self, stream: str, sequence: int) -> tuple[bytes, Mapping[str, str]] | None:
        """The same, with its headers."""
        async with translated():
            try:
                found = await self._jetstream.get_msg(stream, sequence, direct=True)
            except nats.js.errors.NotFoundError:
                return None
        return found.data or b"", found.headers or {}

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        """Publishes messages of one stream; on return all of them are on disk.

        Many go as one atomic batch; where the stream knows one of the ids already, each message by itself.

        Raises:
            Unavailable: The server does not answer, or refuses. Any of them may be on disk.
        """
        for start in range(0, len(messages), MAX_GROUP):
            batch = messages[start : start + MAX_GROUP]
            if len(batch) < _ATOMIC_FROM or not await self._publish_atomically(batch):
                await self._publish_singly(batch)

    async def publish_units(self, units: Sequence[Unit]) -> None:
        """Publishes units of messages of one stream, of which each is on disk as a whole or not at all.

        All go as one atomic batch, `MAX_GROUP` messages at most; where the stream knows one of the ids already, each
        unit by itself.

        Raises:
            Unavailable: The server does not answer, or refuses. Any of the units may be on disk.
        """
        single = [unit[0] for unit in units if len(unit) == 1]
        if len(single) == len(units) < _ATOMIC_FROM:
            return await self._publish_singly(single)
        if await self._publish_atomically([message for unit in units for message in unit]):
            return None
        if single:
            await self._publish_singly(single)
        for unit in units:
            if len(unit) > 1:
                await self._publish_atomically(unit)  # refused because it is known: then all of it is on disk
        return None

    async def _publish_atomically(self, batch: Sequence[Outgoing]) -> bool:
        """Answers whether it was taken; it is not where the stream knows one of the ids."""
        batch_id = str(ids.uuid7())
        headers = [
            message.headers() | {"Nats-Batch-Id": batch_id, "Nats-Batch-Sequence": str(number)}
            for number, message in enumerate(batch, start=1)
        ]
        async with translated():
            for message, its_headers in zip(batch[:-1], headers, strict=False):
                await self._client.publish(message.subject, message.payload, headers=its_headers)
            reply = await self._client.request(
                batch[-1].subject,
                batch[-1].payload,
                timeout=TIMEOUT.total_seconds(),
                headers=headers[-1] | {"Nats-Batch-Commit": "1"},
            )
        answer: dict[str, Any] = json.loads(reply.data)
        refusal = answer.get("error")
        if refusal is not None and refusal.get("err_code") != _DUPLICATE_IN_BATCH:
            raise unavailable(f"NATS refused a batch: {refusal.get('description')}")
        return refusal is None

    def consumer(self, stream: str, config: ConsumerConfig) -> Consumer:
        """A consumer of the stream, shared by all who name it so."""
        consumer = Consumer(self._client, stream, config)
        self.on_reconnect(consumer.reconnected)
        return consumer

    async def newest(self, stream: str, subject: str) -> int:
        """The sequence of a subject's newest message, as the stream's leader has it, or 0; wildcards are allowed.

        Raises:
            Unavailable: The server does not answer.
        """
        async with translated():
            try:
                return (await self._jetstream.get_last_msg(stream, subject)).seq or 0
            except nats.js.errors.NotFoundError:
                return 0

    async def acknowledged(self, stream: str, durable: str) -> int:
        """The sequence up to which a consumer has acknowledged all that it was to handle; 0 where there is no such one.

        Raises:
            Unavailable: The server does not answer.
        """
        return (await self.progress(stream, durable)).acknowledged

    async def progress(self, stream: str, durable: str) -> Progress:
        """How far a consumer is, all who share it taken together; at 0 where there is no such one.

        Raises:
            Unavailable: The server does not answer.
        """
        async with translated():
            try:
                info = await self._jetstream.consumer_info(stream, durable)
            except nats.js.errors.NotFoundError:
                return Progress(acknowledged=0, given=0)
        return Progress(
            acknowledged=(info.ack_floor.stream_seq or 0) if info.ack_floor is not None else 0,
            given=(info.delivered.stream_seq or 0) if info.delivered is not None else 0,
        )

    async def lag(self, stream: str, durable: str, subject: str) -> Lag:
        """How far a consumer is behind, all who share it taken together.

        Args:
            stream: Whose messages.
            durable: The consumer.
            subject: Which messages it is to handle; may hold wildcards.

        Raises:
            Unavailable: The server does not answer.
        """
        async with translated():
            try:
                info = await self._jetstream.consumer_info(stream, durable)
                messages = (info.num_pending or 0) + (info.num_ack_pending or 0)
                if not messages:
                    return Lag(messages=0, oldest=None)
                done = (info.ack_floor.stream_seq or 0) if info.ack_floor is not None else 0
                next_ = await self._jetstream.get_msg(stream, done + 1, subject=subject, next=True, direct=True)
            except nats.js.errors.NotFoundError:  # no such consumer, or the last of them has just gone
                return Lag(messages=0, oldest=None)
        return Lag(messages=messages, oldest=next_.time)

    @asynccontextmanager
    async def paused(self, stream: str, durable: str, *, until: datetime) -> AsyncGenerator[None]:
        """Has the server give nothing more to a consumer during the block, and no longer than until the time.

        What it was given before may still be handled. Where there is no such consumer there is nothing to be done.

        Raises:
            Unavailable: The server does not answer.
        """
        async with translated():
            with contextlib.suppress(nats.js.errors.NotFoundError):
                await self._jetstream.pause_consumer(stream, durable, until.isoformat())
        try:
            yield
        finally:
            with contextlib.suppress(Unavailable):  # it goes on by itself when the time has come
                async with translated():
                    with contextlib.suppress(nats.js.errors.NotFoundError):
                        await self._jetstream.resume_consumer(stream, durable)

    @asynccontextmanager
    async def reader(self, stream: str, *subjects: str, start: int | datetime | None = None) -> AsyncGenerator[Reader]:
        """A reader of the stream's messages in order.

        Args:
            stream: Whose messages.
            subjects: Which of them; may hold wildcards.
            start: The sequence or time to read from; None for the newest message of each subject, and from there on.
        """
        reader = Reader(self._client, stream, subjects, start=start)
        self._reconnects.append(reader.reconnected)
        try:
            yield reader
        finally:
            self._reconnects.remove(reader.reconnected)
            await reader.close()

    async def bucket(self, name: str, *, replicas: int) -> Bucket:
        """A bucket of values by key, made if it is not there.

        Args:
            name: Letters, digits, `-` and `_`.
            replicas: Copies of it, 1 or 3.

        Raises:
            Unavailable: The server does not answer.
        """
        bucket = Bucket(self._jetstream, name, self.reader)
        await bucket.apply(replicas=replicas)
        return bucket

    def on_reconnect(self, act: Callable[[], None]) -> None:
        """Calls `act` after every reconnect: signals sent in between were lost."""
        self._reconnects.append(act)

    def group_publisher(self) -> GroupPublisher:
        """A publisher that gathers what many callers publish at the same time."""
        return GroupPublisher(self.publish_units)


async def connect(url: Secret, name: str, limits: streams.StreamLimits | None = None) -> Bus:
    """A connection to a server that has answered, and has the streams.

    Args:
        url: `nats://[user:password@]host:port`, several parted by commas.
        name: The service, as the server shows it; answers come to `_INBOX.<name>`, where nobody else need look.
        limits: Of the streams; None for a service that uses signals alone.

    Raises:
        Unavailable: No server answers.
    """
    reconnects: list[Callable[[], None]] = []

    async def on_disconnect() -> None:
        log.warning("nats_disconnected")

    async def on_reconnect() -> None:
        log.info("nats_reconnected")
        for act in reconnects:
            act()

    client = Client()
    async with translated():
        await client.connect(
            servers=url.reveal().split(","),
            name=name,
            inbox_prefix=f"_INBOX.{name}",
            connect_timeout=2,
            allow_reconnect=True,
            max_reconnect_attempts=-1,
            reconnect_time_wait=cast("int", 0.25),  # the driver takes parts of a second; its annotation does not
            ping_interval=5,
            max_outstanding_pings=2,
            pending_size=64 * 1024 * 1024,
            error_cb=Troubles(name, lambda: client.is_connected).tell,
            disconnected_cb=on_disconnect,
            reconnected_cb=on_reconnect,
        )
    bus = Bus(client, reconnects)
    if limits is not None:
        try:
            await bus.apply_streams(limits)
        except BaseException:
            await client.close()
            raise
    return bus
