"""What providers have given, kept as connections: new ones, and those that were authorized anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from services.auth.connections.authorizing.authorization import AuthorizationOrder
from services.auth.connections.domain import Change, Connection, GivenSecret, OAuth2Tokens, ReauthPolicy
from services.auth.connections.providers.grants import check_account
from services.auth.connections.sealing import secret_texts
from services.auth.domain import to_milliseconds
from shared import ids, observability
from shared.errors import ConnectionNotFound, InvalidArgument, PenstockError, Unavailable, shown

if TYPE_CHECKING:
    from datetime import datetime

    from services.auth.connections.authorizing.flows import Flows
    from services.auth.connections.orders import ProviderOrder
    from services.auth.connections.providers.domain import Provider
    from services.auth.connections.providers.grants import Grant
    from services.auth.connections.sealing.vault import Vault
    from services.auth.connections.store import ConnectionStore
    from shared.clock import Clock
    from shared.identity import Principal

log = observability.logger()


class Room(Protocol):
    """Knows how many connections a tenant may have; `connections.Connections` does."""

    async def check_room(self, tenant: str) -> None:
        """Lets a tenant pass that may have one connection more.

        Raises:
            ConnectionLimitReached: It has as many as it may have.
        """
        ...


class Told(Protocol):
    """Tells the mesh of what was changed; `notices.Changes` does."""

    async def tell(self, connection_id: str) -> None:
        """Tells that a connection was changed."""
        ...


class Granted:
    """Keeps what providers give.

    Args:
        store: Where connections are kept.
        room: Knows how many there may be.
        vault: Seals their secrets.
        flows: Ends tokens that cannot be kept.
        changes: Tells of what was changed.
        clock: The time.
    """

    def __init__(
        self, *, store: ConnectionStore, room: Room, vault: Vault, flows: Flows, changes: Told, clock: Clock
    ) -> None:
        self._store = store
        self._room = room
        self._vault = vault
        self._flows = flows
        self._changes = changes
        self._clock = clock

    async def check_room(self, tenant: str) -> None:
        """Lets a tenant pass that may have one connection more.

        Raises:
            ConnectionLimitReached: It has as many as it may have.
        """
        await self._room.check_room(tenant)

    async def to_authorize_anew(self, tenant: str, connection_id: str, *, provider: str) -> Connection:
        """A tenant's connection that is to be authorized anew.

        Raises:
            ConnectionNotFound: There is none of this id.
            InvalidArgument: It was not authorized at this provider.
        """
        found = await self._store.connection(tenant, connection_id)
        if found is None:
            raise _gone(connection_id)
        if found.provider != provider:
            whose = f"was authorized at {found.provider}" if found.provider else "is of a secret that its owner had"
            raise InvalidArgument.field(
                "connectionId", f"is {connection_id}, which {whose}, and not at {provider}; make another one"
            )
        return found

    async def keep_new(
        self, grant: Grant, *, provider: Provider, order: AuthorizationOrder, tenant: str, made_by: str
    ) -> Connection:
        """A new connection of what was given.

        Raises:
            ConnectionLimitReached: The tenant has as many as it may have.
            Unavailable: MongoDB or the key provider is away.
        """
        connection_id = ids.new_connection_id()
        now = to_milliseconds(self._clock.now())
        try:
            await self._room.check_room(tenant)
        except PenstockError as error:
            await self._give_up(provider, grant, error)
            raise
        connection = Connection(
            id=connection_id,
            tenant=tenant,
            upstream=provider.upstream,
            kind=secret_texts.kind_of(grant.secret),
            sealed=await self._vault.seal(grant.secret, tenant=tenant, connection_id=connection_id),
            created_at=now,
            updated_at=now,
            made_by=made_by,
            provider=provider.name,
            display_name=order.display_name,
            hosts=provider.hosts,
            scopes=_scopes(grant, order),
            account=grant.account,
            reauth_policy=order.reauth_policy or ReauthPolicy.FAIL,
            expires_at=_end(grant),
        )
        await self._store.add(connection)
        return connection

    async def create_of_client(self, order: ProviderOrder, *, maker: Principal) -> Connection:
        """A new connection of the client's own credentials at a provider, without anybody's consent.

        Raises:
            InvalidArgument: The order is wrong, or the provider gives clients no tokens of their own.
            ProviderNotFound: There is no such provider.
            ConnectionLimitReached: The maker's tenant has as many as it may have.
            AuthorizationRefused: The provider gives no token.
            Unavailable: The provider, MongoDB or the key provider is away.
        """
        provider = self._flows.provider_of_clients(order.provider)
        if order.upstream not in {"", provider.upstream}:
            raise InvalidArgument.field(
                "upstream", f"is {shown(order.upstream)}; connections of {provider.name} are for {provider.upstream}"
            )
        wanted = AuthorizationOrder(
            provider=provider.name,
            scopes=provider.chosen_scopes(order.scopes),
            display_name=order.display_name,
            reauth_policy=order.reauth_policy,
        )
        await self._room.check_room(maker.tenant)
        grant = await self._flows.of_client(provider, wanted.scopes)
        return await self.keep_new(grant, provider=provider, order=wanted, tenant=maker.tenant, made_by=maker.id)

    async def keep_anew(
        self, grant: Grant, before: Connection, *, provider: Provider, order: AuthorizationOrder
    ) -> Connection:
        """A connection that was authorized anew, with what was given: it is active again, under the next version.

        Raises:
            AuthorizationRefused: It is another account's.
            ConnectionNotFound: The connection was deleted meanwhile.
            Unavailable: MongoDB or the key provider is away.
        """
        try:
            check_account(before.account, grant.account, provider)
            changed = await self._change(grant, before, provider=provider, order=order)
        except PenstockError as error:
            await self._give_up(provider, grant, error)
            raise
        await self._changes.tell(changed.id)
        return changed

    async def _change(
        self, grant: Grant, before: Connection, *, provider: Provider, order: AuthorizationOrder
    ) -> Connection:
        given = GivenSecret(
            kind=secret_texts.kind_of(grant.secret),
            sealed=await self._vault.seal(grant.secret, tenant=before.tenant, connection_id=before.id),
            scopes=_scopes(grant, order),
            account=grant.account if grant.account.id else before.account,
            expires_at=_end(grant),
        )
        change = Change(
            at=to_milliseconds(self._clock.now()),
            display_name=order.display_name or None,
            reauth_policy=order.reauth_policy,
            hosts=provider.hosts or None,
            given=given,
        )
        changed = await self._store.change(before.tenant, before.id, change, provider=provider.name)
        if changed is None:
            raise _gone(before.id)
        return changed

    async def _give_up(self, provider: Provider, grant: Grant, error: PenstockError) -> None:
        """Ends tokens that nobody is to use; after an outage they may be kept all the same."""
        if not isinstance(error, Unavailable):
            await self._flows.give_up(provider, grant)


def _scopes(grant: Grant, order: AuthorizationOrder) -> tuple[str, ...]:
    """What was granted; by RFC 6749, 5.1, that is what was asked for where it is not told."""
    return grant.scopes if grant.scopes is not None else order.scopes


def _end(grant: Grant) -> datetime | None:
    return grant.secret.expires_at if isinstance(grant.secret, OAuth2Tokens) else None


def _gone(connection_id: str) -> ConnectionNotFound:
    return ConnectionNotFound(
        f"there is no connection {shown(connection_id)}; list them, or make one",
        metadata={"connection": connection_id},
    )
