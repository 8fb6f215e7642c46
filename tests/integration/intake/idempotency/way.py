"""The way of one submit to the log, and what may become of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from shared.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.bus import Outgoing
    from tests.integration.intake.idempotency.log import Log


class Fate(StrEnum):
    """What becomes of a publish."""

    ARRIVES = "arrives"
    #: The first try never reaches the log.
    LOST_ONCE = "lost once"
    #: It does, and its acknowledgement is lost.
    UNACKNOWLEDGED_ONCE = "unacknowledged once"
    CRASHES_BEFORE = "crashes before"
    CRASHES_AFTER = "crashes after"
    #: Time is up, and nothing has reached the log.
    TIMES_OUT = "times out"
    #: Time is up, and it has.
    TIMES_OUT_AFTER = "times out after"
    #: Time is up, and it reaches the log later.
    STRAGGLES = "straggles"


PUBLISHES = {Fate.ARRIVES, Fate.LOST_ONCE, Fate.UNACKNOWLEDGED_ONCE, Fate.CRASHES_AFTER, Fate.TIMES_OUT_AFTER}
SUCCEEDS = {Fate.ARRIVES, Fate.LOST_ONCE, Fate.UNACKNOWLEDGED_ONCE}
CRASHES = {Fate.CRASHES_BEFORE, Fate.CRASHES_AFTER}


@dataclass
class Way:
    """The way of one submit to the log: a publisher that does as it is told."""

    log: Log
    fate: Fate
    gate: asyncio.Event | None = None
    #: What was to be published: the `submitted` of a job, or of each job of a batch.
    messages: Sequence[Outgoing] = ()
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    tries: int = 0

    async def publish_whole(self, messages: Sequence[Outgoing]) -> None:
        """See `Publisher`."""
        self.messages, self.tries = messages, self.tries + 1
        self.reached.set()
        if self.gate is not None:
            await self.gate.wait()
        fails = self.tries == 1
        if self.fate in PUBLISHES and not (fails and self.fate is Fate.LOST_ONCE):
            await self.log.put(messages)
        if self.fate is Fate.STRAGGLES:
            self.log.on_the_way.append(messages)
        if self.fate in CRASHES:
            raise asyncio.CancelledError
        if self.fate in {Fate.TIMES_OUT, Fate.TIMES_OUT_AFTER, Fate.STRAGGLES}:
            raise TimeoutError
        if fails and self.fate in {Fate.LOST_ONCE, Fate.UNACKNOWLEDGED_ONCE}:
            raise Unavailable("no acknowledgement came")

    def let_go(self, fate: Fate) -> None:
        """Lets a publish that hangs go on, to this end."""
        assert self.gate is not None
        self.fate = fate
        self.gate.set()
