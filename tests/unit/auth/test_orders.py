from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from services.auth.orders import MAX_CIDRS, MAX_RATE_LIMIT, KeyOrder
from shared.errors import PermissionDenied
from shared.identity import Principal, PrincipalKind
from shared.permissions import ROLE_SCOPES, Role, Scope

NOW = datetime(2026, 5, 4, 10, 30, tzinfo=UTC)


def order(**fields: Any) -> KeyOrder:
    return KeyOrder(**{"tenant": "acme", "name": "laptop"} | fields)


def maker(role: Role) -> Principal:
    return Principal(kind=PrincipalKind.KEY, id="key_1", tenant="acme", scopes=frozenset(map(str, ROLE_SCOPES[role])))


def violated(wish: KeyOrder) -> list[str]:
    return [violation.field for violation in wish.violations(NOW)]


def test_a_role_stands_for_its_scopes() -> None:
    for role in Role:
        wish = order(role=role)
        assert violated(wish) == []
        assert wish.granted == ROLE_SCOPES[role]


def test_a_role_and_scopes_are_not_both_given_and_one_of_them_is() -> None:
    assert violated(order(role=Role.VIEWER, scopes=("jobs:read",))) == ["scopes"]
    assert violated(order()) == ["scopes"]


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("by", Role)
def test_a_role_is_granted_only_by_who_has_all_of_it(role: Role, by: Role) -> None:
    if ROLE_SCOPES[role] <= ROLE_SCOPES[by]:
        order(role=role).check_grantable_by(maker(by))
    else:
        with pytest.raises(PermissionDenied):
            order(role=role).check_grantable_by(maker(by))


def test_what_crosses_tenants_is_granted_by_an_operator_alone() -> None:
    for wish in (order(role=Role.OPERATOR), order(scopes=(Scope.OPERATOR.value,))):
        wish.check_grantable_by(maker(Role.OPERATOR))
        with pytest.raises(PermissionDenied) as refused:
            wish.check_grantable_by(maker(Role.ADMIN))
        assert refused.value.metadata == {"scope": "operator"}


@pytest.mark.parametrize(
    ("fields", "paths"),
    [
        ({"cidrs": ("10.0.0.0/8", "nonsense", "10.0.0.0/33")}, ["allowedCidrs[1]", "allowedCidrs[2]"]),
        ({"cidrs": ("",)}, ["allowedCidrs[0]"]),
        ({"cidrs": ("fe80::1%eth0/64",)}, ["allowedCidrs[0]"]),
        ({"cidrs": tuple(f"10.0.{number}.0/24" for number in range(MAX_CIDRS + 1))}, ["allowedCidrs"]),
        ({"cidrs": tuple(f"10.0.{number}.0/24" for number in range(MAX_CIDRS))}, []),
        ({"rate_limit": -1}, ["rateLimit"]),
        ({"rate_limit": MAX_RATE_LIMIT + 1}, ["rateLimit"]),
        ({"rate_limit": MAX_RATE_LIMIT}, []),
    ],
)
def test_a_wrong_network_or_limit_is_named_by_its_path(fields: dict[str, Any], paths: list[str]) -> None:
    assert violated(order(role=Role.VIEWER, **fields)) == paths


def test_networks_are_kept_in_their_plain_form_and_once() -> None:
    cidrs = ("10.1.2.3/8", "10.0.0.0/8", "192.0.2.7", "::ffff:198.51.100.0/120", "2001:DB8::1/32")
    assert [str(each) for each in order(cidrs=cidrs).networks] == [
        "10.0.0.0/8",
        "192.0.2.7/32",
        "198.51.100.0/24",
        "2001:db8::/32",
    ]
