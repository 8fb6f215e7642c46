"""ConnectionService: protos to the domain and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from penstock.auth.v1 import connections_pb2, connections_pb2_grpc

from services.auth.connections.domain import ReauthPolicy
from services.auth.connections.messages import connection_message, policy_of, secret_of, state_of
from services.auth.connections.orders import (
    DEFAULT_UPSTREAM,
    ChangeOrder,
    ProviderOrder,
    SecretOrder,
    upstream_violations,
)
from shared.errors import FieldViolation, InvalidArgument
from shared.paging import Position, page_size
from shared.rpc.call import current_principal, current_tenant

if TYPE_CHECKING:
    import grpc
    from google.api import httpbody_pb2

    from services.auth.connections.connections import Connections
    from services.auth.connections.domain import Connection
    from shared.identity import Principal
    from shared.paging import PageTokens

    Context = grpc.aio.ServicerContext[Any, Any]


class Authorizations(Protocol):
    """Answers what is about providers, for whoever asks (`shared.rpc.call`); raises errors of the tree."""

    async def list_providers(
        self, request: connections_pb2.ListProvidersRequest
    ) -> connections_pb2.ListProvidersResponse:
        """Answers with a page of the providers."""
        ...

    async def create(self, order: ProviderOrder, *, maker: Principal) -> Connection:
        """Makes a connection of the client's own credentials at a provider."""
        ...

    async def authorize(
        self, request: connections_pb2.AuthorizeConnectionRequest
    ) -> connections_pb2.AuthorizeConnectionResponse:
        """Begins to authorize a connection."""
        ...

    async def complete(self, request: connections_pb2.CompleteConnectionRequest) -> Connection:
        """Completes an authorization with what the provider has shown."""
        ...

    async def receive(self, request: connections_pb2.ReceiveCallbackRequest, context: Context) -> httpbody_pb2.HttpBody:
        """Answers a browser, whose cookie is among the call's metadata."""
        ...


class ConnectionServicer(connections_pb2_grpc.ConnectionServiceServicer):
    """Answers tenants about their connections.

    Args:
        connections: The connections.
        authorizations: How they are authorized at providers.
        page_tokens: What pages are asked for by.
    """

    def __init__(self, *, connections: Connections, authorizations: Authorizations, page_tokens: PageTokens) -> None:
        self._connections = connections
        self._authorizations = authorizations
        self._page_tokens = page_tokens

    async def ListProviders(  # noqa: N802  gRPC's name
        self, request: connections_pb2.ListProvidersRequest, context: Context
    ) -> connections_pb2.ListProvidersResponse:
        """Answers with a page of the providers."""
        del context
        return await self._authorizations.list_providers(request)

    async def CreateConnection(  # noqa: N802  gRPC's name
        self, request: connections_pb2.CreateConnectionRequest, context: Context
    ) -> connections_pb2.Connection:
        """Makes a connection of a secret, or of the client's own credentials at a provider."""
        del context
        maker = current_principal()
        match request.WhichOneof("source"):
            case "secret":
                made = await self._connections.create(_secret_order(request), maker=maker)
            case "provider":
                made = await self._authorizations.create(_provider_order(request), maker=maker)
            case None:
                raise InvalidArgument.field(
                    "secret", "is missing; give a secret, or a provider that gives tokens without anybody's consent"
                )
        return connection_message(made)

    async def AuthorizeConnection(  # noqa: N802  gRPC's name
        self, request: connections_pb2.AuthorizeConnectionRequest, context: Context
    ) -> connections_pb2.AuthorizeConnectionResponse:
        """Begins to authorize a connection."""
        del context
        return await self._authorizations.authorize(request)

    async def CompleteConnection(  # noqa: N802  gRPC's name
        self, request: connections_pb2.CompleteConnectionRequest, context: Context
    ) -> connections_pb2.Connection:
        """Completes an authorization that was begun out of band."""
        del context
        return connection_message(await self._authorizations.complete(request))

    async def ListConnections(  # noqa: N802  gRPC's name
        self, request: connections_pb2.ListConnectionsRequest, context: Context
    ) -> connections_pb2.ListConnectionsResponse:
        """Answers with a page of connections, newest first."""
        del context
        if request.upstream and (violations := list(upstream_violations(request.upstream))):
            raise InvalidArgument.of(violations)
        tenant, state = current_tenant(), state_of(request.state)
        list_ = f"connections {tenant} {request.upstream} {request.state}"
        size = page_size(request.page_size)
        connections = await self._connections.connections(
            tenant,
            limit=size + 1,  # one more tells whether there are more
            after=self._page_tokens.read(request.page_token, bound_to=list_),
            upstream=request.upstream,
            state=state,
        )
        page = connections[:size]
        token = ""
        if len(connections) > size:
            last = Position(created_at=page[-1].created_at, id=page[-1].id)
            token = self._page_tokens.make(last, bound_to=list_)
        return connections_pb2.ListConnectionsResponse(
            connections=[connection_message(connection) for connection in page], next_page_token=token
        )

    async def GetConnection(  # noqa: N802  gRPC's name
        self, request: connections_pb2.GetConnectionRequest, context: Context
    ) -> connections_pb2.Connection:
        """Answers with one connection."""
        del context
        return connection_message(await self._connections.connection(current_tenant(), request.connection_id))

    async def UpdateConnection(  # noqa: N802  gRPC's name
        self, request: connections_pb2.UpdateConnectionRequest, context: Context
    ) -> connections_pb2.Connection:
        """Changes what is given of one connection."""
        del context
        order = ChangeOrder(
            display_name=request.display_name if request.HasField("display_name") else None,
            reauth_policy=policy_of(request.reauth_policy),
            secret=secret_of(request.secret) if request.HasField("secret") else None,
            hosts=tuple(request.hosts),
        )
        changed = await self._connections.change(request.connection_id, order, by=current_principal())
        return connection_message(changed)

    async def DeleteConnection(  # noqa: N802  gRPC's name
        self, request: connections_pb2.DeleteConnectionRequest, context: Context
    ) -> connections_pb2.Connection:
        """Deletes one connection, and its secret."""
        del context
        return connection_message(await self._connections.delete(request.connection_id, by=current_principal()))

    async def ReceiveCallback(  # noqa: N802  gRPC's name
        self, request: connections_pb2.ReceiveCallbackRequest, context: Context
    ) -> httpbody_pb2.HttpBody:
        """Answers a browser that comes by an authorization's link, or back from the provider."""
        return await self._authorizations.receive(request, context)


def _secret_order(request: connections_pb2.CreateConnectionRequest) -> SecretOrder:
    if request.scopes:
        raise InvalidArgument.field("scopes", "are what a provider is asked for; leave them out beside a secret")
    return SecretOrder(
        secret=secret_of(request.secret),
        hosts=tuple(request.hosts),
        upstream=request.upstream or DEFAULT_UPSTREAM,
        display_name=request.display_name,
        reauth_policy=policy_of(request.reauth_policy) or ReauthPolicy.FAIL,
    )


def _provider_order(request: connections_pb2.CreateConnectionRequest) -> ProviderOrder:
    order = ProviderOrder(
        provider=request.provider,
        upstream=request.upstream,
        scopes=tuple(request.scopes),
        display_name=request.display_name,
        reauth_policy=policy_of(request.reauth_policy) or ReauthPolicy.FAIL,
    )
    violations = list(order.violations())
    if request.hosts:
        violations.append(FieldViolation("hosts", "are the provider's own; leave them out beside a provider"))
    if violations:
        raise InvalidArgument.of(violations)
    return order
