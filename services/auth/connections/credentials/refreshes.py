"""Refreshes: one at a time for each secret, in all replicas together, and kept before anyone is given what it brought.

Who presents a refresh token that rotates has spent it, and who presents a spent one may lose the connection. So a
replica claims the refresh in the store first; whoever else needs it waits for the signal that the connection has
changed, or for the claim's end (`claims`). The claim's owner that has been answered tries to keep the answer for as
long as it lives, also while MongoDB is away.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol, TypeVar

from prometheus_client import Counter

from services.auth.connections.credentials.faults import ProviderFaults
from services.auth.connections.domain import OAuth2Tokens, Refreshed
from services.auth.connections.sealing.vault import SecretLostError
from services.auth.domain import to_milliseconds
from shared import crash_points, observability
from shared.crash_points import CrashPoint
from shared.errors import AuthorizationRefused, Unavailable
from shared.retry import Backoff, until_done

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from services.auth.connections.credentials.claims import RefreshClaims
    from services.auth.connections.credentials.known import KnownConnections
    from services.auth.connections.domain import Connection
    from services.auth.connections.providers.grants import Grant
    from services.auth.connections.sealing.vault import Vault
    from services.auth.connections.store import ConnectionStore
    from shared.clock import Clock

log = observability.logger()
T = TypeVar("T")

REFRESHES = Counter(
    "penstock_auth_refreshes", "Refreshes of tokens that this replica has made, by outcome.", ("outcome",)
)

#: Between two tries to keep what a provider has answered; shorter than a lapsed claim is respected.
_KEEP_BACKOFF = Backoff(initial=timedelta(milliseconds=50), maximum=timedelta(milliseconds=500))
_MAX_REASON_CHARACTERS = 300
#: A replica that stops is soon replaced.
_DRAINING_PAUSE = timedelta(seconds=1)


class Refresher(Protocol):
    """Asks providers."""

    async def refresh(self, connection: Connection, tokens: OAuth2Tokens) -> Grant:
        """The tokens after these.

        Raises:
            AuthorizationRefused: The provider says clearly that they can be had by another consent alone.
            Unavailable: Anything else: it is away, or its answer is none, or it refuses this mesh.
        """
        ...


class Changes(Protocol):
    """Tells of a change that is on disk."""

    async def tell(self, connection_id: str) -> None:
        """Tells that a connection stands otherwise, or has another secret."""
        ...


class Refreshes:
    """Refreshes the tokens of connections.

    Args:
        store: Keeps what a refresh has brought.
        claims: Let one replica at a time refresh.
        vault: Seals it.
        refresher: Asks the providers.
        known: Is told of every newer connection.
        changes: Tells everybody else.
        clock: The time.
        monotonic: Seconds that only grow.
    """

    def __init__(
        self,
        *,
        store: ConnectionStore,
        claims: RefreshClaims,
        vault: Vault,
        refresher: Refresher,
        known: KnownConnections,
        changes: Changes,
        clock: Clock,
        monotonic: Callable[[], float],
    ) -> None:
        self._store = store
        self._claims = claims
        self._vault = vault
        self._refresher = refresher
        self._known = known
        self._changes = changes
        self._clock = clock
        self._faults = ProviderFaults(monotonic=monotonic)
        self._running: dict[tuple[str, int], asyncio.Task[Connection | None]] = {}
        #: Those of them that this replica makes, as no other does.
        self._claimed: set[tuple[str, int]] = set()
        self._draining = False

    def begin(self, connection: Connection) -> None:
        """Has a connection's token refreshed beside, unless its provider was at fault a moment ago."""
        if self._faults.pause(connection.id) is None and not self._draining:
            self._run(connection)

    async def newest(self, connection: Connection) -> Connection | None:
        """The connection after a refresh of the token that it has, whoever makes it; None where it was deleted.

        All who ask in this replica share one, and none can cancel it.

        Raises:
            Unavailable: The provider is at fault, or MongoDB, or the key provider.
        """
        pause = self._faults.pause(connection.id)
        if pause is not None or self._draining:
            raise _away(pause or _DRAINING_PAUSE)
        refresh = self._run(connection)
        try:
            return await asyncio.shield(refresh)
        except asyncio.CancelledError:
            if not refresh.cancelled():
                raise  # it is who waits that was canceled
            raise _away(_DRAINING_PAUSE) from None

    async def give_up(self, connection: Connection, reason: str) -> Connection | None:
        """Notes that there is nothing to call with; answers with the connection as it is now, None where it is deleted.

        One that has another secret by now stays as it is.

        Args:
            connection: As it was seen.
            reason: Why, for people.

        Raises:
            Unavailable: MongoDB is away.
        """
        marked = await self._store.mark_needs_reauth(
            connection.tenant,
            connection.id,
            version=connection.version,
            reason=reason[:_MAX_REASON_CHARACTERS],
            at=to_milliseconds(self._clock.now()),
        )
        if marked is None:
            return await self._read(connection)
        log.warning("connection_needs_reauth", connection=connection.id, tenant=connection.tenant, why=reason)
        await self._tell(marked)
        return marked

    async def drain(self) -> None:
        """Begins none any more, and returns when those that this replica has claimed are over, and kept."""
        self._draining = True
        claimed = {task for named, task in self._running.items() if named in self._claimed}
        for task in set(self._running.values()) - claimed:
            task.cancel()  # it waits for another replica
        if claimed:
            await asyncio.wait(claimed)

    def _run(self, connection: Connection) -> asyncio.Task[Connection | None]:
        named = (connection.id, connection.version)
        task = self._running.get(named)
        if task is None:
            task = asyncio.create_task(self._refresh(connection), name=f"refresh {connection.id}")
            self._running[named] = task
            task.add_done_callback(lambda done: self._end(named, done))
        return task

    def _end(self, named: tuple[str, int], task: asyncio.Task[Connection | None]) -> None:
        del self._running[named]
        self._claimed.discard(named)
        if task.cancelled():
            return
        error = task.exception()  # marks it as seen, where nobody waits for it
        if error is not None and not isinstance(error, Unavailable):
            log.error("refresh_broken", connection=named[0], exc_info=error)

    async def _refresh(self, connection: Connection) -> Connection | None:
        fence = await self._claims.take(connection)
        if fence is None:
            return await self._read(connection)
        self._claimed.add((connection.id, connection.version))
        try:
            return await self._refresh_under(fence, connection)
        except AuthorizationRefused as refusal:
            REFRESHES.labels("refused").inc()
            return await self.give_up(connection, refusal.message)
        except Exception as error:
            REFRESHES.labels("failed").inc()
            self._faults.note(connection.id, error)
            await self._claims.give_back(connection, fence)
            raise

    async def _refresh_under(self, fence: int, seen: Connection) -> Connection | None:
        """Refreshes under a claim; the record is read again, for it may have been sealed anew since it was seen.

        Raises:
            AuthorizationRefused: The provider refuses.
            Unavailable: Something is away; nothing has been spent, as far as is known.
        """
        connection = await self._read(seen)
        if connection is None or connection.version != seen.version:
            return connection
        tokens = await self._open(connection)
        named = {"tenant": connection.tenant, "connection_id": connection.id}
        await self._vault.seal(tokens, **named)  # what could not be sealed afterwards is not asked for
        crash_points.reach(CrashPoint.AUTH_REFRESHING)
        grant = await self._refresher.refresh(connection, tokens)
        crash_points.reach(CrashPoint.AUTH_REFRESHED)
        return await self._keep(connection, fence, grant)

    async def _read(self, seen: Connection) -> Connection | None:
        found = await self._store.connection(seen.tenant, seen.id)
        if found is not None:
            self._known.note(found)
        return found

    async def _open(self, connection: Connection) -> OAuth2Tokens:
        try:
            secret = await self._vault.open(connection.sealed, tenant=connection.tenant, connection_id=connection.id)
        except SecretLostError as error:
            log.error("secret_lost", connection=connection.id, error=str(error))  # noqa: TRY400  said in full
            raise Unavailable(
                "the connection's secret cannot be opened", metadata={"dependency": "data_keys"}
            ) from None
        if not isinstance(secret, OAuth2Tokens):
            raise TypeError(f"the connection {connection.id} has no tokens that can be refreshed")
        return secret

    async def _keep(self, connection: Connection, fence: int, grant: Grant) -> Connection | None:
        """Puts on disk what the provider has given, however long that takes; answers with the connection then."""
        tokens = grant.secret
        if not isinstance(tokens, OAuth2Tokens):
            raise TypeError("a refresh has brought no tokens of OAuth 2")
        named = (connection.tenant, connection.id)
        sealed = await self._persistently(
            lambda: self._vault.seal(tokens, tenant=connection.tenant, connection_id=connection.id)
        )
        refreshed = Refreshed(
            sealed=sealed,
            at=to_milliseconds(self._clock.now()),
            expires_at=to_milliseconds(tokens.expires_at) if tokens.expires_at is not None else None,
            scopes=grant.scopes,
        )
        kept = await self._persistently(
            lambda: self._store.replace_secret(*named, refreshed, version=connection.version, fence=fence)
        )
        if kept is None:  # another secret was given meanwhile; or it is kept, and only the word of it was lost
            kept = await self._persistently(lambda: self._store.connection(*named))
        if kept is None:
            return None
        outcome = "refreshed" if kept.version != connection.version else "lost"
        REFRESHES.labels(outcome).inc()
        self._faults.forget(connection.id)
        log.info("connection_refreshed", connection=connection.id, version=kept.version, outcome=outcome)
        await self._tell(kept)
        return kept

    async def _persistently(self, act: Callable[[], Awaitable[T]]) -> T:
        return await until_done(
            act,
            retry_on=(Exception,),  # whatever is wrong: the token before is spent, and nobody else has this one
            backoff=_KEEP_BACKOFF,
            on_failure=lambda error, _: log.error("refresh_not_kept", error=type(error).__name__),
        )

    async def _tell(self, connection: Connection) -> None:
        self._known.note(connection)
        await self._changes.tell(connection.id)


def _away(retry_after: timedelta) -> Unavailable:
    return Unavailable(
        "the connection's token has ended, and its provider gives no other now; the call may be repeated",
        metadata={"dependency": "provider"},
        retry_after=retry_after,
    )
