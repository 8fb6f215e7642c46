"""The streams that a server has open, by who watches: they end when that principal may do nothing any more.

A unary call is let in or not, and over soon. A stream was let in once and goes on for minutes; so services are told who
was revoked, or which tenant suspended, and end what that one has open. What was let in just before and opens just after
is refused: an identity token is good for a while after its key is not.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from shared import observability
from shared.errors import TenantSuspended, Unauthenticated

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from shared.errors import PenstockError
    from shared.identity import Principal

log = observability.logger()

#: Longer than any identity token of a principal is good for, and the clocks of two machines are apart.
_REMEMBERED_S = 90.0
#: Revocations and suspensions that are remembered.
MAX_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class _Holder:
    """Who has streams: a principal, or all of a tenant's."""

    kind: Literal["principal", "tenant"]
    name: str

    def refusal(self) -> PenstockError:
        """What a stream of it is ended and refused with, when it may have none."""
        if self.kind == "tenant":
            return TenantSuspended(
                f"the tenant {self.name!r} was suspended, and its streams end with it; ask the operator to resume it",
                metadata={"tenant": self.name},
            )
        return Unauthenticated("the API key was revoked, and its streams end with it; use another one")


class Stream:
    """One stream, and the task that answers it."""

    def __init__(self) -> None:
        task = asyncio.current_task()
        assert task is not None, "a stream is answered by a task"  # noqa: S101  what every caller of it is
        self._task: asyncio.Task[object] = task
        self._ended_with: _Holder | None = None
        self._writing = False

    @contextmanager
    def writing(self) -> Generator[None]:
        """While the body sends a message, the stream is not broken off, but right after it.

        Broken off in the middle, gRPC would refuse to send why: a call takes one message at a time. The client would
        wait for an end that never comes.

        Raises:
            Unauthenticated: The principal was revoked meanwhile.
            TenantSuspended: Its tenant was suspended.
        """
        self._writing = True
        try:
            yield
        finally:
            self._writing = False
        if self._ended_with is not None:
            raise self._ended_with.refusal()

    def end(self, holder: _Holder) -> bool:
        """Breaks it off, because this one may have none any more; whether that is new."""
        if self._ended_with is not None:
            return False
        self._ended_with = holder
        if not self._writing:
            self._task.cancel()
        return True

    def refusal(self) -> PenstockError | None:
        """Why it was broken off, where it was this that has canceled its task, and nobody else."""
        return self._ended_with.refusal() if self._ended_with is not None and self._task.uncancel() == 0 else None


class OpenStreams:
    """Knows the open streams of each principal and tenant.

    Args:
        monotonic: Seconds that only grow.
    """

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._streams: dict[_Holder, set[Stream]] = {}
        self._refused: OrderedDict[_Holder, float] = OrderedDict()

    @contextmanager
    def held_by(self, principal: Principal | None) -> Generator[Stream]:
        """While the body runs, a stream of this principal is open; it is broken off when it may have none any more.

        Args:
            principal: None for nobody, whom nothing ends.

        Raises:
            Unauthenticated: The principal was revoked, before or meanwhile.
            TenantSuspended: Its tenant was suspended.
        """
        holders = _holders(principal)
        for holder in holders:
            if self._monotonic() < self._refused.get(holder, 0.0):
                raise holder.refusal()
        stream = Stream()
        for holder in holders:
            self._streams.setdefault(holder, set()).add(stream)
        try:
            yield stream
        except asyncio.CancelledError:
            if (refusal := stream.refusal()) is not None:
                raise refusal from None
            raise
        finally:
            for holder in holders:
                self._streams[holder].discard(stream)
                if not self._streams[holder]:
                    del self._streams[holder]

    async def end(self, principal_id: bytes) -> None:
        """Ends every stream of a principal that was revoked: what `signal.auth.revoked` is handled by."""
        self._end(_Holder("principal", principal_id.decode(errors="replace")))

    async def end_tenant(self, tenant: bytes) -> None:
        """Ends every stream of a tenant that was suspended: what `signal.auth.tenant_suspended` is handled by."""
        self._end(_Holder("tenant", tenant.decode(errors="replace")))

    async def readmit_tenant(self, tenant: bytes) -> None:
        """Lets a tenant that was resumed have streams again: what `signal.auth.tenant_resumed` is handled by."""
        self._refused.pop(_Holder("tenant", tenant.decode(errors="replace")), None)

    def _end(self, holder: _Holder) -> None:
        self._refused.pop(holder, None)
        self._refused[holder] = self._monotonic() + _REMEMBERED_S
        if len(self._refused) > MAX_REMEMBERED:
            self._refused.popitem(last=False)
        ended = sum(stream.end(holder) for stream in self._streams.get(holder, ()))
        if ended:
            log.info("streams_ended", holder=holder.kind, name=holder.name, count=ended)


def _holders(principal: Principal | None) -> list[_Holder]:
    if principal is None:
        return []
    own = _Holder("principal", principal.id)
    return [own, _Holder("tenant", principal.tenant)] if principal.tenant else [own]  # a service has none
