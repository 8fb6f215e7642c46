"""The store of retentions in memory; `tests/contract/test_retention_store.py` holds it to what the real one does."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from services.history.retention.domain import OwnRetention
from shared.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.history.retention.domain import Change


class FakeRetentionStore:
    """Keeps retentions in a dict; can be away."""

    def __init__(self) -> None:
        self._by_tenant: dict[str, OwnRetention] = {}
        #: Every call raises `Unavailable` while it is.
        self.away = False

    async def get(self, tenant: str) -> OwnRetention:
        self._check()
        return self._by_tenant.get(tenant, OwnRetention())

    async def change(self, tenant: str, change: Change) -> OwnRetention:
        before = await self.get(tenant)
        self._by_tenant[tenant] = replace(before, **{name: getattr(change.to, name) for name in change.fields})
        return self._by_tenant[tenant]

    async def all(self) -> Mapping[str, OwnRetention]:
        self._check()
        return dict(self._by_tenant)

    async def erase(self, tenant: str) -> bool:
        self._check()
        return self._by_tenant.pop(tenant, None) is not None

    def _check(self) -> None:
        if self.away:
            raise Unavailable("MongoDB does not answer", metadata={"dependency": "mongodb"})
