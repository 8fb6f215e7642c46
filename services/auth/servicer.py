"""KeyService: protos to the domain and back."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any

from google.protobuf.timestamp_pb2 import Timestamp
from penstock.auth.v1 import auth_pb2, auth_pb2_grpc

from services.auth.domain import Key, KeyOrder
from shared.errors import InvalidArgument
from shared.paging import Position, page_size
from shared.rpc.call import current_principal, current_tenant

if TYPE_CHECKING:
    from datetime import datetime

    import grpc

    from services.auth.keyring import Keyring
    from shared.paging import PageTokens

    Context = grpc.aio.ServicerContext[Any, Any]


class KeyServicer(auth_pb2_grpc.KeyServiceServicer):
    """Answers for the keys of the caller's tenant.

    Args:
        keyring: The keys.
        page_tokens: What pages are asked for by.
    """

    def __init__(self, *, keyring: Keyring, page_tokens: PageTokens) -> None:
        self._keyring = keyring
        self._page_tokens = page_tokens

    async def CreateKey(  # noqa: N802  gRPC's name
        self, request: auth_pb2.CreateKeyRequest, context: Context
    ) -> auth_pb2.CreateKeyResponse:
        """Makes a key; its secret is in this answer and never again."""
        del context
        order = KeyOrder(
            tenant=request.tenant or current_tenant(),
            name=request.name,
            scopes=tuple(request.scopes),
            expires_at=_time(request.expires_at, "expiresAt") if request.HasField("expires_at") else None,
        )
        key, secret = await self._keyring.create(order, maker=current_principal())
        return auth_pb2.CreateKeyResponse(key=_message(key), secret=secret.reveal())

    async def ListKeys(  # noqa: N802  gRPC's name
        self, request: auth_pb2.ListKeysRequest, context: Context
    ) -> auth_pb2.ListKeysResponse:
        """Answers with a page of keys, newest first."""
        del context
        tenant = current_tenant()
        size = page_size(request.page_size)
        after = self._page_tokens.read(request.page_token, bound_to=tenant)
        keys = await self._keyring.keys(tenant, limit=size + 1, after=after)  # one more tells whether there are more
        page = keys[:size]
        token = ""
        if len(keys) > size:
            last = Position(created_at=page[-1].created_at, id=page[-1].id)
            token = self._page_tokens.make(last, bound_to=tenant)
        return auth_pb2.ListKeysResponse(keys=[_message(key) for key in page], next_page_token=token)

    async def GetKey(self, request: auth_pb2.GetKeyRequest, context: Context) -> auth_pb2.Key:  # noqa: N802  gRPC's name
        """Answers with one key."""
        del context
        return _message(await self._keyring.key(current_tenant(), request.key_id))

    async def RevokeKey(  # noqa: N802  gRPC's name
        self, request: auth_pb2.RevokeKeyRequest, context: Context
    ) -> auth_pb2.Key:
        """Revokes one key for good."""
        del context
        return _message(await self._keyring.revoke(current_tenant(), request.key_id))


def _message(key: Key) -> auth_pb2.Key:
    return auth_pb2.Key(
        id=key.id,
        tenant=key.tenant,
        name=key.name,
        prefix=key.prefix,
        scopes=sorted(key.scopes),
        created_at=_timestamp(key.created_at),
        expires_at=_timestamp(key.expires_at) if key.expires_at is not None else None,
        revoked_at=_timestamp(key.revoked_at) if key.revoked_at is not None else None,
    )


def _timestamp(time: datetime) -> Timestamp:
    timestamp = Timestamp()
    timestamp.FromDatetime(time)
    return timestamp


def _time(timestamp: Timestamp, field: str) -> datetime:
    try:
        return timestamp.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise InvalidArgument.field(
            field, "is no time between the years 1 and 9999; write it as in 2027-01-31T12:00:00Z"
        ) from None
