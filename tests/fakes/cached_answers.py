"""The cache's store in memory, held by `tests/contract/upstream_cache` to what the real one does; and no cache."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from services.upstream.cache.entries import bytes_of
from services.upstream.cache.store import Evicted, Forgotten, Held, Hit, Kept, Lead, Room, Stale, Sums, Takes, Wait
from shared.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import timedelta

    from penstock.scheduler.v1 import scheduler_pb2

    from services.upstream.cache.entries import Answer, Scope, Spot
    from services.upstream.cache.store import Bounds, Found
    from services.upstream.connector import CallRequest
    from services.upstream.domain import Outcome

_MAX_EVICTED = 128
_PATIENCE_MS = 10_000


@dataclass(slots=True)
class _Entry:
    answer: Answer
    scope: Scope
    kept: int
    ends: int
    used: int

    @property
    def bytes(self) -> tuple[int, int]:
        return bytes_of(self.answer, self.scope)


@dataclass(slots=True)
class _Flight:
    token: str
    ends: int
    scope: Scope
    waited: bool = False


class Shelf:
    """What several stores, each of a replica, have in common."""

    def __init__(self) -> None:
        self.now_ms = 1_800_000_000_000
        self.entries: dict[tuple[str, str], _Entry] = {}
        self.flights: dict[tuple[str, str], _Flight] = {}
        self.revision = 0
        self.noted: dict[str, Takes] = {}
        self.evicting: tuple[str, int] | None = None


class FakeAnswers:
    """Keeps answers in memory; can be away.

    Args:
        shelf: That of all replicas.
        name: The replica's.
    """

    def __init__(self, shelf: Shelf | None = None, name: str = "replica") -> None:
        self.shelf = shelf or Shelf()
        self._name = name
        #: Every call raises `Unavailable` while it is.
        self.away = False
        self.looks = 0

    async def look(
        self, spot: Spot, *, token: str, believed: timedelta, ttl: timedelta, refresh: bool = False
    ) -> Found:
        self._ask()
        self.looks += 1
        shelf, place = self.shelf, (spot.tenant, spot.digest)
        entry, flight = shelf.entries.get(place), shelf.flights.get(place)
        if not refresh and entry is not None and entry.kept <= shelf.now_ms < min(entry.ends, entry.kept + _ms(ttl)):
            entry.used = shelf.now_ms
            return Hit(answer=entry.answer if not entry.answer.object else replace(entry.answer, body=None))
        if not refresh and flight is not None and flight.ends > shelf.now_ms:
            flight.waited = True
            return Wait(seconds=(flight.ends - shelf.now_ms) / 1000)
        waited = flight is not None and flight.waited
        shelf.flights[place] = _Flight(token, shelf.now_ms + _ms(believed), spot.scope, waited=waited)
        return Lead()

    async def hold(self, spot: Spot, *, token: str, believed: timedelta) -> Held:
        self._ask()
        place = (spot.tenant, spot.digest)
        flight = self.shelf.flights.get(place)
        if flight is None or flight.token != token:
            return Held(own=False, waited=True)
        if believed:
            flight.ends = self.shelf.now_ms + _ms(believed)
        else:
            del self.shelf.flights[place]
        return Held(own=True, waited=flight.waited)

    async def keep(self, spot: Spot, answer: Answer, *, token: str, ttl: timedelta) -> Kept:
        held = await self.hold(spot, token=token, believed=ttl * 0)
        if not held.own:
            return Kept(takes=None, waited=True)
        shelf, place = self.shelf, (spot.tenant, spot.digest)
        _, stale = self._reap(spot.tenant)
        self._drop(place, stale)
        shelf.entries[place] = _Entry(answer, spot.scope, shelf.now_ms, shelf.now_ms + _ms(ttl), shelf.now_ms)
        return Kept(takes=self._takes(spot.tenant), waited=held.waited, stale=stale)

    async def evict(self, tenant: str, *, in_redis: int, in_all: int) -> Evicted:
        self._ask()
        if not in_redis and not in_all:
            for place, flight in list(self.shelf.flights.items()):
                if place[0] == tenant and flight.ends < self.shelf.now_ms - 3_600_000:
                    del self.shelf.flights[place]
        before = self._takes(tenant)
        over, stale = self._reap(tenant)
        scopes: list[Scope] = []
        mine = sorted((entry.used, place) for place, entry in self.shelf.entries.items() if place[0] == tenant)
        for _, place in mine[:_MAX_EVICTED]:
            now = self._takes(tenant)
            freed = before.in_redis - now.in_redis
            if freed >= in_redis and freed + before.in_objects - now.in_objects >= in_all:
                break
            scopes.append(self.shelf.entries[place].scope)
            self._drop(place, stale)
        return Evicted(takes=self._takes(tenant), more=over == _MAX_EVICTED, scopes=scopes, stale=stale)

    async def forget(self, tenant: str, wanted: Scope, *, after: str) -> Forgotten:
        self._ask()
        stale: list[Stale] = []
        places = [each for each, entry in self.shelf.entries.items() if each[0] == tenant and entry.scope.fits(wanted)]
        for place in places:
            self._drop(place, stale)
        waited: list[str] = []
        for place, flight in list(self.shelf.flights.items()):
            if not after and place[0] == tenant and flight.scope.fits(wanted):
                del self.shelf.flights[place]
                if flight.waited:
                    waited.append(place[1])
        return Forgotten(count=len(places), last="", takes=self._takes(tenant), waited=waited, stale=stale)

    async def note(self, takes: Takes | None, bounds: Bounds) -> Sums:
        self._ask()
        shelf = self.shelf
        if takes is not None and takes.revision > getattr(shelf.noted.get(takes.tenant), "revision", 0):
            shelf.noted[takes.tenant] = takes
            if not takes.in_redis:
                del shelf.noted[takes.tenant]
        redis = {each.tenant: each.in_redis for each in shelf.noted.values()}
        both = {each.tenant: each.in_redis + each.in_objects for each in shelf.noted.values()}
        in_redis, in_all = sum(redis.values()), sum(both.values())
        holder = shelf.evicting if shelf.evicting and shelf.evicting[1] > shelf.now_ms else None
        mine = holder is None or holder[0] == self._name
        room = None
        if in_redis <= bounds.in_redis and in_all <= bounds.in_all:
            shelf.evicting = None if mine else shelf.evicting
        elif mine:
            shelf.evicting = (self._name, shelf.now_ms + _PATIENCE_MS)
            if in_all > bounds.in_all:
                who, wanted = _share(both, in_all - bounds.in_all)
                room = Room(tenant=who, in_redis=0, in_all=wanted)
            else:
                who, wanted = _share(redis, in_redis - bounds.in_redis)
                room = Room(tenant=who, in_redis=wanted, in_all=0)
        return Sums(in_redis=in_redis, in_all=in_all, room=room)

    async def tenants(self) -> list[str]:
        self._ask()
        return list(self.shelf.noted)

    def _reap(self, tenant: str) -> tuple[int, list[Stale]]:
        stale: list[Stale] = []
        over = [
            each for each, entry in self.shelf.entries.items() if each[0] == tenant and entry.ends <= self.shelf.now_ms
        ]
        for place in over[:_MAX_EVICTED]:
            self._drop(place, stale)
        return min(len(over), _MAX_EVICTED), stale

    def _drop(self, place: tuple[str, str], stale: list[Stale]) -> None:
        entry = self.shelf.entries.pop(place, None)
        if entry is not None and entry.answer.object:
            stale.append(Stale(tenant=place[0], digest=place[1], name=entry.answer.object))

    def _takes(self, tenant: str) -> Takes:
        taken = [entry.bytes for place, entry in self.shelf.entries.items() if place[0] == tenant]
        self.shelf.revision += 1
        in_redis, in_objects = sum(each[0] for each in taken), sum(each[1] for each in taken)
        return Takes(tenant=tenant, in_redis=in_redis, in_objects=in_objects, revision=self.shelf.revision)

    def _ask(self) -> None:
        if self.away:
            raise Unavailable("Redis does not answer", metadata={"dependency": "redis"})


class Uncached:
    """No cache: each call is made."""

    async def answer(
        self, lease: scheduler_pb2.Call, request: CallRequest, call: Callable[[CallRequest], Awaitable[Outcome]]
    ) -> Outcome:
        return await call(request)


def _share(taken: dict[str, int], excess: int) -> tuple[str, int]:
    most, *others = sorted(taken, key=lambda tenant: (taken[tenant], tenant), reverse=True)
    above = taken[most] - taken[others[0]] if others else excess
    return most, min(excess, max(above, -(-excess // len(taken))))


def _ms(span: timedelta) -> int:
    return round(span.total_seconds() * 1000)
