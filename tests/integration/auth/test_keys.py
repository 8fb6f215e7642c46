"""KeyService over gRPC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from penstock.auth.v1 import auth_pb2

from services.auth.domain import KeySecret
from shared import errors, ids
from shared.permissions import ADMIN_SCOPES, Scope
from shared.rpc import status
from tests.integration.auth.conftest import identity_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from penstock.auth.v1 import auth_pb2_grpc

    from services.auth.store import MongoStore
    from tests.identities import Identities
    from tests.integration.auth.conftest import Auth

pytestmark = pytest.mark.usefixtures("no_stalls")

READER = auth_pb2.CreateKeyRequest(name="laptop", scopes=["jobs:read"])
OPERATOR = frozenset(Scope)


async def refused(call: Awaitable[object]) -> errors.PenstockError:
    """The error of a call that is refused."""
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await call
    return status.from_rpc_error(failure.value)


def paths(error: errors.PenstockError) -> list[str]:
    assert isinstance(error, errors.InvalidArgument)
    return [violation.field for violation in error.violations]


def timestamp(time: datetime) -> Timestamp:
    message = Timestamp()
    message.FromDatetime(time)
    return message


async def test_a_made_key_opens_the_gateway_as_whom_it_was_made_for(auth: Auth, identities: Identities) -> None:
    async with auth.keys(identities.mint("acme")) as keys:
        made = await keys.CreateKey(auth_pb2.CreateKeyRequest(name="laptop", scopes=["jobs:read", "jobs:write"]))
    token = identity_of(await auth.check(made.secret))
    assert token is not None
    principal = identities.verifier().verify(token)
    assert (principal.tenant, principal.id, principal.kind) == ("acme", made.key.id, "key")
    assert principal.scopes == {"jobs:read", "jobs:write"}


async def test_a_made_key_is_answered_in_full_and_its_secret_once(auth: Auth, identities: Identities) -> None:
    end = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    request = auth_pb2.CreateKeyRequest(name="laptop", scopes=["keys:read", "jobs:read"], expires_at=timestamp(end))
    async with auth.keys(identities.mint("acme")) as keys:
        made = await keys.CreateKey(request)
        again = await keys.GetKey(auth_pb2.GetKeyRequest(key_id=made.key.id))
        listed = await keys.ListKeys(auth_pb2.ListKeysRequest())
    key, secret = made.key, KeySecret.parse(made.secret)
    assert secret is not None
    assert (key.tenant, key.name, list(key.scopes)) == ("acme", "laptop", ["jobs:read", "keys:read"])
    assert key.prefix == secret.prefix
    assert key.expires_at.ToDatetime(tzinfo=UTC) == end
    assert abs(key.created_at.ToDatetime(tzinfo=UTC) - datetime.now(UTC)) < timedelta(seconds=30)
    assert not key.HasField("revoked_at")
    assert again == key
    assert list(listed.keys) == [key]
    assert made.secret not in str(again) + str(listed)


async def test_the_database_holds_no_secret(auth: Auth, identities: Identities, store: MongoStore) -> None:
    async with auth.keys(identities.mint("acme")) as keys:
        made = await keys.CreateKey(READER)
    document = await store._keys.find_one({"_id": made.key.id})
    assert document is not None
    assert made.secret[len(made.key.prefix) :] not in str(document)


async def test_keys_are_listed_newest_first_over_pages(auth: Auth, identities: Identities) -> None:
    async with auth.keys(identities.mint("acme")) as keys:
        made = [(await keys.CreateKey(READER)).key.id for _ in range(5)]
        seen: list[str] = []
        request = auth_pb2.ListKeysRequest(page_size=2)
        while True:
            page = await keys.ListKeys(request)
            assert len(page.keys) <= 2
            seen += [key.id for key in page.keys]
            if not page.next_page_token:
                break
            request.page_token = page.next_page_token
    assert sorted(seen) == sorted(made)
    assert len(seen) == 5


async def test_a_page_that_is_just_full_is_the_last(auth: Auth, identities: Identities) -> None:
    async with auth.keys(identities.mint("acme")) as keys:
        for _ in range(2):
            await keys.CreateKey(READER)
        assert (await keys.ListKeys(auth_pb2.ListKeysRequest(page_size=2))).next_page_token == ""


async def test_a_page_token_is_good_at_every_replica_and_for_its_tenant_alone(
    auth: Auth, other_replica: Auth, identities: Identities
) -> None:
    async with auth.keys(identities.mint("acme")) as keys:
        for _ in range(2):
            await keys.CreateKey(READER)
        token = (await keys.ListKeys(auth_pb2.ListKeysRequest(page_size=1))).next_page_token
    request = auth_pb2.ListKeysRequest(page_token=token)
    async with other_replica.keys(identities.mint("acme")) as keys:
        assert len((await keys.ListKeys(request)).keys) == 1
    async with auth.keys(identities.mint("globex")) as keys:
        assert paths(await refused(keys.ListKeys(request))) == ["pageToken"]


async def test_wrong_fields_are_named_by_their_paths(auth: Auth, identities: Identities) -> None:
    async with auth.keys(identities.mint("acme")) as keys:
        past = timestamp(datetime(2020, 1, 1, tzinfo=UTC))
        order = auth_pb2.CreateKeyRequest(scopes=["jobs:read", "nonsense"], expires_at=past, tenant="No Slug")
        assert paths(await refused(keys.CreateKey(order))) == ["name", "scopes[1]", "expiresAt", "tenant"]
        never = auth_pb2.CreateKeyRequest(name="x", scopes=["jobs:read"], expires_at=Timestamp(seconds=10**15))
        assert paths(await refused(keys.CreateKey(never))) == ["expiresAt"]
        assert paths(await refused(keys.ListKeys(auth_pb2.ListKeysRequest(page_size=-1)))) == ["pageSize"]
        assert paths(await refused(keys.ListKeys(auth_pb2.ListKeysRequest(page_token="x" * 99)))) == ["pageToken"]
        assert paths(await refused(keys.GetKey(auth_pb2.GetKeyRequest(key_id="\0")))) == ["keyId"]
        assert paths(await refused(keys.RevokeKey(auth_pb2.RevokeKeyRequest()))) == ["keyId"]
        assert len((await keys.ListKeys(auth_pb2.ListKeysRequest())).keys) == 0


async def test_one_tenant_sees_and_touches_no_key_of_another(auth: Auth, identities: Identities) -> None:
    async with auth.keys(identities.mint("acme")) as keys:
        made = await keys.CreateKey(READER)
    async with auth.keys(identities.mint("globex", OPERATOR)) as keys:
        assert len((await keys.ListKeys(auth_pb2.ListKeysRequest())).keys) == 0
        get = await refused(keys.GetKey(auth_pb2.GetKeyRequest(key_id=made.key.id)))
        revoke = await refused(keys.RevokeKey(auth_pb2.RevokeKeyRequest(key_id=made.key.id)))
    for error in (get, revoke):
        assert isinstance(error, errors.KeyNotFound)
        assert error.metadata == {"key": made.key.id}
    async with auth.keys(identities.mint("acme")) as keys:
        assert not (await keys.GetKey(auth_pb2.GetKeyRequest(key_id=made.key.id))).HasField("revoked_at")


async def test_a_key_that_is_another_tenants_is_told_in_the_words_of_one_that_is_not(
    auth: Auth, identities: Identities
) -> None:
    async with auth.keys(identities.mint("acme")) as keys:
        theirs = (await keys.CreateKey(READER)).key.id
    nobodys = ids.new_key_id()
    async with auth.keys(identities.mint("globex")) as keys:
        first = await refused(keys.GetKey(auth_pb2.GetKeyRequest(key_id=theirs)))
        second = await refused(keys.GetKey(auth_pb2.GetKeyRequest(key_id=nobodys)))
    assert first.message.replace(theirs, "") == second.message.replace(nobodys, "")


async def test_a_key_is_made_for_another_tenant_by_an_operator_alone(auth: Auth, identities: Identities) -> None:
    order = auth_pb2.CreateKeyRequest(name="laptop", scopes=["jobs:read"], tenant="globex")
    async with auth.keys(identities.mint("acme", ADMIN_SCOPES)) as keys:
        error = await refused(keys.CreateKey(order))
        assert isinstance(error, errors.PermissionDenied)
        assert error.metadata == {"scope": "operator"}
    async with auth.keys(identities.mint("acme", OPERATOR)) as keys:
        made = await keys.CreateKey(order)
        assert made.key.tenant == "globex"
        order.tenant = "nowhere"
        assert isinstance(await refused(keys.CreateKey(order)), errors.TenantNotFound)
    async with auth.keys(identities.mint("globex")) as keys:
        assert len((await keys.ListKeys(auth_pb2.ListKeysRequest())).keys) == 1


async def test_a_key_grants_no_scope_that_its_maker_lacks(auth: Auth, identities: Identities) -> None:
    async with auth.keys(identities.mint("acme", {"keys:write", "jobs:read"})) as keys:
        order = auth_pb2.CreateKeyRequest(name="laptop", scopes=["jobs:read", "jobs:write"])
        error = await refused(keys.CreateKey(order))
        assert isinstance(error, errors.PermissionDenied)
        assert error.metadata == {"scope": "jobs:write"}
        assert (await keys.CreateKey(READER)).secret


CALLS: dict[str, tuple[str, Callable[[auth_pb2_grpc.KeyServiceStub], Awaitable[object]]]] = {
    "CreateKey": ("keys:write", lambda keys: keys.CreateKey(READER)),
    "ListKeys": ("keys:read", lambda keys: keys.ListKeys(auth_pb2.ListKeysRequest())),
    "GetKey": ("keys:read", lambda keys: keys.GetKey(auth_pb2.GetKeyRequest(key_id=ids.new_key_id()))),
    "RotateKey": ("keys:write", lambda keys: keys.RotateKey(auth_pb2.RotateKeyRequest(key_id=ids.new_key_id()))),
    "GetKeyUsage": ("keys:read", lambda keys: keys.GetKeyUsage(auth_pb2.GetKeyUsageRequest(key_id=ids.new_key_id()))),
    "ListTopCallers": ("keys:read", lambda keys: keys.ListTopCallers(auth_pb2.ListTopCallersRequest())),
    "RevokeKey": ("keys:write", lambda keys: keys.RevokeKey(auth_pb2.RevokeKeyRequest(key_id=ids.new_key_id()))),
}


def test_every_rpc_is_tried_for_permission() -> None:
    service = auth_pb2.DESCRIPTOR.services_by_name["KeyService"]
    assert set(CALLS) == {method.name for method in service.methods}


@pytest.mark.parametrize("rpc", CALLS)
async def test_an_rpc_is_refused_without_its_scope_without_a_token_and_to_services(
    auth: Auth, identities: Identities, rpc: str
) -> None:
    scope, ask = CALLS[rpc]
    async with auth.keys(identities.mint("acme", OPERATOR - {scope})) as keys:
        error = await refused(ask(keys))
        assert isinstance(error, errors.PermissionDenied)
        assert error.metadata == {"scope": scope}
    async with auth.keys(None) as keys:
        assert isinstance(await refused(ask(keys)), errors.Unauthenticated)
    async with auth.keys("not.a.token") as keys:
        assert isinstance(await refused(ask(keys)), errors.Unauthenticated)
    async with auth.keys(identities.service("intake").token()) as keys:
        assert isinstance(await refused(ask(keys)), errors.PermissionDenied)
