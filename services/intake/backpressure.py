"""What a caller is told who comes when there are too many unfinished jobs: how many, and when to come again."""

from __future__ import annotations

import math
import random
from datetime import timedelta
from typing import TYPE_CHECKING

from shared.errors import QueueFull

if TYPE_CHECKING:
    from services.intake.domain import Drain

_SHORTEST_S = 1
_LONGEST_S = 60
#: Where no job has ended within the window: half of the time since the last one, within these bounds.
_SILENT_SHORTEST_S = 30
#: Up to so much is added, so that those who are told at the same time come at different ones.
_JITTER = 0.5


def tenant_full(pending: int, limit: int, drain: Drain, *, submitted: int = 1) -> QueueFull:
    """One tenant's jobs are too many, with those that were submitted."""
    if submitted > limit:
        message = f"a batch of {submitted} jobs is more than the {limit} unfinished jobs allowed; submit smaller ones"
    else:
        more = "" if submitted == 1 else f", too many for {submitted} more"
        message = f"there are {pending} unfinished jobs, of {limit} allowed{more}; submit again when some have ended"
    return QueueFull(
        message,
        metadata={
            "scope": "tenant",
            "pending": str(pending),
            "limit": str(limit),
            "drain_per_s": f"{drain.per_s:.3g}",
        },
        retry_after=retry_after(drain, ends=max(1, pending + submitted - limit)),
    )


def all_full(drain: Drain) -> QueueFull:
    """All tenants' jobs together are too many; how many, and of whom, is no tenant's to know."""
    return QueueFull(
        "all tenants together have as many unfinished jobs as there is room for; submit again when some have ended",
        metadata={"scope": "all_tenants"},
        retry_after=retry_after(drain),
    )


def retry_after(drain: Drain, *, ends: int = 1) -> timedelta:
    """After which time a caller may find room: 1 s to 60 s, in whole seconds, with jitter.

    That is the time until so many jobs end, at the rate of the last minute. Where none has ended in that time, it is
    30 s, and grows with the silence.

    Args:
        drain: How fast jobs end.
        ends: How many must, for there to be room.
    """
    low = min(_expected_s(drain, ends), round(_LONGEST_S / (1 + _JITTER)))
    high = min(max(low + 1, math.ceil(low * (1 + _JITTER))), _LONGEST_S)
    return timedelta(seconds=random.randint(low, high))  # noqa: S311  jitter needs no secrecy


def _expected_s(drain: Drain, ends: int) -> int:
    if drain.per_s > 0:
        return max(_SHORTEST_S, math.ceil(ends / drain.per_s))
    silence_s = drain.silence.total_seconds() if drain.silence is not None else 0
    return max(_SILENT_SHORTEST_S, math.ceil(silence_s / 2))
