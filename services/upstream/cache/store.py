"""Where answers and calls under way are found: what every such store does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from services.upstream.cache.entries import Answer, Scope, Spot


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """There is an answer."""

    answer: Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Lead:
    """There is none, and whoever asked is to call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """There is none, and another one calls.

    Args:
        seconds: Until that one is believed no more, unless it says that it is still at it.
    """

    seconds: float


Found = Hit | Lead | Wait


@dataclass(frozen=True, slots=True, kw_only=True)
class Takes:
    """What a tenant's answers take.

    Args:
        tenant: Whose.
        in_redis: Bytes.
        in_objects: Bytes in the object store.
        revision: Grows with every change: of two words the one with the higher is the newer.
    """

    tenant: str
    in_redis: int
    in_objects: int
    revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stale:
    """An object that nobody needs any more.

    Args:
        tenant: Whose.
        digest: Of the answer whose body it was.
        name: Its own.
    """

    tenant: str
    digest: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """How keeping an answer went.

    Args:
        takes: What the tenant's take with it; None where it was not kept, the call being the caller's no more.
        waited: Others wait for it.
        stale: Objects that nobody needs any more.
    """

    takes: Takes | None
    waited: bool
    stale: Sequence[Stale] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What became of a call that its caller extended or let go.

    Args:
        own: It was still the caller's.
        waited: Others wait for it.
    """

    own: bool
    waited: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Evicted:
    """One step of giving room.

    Args:
        takes: What the tenant's take now.
        more: More of it is over than one step takes out.
        scopes: Of what went before its time.
        stale: Objects that nobody needs any more.
    """

    takes: Takes
    more: bool
    scopes: Sequence[Scope]
    stale: Sequence[Stale]


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """One step of forgetting.

    Args:
        count: Answers that went.
        last: What the next step goes on from; empty where this was the last.
        takes: What the tenant's take now.
        waited: The digests of calls that were forgotten and for which others wait.
        stale: Objects that nobody needs any more.
    """

    count: int
    last: str
    takes: Takes
    waited: Sequence[str]
    stale: Sequence[Stale]


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What a replica is to make room by.

    Args:
        tenant: Whose answers go.
        in_redis: Bytes wanted of Redis.
        in_all: Bytes wanted of both.
    """

    tenant: str
    in_redis: int
    in_all: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """What all tenants' answers take, as it was noted last.

    Args:
        in_redis: Bytes.
        in_all: The same, with those in the object store.
        room: What whoever asked is to do about it.
    """

    in_redis: int
    in_all: int
    room: Room | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What all tenants' answers together may take.

    Args:
        in_redis: Bytes.
        in_all: The same, with those in the object store.
    """

    in_redis: int
    in_all: int


class AnswerStore(Protocol):
    """Keeps answers. Each of these is one step, and raises `Unavailable` where the store is away."""

    async def look(
        self, spot: Spot, *, token: str, believed: timedelta, ttl: timedelta, refresh: bool = False
    ) -> Found:
        """Looks for an answer; where there is none, makes the asker the one who calls unless another one is.

        Args:
            spot: Where.
            token: By which the asker is known.
            believed: For how long it is believed to call.
            ttl: How long an answer serves.
            refresh: To call, whatever there is, and whoever else does.
        """
        ...

    async def hold(self, spot: Spot, *, token: str, believed: timedelta) -> Held:
        """Has a caller believed for so much longer; zero to let its call go."""
        ...

    async def keep(self, spot: Spot, answer: Answer, *, token: str, ttl: timedelta) -> Kept:
        """Keeps an answer and ends the call, if that is still the caller's."""
        ...

    async def evict(self, tenant: str, *, in_redis: int, in_all: int) -> Evicted:
        """Takes out some of a tenant's answers: those used least lately, until so much is free.

        What is over goes first, and counts.
        """
        ...

    async def forget(self, tenant: str, wanted: Scope, *, after: str) -> Forgotten:
        """Forgets some of a tenant's answers that fit, and with the first step the calls under way that do.

        Args:
            tenant: Whose.
            wanted: Which.
            after: What the step before ended with; empty for the first.
        """
        ...

    async def note(self, takes: Takes | None, bounds: Bounds) -> Sums:
        """Notes what a tenant's answers take, and tells what all take.

        Of all replicas one at a time is told to make room, for as long as it notes what has come of it.
        """
        ...

    async def tenants(self) -> Sequence[str]:
        """Those of whom answers are kept, as it was noted last."""
        ...
