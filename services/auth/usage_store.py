"""Where it is kept how often keys were used, and who uses most: in Redis, for 90 days.

    {auth:tenant:<tenant>}:usage:<key>:<day>      hash        how many of each counted thing
    {auth:tenant:<tenant>}:top:<measure>:<day>    sorted set  the tenant's keys by that measure
    {auth:all}:top:<measure>:<day>                sorted set  `<tenant>/<key>` by that measure, over all tenants

A ranking keeps its first 10,000, so that it has a bound; who is that far behind is no top caller.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from shared import kv
from shared.kv import translated

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date

#: Days that are kept, today included.
KEPT_DAYS = 90
_KEPT_S = int(timedelta(days=KEPT_DAYS + 1).total_seconds())
#: Callers that a ranking keeps, and those of each day that are looked at when it is asked who calls most over some.
KEPT_CALLERS = 10_000
_LOOKED_AT = 1_000
#: Stands for all tenants where a ranking is over them.
ALL = ""
_LUA = Path(__file__).parent / "lua"
_ADD = kv.Script(_LUA / "usage.lua")
_RANK = kv.Script(_LUA / "top.lua")


class Counted(StrEnum):
    """What is counted of a key."""

    #: Requests, by what became of them at the gateway.
    ALLOWED = "allowed"
    RATE_LIMITED = "rate_limited"
    REFUSED = "refused"
    #: Jobs that were accepted.
    JOBS = "jobs"
    #: Requests that were let pass, and that a service answered with an error.
    ERRORS = "errors"


class Measure(StrEnum):
    """What callers are ranked by."""

    REQUESTS = "requests"
    JOBS = "jobs"
    ERRORS = "errors"


@dataclass(frozen=True, slots=True)
class Caller:
    """A key, with whose it is."""

    tenant: str
    key_id: str


@dataclass(frozen=True, slots=True)
class KeyDay:
    """A key on a day."""

    tenant: str
    key_id: str
    day: date


def amount(counts: Mapping[Counted, int], measure: Measure) -> int:
    """How much of a measure was counted."""
    match measure:
        case Measure.REQUESTS:
            return sum(counts.get(each, 0) for each in (Counted.ALLOWED, Counted.RATE_LIMITED, Counted.REFUSED))
        case Measure.JOBS:
            return counts.get(Counted.JOBS, 0)
        case Measure.ERRORS:
            return counts.get(Counted.ERRORS, 0)


class UsageStore(Protocol):
    """Keeps how often keys were used. Every method raises `Unavailable` when it cannot answer."""

    async def add(self, counted: Mapping[KeyDay, Mapping[Counted, int]]) -> None:
        """Adds what was counted; where it fails, any of it may be added."""
        ...

    async def of_days(self, days: Sequence[KeyDay]) -> list[Mapping[Counted, int]]:
        """What is known of each of these days."""
        ...

    async def top(self, tenant: str, measure: Measure, days: Sequence[date], *, limit: int) -> list[Caller]:
        """Who has most of a measure over these days, the most first: a tenant's keys, or those of `ALL`."""
        ...


class RedisUsage:
    """The store in Redis.

    Args:
        client: Connected.
    """

    def __init__(self, client: kv.Client) -> None:
        self._client = client

    async def add(self, counted: Mapping[KeyDay, Mapping[Counted, int]]) -> None:
        """Adds what was counted."""
        counts = [
            ([_place(day)], [_KEPT_S, *(part for each in of_day.items() for part in each)])
            for day, of_day in counted.items()
        ]
        rankings = [
            ([place], [_KEPT_S, KEPT_CALLERS, *(part for each in added.items() for part in each)])
            for place, added in _ranked(counted.items()).items()
        ]
        await _ADD.run_many(self._client, counts)
        if rankings:
            await _RANK.run_many(self._client, rankings)

    async def of_days(self, days: Sequence[KeyDay]) -> list[Mapping[Counted, int]]:
        """What is known of each of these days."""
        async with translated(), self._client.pipeline(transaction=False) as pipeline:
            for day in days:
                pipeline.hgetall(_place(day))
            found = cast("list[dict[bytes, bytes]]", await cast("Any", pipeline.execute()))
        return [{each: int(counts[each.encode()]) for each in Counted if each.encode() in counts} for counts in found]

    async def top(self, tenant: str, measure: Measure, days: Sequence[date], *, limit: int) -> list[Caller]:
        """Who has most of a measure over these days, the most first."""
        async with translated(), self._client.pipeline(transaction=False) as pipeline:
            for day in days:
                pipeline.zrange(_ranking(tenant, measure, day), 0, _LOOKED_AT - 1, desc=True, withscores=True)
            found = cast("list[list[tuple[bytes, float]]]", await cast("Any", pipeline.execute()))
        total: Counter[str] = Counter()
        for day_of in found:
            for member, score in day_of:
                total[member.decode()] += int(score)
        return [_caller(member, tenant) for member, _ in sorted(total.items(), key=lambda each: (-each[1], each[0]))][
            :limit
        ]


def _ranked(counted: Iterable[tuple[KeyDay, Mapping[Counted, int]]]) -> Mapping[str, Mapping[str, int]]:
    """What is added to each ranking."""
    rankings: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for day, counts in counted:
        for measure in Measure:
            added = amount(counts, measure)
            if added:
                rankings[_ranking(day.tenant, measure, day.day)][day.key_id] = added
                rankings[_ranking(ALL, measure, day.day)][f"{day.tenant}/{day.key_id}"] = added
    return rankings


def _caller(member: str, tenant: str) -> Caller:
    if tenant != ALL:
        return Caller(tenant, member)
    owner, _, key_id = member.partition("/")
    return Caller(owner, key_id)


def _place(day: KeyDay) -> str:
    return f"{{auth:tenant:{day.tenant}}}:usage:{day.key_id}:{day.day.isoformat()}"


def _ranking(tenant: str, measure: Measure, day: date) -> str:
    whose = f"{{auth:tenant:{tenant}}}" if tenant != ALL else "{auth:all}"
    return f"{whose}:top:{measure}:{day.isoformat()}"
