"""The store of connections in memory; `tests/contract/connection_store` holds it to what the real one does."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from services.auth.connections.domain import Claim, Connection, Kept, ReauthPolicy, Standing, State
from shared.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from services.auth.connections.domain import Change, Kind, Refreshed, Sealed
    from shared.paging import Position


class FakeConnectionStore:
    """Keeps connections in memory; can be away."""

    def __init__(self) -> None:
        self.by_id: dict[str, Connection] = {}
        #: What is left of those that were deleted.
        self.deleted: dict[str, Standing] = {}
        self.untold_ids: set[str] = set()
        #: The newest fence of each, and until when it is claimed, by the monotonic clock.
        self.claims: dict[str, tuple[int, float]] = {}
        #: Every call raises `Unavailable` while it is.
        self.away = False

    async def prepare(self) -> None:
        self._check()

    async def add(self, connection: Connection) -> None:
        self._check()
        assert connection.id not in self.by_id
        self.by_id[connection.id] = connection

    async def connection(self, tenant: str, connection_id: str) -> Connection | None:
        self._check()
        found = self.by_id.get(connection_id)
        return found if found is not None and found.tenant == tenant else None

    async def connections(
        self,
        tenant: str,
        *,
        limit: int,
        after: Position | None = None,
        upstream: str = "",
        state: State | None = None,
    ) -> Sequence[Connection]:
        self._check()
        found = [
            each
            for each in self.by_id.values()
            if each.tenant == tenant and upstream in {"", each.upstream} and state in {None, each.state}
        ]
        found.sort(key=lambda each: (each.created_at, each.id), reverse=True)
        if after is not None:
            found = [each for each in found if (each.created_at, each.id) < (after.created_at, after.id)]
        return found[:limit]

    async def count(self, tenant: str, *, limit: int) -> int:
        self._check()
        kept = [each.tenant for each in (*self.by_id.values(), *self.deleted.values())]
        return min(kept.count(tenant), limit)

    async def change(
        self,
        tenant: str,
        connection_id: str,
        change: Change,
        *,
        kinds: Collection[Kind] | None = None,
        provider: str | None = None,
    ) -> Connection | None:
        found = await self.connection(tenant, connection_id)
        if found is None or (kinds is not None and found.kind not in kinds) or provider not in {None, found.provider}:
            return None
        wanted: dict[str, Any] = {"updated_at": change.at}
        for field in ("display_name", "reauth_policy", "hosts"):
            value = getattr(change, field)
            if value is not None:
                wanted[field] = value
        other_policy = change.reauth_policy not in {None, found.reauth_policy}
        if change.given is not None:
            given = change.given
            wanted |= {field: getattr(given, field) for field in ("kind", "sealed", "scopes", "account", "expires_at")}
            wanted |= {"refreshed_at": None, **self._fresh(found)}
            self._end_claim(connection_id)
        elif other_policy and found.state is State.NEEDS_REAUTH:
            wanted |= self._stands_anew(found)
        return self._keep(replace(found, **wanted))

    async def delete(self, tenant: str, connection_id: str, at: datetime) -> Connection | None:
        found = await self.connection(tenant, connection_id)
        if found is None:
            return None
        del self.by_id[connection_id]
        self.deleted[connection_id] = Standing(
            connection_id=connection_id,
            tenant=tenant,
            upstream=found.upstream,
            provider=found.provider,
            state=None,
            reason="",
            since=at,
            jobs_wait=False,
            revision=found.revision + 1,
        )
        self.untold_ids.add(connection_id)
        return found

    async def claim_refresh(
        self, tenant: str, connection_id: str, *, version: int, lasting: timedelta, over: int = 0
    ) -> Claim | None:
        found = await self.connection(tenant, connection_id)
        if found is None or found.version != version or found.state is not State.ACTIVE:
            return None
        fence, until = self.claims.get(connection_id, (0, 0.0))
        left = until - time.monotonic()
        if until and not (left <= 0 and fence == over):
            return Claim(fence=fence, mine=False, left=timedelta(seconds=left))
        self.claims[connection_id] = (fence + 1, time.monotonic() + lasting.total_seconds())
        return Claim(fence=fence + 1, mine=True, left=lasting)

    async def release_refresh(self, tenant: str, connection_id: str, *, fence: int) -> None:
        if await self.connection(tenant, connection_id) and self._fence(connection_id) == fence:
            self._end_claim(connection_id)

    async def replace_secret(
        self, tenant: str, connection_id: str, refreshed: Refreshed, *, version: int, fence: int
    ) -> Connection | None:
        found = await self.connection(tenant, connection_id)
        if found is None or found.version != version or self._fence(connection_id) != fence:
            return None
        self._end_claim(connection_id)
        return self._keep(
            replace(
                found,
                sealed=refreshed.sealed,
                expires_at=refreshed.expires_at,
                refreshed_at=refreshed.at,
                updated_at=refreshed.at,
                scopes=found.scopes if refreshed.scopes is None else refreshed.scopes,
                **self._fresh(found),
            )
        )

    async def mark_needs_reauth(
        self, tenant: str, connection_id: str, *, version: int, reason: str, at: datetime
    ) -> Connection | None:
        found = await self.connection(tenant, connection_id)
        if found is None or found.version != version or found.state is State.NEEDS_REAUTH:
            return found if found is not None and found.version == version else None
        marked: dict[str, Any] = {"state": State.NEEDS_REAUTH, "state_reason": reason, "needs_reauth_since": at}
        return self._keep(replace(found, updated_at=at, **marked, **self._stands_anew(found)))

    async def sealed_under(self, data_key_id: str, *, limit: int, after: str = "") -> Sequence[Kept]:
        self._check()
        return [
            Kept(connection_id=named, tenant=each.tenant, sealed=each.sealed)
            for named, each in sorted(self.by_id.items())
            if each.sealed.data_key_id == data_key_id and named > after
        ][:limit]

    async def count_sealed_under(self, data_key_id: str) -> int:
        return len(await self.sealed_under(data_key_id, limit=len(self.by_id)))

    async def reseal(self, resealed: Sequence[tuple[Kept, Sealed]]) -> int:
        self._check()
        count = 0
        for kept, fresh in resealed:
            found = self.by_id.get(kept.connection_id)
            if found is not None and found.sealed == kept.sealed:
                self._keep(replace(found, sealed=fresh))
                count += 1
        return count

    async def untold(self, *, limit: int) -> Sequence[Standing]:
        self._check()
        found = [self.deleted.get(each) or _standing(self.by_id[each]) for each in sorted(self.untold_ids)]
        return found[:limit]

    async def note_told(self, standing: Standing) -> None:
        self._check()
        named = standing.connection_id
        known = self.deleted.get(named) or self.by_id.get(named)
        if known is not None and known.revision == standing.revision:
            self.untold_ids.discard(named)
            self.deleted.pop(named, None)

    def _check(self) -> None:
        if self.away:
            raise Unavailable("MongoDB does not answer; the call may be repeated", metadata={"dependency": "mongodb"})

    def _keep(self, connection: Connection) -> Connection:
        self.by_id[connection.id] = connection
        return connection

    def _fence(self, connection_id: str) -> int:
        return self.claims.get(connection_id, (0, 0.0))[0]

    def _end_claim(self, connection_id: str) -> None:
        self.claims[connection_id] = (self._fence(connection_id), 0.0)

    def _fresh(self, found: Connection) -> dict[str, Any]:
        """What another secret changes."""
        fresh = {"version": found.version + 1, "state": State.ACTIVE, "state_reason": "", "needs_reauth_since": None}
        return fresh | (self._stands_anew(found) if found.state is not State.ACTIVE else {})

    def _stands_anew(self, found: Connection) -> dict[str, Any]:
        self.untold_ids.add(found.id)
        return {"revision": found.revision + 1}


def _standing(connection: Connection) -> Standing:
    return Standing(
        connection_id=connection.id,
        tenant=connection.tenant,
        upstream=connection.upstream,
        provider=connection.provider,
        state=connection.state,
        reason=connection.state_reason,
        since=connection.needs_reauth_since or connection.updated_at,
        jobs_wait=connection.reauth_policy is ReauthPolicy.WAIT,
        revision=connection.revision,
    )
