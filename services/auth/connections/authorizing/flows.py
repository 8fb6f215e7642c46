"""The steps of an authorization at its provider, whichever protocol that speaks."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from services.auth.connections.authorizing.authorization import CALLBACK_PATH
from services.auth.connections.domain import OAuth2Tokens
from services.auth.connections.providers import oauth1, oauth2
from services.auth.connections.providers.domain import ProviderKind
from services.auth.connections.providers.oauth1 import OUT_OF_BAND, RequestToken
from shared.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.auth.connections.providers.domain import Provider, ProviderClient, Providers
    from services.auth.connections.providers.grants import Grant
    from services.auth.connections.providers.oauth1 import OAuth1
    from services.auth.connections.providers.oauth2 import OAuth2

#: What is kept of an authorization: what its provider's answer is worth something with.
Kept = RequestToken | str


class Flows:
    """Takes authorizations from step to step.

    Args:
        providers: Where they are made.
        oauth1: Asks the providers that speak it.
        oauth2: Asks the others.
        public_url: Where browsers reach the mesh; empty where none can.
    """

    def __init__(self, *, providers: Providers, oauth1: OAuth1, oauth2: OAuth2, public_url: str) -> None:
        self.providers = providers
        self._oauth1 = oauth1
        self._oauth2 = oauth2
        self._callback_url = f"{public_url}{CALLBACK_PATH}" if public_url else ""

    def provider(self, name: str, *, out_of_band: bool = False) -> Provider:
        """A provider at which something can be authorized in this way.

        Raises:
            ProviderNotFound: There is none of this name.
            InvalidArgument: This mesh has no client there, the provider shows no codes, or no browser can come back.
        """
        provider = self.providers.get(name)
        self._client(provider)
        if out_of_band and not provider.out_of_band:
            raise InvalidArgument.field("outOfBand", f"is true, and {provider.title} shows no code; leave it out")
        if not out_of_band and not self._callback_url:
            raise InvalidArgument.field(
                "outOfBand", "is false, and no browser can come back; have the operator set PENSTOCK_PUBLIC_URL"
            )
        return provider

    def link(self, state: str) -> str:
        """What is opened in a browser to begin."""
        return oauth1.with_query(self._callback_url, {"begin": state})

    async def begin(self, provider: Provider, *, state: str, out_of_band: bool) -> Kept:
        """Begins; answers with what to keep.

        Raises:
            AuthorizationRefused: The provider refuses to.
            Unavailable: It cannot be asked.
        """
        if provider.kind is ProviderKind.OAUTH1:
            callback = OUT_OF_BAND if out_of_band else oauth1.with_query(self._callback_url, {"state": state})
            return await self._oauth1.request_token(provider, self._client(provider), callback=callback)
        return oauth2.new_verifier() if provider.pkce else ""

    def authorize_url(
        self, provider: Provider, kept: Kept, *, state: str, scopes: Sequence[str], out_of_band: bool
    ) -> str:
        """Where somebody consents."""
        if isinstance(kept, RequestToken):
            return oauth1.authorize_url(provider, kept, scopes)
        return oauth2.authorize_url(
            provider,
            self._client(provider),
            scopes=scopes,
            state=state,
            redirect_uri=self._redirect_uri(provider, out_of_band=out_of_band),
            verifier=kept,
        )

    async def finish(self, provider: Provider, kept: Kept, *, code: str, out_of_band: bool) -> Grant:
        """The tokens for what the provider has shown.

        Raises:
            AuthorizationRefused: The provider gives none.
            Unavailable: It cannot be asked, or its answer is none.
        """
        client = self._client(provider)
        if isinstance(kept, RequestToken):
            return await self._oauth1.access_token(provider, client, kept, verifier=code)
        return await self._oauth2.exchange(
            provider,
            client,
            code=code,
            redirect_uri=self._redirect_uri(provider, out_of_band=out_of_band),
            verifier=kept,
        )

    def provider_of_clients(self, name: str) -> Provider:
        """A provider that gives clients tokens of their own.

        Raises:
            ProviderNotFound: There is none of this name.
            InvalidArgument: This mesh has no client there, or it gives clients none.
        """
        provider = self.providers.get(name)
        self._client(provider)
        if not provider.client_credentials:
            raise InvalidArgument.field(
                "provider", f"is {name!r}, which gives clients no tokens of their own; authorize a connection there"
            )
        return provider

    async def of_client(self, provider: Provider, scopes: Sequence[str]) -> Grant:
        """Tokens of the client's own.

        Raises:
            AuthorizationRefused: The provider gives none.
            Unavailable: It cannot be asked, or its answer is none.
        """
        return await self._oauth2.of_client(provider, self._client(provider), scopes)

    async def give_up(self, provider: Provider, grant: Grant) -> None:
        """Ends tokens that nobody is to use, where the provider can."""
        if isinstance(grant.secret, OAuth2Tokens):
            await self._oauth2.revoke(provider, self._client(provider), grant.secret)

    def _redirect_uri(self, provider: Provider, *, out_of_band: bool) -> str:
        return provider.out_of_band_uri if out_of_band else self._callback_url

    def _client(self, provider: Provider) -> ProviderClient:
        client = self.providers.client(provider.name)
        if client is None:
            raise InvalidArgument.field(
                "provider",
                f"is {provider.name!r}, where this mesh has no client; have the operator set PENSTOCK_PROVIDER_CLIENTS",
            )
        return client


def to_text(kept: Kept) -> bytes:
    """What is kept, as bytes."""
    return json.dumps(asdict(kept) if isinstance(kept, RequestToken) else kept).encode()


def from_text(text: bytes) -> Kept:
    """What was made these bytes."""
    found = json.loads(text)
    return found if isinstance(found, str) else RequestToken(**found)
