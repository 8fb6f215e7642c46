"""Retentions, as this replica knows them: every job that is projected asks, and waits for nothing."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

from shared import observability
from shared.errors import Unavailable
from shared.retry import Backoff, until_done

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.history.retention.domain import Change, Retention
    from services.history.retention.store import RetentionStore

log = observability.logger()

#: Between two looks at what other replicas have changed: one read of a small collection.
LOOK_INTERVAL = timedelta(seconds=3)
_BACKOFF = Backoff(initial=timedelta(milliseconds=100), maximum=LOOK_INTERVAL)


class Retentions:
    """Knows how long each tenant's things are kept. What is changed here holds at once, elsewhere within seconds.

    Args:
        store: Keeps what tenants have of their own.
        default: What holds for everybody else.
    """

    def __init__(self, store: RetentionStore, *, default: Retention) -> None:
        self._store = store
        self.default = default
        #: None until the store has answered once.
        self._known: Mapping[str, Retention] | None = None
        #: Counts changes that were made here: what was asked for before one is older than it.
        self._changes = 0

    def known(self, tenant: str) -> Retention:
        """What holds for a tenant, as far as is known here."""
        return (self._known or {}).get(tenant, self.default)

    async def indexed_keys(self, tenant: str) -> tuple[str, ...]:
        """The keys of metadata by which a tenant's jobs can be listed; asked for where nothing is known here yet.

        Raises:
            Unavailable: Nothing is known, and the store is away.
        """
        if self._known is None:
            await self.look()
        return self.known(tenant).indexed_metadata

    #: As lists ask for them.
    indexed_metadata = indexed_keys

    async def get(self, tenant: str) -> Retention:
        """What holds for a tenant.

        Raises:
            Unavailable: The store is away.
        """
        return (await self._store.get(tenant)).over(self.default)

    async def change(self, tenant: str, change: Change) -> Retention:
        """Changes what a tenant has of its own; answers with what holds for it then.

        Raises:
            Unavailable: The store is away; the change may be made, or not.
        """
        held = (await self._store.change(tenant, change)).over(self.default)
        self._changes += 1
        if self._known is not None:
            self._known = {**self._known, tenant: held}
        log.info("retention_changed", tenant=tenant, fields=sorted(change.fields))
        return held

    async def all(self) -> Mapping[str, Retention]:
        """What holds for each tenant that has anything of its own.

        Raises:
            Unavailable: The store is away.
        """
        await self.look()
        return self._known or {}

    async def erase(self, tenant: str) -> bool:
        """Removes what a tenant has of its own; answers whether it had anything.

        Raises:
            Unavailable: The store is away.
        """
        erased = await self._store.erase(tenant)
        self._changes += 1
        if self._known is not None:
            self._known = {name: held for name, held in self._known.items() if name != tenant}
        return erased

    async def look(self) -> None:
        """Asks for all of them.

        Raises:
            Unavailable: The store is away; what was known stays.
        """
        while True:
            changes = self._changes
            found = await self._store.all()
            if changes == self._changes:
                self._known = {tenant: own.over(self.default) for tenant, own in found.items()}
                return

    async def run(self) -> None:
        """Looks again and again, until canceled."""
        while True:
            await until_done(self.look, retry_on=(Unavailable,), backoff=_BACKOFF)
            await asyncio.sleep(LOOK_INTERVAL.total_seconds())
