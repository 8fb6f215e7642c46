from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING, Any

import penstock
import pytest
from google.protobuf.descriptor import FileDescriptor

from shared.errors import PermissionDenied
from shared.identity import Principal, PrincipalKind
from shared.permissions import ADMIN_SCOPES, PERMISSIONS, Permission, Scope, permission_for

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Whom anyone may ask; an RPC that joins them is looked at twice here.
ANONYMOUS = {
    "/envoy.service.auth.v3.Authorization/Check",
    "/penstock.auth.v1.ConnectionService/ReceiveCallback",
    "/grpc.health.v1.Health/Check",
    "/grpc.health.v1.Health/List",
    "/grpc.health.v1.Health/Watch",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
}


def contract() -> Iterator[Any]:
    """Every service of the contract."""
    for module in pkgutil.walk_packages(penstock.__path__, "penstock."):
        if module.name.endswith("_pb2"):
            descriptor = importlib.import_module(module.name).DESCRIPTOR
            assert isinstance(descriptor, FileDescriptor)
            yield from descriptor.services_by_name.values()


RPCS = sorted(f"/{service.full_name}/{method.name}" for service in contract() for method in service.methods)


def key(*scopes: str) -> Principal:
    return Principal(kind=PrincipalKind.KEY, id="key_1", tenant="acme", scopes=frozenset(scopes))


def service(name: str) -> Principal:
    return Principal(kind=PrincipalKind.SERVICE, id=name, tenant="", scopes=frozenset())


def test_the_contract_is_found() -> None:
    assert "/penstock.jobs.v1.JobService/SubmitJob" in RPCS


@pytest.mark.parametrize("rpc", RPCS)
def test_every_rpc_of_the_contract_has_an_entry(rpc: str) -> None:
    assert permission_for(rpc) == PERMISSIONS[rpc]


def test_every_entry_is_an_rpc() -> None:
    assert {rpc for rpc in PERMISSIONS if rpc.startswith("/penstock.")} <= set(RPCS)


def test_anyone_may_ask_only_what_is_listed_here() -> None:
    assert {rpc for rpc, permission in PERMISSIONS.items() if permission.anonymous} == ANONYMOUS


@pytest.mark.parametrize("rpc", sorted(set(PERMISSIONS) - ANONYMOUS))
def test_a_key_without_any_scope_may_call_nothing(rpc: str) -> None:
    with pytest.raises(PermissionDenied):
        permission_for(rpc).check(rpc, key())


@pytest.mark.parametrize("rpc", sorted(set(PERMISSIONS) - ANONYMOUS))
def test_a_service_that_is_not_named_may_call_nothing(rpc: str) -> None:
    with pytest.raises(PermissionDenied):
        permission_for(rpc).check(rpc, service("stranger"))


def test_an_rpc_that_is_in_no_table_is_refused() -> None:
    with pytest.raises(PermissionDenied, match="/penstock"):
        permission_for("/penstock.jobs.v1.JobService/DropEverything")


def test_a_key_needs_the_scope_and_the_error_names_it() -> None:
    permission = Permission(scope=Scope.JOBS_WRITE)
    permission.check("/x", key("jobs:read", "jobs:write"))
    with pytest.raises(PermissionDenied) as refused:
        permission.check("/x", key("jobs:read"))
    assert refused.value.metadata == {"scope": "jobs:write"}


def test_either_of_two_scopes_will_do_where_the_entry_says_so() -> None:
    permission = Permission(scope=Scope.JOBS_READ, or_scope=Scope.JOBS_WRITE)
    permission.check("/x", key("jobs:read"))
    permission.check("/x", key("jobs:write"))
    with pytest.raises(PermissionDenied):
        permission.check("/x", key("keys:read"))


def test_an_internal_rpc_is_closed_to_every_key() -> None:
    with pytest.raises(PermissionDenied, match="internal"):
        Permission(services=frozenset({"intake"})).check("/x", key(*Scope))


def test_a_service_is_let_in_by_its_name_and_not_by_a_scope() -> None:
    permission = Permission(scope=Scope.JOBS_READ, services=frozenset({"intake"}))
    permission.check("/x", service("intake"))
    scoped = Principal(kind=PrincipalKind.SERVICE, id="upstream", tenant="", scopes=frozenset({"jobs:read"}))
    with pytest.raises(PermissionDenied):
        permission.check("/x", scoped)


def test_a_key_is_not_let_in_by_a_services_name() -> None:
    named = Principal(kind=PrincipalKind.KEY, id="intake", tenant="acme", scopes=frozenset())
    with pytest.raises(PermissionDenied):
        Permission(services=frozenset({"intake"})).check("/x", named)


def test_a_tenants_first_key_may_do_all_but_cross_tenants() -> None:
    assert set(Scope) - ADMIN_SCOPES == {Scope.OPERATOR}
