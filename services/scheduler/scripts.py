"""The scripts in `lua/`: how each is put together, called and timed."""

from __future__ import annotations

import re
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from redis.exceptions import ResponseError

from services.scheduler import metrics
from services.scheduler.domain import MAX_BATCH
from shared import kv
from shared.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence

T = TypeVar("T")

_LUA = Path(__file__).parent / "lua"
#: What `guard.lua` answers; of several calls in one round trip, the driver says which one it was first.
_REFUSAL = re.compile(r"(^|caused error: (\(['\"])?)RECOVER ")
_RETRY_AFTER = timedelta(seconds=1)


class RecoveryNeeded(Unavailable):
    """The queue may have lost its last writes, or all of them; nothing goes before it was rebuilt."""

    def __init__(self, upstream: str) -> None:
        super().__init__(
            f"the queue of {upstream} is being rebuilt; the call may be repeated",
            metadata={"upstream": upstream},
            retry_after=_RETRY_AFTER,
        )


class QueueScript:
    """One step of the queue.

    Args:
        clock: A Lua file that defines `read_clock()`.
        name: Of the script; for its metric too.
        parts: The files that it needs, in order; its own comes last by itself.
    """

    def __init__(self, clock: Path, name: str, *parts: str) -> None:
        self._script = kv.Script(clock, *(_LUA / f"{part}.lua" for part in (*parts, name)))
        self._seconds = metrics.SCRIPT_SECONDS.labels(name)

    async def run(self, client: kv.Client, upstream: str, *arguments: kv.Argument) -> Any:
        """Runs it on an upstream's queue.

        Raises:
            RecoveryNeeded: The queue has to be rebuilt. It has not run.
            Unavailable: Redis is away. It may have run.
        """
        with self._seconds.time(), _refusal_told(upstream):
            return await self._script.run(client, [prefix(upstream)], arguments)

    async def run_many(self, client: kv.Client, upstream: str, calls: Sequence[Sequence[kv.Argument]]) -> list[Any]:
        """Runs it several times in one round trip; every call stands alone.

        Raises:
            RecoveryNeeded: The queue has to be rebuilt. Any of the calls may have run.
            Unavailable: Redis is away. Any of the calls may have run.
        """
        with self._seconds.time(), _refusal_told(upstream):
            return await self._script.run_many(client, [([prefix(upstream)], arguments) for arguments in calls])


def prefix(upstream: str) -> str:
    """What the keys of an upstream's queue begin with; the hash tag keeps them in one slot."""
    return f"{{sched:{upstream}}}:"


def milliseconds(duration: timedelta) -> int:
    """As scripts take durations."""
    return duration // timedelta(milliseconds=1)


def parts(items: Sequence[T]) -> Iterable[Sequence[T]]:
    """As many at a time as one call of a script works on."""
    return (items[start : start + MAX_BATCH] for start in range(0, len(items), MAX_BATCH))


@contextmanager
def _refusal_told(upstream: str) -> Generator[None]:
    try:
        yield
    except ResponseError as error:
        if _REFUSAL.search(str(error)):
            raise RecoveryNeeded(upstream) from error
        raise
