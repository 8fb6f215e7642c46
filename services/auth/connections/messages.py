"""Connections as messages of ConnectionService. None holds a secret."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from penstock.auth.v1 import connections_pb2

from services.auth.connections.domain import BasicLogin, BearerToken, HeaderKey, Kind, ReauthPolicy, State
from shared.errors import InvalidArgument
from shared.times import timestamp

if TYPE_CHECKING:
    from services.auth.connections.domain import Connection
    from services.auth.connections.orders import StaticSecret

_Message = connections_pb2.Connection
STATES = MappingProxyType({State.ACTIVE: _Message.ACTIVE, State.NEEDS_REAUTH: _Message.NEEDS_REAUTH})
KINDS = MappingProxyType(
    {
        Kind.OAUTH1: _Message.OAUTH1,
        Kind.OAUTH2: _Message.OAUTH2,
        Kind.BEARER: _Message.BEARER,
        Kind.HEADER: _Message.HEADER,
        Kind.BASIC: _Message.BASIC,
    }
)
POLICIES = MappingProxyType({ReauthPolicy.FAIL: _Message.FAIL, ReauthPolicy.WAIT: _Message.WAIT})


def connection_message(connection: Connection) -> connections_pb2.Connection:
    """A connection, as answers have it."""
    return connections_pb2.Connection(
        id=connection.id,
        upstream=connection.upstream,
        provider=connection.provider,
        kind=KINDS[connection.kind],
        state=STATES[connection.state],
        state_reason=connection.state_reason,
        display_name=connection.display_name,
        hosts=connection.hosts,
        scopes=connection.scopes,
        account=connections_pb2.Account(id=connection.account.id, name=connection.account.name),
        reauth_policy=POLICIES[connection.reauth_policy],
        created_at=timestamp(connection.created_at),
        updated_at=timestamp(connection.updated_at),
        refreshed_at=timestamp(connection.refreshed_at),
        expires_at=timestamp(connection.expires_at),
    )


def policy_of(policy: int) -> ReauthPolicy | None:
    """The policy that a caller asks for; None for none.

    Raises:
        InvalidArgument: There is none like it.
    """
    if policy == _Message.REAUTH_POLICY_UNSPECIFIED:
        return None
    for found, message in POLICIES.items():
        if message == policy:
            return found
    raise InvalidArgument.field("reauthPolicy", f"is {policy}; there are FAIL and WAIT")


def state_of(state: int) -> State | None:
    """The state that a caller asks for; None for all.

    Raises:
        InvalidArgument: There is none like it.
    """
    if state == _Message.STATE_UNSPECIFIED:
        return None
    for found, message in STATES.items():
        if message == state:
            return found
    raise InvalidArgument.field("state", f"is {state}; there are ACTIVE and NEEDS_REAUTH")


def secret_of(secret: connections_pb2.StaticSecret) -> StaticSecret:
    """The secret that a caller gives.

    Raises:
        InvalidArgument: It is none.
    """
    match secret.WhichOneof("secret"):
        case "bearer":
            return BearerToken(token=secret.bearer.token)
        case "header":
            return HeaderKey(name=secret.header.name, value=secret.header.value)
        case "basic":
            return BasicLogin(username=secret.basic.username, password=secret.basic.password)
        case None:
            raise InvalidArgument.field("secret", "is empty; give one of bearer, header and basic")
