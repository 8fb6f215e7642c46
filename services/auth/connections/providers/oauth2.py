"""OAuth 2 (RFC 6749) with PKCE (RFC 7636), from the client's side."""

from __future__ import annotations

import base64
import hashlib
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus

from services.auth.connections.domain import Account, OAuth2Tokens
from services.auth.connections.providers.domain import ClientAuthentication, Refresh
from services.auth.connections.providers.grants import (
    ClientRefused,
    Grant,
    account_in,
    client_refused,
    is_token,
    refused,
    unavailable,
    word,
)
from services.auth.connections.providers.oauth1 import with_query
from shared import observability
from shared.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from services.auth.connections.providers.domain import Provider, ProviderClient
    from services.auth.connections.providers.http import ProviderAnswer, ProviderHttp
    from shared.clock import Clock
    from shared.errors import PenstockError

log = observability.logger()

_VERIFIER_BYTES = 32
#: Errors of the token endpoint that speak of the code or the token (RFC 6749, 5.2).
_GRANT = frozenset({"invalid_grant", "access_denied"})
#: Errors that pass, by whatever name.
_PASSING = frozenset(
    {
        *("temporarily_unavailable", "server_error", "slow_down", "authorization_pending"),
        *("ratelimited", "rate_limited", "internal_error", "service_unavailable", "request_timeout"),
    }
)
_MAX_LIFETIME = timedelta(days=3650)


class OAuth2:
    """Asks providers of this kind.

    Args:
        http: Carries the requests.
        clock: The time, by which tokens end.
    """

    def __init__(self, http: ProviderHttp, *, clock: Clock) -> None:
        self._http = http
        self._clock = clock

    async def exchange(
        self, provider: Provider, client: ProviderClient, *, code: str, redirect_uri: str, verifier: str
    ) -> Grant:
        """The tokens for a code (RFC 6749, 4.1.3).

        Args:
            provider: Asked.
            client: What this mesh is there.
            code: What the browser has brought.
            redirect_uri: As it stood in the authorize URL.
            verifier: Whose challenge stood there; empty where the provider takes none.

        Raises:
            AuthorizationRefused: The provider gives none.
            Unavailable: It cannot be asked, or its answer is none.
        """
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
        if verifier:
            form["code_verifier"] = verifier
        return await self._tokens(provider, client, form)

    async def of_client(self, provider: Provider, client: ProviderClient, scopes: Sequence[str]) -> Grant:
        """Tokens of the client's own (RFC 6749, 4.4); raises as `exchange` does."""
        form = {"grant_type": "client_credentials"}
        if scopes:
            form[provider.scope_parameter] = provider.scope_separator.join(scopes)
        return await self._tokens(provider, client, form, of_client=True)

    async def refresh(
        self, provider: Provider, client: ProviderClient, tokens: OAuth2Tokens, *, scopes: Sequence[str] = ()
    ) -> Grant:
        """The next tokens (RFC 6749, 6), or the client's own anew.

        Only what says that the grant itself is good no more is a refusal: a fault of the provider's, or of this mesh's
        settings there, leaves a connection as it is.

        Args:
            provider: Asked.
            client: What this mesh is there.
            tokens: The ones before; a refresh token that rotates is spent hereafter.
            scopes: Of the connection, for tokens of the client's own.

        Raises:
            AuthorizationRefused: They can be had by another consent alone.
            Unavailable: The provider cannot be asked, refuses this mesh, or its answer is none.
        """
        try:
            if tokens.of_client:
                return await self.of_client(provider, client, scopes)
            if not tokens.refresh_token or provider.refresh is Refresh.NONE:
                raise refused(provider, "no_refresh_token", "the token has ended, and nothing renews it; begin anew")
            form = {"grant_type": "refresh_token", "refresh_token": tokens.refresh_token}
            return await self._tokens(provider, client, form, before=tokens)
        except ClientRefused as error:
            log.warning("provider_refuses_client", provider=provider.name, error=error.metadata["error"])
            raise Unavailable(error.message, metadata=error.metadata) from None

    async def revoke(self, provider: Provider, client: ProviderClient, tokens: OAuth2Tokens) -> bool:
        """Ends tokens that nobody is to use, where the provider can (RFC 7009); answers whether it has."""
        if not provider.revoke_url:
            return False
        form = {"token": tokens.refresh_token or tokens.access_token}
        try:
            answer = await self._post(provider, client, provider.revoke_url, form)
        except Unavailable as error:  # they end by themselves, and nobody has them
            log.info("provider_not_revoked", provider=provider.name, error=error.message)
            return False
        return answer.succeeded

    async def _tokens(
        self,
        provider: Provider,
        client: ProviderClient,
        form: Mapping[str, str],
        *,
        before: OAuth2Tokens | None = None,
        of_client: bool = False,
    ) -> Grant:
        asked_at = self._clock.now()
        answer = await self._post(provider, client, provider.token_url, form)
        fields = answer.fields
        if fields is None:
            raise unavailable(provider, f"answers with what is no answer (status {answer.status})")
        if "error" in fields or not answer.succeeded or fields.get("ok") is False:
            raise _refusal(provider, answer, fields)
        _check_tokens(provider, fields)
        tokens = OAuth2Tokens(
            access_token=fields["access_token"],
            refresh_token="" if of_client else _refresh_token(provider, fields, before),
            expires_at=_end(fields.get("expires_in"), asked_at),
            of_client=of_client,
        )
        account = Account() if before is not None or of_client else await self._account(provider, fields)
        return Grant(secret=tokens, scopes=_scopes(fields.get("scope")), account=account)

    async def _post(
        self, provider: Provider, client: ProviderClient, url: str, form: Mapping[str, str]
    ) -> ProviderAnswer:
        if provider.client_authentication is ClientAuthentication.POST:
            shown = {**form, "client_id": client.id, "client_secret": client.secret}
            return await self._http.post(provider, url, shown, headers={})
        pair = f"{quote_plus(client.id)}:{quote_plus(client.secret)}"  # RFC 6749, 2.3.1
        basic = base64.b64encode(pair.encode()).decode()
        return await self._http.post(provider, url, form, headers={"Authorization": f"Basic {basic}"})

    async def _account(self, provider: Provider, fields: Mapping[str, Any]) -> Account:
        """Whose account it is; nobody's where the provider does not say so now: the tokens are good all the same."""
        source = provider.account
        if not source.url:
            return account_in(source, fields)
        headers = {"Authorization": f"Bearer {fields['access_token']}"}
        try:
            answer = await self._http.get(provider, source.url, headers=headers)
        except Unavailable as error:
            log.info("provider_tells_no_account", provider=provider.name, error=error.message)
            return Account()
        return account_in(source, answer.fields or {}) if answer.succeeded else Account()


def new_verifier() -> str:
    """A verifier that nobody can guess (RFC 7636, 4.1)."""
    return secrets.token_urlsafe(_VERIFIER_BYTES)


def authorize_url(
    provider: Provider,
    client: ProviderClient,
    *,
    scopes: Sequence[str],
    state: str,
    redirect_uri: str,
    verifier: str,
) -> str:
    """Where somebody consents (RFC 6749, 4.1.1)."""
    query = {
        **provider.authorize_parameters,
        "response_type": "code",
        "client_id": client.id,
        "redirect_uri": redirect_uri,
        "state": state,
    }
    if scopes:
        query[provider.scope_parameter] = provider.scope_separator.join(scopes)
    if verifier:
        digest = hashlib.sha256(verifier.encode()).digest()
        query["code_challenge"] = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        query["code_challenge_method"] = "S256"
    return with_query(provider.authorize_url, query)


def _refusal(provider: Provider, answer: ProviderAnswer, fields: Mapping[str, Any]) -> PenstockError:
    problem = word(fields.get("error"))
    if problem in _PASSING:
        return unavailable(provider, f"answers {problem}")
    if problem in _GRANT or problem in provider.refused_grants:
        return refused(provider, problem, "the consent was taken back, or its code is wrong or too old; begin anew")
    if not problem:  # by its status alone nobody knows what was refused
        return unavailable(provider, f"answers with status {answer.status} and no reason")
    advice = f"have its operator check the client of {provider.name} in PENSTOCK_PROVIDER_CLIENTS and its registration"
    return client_refused(provider, problem, advice)


def _check_tokens(provider: Provider, fields: Mapping[str, Any]) -> None:
    if not is_token(fields.get("access_token")):
        raise unavailable(provider, "answers with what is no token")
    kind = fields.get("token_type", "bearer")
    if not isinstance(kind, str) or kind.lower() not in {"bearer", *provider.token_types}:
        raise unavailable(provider, "answers with a token of another type than bearer")
    if fields.get("refresh_token") and not is_token(fields["refresh_token"]):
        raise unavailable(provider, "answers with what is no refresh token")


def _refresh_token(provider: Provider, fields: Mapping[str, Any], before: OAuth2Tokens | None) -> str:
    """The one to use next; one that rotates and was used is never used again, even where no other was given."""
    given = fields.get("refresh_token") or ""
    if provider.refresh is Refresh.NONE:
        return ""
    if not given and before is not None and provider.refresh is Refresh.KEEPS:
        return before.refresh_token
    return given


def _end(lifetime: object, asked_at: datetime) -> datetime | None:
    """When a token ends; counted from when it was asked for, so that it is never thought to be good for longer."""
    if isinstance(lifetime, str) and lifetime.isascii() and lifetime.isdigit() and len(lifetime) <= len("9999999999"):
        lifetime = int(lifetime)
    if isinstance(lifetime, bool) or not isinstance(lifetime, int | float) or not lifetime > 0:
        return None
    return asked_at + timedelta(seconds=min(lifetime, _MAX_LIFETIME.total_seconds()))


def _scopes(told: object) -> tuple[str, ...] | None:
    """What was granted, where it is told; providers part scopes by spaces or by commas."""
    if not isinstance(told, str):
        return None
    return tuple(dict.fromkeys(told.replace(",", " ").split()))
