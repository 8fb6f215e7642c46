"""Consuming: batches of messages from a durable consumer."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from datetime import timedelta
from typing import TYPE_CHECKING

from shared import observability
from shared.bus.driver import TIMEOUT, translated, unavailable
from shared.bus.messages import Incoming
from shared.errors import PenstockError
from shared.retry import Backoff

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from nats.aio.client import Client as NatsClient
    from nats.aio.msg import Msg
    from nats.aio.subscription import Subscription
    from nats.js.api import ConsumerConfig

log = observability.logger()

#: Messages asked for ahead, and handled at once at most.
_MAX_BATCH = 256
_PLAIN_REPLY_PARTS = 9


class Consumer:
    """Takes messages of a durable consumer in batches, and puts itself right after any loss of the server.

    Args:
        client: Connected.
        stream: Whose messages.
        config: Which of them; made if it is not there.
    """

    #: How long the server keeps a request for messages open.
    _EXPIRES_S = 30
    #: How often it says that it still does; after two silent ones the request is taken as lost.
    _HEARTBEAT_S = 5
    _BACKOFF = Backoff(initial=timedelta(milliseconds=200), maximum=timedelta(seconds=5))

    def __init__(self, client: NatsClient, stream: str, config: ConsumerConfig) -> None:
        self._client = client
        self._stream = stream
        self._config = config
        self._durable = config.durable_name or ""
        self._inbox = ""
        self._subscription: Subscription | None = None
        self._arrived = asyncio.Event()
        self._pending: deque[Msg] = deque()
        self._requested = 0
        self._lost = False

    async def run(
        self, handle: Callable[[Sequence[Incoming]], Awaitable[None]], *, gather: timedelta = timedelta()
    ) -> None:
        """Calls `handle` with batch after batch, until canceled.

        What `handle` returns from is acknowledged, but for the messages it gave another verdict. When it raises, its
        messages are tried one by one, and those that fail again come again later. With `gather`, a batch that is not
        full waits so long for more: for whom fewer and larger ones are worth a moment.
        """
        failures = 0
        while True:
            try:
                await self._open()
                failures = 0
                while True:
                    await self._step(handle, gather.total_seconds())
            except PenstockError as error:
                failures += 1
                pause = self._BACKOFF.pause(failures)
                log.warning("consumer_interrupted", consumer=self._durable, error=error.message)
                await asyncio.sleep(pause.total_seconds())

    def reconnected(self) -> None:
        """Takes what was asked for before the loss as lost."""
        self._lost = True
        self._arrived.set()

    async def _open(self) -> None:
        async with translated():
            await self._client.jetstream(timeout=TIMEOUT.total_seconds()).add_consumer(self._stream, self._config)
            if self._subscription is not None:
                await self._subscription.unsubscribe()
            # A new one, so that what is said of requests made before goes nowhere. Messages that came before are kept:
            # the server takes them as delivered, and sends them again only when the time to acknowledge them is over.
            self._inbox = self._client.new_inbox()
            self._requested = 0
            self._lost = False
            self._subscription = await self._client.subscribe(self._inbox, cb=self._receive)

    async def _receive(self, message: Msg) -> None:
        if not message.reply:
            if message.subject == self._inbox:
                self._receive_status(message)
        else:
            self._requested -= 1
            self._pending.append(message)
        self._arrived.set()

    def _receive_status(self, message: Msg) -> None:
        headers = message.headers or {}
        code = headers.get("Status", "")
        if code == "100":  # a heartbeat; its arrival is all it says
            return
        self._requested -= int(headers.get("Nats-Pending-Messages", "0"))
        if code not in {"404", "408"}:  # 409: the consumer is gone or the server is going; 503: nobody listens
            self._lost = True

    async def _step(self, handle: Callable[[Sequence[Incoming]], Awaitable[None]], gather_s: float) -> None:
        if self._lost:
            raise unavailable("the consumer was lost")
        await self._ask_ahead()
        if not self._pending:
            self._arrived.clear()
            try:
                async with asyncio.timeout(2 * self._HEARTBEAT_S + 1):
                    await self._arrived.wait()
            except TimeoutError:
                raise unavailable("the server went silent") from None
        if gather_s and self._pending:
            await self._gather(gather_s)
        batch = [self._incoming(self._pending.popleft()) for _ in range(min(len(self._pending), _MAX_BATCH))]
        if batch:
            await self._handle(handle, batch)

    async def _gather(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                while len(self._pending) < _MAX_BATCH and not self._lost:
                    await self._ask_ahead()
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError:
            return

    async def _ask_ahead(self) -> None:
        if self._requested < _MAX_BATCH // 2:
            await self._request(_MAX_BATCH - self._requested)

    async def _request(self, count: int) -> None:
        request = {
            "batch": count,
            "expires": self._EXPIRES_S * 1_000_000_000,
            "idle_heartbeat": self._HEARTBEAT_S * 1_000_000_000,
        }
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{self._durable}"
        self._requested += count
        async with translated():
            await self._client.publish(subject, json.dumps(request).encode(), reply=self._inbox)

    async def _handle(self, handle: Callable[[Sequence[Incoming]], Awaitable[None]], batch: Sequence[Incoming]) -> None:
        try:
            await handle(batch)
        except PenstockError as error:  # a dependency is away; all of it comes again
            log.warning("batch_delayed", consumer=self._durable, messages=len(batch), error=error.message)
            for message in batch:
                message.retry(self._BACKOFF.ceiling(message.deliveries))
            await asyncio.sleep(self._BACKOFF.initial.total_seconds())
        except Exception as error:  # logged, and sent again; nothing is acknowledged that was not handled
            if len(batch) > 1:
                for message in batch:
                    await self._handle(handle, [message])
                return
            log.exception("message_failed", consumer=self._durable, subject=batch[0].subject, error=repr(error))
            batch[0].retry(self._BACKOFF.ceiling(batch[0].deliveries))
        async with translated():
            for message in batch:
                await self._client.publish(message.reply, message.verdict)

    @staticmethod
    def _incoming(message: Msg) -> Incoming:
        sequence, deliveries = _delivery(message.reply)
        return Incoming(
            subject=message.subject,
            payload=message.data,
            headers=message.headers or {},
            sequence=sequence,
            deliveries=deliveries,
            reply=message.reply,
        )


def _delivery(reply: str) -> tuple[int, int]:
    """The message's sequence and how often it was delivered, as the subject of its acknowledgement tells them.

    It is `$JS.ACK.<stream>.<consumer>.<deliveries>.<sequence>. ...` of 9 parts, or has a domain and an account before
    the stream (NATS' ADR-15). The driver's own reading of it takes four times as long.
    """
    parts = reply.split(".")
    deliveries, sequence = parts[4:6] if len(parts) == _PLAIN_REPLY_PARTS else parts[6:8]
    return int(sequence), int(deliveries)
