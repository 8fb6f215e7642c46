"""The store of endpoints in memory; `tests/contract/endpoint_store` holds it to what the real one does."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from services.webhooks.endpoints.store import MOST_ENDPOINTS
from shared.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime

    from services.webhooks.endpoints.domain import DisabledReason, Endpoint
    from shared.paging import Position


class FakeEndpointStore:
    """Keeps endpoints in memory; can be away."""

    def __init__(self) -> None:
        self.by_id: dict[str, Endpoint] = {}
        self.untold_ids: set[str] = set()
        #: Every call raises `Unavailable` while it is.
        self.away = False

    async def prepare(self) -> None:
        self._check()

    async def add(self, endpoint: Endpoint, *, limit: int = MOST_ENDPOINTS) -> bool:
        self._check()
        assert endpoint.id not in self.by_id
        if sum(each.tenant == endpoint.tenant for each in self.by_id.values()) >= limit:
            return False
        self.by_id[endpoint.id] = endpoint
        return True

    async def endpoint(self, tenant: str, endpoint_id: str) -> Endpoint | None:
        self._check()
        found = self.by_id.get(endpoint_id)
        return found if found is not None and found.tenant == tenant else None

    async def endpoints(
        self, tenant: str, *, limit: int, after: Position | None = None, enabled: bool | None = None
    ) -> Sequence[Endpoint]:
        self._check()
        found = [each for each in self.by_id.values() if each.tenant == tenant and enabled in {None, each.enabled}]
        found.sort(key=lambda each: (each.created_at, each.id), reverse=True)
        if after is not None:
            found = [each for each in found if (each.created_at, each.id) < (after.created_at, after.id)]
        return found[:limit]

    async def of_tenants(self, tenants: Collection[str]) -> Mapping[str, Sequence[Endpoint]]:
        self._check()
        by_tenant: dict[str, list[Endpoint]] = {}
        for each in self.by_id.values():
            if each.tenant in tenants:
                by_tenant.setdefault(each.tenant, []).append(replace(each, keys=(), sealed_headers=b""))
        return by_tenant

    async def by_ids(self, endpoint_ids: Collection[str]) -> Mapping[str, Endpoint]:
        self._check()
        return {each: self.by_id[each] for each in endpoint_ids if each in self.by_id}

    async def change(self, tenant: str, endpoint_id: str, change: Callable[[Endpoint], Endpoint]) -> Endpoint | None:
        found = await self.endpoint(tenant, endpoint_id)
        if found is None:
            return None
        wanted = change(found)
        if wanted == found:
            return found
        if wanted.enabled:
            self.untold_ids.discard(endpoint_id)
        self.by_id[endpoint_id] = replace(wanted, revision=found.revision + 1)
        return self.by_id[endpoint_id]

    async def delete(self, tenant: str, endpoint_id: str) -> Endpoint | None:
        found = await self.endpoint(tenant, endpoint_id)
        if found is not None:
            del self.by_id[endpoint_id]
            self.untold_ids.discard(endpoint_id)
        return found

    async def disable(self, endpoint_id: str, *, reason: DisabledReason, now: datetime) -> bool:
        self._check()
        found = self.by_id.get(endpoint_id)
        if found is None or not found.enabled:
            return False
        self.by_id[endpoint_id] = replace(
            found,
            enabled=False,
            disabled_reason=reason,
            disabled_at=now,
            updated_at=now,
            revision=found.revision + 1,
        )
        self.untold_ids.add(endpoint_id)
        return True

    async def note_health(self, endpoint_id: str, *, failing_since: datetime | None) -> datetime | None:
        self._check()
        found = self.by_id.get(endpoint_id)
        if found is None:
            return None
        since = None if failing_since is None else found.failing_since or failing_since
        self.by_id[endpoint_id] = replace(found, failing_since=since)
        return since

    async def untold(self, *, limit: int) -> Sequence[Endpoint]:
        self._check()
        return [self.by_id[each] for each in sorted(self.untold_ids)][:limit]

    async def note_told(self, endpoint: Endpoint) -> None:
        self._check()
        found = self.by_id.get(endpoint.id)
        if found is not None and found.revision == endpoint.revision:
            self.untold_ids.discard(endpoint.id)

    def _check(self) -> None:
        if self.away:
            raise Unavailable("MongoDB does not answer", metadata={"dependency": "mongodb"})
