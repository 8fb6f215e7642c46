"""What operators and tenants set for queues: on disk in a bucket of NATS, and in force in Redis, where scripts read it.

A change is put in the bucket first. Whoever brings it into force looks whether it still is the newest when that is
done, and does it again where it is not: so the last one to write to Redis has always written what the bucket holds,
whichever replicas change it at the same time.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from penstock.scheduler.v1 import queues_pb2

from services.scheduler.limits import Pause
from services.scheduler.rules import rules_of
from shared.bus import Conflict
from shared.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from services.scheduler.queue import Queue
    from services.scheduler.rules import Offer
    from shared.bus import Entry
    from shared.clock import Clock

#: The bucket of all that schedulers share beside Redis.
BUCKET = "scheduler"
_SETTINGS = "settings"
_PAUSES = "pauses"
#: Of one tenant in one queue: each is looked at when anyone asks how the queue stands.
MAX_PAUSES = 100
#: That a tenant has no pause any more is on disk for so long, for replicas that have yet to hear of it.
_EMPTY_KEPT = timedelta(hours=1)


class Bucket(Protocol):
    """What is used of a bucket; `shared.bus.Bucket` is one, and says what each of these raises."""

    async def get(self, key: str) -> Entry | None:
        """The newest value."""
        ...

    async def create(self, key: str, value: bytes, *, ttl: timedelta | None = None) -> int:
        """Puts a key's first value, which goes by itself after that time."""
        ...

    async def update(self, key: str, value: bytes, revision: int, *, ttl: timedelta | None = None) -> int:
        """Puts another value in the place of the one of this revision, which goes by itself after that time."""
        ...

    async def put(self, key: str, value: bytes) -> int:
        """Puts a value, whatever is there."""
        ...

    async def keys(self) -> list[str]:
        """Every key that has a value."""
        ...

    async def entries(self) -> dict[str, Entry]:
        """Every key and its value."""
        ...

    async def watch(self, handle: Callable[[str, bytes | None], Awaitable[None]]) -> None:
        """Calls `handle` with each key and each change."""
        ...


class Signals(Protocol):
    """Tells that a queue has changed; `services.scheduler.work.Work` is one."""

    async def announce(self, upstream: str) -> None:
        """Signals to all replicas; raises `Unavailable`."""
        ...


class Settings:
    """The settings and pauses of all queues.

    Args:
        bucket: Where they are on disk.
        queue: Where they are in force.
        signals: Tell that there may be something to lease.
        clock: When a pause was set.
    """

    def __init__(self, *, bucket: Bucket, queue: Queue, signals: Signals, clock: Clock) -> None:
        self._bucket = bucket
        self._queue = queue
        self._signals = signals
        self._clock = clock
        self._offers: dict[str, Offer] = {}

    async def follow(self) -> None:
        """Brings into force what other replicas have put on disk and did not live to apply, until canceled."""
        await self._bucket.watch(self._changed)

    def offer(self, upstream: str, offer: Offer) -> None:
        """Takes note of what the catalogue says; `apply` brings it into force."""
        self._offers[upstream] = offer

    async def apply(self, upstream: str) -> None:
        """Brings all that holds for a queue into force: at the start, with a new catalogue, and after a rebuild.

        Raises:
            Unavailable: Redis or NATS is away; doing it again is right.
        """
        await self._apply_rules(upstream)
        in_force = {pause.tenant for pause in (await self._queue.view(upstream, tenant="", lanes=0)).pauses}
        for tenant in sorted(in_force | await self._pausing(upstream)):
            await self._apply_pauses(upstream, tenant)
        await self._signals.announce(upstream)

    async def restore(self, upstream: str) -> None:
        """Puts into a queue that is being rebuilt what is set for it, so that no lease goes before it holds.

        What has been taken back since, `apply` removes when the queue is whole.

        Raises:
            Unavailable: Redis or NATS is away; doing it again is right.
        """
        await self._apply_rules(upstream)
        for tenant in sorted(await self._pausing(upstream)):
            for pause in _pauses_of(await self._bucket.get(_Key(_PAUSES, upstream, tenant).text), tenant).values():
                await self._queue.pause(upstream, pause)

    async def of(self, upstream: str) -> queues_pb2.QueueSettings:
        """What is set for a queue.

        Raises:
            Unavailable: NATS is away.
        """
        return _settings_of(await self._bucket.get(_Key(_SETTINGS, upstream).text))

    async def set(self, upstream: str, settings: queues_pb2.QueueSettings) -> None:
        """Sets all of it anew; on return it is on disk and in force.

        Raises:
            Unavailable: Redis or NATS is away; it may be on disk, and doing it again is right.
        """
        await self._bucket.put(_Key(_SETTINGS, upstream).text, settings.SerializeToString())
        await self._apply_rules(upstream)
        await self._signals.announce(upstream)

    async def pause(self, upstream: str, pause: Pause) -> None:
        """Pauses what is named; on return it is on disk and in force.

        Raises:
            InvalidArgument: The tenant has as many pauses as it may have.
            Unavailable: Redis or NATS is away; it may be on disk, and doing it again is right.
        """
        at_ms = round(self._clock.now().timestamp() * 1000)

        def paused(pauses: dict[str, Pause]) -> dict[str, Pause]:
            before = pauses.get(pause.lane)
            if before is None and len(pauses) >= MAX_PAUSES:
                raise InvalidArgument.field(
                    "lane",
                    f"would be one of more than {MAX_PAUSES} pauses of a tenant; pause without a lane, or resume some",
                )
            since_ms = before.paused_at_ms if before is not None else at_ms
            return pauses | {pause.lane: replace(pause, paused_at_ms=since_ms)}

        await self._change(upstream, pause.tenant, paused)
        await self._apply_pauses(upstream, pause.tenant, lanes=[pause.lane])

    async def resume(self, upstream: str, *, tenant: str, lane: str) -> None:
        """Takes a pause back; on return that is on disk and in force.

        Raises:
            Unavailable: Redis or NATS is away; it may be on disk, and doing it again is right.
        """

        def resumed(pauses: dict[str, Pause]) -> dict[str, Pause]:
            return {name: pause for name, pause in pauses.items() if name != lane}

        await self._change(upstream, tenant, resumed)
        await self._apply_pauses(upstream, tenant, lanes=[lane])
        await self._signals.announce(upstream)

    async def forget(self, upstream: str, *, tenant: str, lane: str) -> int:
        """Takes back a tenant's pause of a lane, or all of its pauses where `lane` is empty; answers how many.

        What is then left on disk, the tenant's name, goes by itself.

        Raises:
            Unavailable: Redis or NATS is away; doing it again is right.
        """
        key = _Key(_PAUSES, upstream, tenant).text
        while True:
            entry = await self._bucket.get(key)
            before = _pauses_of(entry, tenant)
            gone = set(before) & {lane} if lane else set(before)
            if entry is None or not gone:
                return 0
            left = [pause for name, pause in before.items() if name not in gone]
            ttl = _EMPTY_KEPT if not left else None
            try:
                await self._bucket.update(key, _dump(left), entry.revision, ttl=ttl)
            except Conflict:  # another one was faster
                continue
            await self._apply_pauses(upstream, tenant, lanes=gone)
            await self._signals.announce(upstream)
            return len(gone)

    async def _change(self, upstream: str, tenant: str, change: Callable[[dict[str, Pause]], dict[str, Pause]]) -> None:
        """Changes a tenant's pauses, by lane, on disk, whoever else does so at the same time."""
        key = _Key(_PAUSES, upstream, tenant).text
        while True:
            entry = await self._bucket.get(key)
            before = _pauses_of(entry, tenant)
            after = change(before)
            if after == before:
                return
            try:
                if entry is None:
                    await self._bucket.create(key, _dump(after.values()))
                else:
                    await self._bucket.update(key, _dump(after.values()), entry.revision)
            except Conflict:  # another one was faster; this change is made to what that one has left
                continue
            return

    async def _apply_rules(self, upstream: str) -> None:
        entry = await self._bucket.get(_Key(_SETTINGS, upstream).text)
        while True:
            await self._queue.configure(upstream, rules_of(self._offers[upstream], _settings_of(entry)))
            newest = await self._bucket.get(_Key(_SETTINGS, upstream).text)
            if newest == entry:
                return
            entry = newest

    async def _apply_pauses(self, upstream: str, tenant: str, *, lanes: Iterable[str] | None = None) -> None:
        """Brings a tenant's pauses into force: of some lanes, or of all that are paused on disk or in Redis."""
        entry = await self._bucket.get(_Key(_PAUSES, upstream, tenant).text)
        while True:
            wanted = _pauses_of(entry, tenant)
            for lane in sorted(lanes if lanes is not None else {*wanted, *await self._paused(upstream, tenant)}):
                if lane in wanted:
                    await self._queue.pause(upstream, wanted[lane])
                else:
                    await self._queue.resume(upstream, tenant=tenant, lane=lane)
            newest = await self._bucket.get(_Key(_PAUSES, upstream, tenant).text)
            if newest == entry:
                return
            entry = newest

    async def _pausing(self, upstream: str) -> set[str]:
        """The tenants that have paused anything, or had."""
        keys = [_Key.read(name) for name in await self._bucket.keys()]
        return {key.tenant for key in keys if key.kind == _PAUSES and key.upstream == upstream}

    async def _paused(self, upstream: str, tenant: str) -> set[str]:
        view = await self._queue.view(upstream, tenant=tenant, lanes=0)
        return {pause.lane for pause in view.pauses if pause.tenant == tenant}

    async def _changed(self, name: str, value: bytes | None) -> None:
        """Applies what a replica, this one too, has put on disk."""
        del value  # what is newest is read when it is applied
        key = _Key.read(name)
        if (
            key.kind not in {_SETTINGS, _PAUSES} or key.upstream not in self._offers
        ):  # all of it is applied when the catalogue has it
            return
        if key.kind == _SETTINGS:
            await self._apply_rules(key.upstream)
        else:
            await self._apply_pauses(key.upstream, key.tenant)
        await self._signals.announce(key.upstream)


@dataclass(frozen=True, slots=True)
class _Key:
    """A key of the bucket: `settings.<upstream>`, `pauses.<upstream>` for all tenants, `pauses.<upstream>.<tenant>`."""

    kind: str
    upstream: str
    tenant: str = ""

    @classmethod
    def read(cls, text: str) -> _Key:
        kind, _, rest = text.partition(".")
        upstream, _, tenant = rest.partition(".")
        return cls(kind, upstream, tenant)

    @property
    def text(self) -> str:
        return ".".join(part for part in (self.kind, self.upstream, self.tenant) if part)


def _settings_of(entry: Entry | None) -> queues_pb2.QueueSettings:
    return queues_pb2.QueueSettings.FromString(entry.value) if entry is not None else queues_pb2.QueueSettings()


def _pauses_of(entry: Entry | None, tenant: str) -> dict[str, Pause]:
    """A tenant's pauses by lane."""
    if entry is None:
        return {}
    return {
        lane: Pause(tenant=tenant, lane=lane, reason=reason, paused_at_ms=at_ms)
        for lane, reason, at_ms in json.loads(entry.value)
    }


def _dump(pauses: Iterable[Pause]) -> bytes:
    return json.dumps([[pause.lane, pause.reason, pause.paused_at_ms] for pause in pauses]).encode()
