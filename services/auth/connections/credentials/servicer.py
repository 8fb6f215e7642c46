"""CredentialService: proto to domain and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.auth.v1 import connections_pb2, credentials_pb2, credentials_pb2_grpc

from services.auth.connections.domain import (
    BasicLogin,
    BearerToken,
    HeaderKey,
    OAuth1Token,
    OAuth2Tokens,
    ReauthPolicy,
    State,
)
from shared.times import timestamp

if TYPE_CHECKING:
    import grpc

    from services.auth.connections.credentials.credentials import Credentials, Usable

    Context = grpc.aio.ServicerContext[Any, Any]

_STATES = {
    State.ACTIVE: connections_pb2.Connection.ACTIVE,
    State.NEEDS_REAUTH: connections_pb2.Connection.NEEDS_REAUTH,
}
_POLICIES = {
    ReauthPolicy.FAIL: connections_pb2.Connection.FAIL,
    ReauthPolicy.WAIT: connections_pb2.Connection.WAIT,
}
#: Of what an upstream is reported to have said.
_MAX_REASON_CHARACTERS = 200


class CredentialServicer(credentials_pb2_grpc.CredentialServiceServicer):
    """Answers services of the mesh about any tenant's connections; nobody else may ask (`shared.permissions`).

    Args:
        credentials: Gives them.
    """

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    async def DescribeConnection(  # noqa: N802  gRPC's name
        self, request: credentials_pb2.DescribeConnectionRequest, context: Context
    ) -> credentials_pb2.ConnectionFacts:
        """Says what a connection is for."""
        del context
        found = await self._credentials.connection(request.tenant, request.connection_id)
        return credentials_pb2.ConnectionFacts(
            connection_id=found.id,
            upstream=found.upstream,
            hosts=found.hosts,
            state=_STATES[found.state],
            reauth_policy=_POLICIES[found.reauth_policy],
        )

    async def GetCredential(  # noqa: N802  gRPC's name
        self, request: credentials_pb2.GetCredentialRequest, context: Context
    ) -> credentials_pb2.Credential:
        """Answers with a credential that can be called with now."""
        del context
        return _message(await self._credentials.credential(request.tenant, request.connection_id))

    async def ReportRefusedCredential(  # noqa: N802  gRPC's name
        self, request: credentials_pb2.ReportRefusedCredentialRequest, context: Context
    ) -> credentials_pb2.Credential:
        """Takes note that an upstream refuses a credential; answers with another one."""
        del context
        reason = "".join(filter(str.isprintable, request.reason))[:_MAX_REASON_CHARACTERS]
        usable = await self._credentials.refused(
            request.tenant,
            request.connection_id,
            version=request.version,
            reason=reason or "it has not said why",
            certain=request.certain,
        )
        return _message(usable)


def _message(usable: Usable) -> credentials_pb2.Credential:
    connection = usable.connection
    message = credentials_pb2.Credential(
        connection_id=connection.id,
        upstream=connection.upstream,
        version=connection.version,
        hosts=connection.hosts,
        keep_until=timestamp(usable.keep_until),
    )
    match usable.secret:
        case OAuth1Token(token=token, token_secret=token_secret):
            message.oauth1.token = token
            message.oauth1.token_secret = token_secret
            if usable.client is not None:
                message.oauth1.client_key = usable.client.id
                message.oauth1.client_secret = usable.client.secret
        case OAuth2Tokens(access_token=token) | BearerToken(token=token):
            message.bearer.token = token
        case HeaderKey(name=name, value=value):
            message.header.name = name
            message.header.value = value
        case BasicLogin(username=username, password=password):
            message.basic.username = username
            message.basic.password = password
    return message
