"""Credentials: what a connection gives to call with now."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from services.auth.connections.credentials import token_times
from services.auth.connections.domain import Kind, OAuth2Tokens, ReauthPolicy, State
from services.auth.connections.sealing.vault import SecretLostError
from shared import ids, observability
from shared.errors import ConnectionNeedsReauth, ConnectionNotFound, Unavailable, shown

if TYPE_CHECKING:
    from datetime import datetime

    from services.auth.connections.credentials.known import KnownConnections
    from services.auth.connections.credentials.refreshes import Refreshes
    from services.auth.connections.domain import Connection, Secret
    from services.auth.connections.providers.domain import ProviderClient, Providers
    from services.auth.connections.sealing.vault import Vault
    from shared.clock import Clock

log = observability.logger()

#: Who was given a credential asks for it anew after so long, for the signal that it has changed may be lost.
KEEP_FOR = timedelta(seconds=30)
_RETRY_AFTER = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usable:
    """What can be called with now.

    Args:
        connection: Whose it is.
        secret: As it is sent, or signed with.
        client: What signs beside it (OAuth 1.0a); else None.
        keep_until: For how long it may be called with before it is asked for anew.
    """

    connection: Connection
    secret: Secret = field(repr=False)
    client: ProviderClient | None
    keep_until: datetime


class Credentials:
    """Gives credentials.

    Args:
        known: The connections.
        vault: Opens their secrets.
        refreshes: Refreshes their tokens.
        providers: Know what this mesh is at them.
        clock: The time.
    """

    def __init__(
        self, *, known: KnownConnections, vault: Vault, refreshes: Refreshes, providers: Providers, clock: Clock
    ) -> None:
        self._known = known
        self._vault = vault
        self._refreshes = refreshes
        self._providers = providers
        self._clock = clock

    async def connection(self, tenant: str, connection_id: str) -> Connection:
        """A tenant's connection, whatever its state.

        Raises:
            ConnectionNotFound: There is none.
            Unavailable: MongoDB is away, and it is not known here.
        """
        found = await self._known.get(tenant, connection_id) if ids.is_connection_id(connection_id) else None
        return _found(connection_id, found)

    async def credential(self, tenant: str, connection_id: str) -> Usable:
        """What to call with; a token that is about to end is refreshed beside, and first where it has ended.

        Raises:
            ConnectionNotFound: The tenant has no such connection.
            ConnectionNeedsReauth: It has to be authorized anew.
            Unavailable: MongoDB, the key provider or the connection's provider is away.
        """
        connection = await self.connection(tenant, connection_id)
        if not self._serves(connection):  # another replica may know better
            connection = _found(connection_id, await self._known.fresh(tenant, connection_id))
        return await self._ahead(_active(connection))

    async def refused(self, tenant: str, connection_id: str, *, version: int, reason: str, certain: bool) -> Usable:
        """What to call with instead of a secret that the upstream refuses: the same where there is no other.

        Args:
            tenant: Whose connection it is.
            connection_id: Which.
            version: The refused secret's.
            reason: What the upstream has said.
            certain: It has said in words of its own that the secret is none. A status alone may be about the one thing
                that was asked for: it has a token refreshed, and gives no connection up.

        Raises:
            ConnectionNotFound: The tenant has no such connection.
            ConnectionNeedsReauth: It has to be authorized anew: that is certain, or its provider says so.
            Unavailable: MongoDB, the key provider or the connection's provider is away.
        """
        found = await self._known.fresh(tenant, connection_id) if ids.is_connection_id(connection_id) else None
        connection = _active(_found(connection_id, found))
        if version != connection.version:
            return await self._ahead(connection)
        secret = await self._open(connection)
        log.info("credential_refused", connection=connection_id, version=version, why=reason, certain=certain)
        if _renewable(secret) and not token_times.is_young(connection, self._clock.now()):
            return await self._refreshed(connection)
        if certain:
            return await self._without(connection, f"{connection.upstream} refuses its secret: {reason}")
        return self._usable(connection, secret)

    def _serves(self, connection: Connection) -> bool:
        """Whether its secret can be called with now, as far as its record tells."""
        return connection.state is State.ACTIVE and token_times.is_usable(connection, self._clock.now())

    async def _ahead(self, connection: Connection) -> Usable:
        """What to call with, refreshed where it is time for that."""
        secret = await self._open(connection)
        now = self._clock.now()
        if connection.kind is not Kind.OAUTH2 or not token_times.is_due(connection, now):
            return self._usable(connection, secret)
        usable = token_times.is_usable(connection, now)
        if not _renewable(secret):
            if usable:
                return self._usable(connection, secret)
            return await self._without(connection, "its token has ended, and there is nothing to refresh it with")
        if usable:
            self._refreshes.begin(connection)
            return self._usable(connection, secret)
        return await self._refreshed(connection)

    async def _refreshed(self, connection: Connection) -> Usable:
        """What there is to call with after a refresh, whoever makes it."""
        newest = _active(_found(connection.id, await self._refreshes.newest(connection)))
        if newest.version == connection.version:
            raise _unavailable("no fresh token could be had", dependency="provider")
        return self._usable(newest, await self._open(newest))

    async def _without(self, connection: Connection, reason: str) -> Usable:
        """Gives a connection up; where it has another secret by now, that is what to call with.

        Raises:
            ConnectionNeedsReauth: It has not.
        """
        newest = _active(_found(connection.id, await self._refreshes.give_up(connection, reason)))
        return self._usable(newest, await self._open(newest))

    def _usable(self, connection: Connection, secret: Secret) -> Usable:
        now = self._clock.now()
        ends = token_times.usable_until(connection)
        return Usable(
            connection=connection,
            secret=secret,
            client=self._client(connection) if connection.kind is Kind.OAUTH1 else None,
            keep_until=max(now, min(now + KEEP_FOR, ends)) if ends is not None else now + KEEP_FOR,
        )

    def _client(self, connection: Connection) -> ProviderClient:
        client = self._providers.client(connection.provider)
        if client is None:  # its operator can mend that
            raise _unavailable(
                f"this mesh has no client at the provider {connection.provider!r}", dependency="provider"
            )
        return client

    async def _open(self, connection: Connection) -> Secret:
        try:
            return await self._vault.open(connection.sealed, tenant=connection.tenant, connection_id=connection.id)
        except SecretLostError as error:  # not given up: the right key may come back
            log.error("secret_lost", connection=connection.id, error=str(error))  # noqa: TRY400  said in full
            raise _unavailable("the connection's secret cannot be opened", dependency="data_keys") from None


def _renewable(secret: Secret) -> bool:
    return isinstance(secret, OAuth2Tokens) and (bool(secret.refresh_token) or secret.of_client)


def _found(connection_id: str, connection: Connection | None) -> Connection:
    if connection is None:
        raise ConnectionNotFound(
            f"there is no connection {shown(connection_id)}", metadata={"connection": connection_id}
        )
    return connection


def _active(connection: Connection) -> Connection:
    if connection.state is State.ACTIVE:
        return connection
    raise ConnectionNeedsReauth(
        f"the connection {connection.id} has to be authorized anew, or given another secret: {connection.state_reason}",
        metadata={
            "connection": connection.id,
            "jobs_wait": "true" if connection.reauth_policy is ReauthPolicy.WAIT else "false",
        },
    )


def _unavailable(message: str, *, dependency: str) -> Unavailable:
    return Unavailable(
        f"{message}; the call may be repeated", metadata={"dependency": dependency}, retry_after=_RETRY_AFTER
    )
