"""The auth store in memory; `tests/contract/test_auth_store.py` holds it to what the real one does."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from services.auth.domain import FoundKey, Key, KeyState, PrefixTaken, Tenant
from shared.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from services.auth.domain import KeptSecret, Suspension
    from shared.paging import Position


class FakeStore:
    """Keeps tenants and keys in memory; can be away, and can be held up."""

    def __init__(self) -> None:
        self.tenants_by_name: dict[str, Tenant] = {}
        #: Names of tenants of whose last change is to be told.
        self.untold: set[str] = set()
        self.by_id: dict[str, Key] = {}
        #: Every call raises `Unavailable` while it is.
        self.away = False
        #: Lookups by prefix so far.
        self.lookups = 0
        #: Writes of when keys were used.
        self.notes = 0
        #: A lookup by prefix has read, and answers only once this is set.
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def prepare(self) -> None:
        self._check()

    async def add_tenant(self, tenant: Tenant) -> bool:
        self._check()
        return self.tenants_by_name.setdefault(tenant.name, tenant) is tenant

    async def tenant(self, name: str) -> Tenant | None:
        self._check()
        return self.tenants_by_name.get(name)

    async def tenants(
        self, *, limit: int, suspended: bool | None = None, after: Position | None = None
    ) -> Sequence[Tenant]:
        self._check()
        found = sorted(self.tenants_by_name.values(), key=lambda each: (each.created_at, each.name), reverse=True)
        if suspended is not None:
            found = [each for each in found if (each.suspension is not None) is suspended]
        if after is not None:
            found = [each for each in found if (each.created_at, each.name) < (after.created_at, after.id)]
        return found[:limit]

    async def suspend_tenant(self, name: str, suspension: Suspension) -> Tenant | None:
        tenant = await self.tenant(name)
        if tenant is None or (tenant.suspension is not None and tenant.suspension.reason == suspension.reason):
            return self._told_again(tenant)
        since = tenant.suspension.at if tenant.suspension is not None else suspension.at
        return self._changed(replace(tenant, suspension=replace(suspension, at=since), changed_at=suspension.at))

    async def resume_tenant(self, name: str, at: datetime) -> Tenant | None:
        tenant = await self.tenant(name)
        if tenant is None or tenant.suspension is None:
            return self._told_again(tenant)
        return self._changed(replace(tenant, suspension=None, changed_at=at))

    async def untold_tenants(self, *, limit: int) -> Sequence[Tenant]:
        self._check()
        return [self.tenants_by_name[name] for name in sorted(self.untold)][:limit]

    async def note_told(self, name: str, revision: int) -> None:
        tenant = await self.tenant(name)
        if tenant is not None and tenant.revision == revision:
            self.untold.discard(name)

    async def add_key(self, key: Key) -> None:
        self._check()
        self._refuse_taken(key.prefix)
        self.by_id[key.id] = key

    async def key(self, tenant: str, key_id: str) -> Key | None:
        self._check()
        key = self.by_id.get(key_id)
        return key if key is not None and key.tenant == tenant else None

    async def keys_by_id(self, key_ids: Collection[str]) -> Mapping[str, Key]:
        self._check()
        return {key_id: self.by_id[key_id] for key_id in key_ids if key_id in self.by_id}

    async def keys(self, tenant: str, *, limit: int, after: Position | None = None) -> Sequence[Key]:
        self._check()
        own = [key for key in self.by_id.values() if key.tenant == tenant]
        own.sort(key=lambda key: (key.created_at, key.id), reverse=True)
        if after is not None:
            own = [key for key in own if (key.created_at, key.id) < (after.created_at, after.id)]
        return own[:limit]

    async def revoke_key(self, tenant: str, key_id: str, at: datetime) -> Key | None:
        key = await self.key(tenant, key_id)
        if key is not None and key.revoked_at is None:
            key = self.by_id[key_id] = replace(key, revoked_at=at)
        return key

    async def rotate_key(
        self, tenant: str, key_id: str, fresh: KeptSecret, *, former_expires_at: datetime, at: datetime
    ) -> Key | None:
        key = await self.key(tenant, key_id)
        self._refuse_taken(fresh.prefix)
        if key is None or key.state(at) is not KeyState.ACTIVE:
            return None
        self.by_id[key_id] = key.rotated(fresh, former_expires_at)
        return key

    async def note_used(self, uses: Mapping[str, datetime]) -> None:
        self._check()
        self.notes += 1
        for key_id, at in uses.items():
            key = self.by_id.get(key_id)
            if key is not None and (key.last_used_at is None or key.last_used_at < at):
                self.by_id[key_id] = replace(key, last_used_at=at)

    async def find_key(self, prefix: str) -> FoundKey | None:
        self.lookups += 1
        found = next((key for key in self.by_id.values() if prefix in key.prefixes), None)
        tenant = self.tenants_by_name.get(found.tenant) if found is not None else None
        away = self.away
        await self.may_answer.wait()
        if away:
            raise _unavailable()
        return FoundKey(key=found, tenant=tenant) if found is not None else None

    def _told_again(self, tenant: Tenant | None) -> Tenant | None:
        if tenant is not None and tenant.revision:
            self.untold.add(tenant.name)
        return tenant

    def _changed(self, tenant: Tenant) -> Tenant:
        changed = self.tenants_by_name[tenant.name] = replace(tenant, revision=tenant.revision + 1)
        self.untold.add(tenant.name)
        return changed

    def _refuse_taken(self, prefix: str) -> None:
        if any(prefix in other.prefixes for other in self.by_id.values()):
            raise PrefixTaken

    def _check(self) -> None:
        if self.away:
            raise _unavailable()


def _unavailable() -> Unavailable:
    return Unavailable("MongoDB does not answer", metadata={"dependency": "mongodb"})
