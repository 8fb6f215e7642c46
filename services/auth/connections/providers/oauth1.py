"""OAuth 1.0a (RFC 5849), from the client's side; oauthlib signs."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from oauthlib import oauth1

from services.auth.connections.domain import OAuth1Token
from services.auth.connections.providers.grants import (
    Grant,
    account_in,
    client_refused,
    is_token,
    refused,
    unavailable,
    word,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from services.auth.connections.providers.domain import Provider, ProviderClient
    from services.auth.connections.providers.http import ProviderAnswer, ProviderHttp
    from shared.errors import PenstockError

#: The callback of who has no browser that comes back (RFC 5849, 2.1).
OUT_OF_BAND = "oob"
#: Words of OAuth's problem reporting extension, which providers speak beside the status.
_CLOCK = frozenset({"timestamp_refused"})
_CLIENT = frozenset(
    {
        *("consumer_key_unknown", "consumer_key_rejected", "consumer_key_refused", "signature_invalid"),
        *("signature_method_rejected", "version_rejected", "parameter_absent", "parameter_rejected"),
    }
)
_AGAIN = frozenset({"nonce_used", "additional_authorization_required"})


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestToken:
    """What a consent begins with."""

    token: str
    secret: str = field(repr=False)

    def is_named(self, token: str) -> bool:
        """Whether it is this one; takes as long whichever character differs."""
        return hmac.compare_digest(token.encode(), self.token.encode())


class OAuth1:
    """Asks providers of this kind.

    Args:
        http: Carries the requests.
        now: This machine's time in UTC, as requests are signed with.
    """

    def __init__(self, http: ProviderHttp, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._http = http
        self._now = now

    async def request_token(self, provider: Provider, client: ProviderClient, *, callback: str) -> RequestToken:
        """A token to begin a consent with (RFC 5849, 2.1).

        Args:
            provider: Asked.
            client: What this mesh is there.
            callback: Where the browser is to come back to, or `OUT_OF_BAND`.

        Raises:
            AuthorizationRefused: The provider gives none.
            Unavailable: It cannot be asked, or its answer is none.
        """
        signer = _signer(client, callback_uri=callback)
        answer = await self._post(provider, provider.request_token_url, signer)
        fields = self._given(provider, answer)
        if fields.get("oauth_callback_confirmed") != "true":  # else codes could be carried off (RFC 5849, 2.1)
            raise unavailable(provider, "has not confirmed the callback")
        return RequestToken(token=fields["oauth_token"], secret=fields["oauth_token_secret"])

    async def access_token(
        self, provider: Provider, client: ProviderClient, request: RequestToken, *, verifier: str
    ) -> Grant:
        """The token that somebody has consented to (RFC 5849, 2.3).

        Raises:
            AuthorizationRefused: The provider gives none.
            Unavailable: It cannot be asked, or its answer is none.
        """
        signer = _signer(
            client, resource_owner_key=request.token, resource_owner_secret=request.secret, verifier=verifier
        )
        answer = await self._post(provider, provider.token_url, signer)
        fields = self._given(provider, answer)
        return Grant(
            secret=OAuth1Token(token=fields["oauth_token"], token_secret=fields["oauth_token_secret"]),
            account=account_in(provider.account, fields),
        )

    async def _post(self, provider: Provider, url: str, signer: oauth1.Client) -> ProviderAnswer:
        _, headers, _ = signer.sign(url, http_method="POST")
        return await self._http.post(provider, url, headers=headers)

    def _given(self, provider: Provider, answer: ProviderAnswer) -> Mapping[str, str]:
        """The fields of an answer that gives a token."""
        fields = answer.fields or {}
        problem = word(fields.get("oauth_problem"))
        if problem or not answer.succeeded:
            raise self._refusal(provider, answer, problem or f"status {answer.status}")
        if not is_token(fields.get("oauth_token")) or not is_token(fields.get("oauth_token_secret")):
            raise unavailable(provider, "answers with what is no token")
        return fields

    def _refusal(self, provider: Provider, answer: ProviderAnswer, problem: str) -> PenstockError:
        if problem in _CLOCK:
            return client_refused(provider, problem, f"{self._clocks(answer)}; set the clock of auth's machine (NTP)")
        if problem in _CLIENT:
            advice = f"have its operator check the id and secret of {provider.name} in PENSTOCK_PROVIDER_CLIENTS"
            return client_refused(provider, problem, advice)
        if problem in _AGAIN:
            return unavailable(provider, f"refuses ({problem})")
        return refused(provider, problem, "the consent is not given, or its code is wrong or too old; begin anew")

    def _clocks(self, answer: ProviderAnswer) -> str:
        if answer.time is None:
            return "the clocks are too far apart"
        apart = abs((self._now() - answer.time).total_seconds())
        return f"the clocks are {apart:.0f} s apart"


def authorize_url(provider: Provider, request: RequestToken, scopes: Sequence[str]) -> str:
    """Where somebody consents (RFC 5849, 2.2)."""
    query = {**provider.authorize_parameters, "oauth_token": request.token}
    if scopes:
        query[provider.scope_parameter] = provider.scope_separator.join(scopes)
    return with_query(provider.authorize_url, query)


def with_query(url: str, query: Mapping[str, str]) -> str:
    """A URL with these parameters behind its own."""
    return f"{url}{'&' if '?' in url else '?'}{urlencode(query)}"


def _signer(client: ProviderClient, **fields: Any) -> oauth1.Client:
    return oauth1.Client(client.id, client_secret=client.secret, **fields)
