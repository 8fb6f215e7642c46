"""API5:2023 Broken function level authorization: every RPC by every role, by every way through the gateway."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from shared.permissions import ROLE_SCOPES, Role, Scope
from tests.e2e.api import Api
from tests.e2e.attacks import rpcs
from tests.e2e.attacks.fields import good_request
from tests.e2e.attacks.tenants import made, nobodys

if TYPE_CHECKING:
    import grpc

    from tests.e2e.attacks.rpcs import Rpc
    from tests.e2e.attacks.tenants import Tenant
    from tests.e2e.mesh import Mesh

PAGE = Path(__file__).parents[3] / "docs" / "access.md"
ROLES = list(ROLE_SCOPES)
LADDER = (Role.VIEWER, Role.DEVELOPER, Role.ADMIN, Role.OPERATOR)


def matrix() -> dict[str, set[Role]]:
    """Who may call what, as the page tells users."""
    section = PAGE.read_text(encoding="utf-8").partition("## What each role may call\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([\w./]+)` \|(.*)\|$", section, re.MULTILINE)
    return {
        f"/{'' if rpc.startswith('google.') else 'penstock.'}{rpc}": {
            role for role, cell in zip(ROLES, cells.split("|"), strict=True) if cell.strip() == "yes"
        }
        for rpc, cells in rows
    }


@pytest.fixture(scope="module")
def keys(mesh: Mesh) -> dict[Role | None, str]:
    """A key of each role, all of one tenant; and None, which is no key's."""
    operator = mesh.new_key("clerks", sorted(Scope))
    api = Api(mesh.url, operator)
    return {role: made(api, "/api/v1/keys", {"name": role, "role": role})["secret"] for role in Role}


@pytest.mark.parametrize("role", LADDER)
@pytest.mark.parametrize("rpc", rpcs.keyed(), ids=str)
def test_a_role_calls_what_the_page_says_and_nothing_else(
    mesh: Mesh, gateway: grpc.Channel, keys: dict[Role, str], rpc: Rpc, role: Role
) -> None:
    allowed = role in matrix()[rpc.path]
    request = good_request(rpc.request, nobodys(), "https://example.com/", upstream="nowhere")
    for way, call in rpc.ways(Api(mesh.url, keys[role]), gateway).items():
        seen = call(request)
        if allowed:
            assert seen.status < 500, (way, seen)
            assert seen.status not in {401, 403, 405}, (way, seen)
        else:
            assert (seen.status, seen.reason) == (403, "PERMISSION_DENIED"), (way, seen)


@pytest.mark.parametrize("rpc", rpcs.keyed(), ids=str)
def test_nobody_calls_anything(mesh: Mesh, gateway: grpc.Channel, rpc: Rpc) -> None:
    request = good_request(rpc.request, nobodys(), "https://example.com/")
    for way, call in rpc.ways(Api(mesh.url), gateway).items():
        seen = call(request)
        assert (seen.status, seen.reason) == (401, "UNAUTHENTICATED"), (way, seen)


def test_no_role_makes_a_key_of_a_higher_one(mesh: Mesh, keys: dict[Role, str]) -> None:
    for number, role in enumerate(LADDER):
        api = Api(mesh.url, keys[role])
        for higher in LADDER[number + 1 :]:
            order = {"name": "more", "role": higher}
            answer = api.call("POST", "/api/v1/keys", order)
            assert (answer.status, answer.reason) == (403, "PERMISSION_DENIED"), (role, higher)
        for scope in set(Scope) - ROLE_SCOPES[role]:
            answer = api.call("POST", "/api/v1/keys", {"name": "more", "scopes": [scope]})
            assert (answer.status, answer.reason) == (403, "PERMISSION_DENIED"), (role, scope)


def test_an_admin_does_not_become_an_operator_by_rotating_its_key(mesh: Mesh, keys: dict[Role, str]) -> None:
    operators = made(Api(mesh.url, keys[Role.OPERATOR]), "/api/v1/keys", {"name": "theirs", "role": "OPERATOR"})
    answer = Api(mesh.url, keys[Role.ADMIN]).call("POST", f"/api/v1/keys/{operators['key']['id']}:rotate", {})
    assert (answer.status, answer.reason) == (403, "PERMISSION_DENIED")
    assert Api(mesh.url, operators["secret"]).call("GET", "/api/v1/queues?tenant=-").status == 200


@pytest.mark.parametrize("verb", ["HEAD", "OPTIONS", "PATCH", "PUT", "DELETE", "PROPFIND"])
def test_no_other_verb_does_what_a_scope_forbids(
    mesh: Mesh, keys: dict[Role, str], attacker: Tenant, verb: str
) -> None:
    viewer = Api(mesh.url, keys[Role.VIEWER])
    for path in ("/api/v1/keys", "/api/v1/jobs", "/api/v1/queues/http:pause"):
        for override in (
            {},
            {"X-HTTP-Method-Override": "POST"},
            {"X-Method-Override": "POST"},
            {"X-HTTP-Method": "POST"},
        ):
            assert viewer.call(verb, path, headers=override).status in {400, 405}
            assert viewer.call("GET", path, headers=override).status in {200, 405}
