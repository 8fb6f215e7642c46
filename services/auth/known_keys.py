"""The keys that were asked about lately: the cache between the gateway's question and the store.

A key is looked up again in the background before its time is over, so that one in use never waits. When MongoDB is
away, what was known is good for a while longer; a revocation drops it at once all the same.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Generic, TypeVar

from prometheus_client import Counter

from shared import observability
from shared.errors import Unavailable
from shared.single_flight import SingleFlight

if TYPE_CHECKING:
    from collections.abc import Callable

    from services.auth.domain import FoundKey
    from services.auth.store import Store

log = observability.logger()
MemoT = TypeVar("MemoT")

LOOKUPS = Counter("penstock_auth_key_lookups", "Lookups of keys in the store, by outcome.", ("outcome",))
STALE = Counter(
    "penstock_auth_stale_keys", "Times that a key was taken from the cache after its time, MongoDB being away."
)

#: What is known of a key is good for so long; a revocation whose signal was lost takes no longer than this.
TIME_TO_LIVE = timedelta(seconds=30)
#: From this age on a key in use is looked up again in the background.
REFRESH_AFTER = timedelta(seconds=20)
#: What is known is good for so long when the store is away.
STALE_TIME = timedelta(minutes=15)
#: For one lookup; the gateway waits longer than this.
LOOKUP_TIMEOUT = timedelta(seconds=1)
#: After a failed lookup the store counts as away for so long: nobody waits for it who has something to go by.
_AWAY_TIME_S = 5.0
#: While it is away, it is tried this often.
_PROBE_INTERVAL_S = 1.0
#: Keys in use at the same time; about 2 KB each.
MAX_KEYS = 20_000
#: Prefixes that no key has; whoever guesses keys makes these, so they must not push out the true ones.
MAX_ABSENT = 1_000
_RETRY_AFTER = timedelta(seconds=1)


@dataclass(slots=True)
class KnownKey(Generic[MemoT]):
    """What the store said about a prefix."""

    #: None where no key has it.
    found: FoundKey | None
    #: When the store was asked, by the monotonic clock.
    asked_at: float
    #: What its user made of it, kept for as long as the key stays the same.
    memo: MemoT | None = None


class KnownKeys(Generic[MemoT]):
    """Knows keys by their prefix.

    Args:
        store: Asked for what is not known.
        monotonic: Seconds that only grow.
    """

    def __init__(self, store: Store, *, monotonic: Callable[[], float]) -> None:
        self._store = store
        self._monotonic = monotonic
        self._keys: OrderedDict[str, KnownKey[MemoT]] = OrderedDict()
        self._absent: OrderedDict[str, KnownKey[MemoT]] = OrderedDict()
        self._lookups: SingleFlight[str, KnownKey[MemoT]] = SingleFlight()
        self._away_until = 0.0
        self._probe_at = 0.0

    def in_use(self, prefix: str) -> KnownKey[MemoT] | None:
        """What is known about the prefix of a key that needs no lookup now; one is begun where that is soon."""
        known = self._keys.get(prefix)
        if known is None:
            return None
        age = self._monotonic() - known.asked_at
        if age >= TIME_TO_LIVE.total_seconds():
            return None
        if age >= REFRESH_AFTER.total_seconds():
            self._probe(prefix)
        return known

    async def get(self, prefix: str) -> KnownKey[MemoT]:
        """What is known about the prefix, or what the store says.

        Raises:
            Unavailable: Nothing is known, and the store is away.
        """
        known = self.in_use(prefix) or self._absent.get(prefix) or self._keys.get(prefix)
        if known is None:
            return await self._answered(prefix)
        age = self._monotonic() - known.asked_at
        if age < TIME_TO_LIVE.total_seconds():
            return known
        if known.found is None or age >= STALE_TIME.total_seconds():
            return await self._answered(prefix)
        return await self._refreshed(prefix, known)

    def forget(self, prefix: str) -> None:
        """Drops what is known about the prefix, and what a lookup under way will say."""
        self._keys.pop(prefix, None)
        self._absent.pop(prefix, None)
        self._lookups.outdate(lambda asked: asked == prefix)

    def forget_tenant(self, tenant: str) -> None:
        """Drops what is known about each key of a tenant, and what any lookup under way will say."""
        of_tenant = [prefix for prefix, known in self._keys.items() if _belongs_to(known, tenant)]
        for prefix in of_tenant:
            del self._keys[prefix]
        self._lookups.outdate(lambda _: True)

    async def _refreshed(self, prefix: str, known: KnownKey[MemoT]) -> KnownKey[MemoT]:
        """What the store says, or what was known where it is away."""
        if self._monotonic() < self._away_until:
            self._probe(prefix)
        else:
            try:
                return await self._answered(prefix)
            except Unavailable:
                if prefix not in self._keys:  # revoked meanwhile
                    raise
        STALE.inc()
        return known

    async def _answered(self, prefix: str) -> KnownKey[MemoT]:
        """What the store says; all who want to know at the same time share one lookup, and none can cancel it."""
        return await asyncio.shield(self._lookup(prefix))

    def _probe(self, prefix: str) -> None:
        """Looks up without waiting; seldom, while the store is away."""
        now = self._monotonic()
        if now < self._away_until:
            if now < self._probe_at:
                return
            self._probe_at = now + _PROBE_INTERVAL_S
        self._lookup(prefix)

    def _lookup(self, prefix: str) -> asyncio.Task[KnownKey[MemoT]]:
        return self._lookups.begin(prefix, lambda: self._ask(prefix), lambda known: self._remember(prefix, known))

    async def _ask(self, prefix: str) -> KnownKey[MemoT]:
        known: KnownKey[MemoT] = KnownKey(None, self._monotonic())
        try:
            async with asyncio.timeout(LOOKUP_TIMEOUT.total_seconds()):
                known.found = await self._store.find_key(prefix)
        except (Unavailable, TimeoutError) as error:
            LOOKUPS.labels("failed").inc()
            if self._monotonic() >= self._away_until:
                log.warning("key_store_away", error=str(error) or type(error).__name__)
            self._away_until = self._monotonic() + _AWAY_TIME_S
            raise Unavailable(
                "keys cannot be looked up right now; try again shortly",
                metadata={"dependency": "mongodb"},
                retry_after=_RETRY_AFTER,
            ) from error
        self._away_until = 0.0
        LOOKUPS.labels("found" if known.found is not None else "absent").inc()
        return known

    def _remember(self, prefix: str, known: KnownKey[MemoT]) -> None:
        before = self._keys.pop(prefix, None)
        self._absent.pop(prefix, None)
        if before is not None and before.found == known.found:
            known.memo = before.memo
        entries, most = (self._keys, MAX_KEYS) if known.found is not None else (self._absent, MAX_ABSENT)
        entries[prefix] = known
        if len(entries) > most:
            entries.popitem(last=False)


def _belongs_to(known: KnownKey[MemoT], tenant: str) -> bool:
    return known.found is not None and known.found.key.tenant == tenant
