"""A replay: many deliveries that are put back, so that they are made again."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from services.webhooks.deliveries.domain import to_milliseconds

if TYPE_CHECKING:
    from datetime import datetime

    from services.webhooks.deliveries.filters import DeliveryFilter
    from shared.paging import Position

#: Deliveries put back in a second, unless the caller says otherwise; and at most.
DEFAULT_PER_SECOND = 100
MAX_PER_SECOND = 1000
#: What a replay is for is counted no further.
COUNTED = 1_000_000
#: Replays of one tenant at a time: they take turns with those of others.
MOST_RUNNING = 20
#: A turn puts back what half a second may see.
_TURNS_PER_SECOND = 2
_MILLISECOND = timedelta(milliseconds=1)


class ReplayState(StrEnum):
    """Where a replay stands."""

    RUNNING = "RUNNING"
    DONE = "DONE"
    CANCELED = "CANCELED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hand:
    """What a replay is about to put back: written down before, so that whoever goes on knows what may be done.

    Args:
        delivery_ids: What is to be put back.
        receivers: Whose they are.
        seen: How many were looked at for it, those that are passed over among them.
    """

    delivery_ids: tuple[str, ...]
    receivers: tuple[str, ...]
    seen: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """Many deliveries that are put back, at a bounded rate; times are whole milliseconds."""

    #: `rpl_<uuidv7>`.
    id: str
    tenant: str
    #: Which deliveries; those made after the replay are not meant.
    wanted: DeliveryFilter
    #: At most so many are put back in a second.
    max_per_second: int
    #: How many it was for when it began, counted no further than `COUNTED`.
    total: int
    created_at: datetime
    state: ReplayState = ReplayState.RUNNING
    #: How many were put back so far.
    replayed: int = 0
    #: How many were not: their endpoint is gone or disabled, or they were at work.
    passed_over: int = 0
    finished_at: datetime | None = None
    #: The last delivery that was looked at; they are gone through from the oldest on.
    position: Position | None = None
    #: What is being put back now.
    hand: Hand | None = None

    @property
    def meant(self) -> DeliveryFilter:
        """Which deliveries, without those that were made later than the replay."""
        end = to_milliseconds(self.created_at) + _MILLISECOND
        before = self.wanted.created_before
        return replace(self.wanted, created_before=min(before, end) if before is not None else end)

    @property
    def at_once(self) -> int:
        """How many a turn puts back."""
        return max(1, self.max_per_second // _TURNS_PER_SECOND)

    @property
    def pause(self) -> timedelta:
        """From a turn that has put anything back to the next: no second sees more turns than fit into its rate."""
        turns = self.max_per_second // self.at_once
        return timedelta(milliseconds=math.ceil(1000 / turns) + 1)  # a time that was cut to milliseconds came earlier
