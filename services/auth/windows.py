"""Sliding windows: how many requests there were in the last minute, and whether there may be one more.

A window counts by the second. 61 seconds count, the oldest of them whole, so that no 60 s, wherever they begin, ever
hold more than the limit; the price is that a request may be refused for up to a second after an exact log would have
let it pass. The limit is no part of what is kept: another limit holds from the next request on, and loses no count.

    {auth:<subject>}:window:<name>    hash      see `lua/take.lua`; gone two minutes after the last request
    {auth:<subject>}:nonce:<hash>     string    that a request came which may come once only; gone after its time

A subject is a tenant, whose windows and those of its keys are counted in one step, or the address of a client. Whether
a request that may come once only has come before is looked up in that same step: of any number of copies, at any
replicas, one is counted, and one that found no room may come again.
"""

from __future__ import annotations

import base64
import hashlib
from collections import OrderedDict, deque
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from shared import kv
from shared.errors import Unavailable
from shared.gathered import GatheredScript

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: What a limit is told per.
WINDOW = timedelta(minutes=1)
#: Seconds that count.
SPAN_S = 61
#: Redis answers in well under a millisecond; the gateway waits for this, and for the requests that were before it.
PATIENCE = timedelta(milliseconds=250)
#: Windows that a process keeps by itself, about 1 KB each; beyond that the one unused for longest is forgotten.
MAX_LOCAL_WINDOWS = 20_000

#: Of the hash of a nonce: no two that anybody draws have the same.
_NONCE_DIGEST_BYTES = 16
_RETRY_AFTER = timedelta(seconds=1)

_LUA = Path(__file__).parent / "lua"


@dataclass(frozen=True, slots=True)
class Window:
    """One limit of one subject."""

    #: Its name in answers: `key`, `tenant` or `address`.
    name: str
    #: Where it is counted.
    place: str
    #: Requests in any minute.
    limit: int


@dataclass(frozen=True, slots=True)
class Mark:
    """What a request leaves that may come once only."""

    #: Where: with the windows' own subject.
    place: str
    #: For how long.
    kept: timedelta


class Repeated(Exception):
    """A request that may come once only has come before."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a window stands after a request."""

    window: Window
    remaining: int
    #: Whole seconds until there is more; 0 where all of it is there.
    more_in_s: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a request may go on, and how its windows stand."""

    admitted: bool
    standings: tuple[Standing, ...]

    @property
    def full(self) -> tuple[Standing, ...]:
        """Those that have no room, where it was not admitted."""
        return tuple(standing for standing in self.standings if standing.remaining == 0)


class Windows(Protocol):
    """Counts requests."""

    async def take(self, windows: Sequence[Window], mark: Mark | None = None) -> Verdict:
        """Counts a request in all of the windows, or in none where one of them is full.

        Args:
            windows: All of one subject.
            mark: Of a request that may come once only.

        Raises:
            Repeated: The mark is there already; nothing is counted.
            Unavailable: It cannot be told; the request may be counted, and have left its mark.
        """
        ...


def place_of_tenant(tenant: str) -> str:
    """Where a tenant's requests are counted."""
    return f"{{auth:tenant:{tenant}}}:window:tenant"


def place_of_key(tenant: str, key_id: str) -> str:
    """Where a key's requests are counted: beside its tenant's."""
    return f"{{auth:tenant:{tenant}}}:window:{key_id}"


def place_of_address(address: str) -> str:
    """Where the refused requests of a client's address are counted."""
    return f"{{auth:address:{address}}}:window:address"


def place_of_nonce(tenant: str, key_id: str, nonce: str) -> str:
    """Where it is noted that a key has used a nonce: of one size whatever the nonce's, beside its tenant's windows."""
    digest = hashlib.sha256(f"{key_id}\n{nonce}".encode()).digest()[:_NONCE_DIGEST_BYTES]
    return f"{{auth:tenant:{tenant}}}:nonce:{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


class RedisWindows:
    """Windows that all replicas share; concurrent requests go together in one round trip.

    Args:
        client: Connected.
        clock: The script that reads the time.
    """

    def __init__(self, client: kv.Client, *, clock: Path = kv.CLOCK) -> None:
        self._take = GatheredScript(kv.Script(clock, _LUA / "take.lua"), client, patience=PATIENCE)

    async def take(self, windows: Sequence[Window], mark: Mark | None = None) -> Verdict:
        """Counts a request in all of the windows, or in none where one of them is full or the mark is there."""
        places, kept_ms = [window.place for window in windows], 0
        if mark is not None:
            places.append(mark.place)
            kept_ms = int(mark.kept.total_seconds() * 1000)
        try:
            answer = await self._take.run(places, [kept_ms, *(window.limit for window in windows)])
        except TimeoutError as error:
            raise Unavailable("Redis does not answer in time", metadata={"dependency": "redis"}) from error
        if answer[0] < 0:
            raise Repeated
        standings = tuple(
            standing(window, used=answer[1 + 2 * index], more_in_ms=answer[2 + 2 * index])
            for index, window in enumerate(windows)
        )
        return Verdict(admitted=answer[0] == 1, standings=standings)


@dataclass(slots=True)
class _Counted:
    """What `lua/take.lua` keeps of a window."""

    #: Seconds in which there were requests, and how many.
    seconds: deque[tuple[int, int]]
    used: int = 0


class LocalWindows:
    """Windows of this process alone, for while Redis is away.

    Args:
        monotonic: Seconds that only grow.
    """

    def __init__(self, *, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._windows: OrderedDict[str, _Counted] = OrderedDict()

    async def take(self, windows: Sequence[Window], mark: Mark | None = None) -> Verdict:
        """Counts a request in all of the windows, or in none where one of them is full.

        Raises:
            Unavailable: It has a mark, which other replicas may have seen.
        """
        if mark is not None:
            raise Unavailable(
                "without Redis no signed request can be known to be new; try again shortly, or send the key itself",
                metadata={"dependency": "redis"},
                retry_after=_RETRY_AFTER,
            )
        now_ms = int(self._monotonic() * 1000)
        now = now_ms // 1000
        found = [self._look(window.place, now) for window in windows]
        admitted = all(counted.used < window.limit for counted, window in zip(found, windows, strict=True))
        if admitted:
            for counted in found:
                _count(counted, now)
        standings = tuple(
            standing(
                window,
                used=counted.used,
                more_in_ms=(counted.seconds[0][0] + SPAN_S) * 1000 - now_ms if counted.seconds else 0,
            )
            for counted, window in zip(found, windows, strict=True)
        )
        return Verdict(admitted=admitted, standings=standings)

    def _look(self, place: str, now: int) -> _Counted:
        counted = self._windows.get(place)
        if counted is None:
            counted = self._windows[place] = _Counted(deque())
            if len(self._windows) > MAX_LOCAL_WINDOWS:
                self._windows.popitem(last=False)
        self._windows.move_to_end(place)
        while counted.seconds and counted.seconds[0][0] <= now - SPAN_S:
            counted.used -= counted.seconds.popleft()[1]
        return counted


def _count(counted: _Counted, now: int) -> None:
    before = counted.seconds.pop()[1] if counted.seconds and counted.seconds[-1][0] == now else 0
    counted.seconds.append((now, before + 1))
    counted.used += 1


def standing(window: Window, *, used: int, more_in_ms: int) -> Standing:
    """How a window stands in which so many are counted, of which the oldest leave it after so long."""
    return Standing(window, max(0, window.limit - used), -(-more_in_ms // 1000))
