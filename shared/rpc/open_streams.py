"""The streams that a server has open, by who watches: they end when that principal may do nothing any more.

A unary call is let in or not, and over soon. A stream was let in once and goes on for minutes; so services are told who
was revoked, and end what that one has open. What was let in just before and opens just after is refused: an identity
token is good for a while after its key is not.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared import observability
from shared.errors import Unauthenticated

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

log = observability.logger()

#: Longer than any identity token of a principal is good for, and the clocks of two machines are apart.
_REMEMBERED_S = 90.0
#: Revocations that are remembered.
MAX_REMEMBERED = 10_000


@dataclass(eq=False, slots=True)
class _Stream:
    """One stream, and the task that answers it."""

    task: asyncio.Task[object]
    ended: bool = False


class OpenStreams:
    """Knows the open streams of each principal.

    Args:
        monotonic: Seconds that only grow.
    """

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._streams: dict[str, set[_Stream]] = {}
        self._revoked: OrderedDict[str, float] = OrderedDict()

    @contextmanager
    def held_by(self, principal_id: str) -> Generator[None]:
        """While the body runs, a stream of this principal is open; it is broken off when the principal is revoked.

        Raises:
            Unauthenticated: The principal was revoked, before or meanwhile.
        """
        if self._monotonic() < self._revoked.get(principal_id, 0.0):
            raise _revoked()
        task = asyncio.current_task()
        assert task is not None, "a stream is answered by a task"  # noqa: S101  what every caller of it is
        stream = _Stream(task)
        self._streams.setdefault(principal_id, set()).add(stream)
        try:
            yield
        except asyncio.CancelledError:
            if stream.ended and task.uncancel() == 0:  # it was this that canceled it, and nobody else
                raise _revoked() from None
            raise
        finally:
            streams = self._streams[principal_id]
            streams.discard(stream)
            if not streams:
                del self._streams[principal_id]

    async def end(self, principal_id: bytes) -> None:
        """Ends every stream of a principal that was revoked: what `signal.auth.revoked` is handled by."""
        name = principal_id.decode(errors="replace")
        self._revoked.pop(name, None)
        self._revoked[name] = self._monotonic() + _REMEMBERED_S
        if len(self._revoked) > MAX_REMEMBERED:
            self._revoked.popitem(last=False)
        streams = [stream for stream in self._streams.get(name, ()) if not stream.ended]
        for stream in streams:
            stream.ended = True
            stream.task.cancel()
        if streams:
            log.info("streams_ended", principal=name, count=len(streams))


def _revoked() -> Unauthenticated:
    return Unauthenticated("the API key was revoked, and its streams end with it; use another one")
