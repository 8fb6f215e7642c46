"""The script that applies events to the hot view: what it is given, and what it answers with."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from services.intake.changes import Applied, BatchEnd
from services.intake.domain import IDEMPOTENCY_WINDOW, State
from services.intake.layout import (
    FINISHED_LIFETIME,
    MIN_LIFETIME,
    UNFINISHED_LIFETIME,
    drained_key,
    job_key,
    kept_keys,
    pending_key,
    record_of_key,
)
from shared import ids, kv

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.intake.changes import Change

#: Events of one script.
MAX_APPLIED = 64
_LUA = Path(__file__).parent / "lua"


class ApplyScript:
    """Applies events, as many of one tenant in one script as `MAX_APPLIED`.

    Args:
        clock: A Lua file that defines `read_clock()`.
    """

    def __init__(self, clock: Path) -> None:
        self._script = kv.Script(clock, *(_LUA / f"{part}.lua" for part in ("guard", "drained", "kept", "apply")))

    async def run(self, client: kv.Client, changes: Sequence[Change], *, known: str) -> tuple[list[Applied], set[str]]:
        """What each change came to, in their order; and the ids of servers that are not known.

        Args:
            client: Connected.
            changes: By the events.
            known: The servers that are.

        Raises:
            Unavailable: The server is away. Any of them may be applied.
        """
        parts = _parts_by_tenant(changes)
        calls = [_application([changes[position] for position in part], known) for part in parts]
        applied = [Applied(ended=False)] * len(changes)
        strangers: set[str] = set()
        for part, (marks, batch_ends, server) in zip(parts, await self._script.run_many(client, calls), strict=True):
            for position, mark, batch_end in zip(part, marks, batch_ends, strict=True):
                if mark or batch_end:
                    applied[position] = Applied(ended=mark == 1, ended_in=_batch_end(batch_end))
            if server is not None:
                strangers.add(server.decode())
        return applied, strangers


def _parts_by_tenant(changes: Sequence[Change]) -> list[list[int]]:
    """The changes by their positions, in their order: each part is one tenant's and fits into one script."""
    by_tenant: defaultdict[str, list[int]] = defaultdict(list)
    for position, change in enumerate(changes):
        by_tenant[change.tenant].append(position)
    return [
        positions[start : start + MAX_APPLIED]
        for positions in by_tenant.values()
        for start in range(0, len(positions), MAX_APPLIED)
    ]


def _application(changes: Sequence[Change], known: str) -> tuple[list[str], list[kv.Argument]]:
    """Keys and arguments of `apply.lua` for changes of one tenant."""
    tenant, now = changes[0].tenant, datetime.now(UTC)
    keys: list[str] = [pending_key(tenant), drained_key(tenant), *kept_keys(tenant)]
    arguments: list[kv.Argument] = [known, _ms(UNFINISHED_LIFETIME)]
    for change in changes:
        keys.append(job_key(tenant, change.job_id))
        if change.idempotency_key:
            keys.append(record_of_key(tenant, change.idempotency_key))
        arguments += _event_arguments(change, now)
    return keys, arguments


def _event_arguments(change: Change, now: datetime) -> tuple[kv.Argument, ...]:
    ended = change.finished_at
    ended_ms = int(ended.timestamp() * 1000) if ended is not None else 0
    until = ended + FINISHED_LIFETIME if ended is not None else change.at + UNFINISHED_LIFETIME
    # From the key's first sight, when the id was made; what was taken up again is accepted later than that.
    window = ids.made_at(change.job_id) + IDEMPOTENCY_WINDOW - now if change.job is not None else timedelta(0)
    return (
        change.job_id,
        change.revision,
        change.event,
        change.job or b"",
        ended_ms,
        _ms(max(until - now, MIN_LIFETIME)),
        change.key_stands_for if change.idempotency_key else "",
        change.fingerprint,
        max(0, _ms(window)),
        f"{change.place.batch_id} {change.place.index}" if change.place is not None else "",
        f"{change.state} {ended_ms}" if ended_ms else "",
        change.sequence,
    )


def _batch_end(text: bytes) -> BatchEnd | None:
    """What `apply.lua` says of a job's end in a batch; None for an empty text."""
    if not text:
        return None
    batch_id, index, state, ended_ms = text.decode().split(" ")
    at = datetime.fromtimestamp(int(ended_ms) / 1000, UTC)
    return BatchEnd(batch_id=batch_id, index=int(index), state=State(state), at=at)


def _ms(duration: timedelta) -> int:
    return int(duration.total_seconds() * 1000)
