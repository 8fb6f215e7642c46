"""Making, showing, changing and deleting connections: the rules of `orders` over a store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.auth.connections import hosts as hosts_
from services.auth.connections.domain import STATIC_KINDS, Change, Connection, GivenSecret
from services.auth.connections.sealing import secret_texts
from services.auth.domain import to_milliseconds
from shared import crash_points, ids, observability
from shared.crash_points import CrashPoint
from shared.errors import ConnectionLimitReached, ConnectionNotFound, InvalidArgument, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.auth.connections.domain import State
    from services.auth.connections.notices import Changes
    from services.auth.connections.orders import ChangeOrder, SecretOrder
    from services.auth.connections.sealing.vault import Vault
    from services.auth.connections.store import ConnectionStore
    from shared.addresses import AddressGuard
    from shared.clock import Clock
    from shared.identity import Principal
    from shared.paging import Position

log = observability.logger()


class Connections:
    """The connections of all tenants.

    Args:
        store: Where they are kept.
        vault: Seals their secrets.
        changes: Tells of what was changed.
        guard: Decides which hosts they may be for.
        limit: How many a tenant may have.
        clock: The time.
    """

    def __init__(
        self,
        *,
        store: ConnectionStore,
        vault: Vault,
        changes: Changes,
        guard: AddressGuard,
        limit: int,
        clock: Clock,
    ) -> None:
        self._store = store
        self._vault = vault
        self._changes = changes
        self._guard = guard
        self._limit = limit
        self._clock = clock

    async def create(self, order: SecretOrder, *, maker: Principal) -> Connection:
        """Makes a connection of a secret.

        Raises:
            InvalidArgument: The order is wrong.
            ConnectionLimitReached: The maker's tenant has as many as it may have.
            Unavailable: MongoDB or the key provider is away.
        """
        violations = list(order.violations(self._guard))
        if violations:
            raise InvalidArgument.of(violations)
        await self.check_room(maker.tenant)
        connection_id, now = ids.new_connection_id(), to_milliseconds(self._clock.now())
        connection = Connection(
            id=connection_id,
            tenant=maker.tenant,
            upstream=order.upstream,
            kind=secret_texts.kind_of(order.secret),
            sealed=await self._vault.seal(order.secret, tenant=maker.tenant, connection_id=connection_id),
            display_name=order.display_name,
            hosts=hosts_.all_normalized(order.hosts, self._guard),
            reauth_policy=order.reauth_policy,
            created_at=now,
            updated_at=now,
            made_by=maker.id,
        )
        await self._store.add(connection)
        log.info("connection_created", connection=connection_id, upstream=order.upstream, kind=connection.kind.value)
        return connection

    async def check_room(self, tenant: str) -> None:
        """Lets a tenant pass that may have one connection more; of some made at the same moment, all may pass.

        Raises:
            ConnectionLimitReached: It has as many as it may have.
        """
        if await self._store.count(tenant, limit=self._limit) >= self._limit:
            raise ConnectionLimitReached(
                f"the tenant {tenant!r} has {self._limit} connections, and may have no more; delete some that are not "
                "used, or have the operator raise PENSTOCK_MAX_CONNECTIONS",
                metadata={"tenant": tenant, "limit": str(self._limit)},
            )

    async def connections(
        self, tenant: str, *, limit: int, after: Position | None, upstream: str, state: State | None
    ) -> Sequence[Connection]:
        """The tenant's connections, newest first: all, or those asked for."""
        return await self._store.connections(tenant, limit=limit, after=after, upstream=upstream, state=state)

    async def connection(self, tenant: str, connection_id: str) -> Connection:
        """One of the tenant's connections.

        Raises:
            InvalidArgument: The id is none.
            ConnectionNotFound: There is none of this id.
        """
        _check_id(connection_id)
        return _found(connection_id, await self._store.connection(tenant, connection_id))

    async def change(self, connection_id: str, order: ChangeOrder, *, by: Principal) -> Connection:
        """Changes one of the tenant's connections; another secret has it active again.

        Raises:
            InvalidArgument: The id is none, the order is wrong, or the connection was authorized at a provider and a
                secret is given.
            ConnectionNotFound: There is none of this id.
            Unavailable: MongoDB or the key provider is away.
        """
        _check_id(connection_id)
        violations = list(order.violations(self._guard))
        if violations:
            raise InvalidArgument.of(violations)
        if order.is_empty:
            return await self.connection(by.tenant, connection_id)
        changed = await self._store.change(
            by.tenant,
            connection_id,
            Change(
                at=to_milliseconds(self._clock.now()),
                display_name=order.display_name,
                reauth_policy=order.reauth_policy,
                hosts=hosts_.all_normalized(order.hosts, self._guard) or None,
                given=await self._given(connection_id, order, by.tenant),
            ),
            kinds=STATIC_KINDS if order.secret is not None else None,
        )
        if changed is None:
            kept = await self.connection(by.tenant, connection_id)
            raise InvalidArgument.field(
                "secret",
                f"is not the caller's to give: the connection was authorized at {kept.provider}; authorize it anew",
            )
        log.info("connection_changed", connection=connection_id, version=changed.version, by=by.id)
        await self._tell(connection_id)
        return changed

    async def delete(self, connection_id: str, *, by: Principal) -> Connection:
        """Deletes one of the tenant's connections, with its secret; answers with it as it was.

        Raises:
            InvalidArgument: The id is none.
            ConnectionNotFound: There is none of this id.
        """
        _check_id(connection_id)
        at = to_milliseconds(self._clock.now())
        deleted = _found(connection_id, await self._store.delete(by.tenant, connection_id, at))
        log.info("connection_deleted", connection=connection_id, upstream=deleted.upstream, by=by.id)
        await self._tell(connection_id)
        return deleted

    async def _given(self, connection_id: str, order: ChangeOrder, tenant: str) -> GivenSecret | None:
        if order.secret is None:
            return None
        sealed = await self._vault.seal(order.secret, tenant=tenant, connection_id=connection_id)
        return GivenSecret(kind=secret_texts.kind_of(order.secret), sealed=sealed)

    async def _tell(self, connection_id: str) -> None:
        crash_points.reach(CrashPoint.AUTH_CONNECTION_CHANGED)
        await self._changes.tell(connection_id)


def _check_id(connection_id: str) -> None:
    if not ids.is_connection_id(connection_id):
        raise InvalidArgument.field("connectionId", f"{shown(connection_id)} is no id of a connection, con_…")


def _found(connection_id: str, connection: Connection | None) -> Connection:
    if connection is None:
        raise ConnectionNotFound(
            f"there is no connection {connection_id}; list them, or make one", metadata={"connection": connection_id}
        )
    return connection
