"""Authorizations: begun by a principal, opened in a browser, completed by the provider's answer, each once.

The provider's answer is worth something only with what auth keeps sealed, and only to the browser that has opened the
link (or, out of band, to the principal that has begun). Completion is claimed first, so that of two copies of one
answer one is exchanged: providers take the second use of a code for theft. What becomes of it by how the exchange ends:

the provider gives tokens    the connection is kept, then the authorization is removed
it refuses                   removed; another consent begins another one
it is away, at any step      the claim is given back: until its time is over the same answer may come again, and is good
                             or is refused; nobody else can have had tokens for it
auth dies in between         the claim runs out; as above
"""

from __future__ import annotations

import hmac
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from services.auth.connections.authorizing import authorization as authorization_
from services.auth.connections.authorizing import flows as flows_
from services.auth.connections.authorizing.authorization import (
    Authorization,
    AuthorizationOrder,
    digest,
    is_random,
    new_random,
)
from services.auth.connections.providers.oauth1 import RequestToken
from services.auth.connections.sealing.vault import SecretLostError
from services.auth.domain import to_milliseconds
from shared import observability
from shared.errors import (
    AuthorizationNotFound,
    AuthorizationRefused,
    InvalidArgument,
    PenstockError,
    Unavailable,
)

if TYPE_CHECKING:
    from datetime import datetime

    from services.auth.connections.authorizing.flows import Flows
    from services.auth.connections.authorizing.granted import Granted
    from services.auth.connections.authorizing.store import AuthorizationStore
    from services.auth.connections.domain import Connection
    from services.auth.connections.providers.domain import Provider
    from services.auth.connections.sealing.vault import Vault
    from shared.clock import Clock
    from shared.identity import Principal

log = observability.logger()

#: Longer than an exchange takes with all that is asked for it (`provider_http.TIMEOUT` each).
_CLAIM = timedelta(seconds=45)
_MAX_CODE_CHARACTERS = 4096
_CLAIMED_RETRY = timedelta(seconds=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """An authorization that was begun.

    Args:
        url: To be opened by whoever owns the account.
        state: Names the authorization.
        ends_at: It can be completed until then.
    """

    url: str
    state: str
    ends_at: datetime


class Authorizations:
    """The authorizations of all tenants.

    Args:
        store: Where they are kept.
        vault: Seals what is secret of them.
        flows: Speaks to the providers.
        granted: Keeps what they give.
        lifetime: For how long one can be completed.
        clock: The time.
    """

    def __init__(
        self,
        *,
        store: AuthorizationStore,
        vault: Vault,
        flows: Flows,
        granted: Granted,
        lifetime: timedelta,
        clock: Clock,
    ) -> None:
        self._store = store
        self._vault = vault
        self._flows = flows
        self._granted = granted
        self._lifetime = lifetime
        self._clock = clock

    async def begin(self, order: AuthorizationOrder, *, principal: Principal) -> Begun:
        """Begins an authorization.

        Raises:
            InvalidArgument: The order is wrong.
            ProviderNotFound: There is no such provider.
            ConnectionNotFound: The tenant has no such connection.
            ConnectionLimitReached: The tenant has as many as it may have.
            AuthorizationRefused: The provider refuses to begin.
            Unavailable: The provider, MongoDB or the key provider is away.
        """
        violations = list(order.violations())
        if violations:
            raise InvalidArgument.of(violations)
        provider = self._flows.provider(order.provider, out_of_band=order.out_of_band)
        order = replace(order, scopes=provider.chosen_scopes(order.scopes))
        if order.connection_id:
            await self._granted.to_authorize_anew(principal.tenant, order.connection_id, provider=provider.name)
        else:
            await self._granted.check_room(principal.tenant)
        state = new_random()
        kept = await self._flows.begin(provider, state=state, out_of_band=order.out_of_band)
        now = to_milliseconds(self._clock.now())
        begun = Authorization(
            digest=digest(state),
            tenant=principal.tenant,
            principal=principal.id,
            order=order,
            sealed=await self._vault.seal_bytes(flows_.to_text(kept), *_place(principal.tenant, digest(state))),
            begun_at=now,
            ends_at=now + self._lifetime,
        )
        await self._store.add(begun)
        log.info("authorization_begun", provider=provider.name, connection=order.connection_id or None)
        url = self._authorize_url(begun, kept, state) if order.out_of_band else self._flows.link(state)
        return Begun(url=url, state=state, ends_at=begun.ends_at)

    async def find(self, state: str) -> Authorization:
        """The authorization of a state that a browser has brought.

        Raises:
            AuthorizationNotFound: There is none any more, or it is out of band.
        """
        found = await self._store.find(digest(state)) if is_random(state) else None
        if found is None or found.order.out_of_band:
            raise not_found()
        return found

    async def open(self, begun: Authorization, state: str, *, cookie: str | None) -> tuple[str, str | None]:
        """Where a browser that has opened the link goes on; and the cookie that it is known by, where it is new.

        Raises:
            AuthorizationNotFound: Another browser has opened the link before.
            Unavailable: MongoDB or the key provider is away.
        """
        fresh: str | None = None
        if begun.browser is None:
            fresh = new_random()
            if not await self._store.bind(begun.digest, digest(fresh)):
                raise other_browser()
        else:
            check_browser(begun, cookie)
        return self._authorize_url(begun, await self._opened(begun), state), fresh

    async def deny(self, begun: Authorization, problem: str) -> AuthorizationRefused:
        """Ends an authorization to which the answer is no; answers with the error."""
        await self._store.remove(begun.digest)
        title = self._flows.providers.get(begun.order.provider).title
        return AuthorizationRefused(
            f"{title} answers {problem}: the consent was not given; authorize anew if that was not meant",
            metadata={"provider": begun.order.provider, "error": problem},
        )

    async def complete_by_hand(self, state: str, code: str, *, principal: Principal) -> Connection:
        """Completes an authorization that was begun out of band, for who has begun it.

        Raises:
            InvalidArgument: The code can be none.
            AuthorizationNotFound: There is no such authorization of this principal any more.
            AuthorizationRefused: The provider gives no token.
            ConnectionNotFound: The connection to authorize anew is gone.
            Unavailable: The provider, MongoDB or the key provider is away; it can be completed still.
        """
        found = await self._store.find(digest(state)) if is_random(state) else None
        if found is None or (found.tenant, found.principal) != (principal.tenant, principal.id):
            raise not_found()
        if not found.order.out_of_band:
            raise AuthorizationNotFound("this authorization is completed by the browser that has opened its link")
        return await self.complete(found, code=code.strip(), field="code")

    async def complete(self, begun: Authorization, *, code: str, field: str, request_token: str = "") -> Connection:
        """Completes an authorization; the caller has checked whose it is.

        Args:
            begun: The authorization.
            code: What the provider has shown: a code, or a verifier.
            field: What the caller calls that.
            request_token: What the provider names beside a verifier, where a browser has brought it.

        Raises:
            InvalidArgument: The code can be none, or is of another request token.
            AuthorizationNotFound: It was completed meanwhile.
            AuthorizationRefused: The provider gives no token, or one of another account.
            ConnectionNotFound: The connection to authorize anew is gone.
            Unavailable: The provider, MongoDB or the key provider is away; it can be completed still.
        """
        _check_code(code, field)
        kept = await self._opened(begun)
        if isinstance(kept, RequestToken) and request_token and not kept.is_named(request_token):
            raise InvalidArgument.field("oauth_token", "is not the one that this authorization has begun with")
        provider = self._flows.provider(begun.order.provider, out_of_band=begun.order.out_of_band)
        if not await self._store.claim(begun.digest, lasting=_CLAIM):
            raise await self._claimed(begun)
        return await self._finish(begun, provider, kept, code)

    async def _claimed(self, begun: Authorization) -> PenstockError:
        if await self._store.find(begun.digest) is None:
            return not_found()
        return Unavailable("this authorization is being completed; look again in a moment", retry_after=_CLAIMED_RETRY)

    async def _finish(self, begun: Authorization, provider: Provider, kept: flows_.Kept, code: str) -> Connection:
        try:
            connection = await self._exchange(begun, provider, kept, code)
        except Unavailable:
            await self._store.release(begun.digest)
            raise
        except PenstockError:
            await self._store.remove(begun.digest)
            raise
        with suppress(Unavailable):  # the code is spent, and MongoDB removes what is over
            await self._store.remove(begun.digest)
        log.info("authorization_completed", provider=provider.name, connection=connection.id, owner=begun.tenant)
        return connection

    async def _exchange(self, begun: Authorization, provider: Provider, kept: flows_.Kept, code: str) -> Connection:
        order = begun.order
        before: Connection | None = None
        if order.connection_id:
            before = await self._granted.to_authorize_anew(begun.tenant, order.connection_id, provider=provider.name)
        grant = await self._flows.finish(provider, kept, code=code, out_of_band=order.out_of_band)
        if before is not None:
            return await self._granted.keep_anew(grant, before, provider=provider, order=order)
        return await self._granted.keep_new(
            grant, provider=provider, order=order, tenant=begun.tenant, made_by=begun.principal
        )

    async def _opened(self, begun: Authorization) -> flows_.Kept:
        try:
            text = await self._vault.open_bytes(begun.sealed, *_place(begun.tenant, begun.digest))
        except SecretLostError as error:
            log.warning("authorization_lost", provider=begun.order.provider, error=str(error))
            raise not_found() from None
        return flows_.from_text(text)

    def _authorize_url(self, begun: Authorization, kept: flows_.Kept, state: str) -> str:
        order = begun.order
        provider = self._flows.provider(order.provider, out_of_band=order.out_of_band)
        return self._flows.authorize_url(
            provider, kept, state=state, scopes=order.scopes, out_of_band=order.out_of_band
        )


def check_browser(begun: Authorization, cookie: str | None) -> None:
    """Lets pass the browser that has opened the link first; takes as long whichever character differs.

    Raises:
        AuthorizationNotFound: It is another one.
    """
    if begun.browser is None or cookie is None or not hmac.compare_digest(digest(cookie), begun.browser):
        raise other_browser()


def not_found() -> AuthorizationNotFound:
    """The error of what is not there: not any more, or not for who asks."""
    return AuthorizationNotFound(
        "there is no such authorization any more: it was completed or refused, or its time is over; authorize anew"
    )


def other_browser() -> AuthorizationNotFound:
    """The error of a browser that is not the one that has begun."""
    return AuthorizationNotFound(
        "this authorization was begun in another browser, or without cookies; go on there, or authorize anew",
        metadata={"error": authorization_.OTHER_BROWSER},
    )


def _place(tenant: str, state_digest: bytes) -> tuple[str, str]:
    """Where what is sealed belongs."""
    return tenant, state_digest.hex()


def _check_code(code: str, field: str) -> None:
    if not code:
        raise InvalidArgument.field(field, "is missing; it is what the provider shows when somebody has consented")
    if len(code) > _MAX_CODE_CHARACTERS:
        raise InvalidArgument.field(field, f"has {len(code)} characters; it takes {_MAX_CODE_CHARACTERS} at most")
    if not all(" " <= character <= "~" for character in code):
        raise InvalidArgument.field(
            field, "holds other than visible ASCII characters; copy it as the provider shows it"
        )
