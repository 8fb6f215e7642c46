"""The store in Redis: each step is one script, and all that a tenant has is on one hash tag."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from redis.exceptions import RedisError

from services.upstream.cache.entries import Scope, bytes_of, read_answer, read_objects
from services.upstream.cache.store import (
    Evicted,
    Forgotten,
    Held,
    Hit,
    Kept,
    Lead,
    Room,
    Stale,
    Sums,
    Takes,
    Wait,
)
from shared import ids, kv
from shared.errors import Unavailable
from shared.gathered import GatheredScript

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from services.upstream.cache.entries import Answer, Spot
    from services.upstream.cache.store import Bounds, Found

#: A call that can be made is not held up for longer by a Redis that does not answer.
PATIENCE = timedelta(seconds=1)
#: A replica that has taken so long for one step of making room has died.
_EVICTING_PATIENCE = timedelta(seconds=10)
#: Answers of one step.
_MAX_EVICTED = 128
_MAX_LOOKED_AT = 256
_NO_OBJECT = "-"
_TALLY = tuple(f"{{cache}}:{name}" for name in ("noted", "redis", "total", "sums", "evicting"))
_LUA = Path(__file__).parents[1] / "lua"


class RedisAnswers:
    """Keeps answers in Redis; what is asked at the same time goes together in one round trip.

    Args:
        client: Connected, or to be.
        clock: The script that reads the time.
        patience: How long a round trip may take.
    """

    def __init__(self, client: kv.Client, *, clock: Path = kv.CLOCK, patience: timedelta = PATIENCE) -> None:
        def script(*names: str) -> kv.Script:
            return kv.Script(clock, *(_LUA / f"{name}.lua" for name in names))

        self._client = client
        self._patience_s = patience.total_seconds()
        self._look = GatheredScript(script("entries", "flights", "look"), client, patience=patience)
        self._hold = GatheredScript(script("entries", "flights", "hold"), client, patience=patience)
        self._keep = GatheredScript(script("entries", "flights", "keep"), client, patience=patience)
        self._evict = script("entries", "flights", "evict")
        self._forget = script("entries", "flights", "forget")
        self._note = script("note")
        self._tenants = script("tenants")
        self._me = str(ids.uuid7())

    async def look(
        self, spot: Spot, *, token: str, believed: timedelta, ttl: timedelta, refresh: bool = False
    ) -> Found:
        """See `AnswerStore`."""
        arguments = [spot.digest, token, _ms(believed), _ms(ttl), int(refresh), spot.scope.text]
        async with self._answering():
            found = await self._look.run(_keys(spot.tenant), arguments)
        if found[0] == b"hit":
            _, head, body, name, size = found
            return Hit(answer=read_answer(head, body, object_name=_read_name(name), size=size))
        return Wait(seconds=found[1] / 1000) if found[0] == b"wait" else Lead()

    async def hold(self, spot: Spot, *, token: str, believed: timedelta) -> Held:
        """See `AnswerStore`."""
        async with self._answering():
            own, waited = await self._hold.run(_keys(spot.tenant), [spot.digest, token, _ms(believed)])
        return Held(own=bool(own), waited=bool(waited))

    async def keep(self, spot: Spot, answer: Answer, *, token: str, ttl: timedelta) -> Kept:
        """See `AnswerStore`."""
        in_redis, in_objects = bytes_of(answer, spot.scope)
        body = b"" if answer.object else answer.body or b""
        name = answer.object or _NO_OBJECT
        arguments: list[kv.Argument] = [spot.digest, token, _ms(ttl), answer.head, body, name]
        async with self._answering():
            kept, waited, takes, stale = await self._keep.run(
                _keys(spot.tenant), [*arguments, answer.size, in_redis, in_objects]
            )
        return Kept(
            takes=_takes(spot.tenant, takes) if kept else None, waited=bool(waited), stale=_stale(spot.tenant, stale)
        )

    async def evict(self, tenant: str, *, in_redis: int, in_all: int) -> Evicted:
        """See `AnswerStore`."""
        takes, more, scopes, stale = await self._run(self._evict, _keys(tenant), [in_redis, in_all, _MAX_EVICTED])
        return Evicted(
            takes=_takes(tenant, takes),
            more=bool(more),
            scopes=[_read_scope(scope) for scope in scopes],
            stale=_stale(tenant, stale),
        )

    async def forget(self, tenant: str, wanted: Scope, *, after: str) -> Forgotten:
        """See `AnswerStore`."""
        arguments = [*wanted.parts, after, _MAX_LOOKED_AT]
        count, last, takes, waited, stale = await self._run(self._forget, _keys(tenant), arguments)
        return Forgotten(
            count=count,
            last=last.decode(),
            takes=_takes(tenant, takes),
            waited=[digest.decode() for digest in waited],
            stale=_stale(tenant, stale),
        )

    async def note(self, takes: Takes | None, bounds: Bounds) -> Sums:
        """See `AnswerStore`."""
        arguments: list[kv.Argument] = [self._me, _ms(_EVICTING_PATIENCE), bounds.in_redis, bounds.in_all]
        if takes is None:
            arguments += ["", 0, 0, 0]
        else:
            arguments += [takes.tenant, takes.revision, takes.in_redis, takes.in_objects]
        in_redis, in_all, *rest = await self._run(self._note, _TALLY, arguments)
        room = Room(tenant=rest[0].decode(), in_redis=rest[1], in_all=rest[2]) if rest else None
        return Sums(in_redis=in_redis, in_all=in_all, room=room)

    async def tenants(self) -> Sequence[str]:
        """See `AnswerStore`."""
        return [name.decode() for name in await self._run(self._tenants, [_TALLY[2]], [])]

    async def _run(self, script: kv.Script, keys: Sequence[str], arguments: Sequence[kv.Argument]) -> Any:
        async with self._answering(), asyncio.timeout(self._patience_s):
            return await script.run(self._client, keys, arguments)

    @asynccontextmanager
    async def _answering(self) -> AsyncGenerator[None]:
        """Whatever Redis has against it, a refusal of what an older table of rights lacks too, is no reason to fail."""
        try:
            yield
        except TimeoutError as error:
            raise Unavailable("Redis does not answer in time", metadata={"dependency": "redis"}) from error
        except RedisError as error:
            raise Unavailable(f"Redis refuses ({error})", metadata={"dependency": "redis"}) from error


def _keys(tenant: str) -> list[str]:
    names = ("takes", "used", "lapses", "known", "index", "flights")
    return [f"{{cache:{tenant}}}:{name}" for name in names]


def _ms(span: timedelta) -> int:
    return round(span.total_seconds() * 1000)


def _read_name(name: bytes) -> str:
    text = name.decode()
    return "" if text == _NO_OBJECT else text


def _read_scope(text: bytes) -> Scope:
    connection, upstream, method = (unquote(part) for part in text.decode().split("\n"))
    return Scope(connection=connection, upstream=upstream, method=method)


def _takes(tenant: str, told: Sequence[Any]) -> Takes:
    in_redis, in_objects, revision = told
    return Takes(tenant=tenant, in_redis=in_redis, in_objects=in_objects, revision=int(revision))


def _stale(tenant: str, found: list[bytes]) -> list[Stale]:
    return [Stale(tenant=tenant, digest=digest, name=name) for digest, name in read_objects(found)]
