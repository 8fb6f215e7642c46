"""What an operation over many jobs goes on from, and how fast."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from shared.paging import Position

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Jobs tried again in a second, unless the caller says otherwise; and at most.
DEFAULT_PER_SECOND = 100
MAX_PER_SECOND = 1000
#: What an operation is for is counted no further.
COUNTED = 1_000_000
#: Jobs canceled in a turn.
CANCELED_AT_ONCE = 400
#: Failures that are told one by one.
MOST_FAILURES = 20
#: A turn tries again what half a second may see.
_TURNS_PER_SECOND = 2
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Picked:
    """A job that something is to be done to."""

    job_id: str
    #: Of its `submitted` in the log; 0 where that is not known.
    sequence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one job."""

    job_id: str
    #: Empty where it was done.
    reason: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """How far the walk over the jobs is.

    What stands in the hand is done by the next turn, and counted by it: so a turn that is taken twice, for its end
    could not be kept, does the same twice and counts it once.
    """

    #: The log's newest message when the operation began; None until that is known.
    began_at: int | None = None
    #: Whether the jobs were counted that match.
    counted: bool = False
    #: The last job that was looked at.
    position: Position | None = None
    hand: tuple[Picked, ...] = ()

    def to_bytes(self) -> bytes:
        """As it is kept."""
        position = self.position
        return json.dumps(
            {
                "began_at": self.began_at,
                "counted": self.counted,
                "position": [(position.created_at - _EPOCH) // _MILLISECOND, position.id] if position else None,
                "hand": [[each.job_id, each.sequence] for each in self.hand],
            }
        ).encode()

    @classmethod
    def from_bytes(cls, kept: bytes) -> Cursor:
        """As it was kept; the beginning where nothing was."""
        if not kept:
            return cls()
        fields = json.loads(kept)
        position = fields["position"]
        return cls(
            began_at=fields["began_at"],
            counted=fields["counted"],
            position=Position(created_at=_EPOCH + position[0] * _MILLISECOND, id=position[1]) if position else None,
            hand=tuple(Picked(job_id=job_id, sequence=sequence) for job_id, sequence in fields["hand"]),
        )

    def with_hand(self, hand: Sequence[Picked], position: Position | None) -> Cursor:
        """The same with something else in hand."""
        return replace(self, hand=tuple(hand), position=position or self.position)


@dataclass(frozen=True, slots=True)
class Pace:
    """So many jobs a second, and no more in any second."""

    per_second: int

    @property
    def at_once(self) -> int:
        """How many a turn takes."""
        return max(1, self.per_second // _TURNS_PER_SECOND)

    @property
    def pause(self) -> timedelta:
        """From a turn to the next: no second sees more turns than fit into its rate."""
        turns = self.per_second // self.at_once
        return timedelta(milliseconds=math.ceil(1000 / turns) + 1)  # a time that was cut to milliseconds came earlier
