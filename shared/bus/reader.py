"""Reading: the messages of a stream in order, by one who builds something up from them and acknowledges nothing."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import nats.errors
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from shared import ids
from shared.bus.driver import TIMEOUT, translated, unavailable
from shared.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from nats.aio.client import Client as NatsClient
    from nats.aio.msg import Msg
    from nats.aio.subscription import Subscription

#: Messages asked for ahead.
_AHEAD = 512
#: How long the server keeps a request for messages open.
_EXPIRES_S = 30
#: How often it says that it still does; after two silent ones the request is taken as lost.
_HEARTBEAT_S = 5
#: After such a time without a request the server forgets the reader.
_FORGOTTEN_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A message as a stream has it.

    Args:
        sequence: Of the stream.
        time: When it was stored.
        pending: How many of those read for came after it, at that moment.
    """

    subject: str
    payload: bytes
    headers: Mapping[str, str]
    sequence: int
    time: datetime
    pending: int


class Reader:
    """Reads messages in the stream's order and leaves none out; after a loss of the server it goes on where it was.

    Args:
        client: Connected.
        stream: Whose messages.
        subjects: Which of them; may hold wildcards.
        start: The sequence or the time to read from; None for the newest message of each subject, and from there on.
    """

    def __init__(
        self, client: NatsClient, stream: str, subjects: Sequence[str], *, start: int | datetime | None
    ) -> None:
        self._client = client
        self._stream = stream
        self._subjects = subjects
        self._start = start
        self._name = ""
        self._inbox = ""
        self._subscription: Subscription | None = None
        self._arrived = asyncio.Event()
        self._waiting: deque[Stored] = deque()
        self._requested = 0
        self._delivered = 0
        self._lost = True
        self._empty = False

    async def opened(self) -> bool:
        """Opens it if it is not open, and answers whether anything is there to be read.

        Raises:
            Unavailable: The server does not answer.
        """
        if self._lost:
            await self.close()
            await self._open()
        return not self._empty

    async def batch(self) -> list[Stored]:
        """The next messages, at least one; waits for it.

        Raises:
            Unavailable: The server does not answer, or was lost; the next call goes on with what was not read yet.
        """
        await self.opened()
        try:
            while not self._waiting:
                await self._await_more()
        except Unavailable:
            self._lost = True
            raise
        read = list(self._waiting)
        self._waiting.clear()
        if self._start is not None:
            self._start = read[-1].sequence + 1
        return read

    def reconnected(self) -> None:
        """Takes what was asked for before the loss as lost."""
        self._lost = True
        self._arrived.set()

    async def close(self) -> None:
        """Ends the subscription; the server forgets the rest by itself."""
        if self._subscription is not None:
            with contextlib.suppress(nats.errors.Error):  # the connection is gone, and the subscription with it
                await self._subscription.unsubscribe()
            self._subscription = None

    async def _open(self) -> None:
        config = ConsumerConfig(
            name=f"reader-{ids.uuid7()}",  # in the request's subject, by which a server tells it from others' consumers
            filter_subjects=list(self._subjects),
            deliver_policy=DeliverPolicy.LAST_PER_SUBJECT,
            ack_policy=AckPolicy.NONE,
            mem_storage=True,
            inactive_threshold=_FORGOTTEN_S,
            num_replicas=1,
        )
        if isinstance(self._start, int):
            config.deliver_policy = DeliverPolicy.BY_START_SEQUENCE
            config.opt_start_seq = max(1, self._start)
        elif self._start is not None:
            config.deliver_policy = DeliverPolicy.BY_START_TIME
            config.opt_start_time = self._start
        async with translated():
            made = await self._client.jetstream(timeout=TIMEOUT.total_seconds()).add_consumer(self._stream, config)
            self._name = made.name
            self._empty = not made.num_pending
            self._inbox = self._client.new_inbox()
            self._waiting.clear()
            self._requested = 0
            self._delivered = 0
            self._lost = False
            self._subscription = await self._client.subscribe(self._inbox, cb=self._receive)

    async def _await_more(self) -> None:
        if self._lost:
            raise unavailable("the reader was lost")
        self._arrived.clear()
        if self._requested < _AHEAD // 2:
            await self._request(_AHEAD - self._requested)
        try:
            async with asyncio.timeout(2 * _HEARTBEAT_S + 1):
                await self._arrived.wait()
        except TimeoutError:
            raise unavailable("the server went silent") from None

    async def _request(self, count: int) -> None:
        request = {
            "batch": count,
            "expires": _EXPIRES_S * 1_000_000_000,
            "idle_heartbeat": _HEARTBEAT_S * 1_000_000_000,
        }
        self._requested += count
        async with translated():
            await self._client.publish(
                f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{self._name}",
                json.dumps(request).encode(),
                reply=self._inbox,
            )

    async def _receive(self, message: Msg) -> None:
        if message.subject == self._inbox and not message.reply:
            self._receive_status(message)
        else:
            self._receive_message(message)
        self._arrived.set()

    def _receive_status(self, message: Msg) -> None:
        headers = message.headers or {}
        code = headers.get("Status", "")
        if code == "100":  # a heartbeat; its arrival is all it says
            return
        self._requested -= int(headers.get("Nats-Pending-Messages", "0"))
        if code not in {"404", "408"}:  # 409: the consumer is gone or the server is going; 503: nobody listens
            self._lost = True

    def _receive_message(self, message: Msg) -> None:
        metadata = message.metadata
        if self._lost or metadata.consumer != self._name:
            return
        if metadata.sequence.consumer != self._delivered + 1:  # one in between was lost, and nothing sends it again
            self._lost = True
            return
        self._delivered += 1
        self._requested -= 1
        self._waiting.append(
            Stored(
                subject=message.subject,
                payload=message.data,
                headers=message.headers or {},
                sequence=metadata.sequence.stream,
                time=metadata.timestamp,
                pending=metadata.num_pending,
            )
        )
