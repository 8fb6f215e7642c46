"""Asks a connection's provider for the next tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.errors import ProviderNotFound, Unavailable

if TYPE_CHECKING:
    from services.auth.connections.domain import Connection, OAuth2Tokens
    from services.auth.connections.providers.domain import Providers
    from services.auth.connections.providers.grants import Grant
    from services.auth.connections.providers.oauth2 import OAuth2


class ProviderRefresher:
    """Refreshes tokens where they were given.

    Args:
        providers: Every provider, and what this mesh is there.
        oauth2: Asks them.
    """

    def __init__(self, providers: Providers, oauth2: OAuth2) -> None:
        self._providers = providers
        self._oauth2 = oauth2

    async def refresh(self, connection: Connection, tokens: OAuth2Tokens) -> Grant:
        """The tokens after these.

        Raises:
            AuthorizationRefused: The provider says clearly that they can be had by another consent alone.
            Unavailable: Anything else; also where this mesh knows the provider no more, which its operator can mend.
        """
        name = connection.provider
        client = self._providers.client(name)
        try:
            provider = self._providers.get(name)
        except ProviderNotFound as error:
            raise Unavailable(error.message, metadata=error.metadata) from None
        if client is None:
            raise Unavailable(
                f"this mesh has no client at the provider {name!r}; have its operator set it",
                metadata={"provider": name},
            )
        return await self._oauth2.refresh(provider, client, tokens, scopes=connection.scopes)
