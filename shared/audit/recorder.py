"""What a process tells of the calls that it answers."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from shared.audit.decisions import AUDITED
from shared.audit.entries import CANCELED, OK, entry_of
from shared.audit.outbox import Outbox
from shared.audit.refusals import Refusals
from shared.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.protobuf.message import Message
    from penstock.events.v1.audit_pb2 import AuditEntry

    from shared.audit.outbox import Held, Publisher
    from shared.clock import Clock
    from shared.rpc.call import Call

#: The gRPC codes of errors after which nobody knows what was changed; after any other, nothing was.
_MAY_HAVE_CHANGED = frozenset({"INTERNAL", "UNAVAILABLE", "DEADLINE_EXCEEDED", "UNKNOWN"})
#: What a call keeps of its caller's time to send its answer.
_ANSWER_S = 0.02


class Audit:
    """Takes down what was done and what was refused.

    Args:
        service: The service that answers.
        clock: The time.
        monotonic: Seconds that only grow.
    """

    def __init__(
        self, service: str, *, clock: Clock | None = None, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._service = service
        self._clock = clock or SystemClock()
        self._outbox = Outbox()
        self._refusals = Refusals(self._outbox.add_refusal, monotonic=monotonic)

    async def done(self, call: Call, answer: Message) -> None:
        """Takes down a call of an audited RPC that is about to be answered; on return that is on disk."""
        await self._change(call, OK, answer)

    async def failed(self, call: Call) -> None:
        """Takes down a call that ends with an error, refused or of an audited RPC.

        Where nobody knows what it has changed, the entry is on disk on return.
        """
        if call.error is None:
            raise ValueError("the call has no error")
        if call.error.code in _MAY_HAVE_CHANGED and call.request is not None:
            await self._change(call, call.error.reason)
        else:
            audited = AUDITED.get(call.method)
            self._refusals.note(entry_of(call, audited, outcome=call.error.reason, now=self._clock.now()))

    def left(self, call: Call) -> None:
        """Takes down a call of an audited RPC whose caller does not wait for its end, unless it is taken down."""
        if not call.audited:
            self._add_change(call, CANCELED)

    def refused(self, entry: AuditEntry) -> None:
        """Takes down a refusal that no call of this process ends with: the gateway's."""
        entry.service = self._service
        entry.time.FromDatetime(self._clock.now())
        self._refusals.note(entry)

    async def acted(self, entry: AuditEntry) -> None:
        """Takes down what was done for somebody who shows no key; on return that is on disk."""
        entry.service = self._service
        entry.time.FromDatetime(self._clock.now())
        await self._outbox.settled(self._outbox.add_change(entry), within_s=None)

    async def run(self, publisher: Publisher) -> None:
        """Publishes what was taken down, until canceled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._refusals.run())
            group.create_task(self._outbox.run(publisher))

    async def drain(self) -> None:
        """Returns when all that was taken down is published, or stands in the log; `run` runs on."""
        self._refusals.end_all()
        await self._outbox.drain()

    def leave(self) -> None:
        """Writes what is not published to the log: `run` has ended before its time."""
        self._refusals.end_all()
        self._outbox.leave()

    async def _change(self, call: Call, outcome: str, answer: Message | None = None) -> None:
        held = self._add_change(call, outcome, answer)
        remaining = call.remaining_s()
        await self._outbox.settled(held, within_s=None if remaining is None else remaining - _ANSWER_S)

    def _add_change(self, call: Call, outcome: str, answer: Message | None = None) -> Held:
        call.audited = True
        entry = entry_of(call, AUDITED[call.method], outcome=outcome, now=self._clock.now(), answer=answer)
        return self._outbox.add_change(entry)
