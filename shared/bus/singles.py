"""Messages published one by one, each with an acknowledgement of its own, and awaited together."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.bus.driver import TIMEOUT, translated, unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nats.aio.client import Client as NatsClient
    from nats.aio.msg import Msg

    from shared.bus.messages import Outgoing


@dataclass(slots=True, kw_only=True, eq=False)
class _Awaited:
    """The acknowledgements of one call that are still to come."""

    missing: int
    done: asyncio.Future[None]
    #: Why the server has refused one of its messages.
    refusal: str = ""


class Singles:
    """Publishes so on one connection; the driver's own way costs a future, a timer and a task for each message.

    Args:
        client: Connected.
    """

    def __init__(self, client: NatsClient) -> None:
        self._client = client
        self._inbox = ""
        self._sent = 0
        self._awaited: dict[str, _Awaited] = {}

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        """On return all are on disk; what the stream knew already is acknowledged too.

        Raises:
            Unavailable: The server does not answer, or refuses. Any of them may be on disk.
        """
        awaited = _Awaited(missing=len(messages), done=asyncio.get_running_loop().create_future())
        replies: list[str] = []
        try:
            async with translated(), asyncio.timeout(TIMEOUT.total_seconds()):
                await self._listen()
                for message in messages:
                    self._sent += 1
                    replies.append(reply := f"{self._inbox}.{self._sent}")
                    self._awaited[reply] = awaited
                    await self._client.publish(message.subject, message.payload, reply=reply, headers=message.headers())
                await awaited.done
        finally:
            for reply in replies:
                self._awaited.pop(reply, None)
        if awaited.refusal:
            raise unavailable(f"NATS refused a message: {awaited.refusal}")

    async def _listen(self) -> None:
        if not self._inbox:
            inbox = self._client.new_inbox()
            await self._client.subscribe(f"{inbox}.*", cb=self._receive)
            self._inbox = inbox

    async def _receive(self, message: Msg) -> None:
        awaited = self._awaited.pop(message.subject, None)
        if awaited is None:  # who sent it waits no more
            return
        awaited.refusal = _refusal(message.data) or awaited.refusal
        awaited.missing -= 1
        if not awaited.missing and not awaited.done.done():
            awaited.done.set_result(None)


def _refusal(answer: bytes) -> str:
    """Why the server has refused a message, or an empty text."""
    if not answer:
        return "no stream has its subject"
    error = json.loads(answer).get("error")
    return error.get("description", "it says no more") if error is not None else ""
