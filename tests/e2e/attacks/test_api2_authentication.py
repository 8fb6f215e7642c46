"""API2:2023 Broken authentication: forged identity tokens, shown to every service past the gateway.

Behind the gateway a token is all that there is: each service must refuse it by itself, whoever sends it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import pytest

from gateway import descriptors
from gateway.routes import RouteData
from shared.identity import IDENTITY_HEADER
from shared.permissions import PERMISSIONS
from tests.e2e.attacks import rpcs
from tests.e2e.attacks.forging import FORGERIES, Forger, mangled
from tests.e2e.attacks.rpcs import refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.mesh import Mesh

#: Every RPC that asks who calls, by the service that answers it.
RPCS: dict[str, list[str]] = {}
for _service in descriptors.services():
    if _service.file.package in RouteData.load().packages:
        RPCS.setdefault(RouteData.load().packages[_service.file.package], []).extend(
            rpc
            for _method in _service.methods
            if not PERMISSIONS[rpc := f"/{_service.full_name}/{_method.name}"].anonymous
        )


@pytest.fixture(scope="module")
def channels(mesh: Mesh) -> Iterator[dict[str, grpc.Channel]]:
    """A channel to each service, past the gateway."""
    channels = {service: grpc.insecure_channel(mesh.layout.address(service)) for service in RPCS}
    yield channels
    for channel in channels.values():
        channel.close()


def code_of(channel: grpc.Channel, rpc: str, token: str) -> tuple[int, str]:
    """What the call under this token is refused with; an answer is a 200."""
    kind = channel.unary_stream if rpc.endswith(("/WatchJob", "/StreamJob")) else channel.unary_unary
    try:
        answer = kind(rpc)(b"", metadata=((IDENTITY_HEADER, token),), timeout=30)
        if kind == channel.unary_stream:
            next(answer)
    except grpc.RpcError as failure:
        return (seen := refused(failure)).status, seen.reason
    return 200, ""


def test_the_forger_makes_good_tokens_that_differ_from_these_in_their_mistake_alone(
    mesh: Mesh, channels: dict[str, grpc.Channel]
) -> None:
    scopes = sorted({permission.scope for permission in PERMISSIONS.values() if permission.scope is not None})
    good = Forger(mesh.identities).token({"scopes": scopes})
    for service, channel in channels.items():
        for rpc in RPCS[service]:
            if PERMISSIONS[rpc].scope is not None and "Recover" not in rpc:
                assert code_of(channel, rpc, good)[0] not in {401, 403}, rpc


@pytest.mark.parametrize("service", sorted(RPCS))
def test_no_service_takes_a_forged_token(mesh: Mesh, channels: dict[str, grpc.Channel], service: str) -> None:
    forger = Forger(mesh.identities)
    tokens = {name: forger.token(**forgery) for name, forgery in FORGERIES.items()} | mangled(forger.token())
    tokens |= {
        f"signed with the public key as a secret, {form}, {alg}": forger.token(
            header={"alg": alg}, key=forger.public_key(form)
        )
        for form in ("raw", "pem", "der", "base64", "jwks")
        for alg in ("HS256", "HS512", "EdDSA")
    }
    taken = {}
    for name, token in tokens.items():
        for rpc in RPCS[service]:
            seen = code_of(channels[service], rpc, token)
            if seen != (401, "UNAUTHENTICATED"):
                taken[name, rpc] = seen
    assert not taken


@pytest.mark.parametrize("issuer", sorted(RPCS))
def test_a_services_own_token_is_worth_nothing_where_it_is_not_listed(
    mesh: Mesh, channels: dict[str, grpc.Channel], issuer: str
) -> None:
    token = mesh.identities.service(issuer).token()
    refused_at = set()
    for service, channel in channels.items():
        for rpc in RPCS[service]:
            if issuer not in PERMISSIONS[rpc].services:
                assert code_of(channel, rpc, token) == (403, "PERMISSION_DENIED"), rpc
                refused_at.add(rpc)
    assert len(refused_at) > len(rpcs.public()) / 2


def test_a_tenants_token_calls_nothing_that_is_the_meshs_own(mesh: Mesh, channels: dict[str, grpc.Channel]) -> None:
    every_scope = sorted({scope for each in PERMISSIONS.values() if (scope := each.scope) is not None})
    token = mesh.identities.mint("victim", every_scope)
    own = {rpc for rpc, permission in PERMISSIONS.items() if permission.scope is None and not permission.anonymous}
    assert own
    for service, channel in channels.items():
        for rpc in own.intersection(RPCS[service]):
            assert code_of(channel, rpc, token) == (403, "PERMISSION_DENIED"), rpc


def test_two_tokens_of_a_call_are_none(mesh: Mesh, channels: dict[str, grpc.Channel]) -> None:
    good, other = mesh.identities.mint("attacker"), mesh.identities.mint("victim")
    metadata = ((IDENTITY_HEADER, good), (IDENTITY_HEADER, other))
    with pytest.raises(grpc.RpcError) as failure:
        channels["auth"].unary_unary("/penstock.auth.v1.KeyService/ListKeys")(b"", metadata=metadata, timeout=30)
    assert refused(failure.value).status == 401
