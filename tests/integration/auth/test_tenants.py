"""TenantService over gRPC, and what the gateway sees of a suspension."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest
from penstock.auth.v1 import auth_pb2, tenants_pb2

from services.auth import known_keys
from services.auth.domain import Suspension
from services.auth.orders import MAX_RATE_LIMIT
from shared import errors
from shared.clock import SystemClock
from shared.permissions import ADMIN_SCOPES, Scope
from tests.integration.auth.conftest import identity_of
from tests.integration.auth.test_keys import paths, refused
from tests.integration.auth.test_revocation import make_key
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from penstock.auth.v1 import tenants_pb2_grpc

    from services.auth.store import MongoStore
    from tests.identities import Identities
    from tests.integration.auth.conftest import Auth

pytestmark = pytest.mark.usefixtures("no_stalls")

OPERATOR = frozenset(Scope)
State = tenants_pb2.Tenant.State
SUSPEND_ACME = tenants_pb2.SuspendTenantRequest(tenant="acme", reason="unpaid")
RESUME_ACME = tenants_pb2.ResumeTenantRequest(tenant="acme")


@pytest.fixture
async def tenants(auth: Auth, identities: Identities) -> AsyncIterator[tenants_pb2_grpc.TenantServiceStub]:
    """Called with an operator's key of the tenant globex."""
    async with auth.tenants(identities.mint("globex", OPERATOR, key_id="key_globex")) as stub:
        yield stub


async def until_suspended(auth: Auth, secret: str, *, within: float) -> None:
    """Returns when the gateway is told that the key's tenant is suspended."""

    async def is_suspended() -> bool:
        return (await auth.check(secret)).denied_response.status.code == 403

    await eventually(is_suspended, within=within, what="the refusal of a suspended tenant's key")
    body = (await auth.check(secret)).denied_response.body
    error = json.loads(body)["error"]
    assert (error["status"], error["details"][0]["reason"]) == ("PERMISSION_DENIED", "TENANT_SUSPENDED")


async def until_allowed(auth: Auth, secret: str, *, within: float) -> None:
    async def is_allowed() -> bool:
        return identity_of(await auth.check(secret)) is not None

    await eventually(is_allowed, within=within, what="the use of a resumed tenant's key")


async def test_a_new_tenant_gets_its_first_key_by_an_operator_and_that_key_works(
    auth: Auth, identities: Identities, tenants: tenants_pb2_grpc.TenantServiceStub
) -> None:
    made = await tenants.CreateTenant(tenants_pb2.CreateTenantRequest(name="cask", display_name="Cask Ltd"))
    assert (made.name, made.display_name, made.state) == ("cask", "Cask Ltd", State.ACTIVE)
    assert made.HasField("created_at")
    assert not made.HasField("suspended_at")
    assert await tenants.GetTenant(tenants_pb2.GetTenantRequest(tenant="cask")) == made
    async with auth.keys(identities.mint("globex", OPERATOR)) as keys:
        order = auth_pb2.CreateKeyRequest(name="first", tenant="cask", role=auth_pb2.Key.ADMIN)
        key = await keys.CreateKey(order)
    token = identity_of(await auth.check(key.secret))
    assert token is not None
    principal = identities.verifier().verify(token)
    assert (principal.tenant, principal.scopes) == ("cask", set(map(str, ADMIN_SCOPES)))


async def test_a_name_is_taken_once(tenants: tenants_pb2_grpc.TenantServiceStub) -> None:
    error = await refused(tenants.CreateTenant(tenants_pb2.CreateTenantRequest(name="acme", display_name="Acme")))
    assert isinstance(error, errors.TenantExists)
    assert (error.code, error.metadata) == ("ALREADY_EXISTS", {"tenant": "acme"})
    assert (await tenants.GetTenant(tenants_pb2.GetTenantRequest(tenant="acme"))).display_name == ""


async def test_wrong_fields_are_named_by_their_paths(tenants: tenants_pb2_grpc.TenantServiceStub) -> None:
    order = tenants_pb2.CreateTenantRequest(name="No Slug", display_name="x" * 101)
    assert paths(await refused(tenants.CreateTenant(order))) == ["name", "displayName"]
    assert paths(await refused(tenants.SuspendTenant(tenants_pb2.SuspendTenantRequest(tenant="acme")))) == ["reason"]
    assert paths(await refused(tenants.GetTenant(tenants_pb2.GetTenantRequest(tenant="A")))) == ["tenant"]
    wrong_state = tenants_pb2.ListTenantsRequest(state=7)  # type: ignore[arg-type]  a number of no name
    assert paths(await refused(tenants.ListTenants(wrong_state))) == ["state"]


async def test_what_is_not_there_is_not_found(tenants: tenants_pb2_grpc.TenantServiceStub) -> None:
    for call in (
        tenants.GetTenant(tenants_pb2.GetTenantRequest(tenant="nobody")),
        tenants.SuspendTenant(tenants_pb2.SuspendTenantRequest(tenant="nobody", reason="unpaid")),
        tenants.ResumeTenant(tenants_pb2.ResumeTenantRequest(tenant="nobody")),
    ):
        assert isinstance(await refused(call), errors.TenantNotFound)


async def test_all_of_it_takes_an_operator(auth: Auth, identities: Identities) -> None:
    async with auth.tenants(identities.mint("acme")) as admin:
        for call in (
            admin.CreateTenant(tenants_pb2.CreateTenantRequest(name="cask")),
            admin.ListTenants(tenants_pb2.ListTenantsRequest()),
            admin.GetTenant(tenants_pb2.GetTenantRequest(tenant="acme")),
            admin.SuspendTenant(tenants_pb2.SuspendTenantRequest(tenant="globex", reason="rival")),
            admin.ResumeTenant(RESUME_ACME),
        ):
            error = await refused(call)
            assert isinstance(error, errors.PermissionDenied)
            assert error.metadata == {"scope": "operator"}


async def test_an_operator_does_not_suspend_the_tenant_of_its_own_key(
    tenants: tenants_pb2_grpc.TenantServiceStub,
) -> None:
    own = tenants_pb2.SuspendTenantRequest(tenant="globex", reason="by mistake")
    error = await refused(tenants.SuspendTenant(own))
    assert isinstance(error, errors.OwnTenant)
    assert error.code == "FAILED_PRECONDITION"
    assert (await tenants.GetTenant(tenants_pb2.GetTenantRequest(tenant="globex"))).state == State.ACTIVE


async def test_tenants_are_listed_page_by_page_and_by_state(tenants: tenants_pb2_grpc.TenantServiceStub) -> None:
    for name in ("bolt", "cask"):
        await tenants.CreateTenant(tenants_pb2.CreateTenantRequest(name=name))
    await tenants.SuspendTenant(SUSPEND_ACME)

    async def listed(state: State.ValueType = State.STATE_UNSPECIFIED) -> list[str]:
        names: list[str] = []
        request = tenants_pb2.ListTenantsRequest(page_size=1, state=state)
        while True:
            page = await tenants.ListTenants(request)
            names += [tenant.name for tenant in page.tenants]
            if not page.next_page_token:
                return names
            request.page_token = page.next_page_token

    assert await listed() == ["cask", "bolt", "globex", "acme"]
    assert await listed(State.SUSPENDED) == ["acme"]
    assert await listed(State.ACTIVE) == ["cask", "bolt", "globex"]
    token = (await tenants.ListTenants(tenants_pb2.ListTenantsRequest(page_size=1))).next_page_token
    elsewhere = tenants_pb2.ListTenantsRequest(page_token=token, state=State.ACTIVE)
    assert paths(await refused(tenants.ListTenants(elsewhere))) == ["pageToken"]


async def test_a_suspended_tenants_keys_are_refused_at_every_replica_within_a_second_and_work_so_soon_again(
    auth: Auth, other_replica: Auth, identities: Identities, tenants: tenants_pb2_grpc.TenantServiceStub
) -> None:
    keys = [await make_key(auth, identities) for _ in range(2)]
    async with auth.keys(identities.mint("globex")) as of_globex:
        other = await of_globex.CreateKey(auth_pb2.CreateKeyRequest(name="theirs", scopes=["jobs:read"]))
    for replica in (auth, other_replica):
        for key in (*keys, other):
            assert identity_of(await replica.check(key.secret)) is not None  # and is cached there from now on

    began = time.monotonic()
    suspended = await tenants.SuspendTenant(SUSPEND_ACME)
    assert (suspended.state, suspended.suspension_reason, suspended.suspended_by) == (
        State.SUSPENDED,
        "unpaid",
        "key_globex",
    )
    for replica in (auth, other_replica):
        for key in keys:
            await until_suspended(replica, key.secret, within=began + 1 - time.monotonic())
    assert identity_of(await other_replica.check(other.secret)) is not None

    began = time.monotonic()
    assert (await tenants.ResumeTenant(RESUME_ACME)).state == State.ACTIVE
    for replica in (auth, other_replica):
        for key in keys:
            await until_allowed(replica, key.secret, within=began + 1 - time.monotonic())


async def test_a_suspension_whose_signal_is_lost_takes_half_a_minute_at_most(
    auth: Auth, other_replica: Auth, identities: Identities, store: MongoStore
) -> None:
    made = await make_key(auth, identities, rate_limit=MAX_RATE_LIMIT)  # or it would be refused for asking so often
    for replica in (auth, other_replica):
        assert identity_of(await replica.check(made.secret)) is not None
    at = SystemClock().now()
    await store.suspend_tenant("acme", Suspension(at=at, reason="unpaid", by="key_1"))  # and nobody is told
    assert identity_of(await auth.check(made.secret)) is not None
    until = time.monotonic() + known_keys.TIME_TO_LIVE.total_seconds()
    for replica in (auth, other_replica):
        await until_suspended(replica, made.secret, within=until - time.monotonic())


async def test_another_reason_is_told_and_the_same_one_changes_nothing(
    tenants: tenants_pb2_grpc.TenantServiceStub,
) -> None:
    first = await tenants.SuspendTenant(SUSPEND_ACME)
    assert await tenants.SuspendTenant(SUSPEND_ACME) == first
    other = await tenants.SuspendTenant(tenants_pb2.SuspendTenantRequest(tenant="acme", reason="abuse"))
    assert (other.suspension_reason, other.suspended_at) == ("abuse", first.suspended_at)
    resumed = await tenants.ResumeTenant(RESUME_ACME)
    assert await tenants.ResumeTenant(RESUME_ACME) == resumed
