"""Where audit entries go, in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.events.v1.audit_pb2 import AuditEntry

from shared.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.bus import Outgoing


class FakePublisher:
    """A stream that takes each id once, and can be away."""

    def __init__(self) -> None:
        self.messages: dict[str, Outgoing] = {}
        #: Nothing is taken while it is, and the publisher is told so.
        self.away = False
        #: Messages are taken, and the publisher is told that they may not be: the acknowledgement was lost.
        self.deaf = False
        #: How many messages each publish had.
        self.batches: list[int] = []

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        if self.away:
            raise Unavailable("NATS does not answer")
        self.batches.append(len(messages))
        for message in messages:
            self.messages.setdefault(message.message_id, message)
        if self.deaf:
            raise Unavailable("NATS does not answer")

    @property
    def entries(self) -> list[AuditEntry]:
        """What it has taken, in order."""
        return [AuditEntry.FromString(message.payload) for message in self.messages.values()]
