"""Rotation: what is sealed under data keys that are not current any more is sealed anew, and then they are destroyed.

Any number of replicas may do it at once, and die at it: each secret is replaced only where it is still the one that was
opened, so that no refresh is undone, and what is left is found by whoever looks next.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol

from prometheus_client import Counter

from services.auth.connections.sealing.vault import SecretLostError
from shared import crash_points, observability
from shared.crash_points import CrashPoint
from shared.errors import Unavailable
from shared.retry import Backoff, until_done

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.auth.connections.domain import Kept, Sealed
    from services.auth.connections.sealing.data_key_store import DataKey, DataKeyStore
    from services.auth.connections.sealing.data_keys import DataKeys
    from services.auth.connections.sealing.sealed_store import SealedStore
    from services.auth.connections.sealing.vault import Vault
    from shared.clock import Clock

log = observability.logger()

RESEALED = Counter("penstock_auth_resealed_secrets", "Secrets that were sealed anew under another data key.")

#: Between two looks at which keys there are: for what another replica has rotated, or has left.
LOOK_INTERVAL = timedelta(seconds=30)
#: After a key was replaced, some may still seal under it: those who have not looked since (`data_keys.FRESH_TIME`), and
#: have yet to write. It is far longer than both.
MARGIN = timedelta(minutes=10)
_AT_ONCE = 100
_BACKOFF = Backoff(initial=timedelta(milliseconds=200), maximum=timedelta(seconds=10))


class SealedElsewhere(Protocol):
    """Keeps what is sealed for a short while, and is never sealed anew."""

    async def count_sealed_under(self, data_key_id: str) -> int:
        """How much it has that a data key seals; raises `Unavailable`."""
        ...


class Resealing:
    """Seals anew, and destroys.

    Args:
        keys: The data keys.
        key_store: Where they are destroyed.
        vault: Seals.
        store: The secrets of connections.
        others: Those for whose sake a key is kept, too.
        clock: The time.
        margin: How long a key is kept at least after another one has taken its place.
    """

    def __init__(
        self,
        *,
        keys: DataKeys,
        key_store: DataKeyStore,
        vault: Vault,
        store: SealedStore,
        others: Sequence[SealedElsewhere],
        clock: Clock,
        margin: timedelta = MARGIN,
    ) -> None:
        self._keys = keys
        self._key_store = key_store
        self._vault = vault
        self._store = store
        self._others = others
        self._clock = clock
        self._margin = margin
        self._rotated = asyncio.Event()

    def wake(self) -> None:
        """Has it look at once: there is another data key."""
        self._rotated.set()

    async def run(self) -> None:
        """Seals anew what is not sealed under the current key: at the start, after each rotation; until canceled."""
        while True:
            self._rotated.clear()
            await until_done(
                self.reseal,
                retry_on=(Unavailable,),
                backoff=_BACKOFF,
                on_failure=lambda error, pause: log.warning(
                    "resealing_delayed", error=str(error), pause_s=round(pause.total_seconds(), 2)
                ),
            )
            with suppress(TimeoutError):  # time for the next look
                async with asyncio.timeout(LOOK_INTERVAL.total_seconds()):
                    await self._rotated.wait()

    async def reseal(self) -> None:
        """Seals anew what there is to be, and destroys the keys that seal nothing any more.

        Raises:
            Unavailable: MongoDB or the key provider is away; what is left is done with the next call.
        """
        keys = await self._keys.look()
        for newer, key in pairwise(keys):
            await self._reseal_all(key)
            if self._clock.now() >= newer.created_at + self._margin and await self._seals_nothing(key):
                await self._key_store.destroy_data_key(key.id)
                log.info("data_key_destroyed", data_key=key.id, number=key.number)

    async def _reseal_all(self, key: DataKey) -> None:
        after = ""
        while kept := await self._store.sealed_under(key.id, limit=_AT_ONCE, after=after):
            after = kept[-1].connection_id
            resealed = [pair for each in kept if (pair := await self._resealed(each)) is not None]
            if resealed:
                count = await self._store.reseal(resealed)
                RESEALED.inc(count)
                log.info("secrets_resealed", data_key=key.id, count=count)
            crash_points.reach(CrashPoint.AUTH_RESEALING)

    async def _resealed(self, kept: Kept) -> tuple[Kept, Sealed] | None:
        try:
            sealed = await self._vault.reseal(kept.sealed, tenant=kept.tenant, connection_id=kept.connection_id)
        except SecretLostError as error:  # its connection needs another secret; its key is kept for an operator's sake
            log.warning("secret_lost", connection=kept.connection_id, owner=kept.tenant, error=str(error))
            return None
        return kept, sealed

    async def _seals_nothing(self, key: DataKey) -> bool:
        for store in (self._store, *self._others):
            if await store.count_sealed_under(key.id):
                return False
        return True
