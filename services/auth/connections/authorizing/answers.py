"""What `ConnectionService` answers about providers: protos to the domain and back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from penstock.auth.v1 import connections_pb2

from services.auth.connections.authorizing.authorization import AuthorizationOrder
from services.auth.connections.authorizing.undisturbed import Undisturbed
from services.auth.connections.messages import policy_of
from services.auth.connections.providers.domain import ProviderKind
from shared.paging import Position, page_size
from shared.rpc import call as current_call
from shared.rpc.call import current_principal, current_tenant
from shared.times import timestamp

if TYPE_CHECKING:
    import grpc
    from google.api import httpbody_pb2

    from services.auth.connections.authorizing.authorizations import Authorizations
    from services.auth.connections.authorizing.callback import Callback
    from services.auth.connections.authorizing.granted import Granted
    from services.auth.connections.domain import Connection
    from services.auth.connections.orders import ProviderOrder
    from services.auth.connections.providers.domain import Provider, Providers
    from shared.identity import Principal
    from shared.paging import PageTokens

    Context = grpc.aio.ServicerContext[Any, Any]

_KINDS = {ProviderKind.OAUTH1: connections_pb2.Provider.OAUTH1, ProviderKind.OAUTH2: connections_pb2.Provider.OAUTH2}


class Authorizing:
    """Answers for whoever asks.

    Args:
        providers: The providers.
        authorizations: What is begun and completed at them.
        granted: Keeps what they give to the client itself.
        callback: Answers browsers.
        page_tokens: What pages are asked for by.
    """

    def __init__(
        self,
        *,
        providers: Providers,
        authorizations: Authorizations,
        granted: Granted,
        callback: Callback,
        page_tokens: PageTokens,
    ) -> None:
        self._providers = providers
        self._authorizations = authorizations
        self._granted = granted
        self._callback = callback
        self._page_tokens = page_tokens
        self._undisturbed = Undisturbed()

    async def list_providers(
        self, request: connections_pb2.ListProvidersRequest
    ) -> connections_pb2.ListProvidersResponse:
        """Answers with a page of the providers, in the order of their names."""
        list_ = f"providers {current_tenant()}"
        size = page_size(request.page_size)
        after = self._page_tokens.read(request.page_token, bound_to=list_)
        left = [each for each in self._providers.all if after is None or each.name > after.id]
        token = ""
        if len(left) > size:
            last = Position(created_at=datetime.fromtimestamp(0, UTC), id=left[size - 1].name)  # names are the order
            token = self._page_tokens.make(last, bound_to=list_)
        return connections_pb2.ListProvidersResponse(
            providers=[self._message(provider) for provider in left[:size]], next_page_token=token
        )

    async def create(self, order: ProviderOrder, *, maker: Principal) -> Connection:
        """Makes a connection of the client's own credentials at a provider."""
        return await self._granted.create_of_client(order, maker=maker)

    async def authorize(
        self, request: connections_pb2.AuthorizeConnectionRequest
    ) -> connections_pb2.AuthorizeConnectionResponse:
        """Begins to authorize a connection."""
        order = AuthorizationOrder(
            provider=request.provider,
            scopes=tuple(request.scopes),
            display_name=request.display_name,
            reauth_policy=policy_of(request.reauth_policy),
            connection_id=request.connection_id,
            out_of_band=request.out_of_band,
            return_url=request.return_url,
        )
        current_tenant()  # raises for a service, whose connection would be nobody's
        begun = await self._authorizations.begin(order, principal=current_principal())
        return connections_pb2.AuthorizeConnectionResponse(
            authorization_url=begun.url, state=begun.state, expires_at=timestamp(begun.ends_at)
        )

    async def complete(self, request: connections_pb2.CompleteConnectionRequest) -> Connection:
        """Completes an authorization with what the provider has shown."""
        current_tenant()
        completed = self._authorizations.complete_by_hand(request.state, request.code, principal=current_principal())
        return await self._undisturbed.run(completed)

    async def receive(self, request: connections_pb2.ReceiveCallbackRequest, context: Context) -> httpbody_pb2.HttpBody:
        """Answers a browser."""
        call = current_call.current()
        if call is None:
            raise RuntimeError("a callback is received outside of a call")
        answer = await self._undisturbed.run(self._callback.answer(request, call))
        await context.send_initial_metadata(answer.metadata)
        return answer.body

    async def drain(self) -> None:
        """Returns when all is completed that was begun to be, though nobody waits for it."""
        await self._undisturbed.drain()

    def _message(self, provider: Provider) -> connections_pb2.Provider:
        return connections_pb2.Provider(
            name=provider.name,
            title=provider.title,
            kind=_KINDS[provider.kind],
            upstream=provider.upstream,
            hosts=provider.hosts,
            scopes=provider.scopes,
            default_scopes=provider.default_scopes,
            configured=self._providers.client(provider.name) is not None,
            out_of_band=provider.out_of_band,
            client_credentials=provider.client_credentials,
        )
