"""Replicas of auth that refresh tokens, beside a provider that rotates them and punishes reuse."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from services.auth.connections.credentials.claims import ClaimTimes, RefreshClaims
from services.auth.connections.credentials.credentials import Credentials
from services.auth.connections.credentials.known import KnownConnections
from services.auth.connections.credentials.refreshes import Refreshes
from services.auth.connections.domain import Connection, OAuth2Tokens
from services.auth.connections.providers.domain import ProviderClient, Providers
from services.auth.connections.providers.grants import Grant
from services.auth.connections.sealing.secret_texts import kind_of
from services.auth.connections.sealing.vault import Vault
from services.auth.domain import to_milliseconds
from shared.errors import AuthorizationRefused
from tests.fakes.connections import make

if TYPE_CHECKING:
    from collections.abc import Callable

    from services.auth.connections.credentials.credentials import Usable
    from services.auth.connections.domain import Secret
    from services.auth.connections.sealing.vault import Keys
    from services.auth.connections.store import ConnectionStore
    from shared.clock import Clock

#: Short, so that a claim's end is soon seen.
TIMES = ClaimTimes(lasting=timedelta(seconds=0.3), grace=timedelta(seconds=0.9))
HOUR = timedelta(hours=1)


class Hands:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.time = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.time.timestamp()


class RotatingProvider:
    """Gives tokens `access-<n>` and `refresh-<n>`; each refresh token is good once, and a second use ends them all."""

    def __init__(self, hands: Hands, *, lifetime: timedelta | None = HOUR) -> None:
        self.hands = hands
        self.lifetime = lifetime
        self.issued = 1
        self.refreshes = 0
        self.revoked = False
        self.fault: Exception | None = None
        #: Cleared, refreshes wait before they do anything.
        self.asked = asyncio.Event()
        self.asked.set()
        #: Cleared, answers wait when the tokens have been rotated.
        self.answers = asyncio.Event()
        self.answers.set()

    def tokens(self) -> OAuth2Tokens:
        """The newest."""
        ends = self.hands.now() + self.lifetime if self.lifetime is not None else None
        return OAuth2Tokens(
            access_token=f"access-{self.issued}", refresh_token=f"refresh-{self.issued}", expires_at=ends
        )

    def takes(self, access_token: str) -> bool:
        """Whether the upstream lets it pass."""
        return not self.revoked and access_token == f"access-{self.issued}"

    async def refresh(self, connection: Connection, tokens: OAuth2Tokens) -> Grant:
        self.refreshes += 1
        await self.asked.wait()
        if self.fault is not None:
            raise self.fault
        if self.revoked or tokens.refresh_token != f"refresh-{self.issued}":
            self.revoked = True
            raise AuthorizationRefused("The provider refuses (invalid_grant): begin anew")
        self.issued += 1
        given = self.tokens()
        await self.answers.wait()
        return Grant(secret=given)


@dataclass
class Signals:
    """Carries to all replicas what one tells; can be cut."""

    replicas: list[Replica] = field(default_factory=list["Replica"])
    cut: bool = False
    told: list[str] = field(default_factory=list[str])

    async def tell(self, connection_id: str) -> None:
        self.told.append(connection_id)
        for replica in [] if self.cut else self.replicas:
            replica.known.forget(connection_id)
            replica.claims.changed(connection_id)


class Replica:
    """One replica's part of auth.

    Args:
        store: Shared by all.
        provider: Likewise.
        signals: Likewise.
        hands: Its clock.
        keys: Its data keys.
        times: How long it respects claims.
        monotonic: Seconds by which it pauses after a provider's fault.
    """

    def __init__(
        self,
        store: ConnectionStore,
        provider: RotatingProvider,
        signals: Signals,
        hands: Hands,
        keys: Keys,
        *,
        times: ClaimTimes = TIMES,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.vault = Vault(keys)
        self.known = KnownConnections(store, monotonic=time.monotonic)
        self.claims = RefreshClaims(store, monotonic=time.monotonic, times=times)
        self.refreshes = Refreshes(
            store=store,
            claims=self.claims,
            vault=self.vault,
            refresher=provider,
            known=self.known,
            changes=signals,
            clock=hands,
            monotonic=monotonic,
        )
        self.credentials = Credentials(
            known=self.known,
            vault=self.vault,
            refreshes=self.refreshes,
            providers=Providers({}, {"flickr": ProviderClient(id="key", secret="client-s3cret")}),
            clock=hands,
        )
        signals.replicas.append(self)

    async def token(self, connection: Connection) -> str:
        """What to call with: an access token."""
        return access_token(await self.credentials.credential(connection.tenant, connection.id))

    async def refused(self, connection: Connection, version: int, *, certain: bool = False) -> str:
        """What to call with after a refusal."""
        usable = await self.credentials.refused(
            connection.tenant, connection.id, version=version, reason="said 401", certain=certain
        )
        return access_token(usable)

    async def kill(self) -> None:
        """Ends it as it stands: what it was at is never finished."""
        tasks = list(self.refreshes._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def access_token(usable: Usable) -> str:
    """The token that would be sent."""
    assert isinstance(usable.secret, OAuth2Tokens)
    return usable.secret.access_token


async def sealed_connection(
    store: ConnectionStore, vault: Vault, secret: Secret, clock: Clock, **fields: Any
) -> Connection:
    """A connection of `acme` with this secret, made now."""
    now = to_milliseconds(clock.now())
    ends = secret.expires_at if isinstance(secret, OAuth2Tokens) else None
    connection = make(
        kind=kind_of(secret),
        created_at=now,
        updated_at=now,
        expires_at=to_milliseconds(ends) if ends is not None else None,
        **fields,
    )
    sealed = await vault.seal(secret, tenant=connection.tenant, connection_id=connection.id)
    connection = replace(connection, sealed=sealed)
    await store.add(connection)
    return connection
