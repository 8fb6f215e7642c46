"""KeyService: protos to the domain and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.auth.v1 import auth_pb2, auth_pb2_grpc

from services.auth.orders import DEFAULT_GRACE, KeyOrder
from services.auth.usage_store import Counted, Measure, amount
from shared.errors import InvalidArgument
from shared.paging import Position, page_size
from shared.permissions import Role
from shared.rpc.call import asked_tenant, current_principal, current_tenant
from shared.times import time_of, timestamp

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, timedelta

    import grpc
    from google.protobuf.duration_pb2 import Duration

    from services.auth.callers import Callers
    from services.auth.domain import Key
    from services.auth.keyring import Keyring
    from shared.paging import PageTokens

    Context = grpc.aio.ServicerContext[Any, Any]


class KeyServicer(auth_pb2_grpc.KeyServiceServicer):
    """Answers for the keys of the caller's tenant.

    Args:
        keyring: The keys.
        callers: How often they were used.
        page_tokens: What pages are asked for by.
    """

    def __init__(self, *, keyring: Keyring, callers: Callers, page_tokens: PageTokens) -> None:
        self._keyring = keyring
        self._callers = callers
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
            expires_at=time_of(request.expires_at, "expiresAt") if request.HasField("expires_at") else None,
            role=_role(request.role),
            cidrs=tuple(request.allowed_cidrs),
            rate_limit=request.rate_limit,
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

    async def RotateKey(  # noqa: N802  gRPC's name
        self, request: auth_pb2.RotateKeyRequest, context: Context
    ) -> auth_pb2.RotateKeyResponse:
        """Gives one key a new secret; it is in this answer and never again."""
        del context
        grace = _duration(request.grace_period) if request.HasField("grace_period") else DEFAULT_GRACE
        key, secret = await self._keyring.rotate(
            current_tenant(), request.key_id, grace=grace, maker=current_principal()
        )
        return auth_pb2.RotateKeyResponse(key=_message(key), secret=secret.reveal())

    async def GetKeyUsage(  # noqa: N802  gRPC's name
        self, request: auth_pb2.GetKeyUsageRequest, context: Context
    ) -> auth_pb2.KeyUsage:
        """Answers with how often one key was used."""
        del context
        key = await self._keyring.key(current_tenant(), request.key_id)
        used = await self._callers.usage_of(key, request.days)
        return auth_pb2.KeyUsage(key_id=key.id, days=[_day(day, counts) for day, counts in used])

    async def ListTopCallers(  # noqa: N802  gRPC's name
        self, request: auth_pb2.ListTopCallersRequest, context: Context
    ) -> auth_pb2.ListTopCallersResponse:
        """Answers with the keys that were used most."""
        del context
        tenant, measure = asked_tenant(request.tenant), _measure(request.measure)
        top = await self._callers.top(tenant, measure, days=request.days, limit=request.limit)
        return auth_pb2.ListTopCallersResponse(callers=[_top_caller(each.key, each.counts) for each in top])

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
        created_at=timestamp(key.created_at),
        expires_at=timestamp(key.expires_at),
        revoked_at=timestamp(key.revoked_at),
        role=auth_pb2.Key.Role.Value(key.role.value) if key.role is not None else auth_pb2.Key.ROLE_UNSPECIFIED,
        allowed_cidrs=map(str, key.networks),
        rate_limit=key.rate_limit or 0,
        last_used_at=timestamp(key.last_used_at),
        former_prefix=key.former.prefix if key.former is not None else "",
        former_expires_at=timestamp(key.former.expires_at) if key.former is not None else None,
    )


def _day(day: date, counts: Mapping[Counted, int]) -> auth_pb2.KeyUsageDay:
    return auth_pb2.KeyUsageDay(
        date=day.isoformat(),
        requests=amount(counts, Measure.REQUESTS),
        allowed=counts.get(Counted.ALLOWED, 0),
        rate_limited=counts.get(Counted.RATE_LIMITED, 0),
        refused=counts.get(Counted.REFUSED, 0),
        jobs=amount(counts, Measure.JOBS),
        errors=amount(counts, Measure.ERRORS),
    )


def _top_caller(key: Key, counts: Mapping[Counted, int]) -> auth_pb2.TopCaller:
    return auth_pb2.TopCaller(
        key_id=key.id,
        tenant=key.tenant,
        name=key.name,
        prefix=key.prefix,
        requests=amount(counts, Measure.REQUESTS),
        jobs=amount(counts, Measure.JOBS),
        errors=amount(counts, Measure.ERRORS),
    )


def _measure(number: auth_pb2.ListTopCallersRequest.Measure.ValueType) -> Measure:
    if number == auth_pb2.ListTopCallersRequest.MEASURE_UNSPECIFIED:
        return Measure.REQUESTS
    try:
        return Measure(auth_pb2.ListTopCallersRequest.Measure.Name(number).lower())
    except ValueError:
        raise InvalidArgument.field(
            "measure", f"is {number}; there are {', '.join(each.upper() for each in Measure)}"
        ) from None


def _role(number: auth_pb2.Key.Role.ValueType) -> Role | None:
    if number == auth_pb2.Key.ROLE_UNSPECIFIED:
        return None
    try:
        return Role(auth_pb2.Key.Role.Name(number))
    except ValueError:
        raise InvalidArgument.field("role", f"is {number}; there are {', '.join(Role)}") from None


def _duration(duration: Duration) -> timedelta:
    try:
        return duration.ToTimedelta()
    except (ValueError, OverflowError):
        raise InvalidArgument.field("gracePeriod", "is no time span; write it in seconds, as in 3600s") from None
