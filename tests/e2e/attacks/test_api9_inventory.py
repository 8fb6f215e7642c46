"""API9:2023 Improper inventory management: Envoy routes, documents and permits one and the same list."""

from __future__ import annotations

import json
import re
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from gateway.routes import RouteData
from shared.permissions import PERMISSIONS
from tests import api_table
from tests.e2e.api import TIMEOUT_S, Api
from tests.e2e.attacks import rpcs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.mesh import Mesh

#: Routes that lead nowhere: what they answer says so.
NOWHERE = {"unknown rpc", "unknown path", "CONNECT"}


def routes(mesh: Mesh) -> Iterator[dict[str, Any]]:
    """Every route of the running Envoy, as itself tells."""
    url = f"http://{mesh.layout.address('gateway_admin')}/config_dump"
    with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:
        dump = json.load(answer)

    def hosts(value: Any) -> Iterator[dict[str, Any]]:
        if isinstance(value, dict):
            yield from value.get("virtual_hosts", ())
            for each in value.values():
                yield from hosts(each)
        elif isinstance(value, list):
            for each in value:
                yield from hosts(each)

    for host in hosts(dump):
        yield from host["routes"]


def anonymous() -> set[str]:
    """The pages that anyone may read, and `*` where they are all that begins so."""
    return {page.get("path") or f"{page['prefix']}*" for page in RouteData.load().anonymous}


def readable(path: str) -> str:
    """A path as the page has it: a name that is `operations/*` is `operations/{operation_id}` to a reader."""
    return re.sub(r"\{\w+=([^}]*)\}", lambda variable: variable[1].replace("*", "{operation_id}"), path)


def test_the_page_has_every_rpc_with_its_paths_and_its_scope_and_no_other() -> None:
    told = api_table.rows()
    assert set(told) == {str(rpc) for rpc in rpcs.public()}
    for rpc in rpcs.public():
        row = told[str(rpc)]
        assert set(row.bindings) == {(binding.verb, readable(binding.template.text)) for binding in rpc.bindings}, rpc
        permission = PERMISSIONS[rpc.path]
        assert row.scope == ("none" if permission.anonymous else permission.scope), rpc


def test_envoy_routes_what_is_documented_and_nothing_else(mesh: Mesh) -> None:
    expected = anonymous() | NOWHERE
    for rpc in rpcs.public():
        expected |= {binding.name for binding in rpc.bindings} | {rpc.method.full_name}
    found = {route["name"]: route for route in routes(mesh)}
    refusing = {name for name in found if name.startswith("405 ")}
    assert set(found) - refusing == expected
    assert all(found[name]["direct_response"]["status"] in {403, 404, 405} for name in refusing | NOWHERE)


def test_only_documented_pages_are_answered_without_a_key(mesh: Mesh) -> None:
    open_ = {
        route["name"]
        for route in routes(mesh)
        if route.get("typed_per_filter_config", {}).get("envoy.filters.http.ext_authz", {}).get("disabled")
    }
    assert open_ == api_table.pages() == anonymous()


@pytest.mark.parametrize("rpc", rpcs.internal())
def test_what_is_not_public_is_reached_by_no_protocol(mesh: Mesh, intruder: Api, rpc: str) -> None:
    assert intruder.call("POST", rpc, {}).status == 404
    answer = intruder.call("POST", rpc, b"\0\0\0\0\0", headers={"Content-Type": "application/grpc", "TE": "trailers"})
    assert answer.headers["grpc-status"] == "12"


def test_a_version_that_is_not_offered_is_not_answered(intruder: Api) -> None:
    for rpc in rpcs.public():
        for binding in rpc.bindings:
            for version in ("v0", "v2", "V1", "v1.0", "v1beta1", "latest", ""):
                path = re.sub(r"\{\w+\}", "x", binding.template.text).replace("/v1/", f"/{version}/")
                assert intruder.call(binding.verb, path).status == 404, path
