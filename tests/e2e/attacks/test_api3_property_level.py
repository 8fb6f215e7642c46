"""API3:2023 Broken object property level authorization: fields that are not a caller's to set, or not one's to see.

Every field that any message of the contract has is put into every request that does not have it: ids, tenants, states,
times. By JSON each is refused by its path; by gRPC, where a field that is not known is no fault, it has no effect.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import grpc
import pytest

from gateway import descriptors
from gateway.fields import json_name
from tests.e2e.api import TIMEOUT_S
from tests.e2e.attacks import rpcs
from tests.e2e.attacks.fields import good_request
from tests.e2e.attacks.rpcs import form, message, path_of
from tests.e2e.attacks.tenants import nobodys
from tests.e2e.fuzz.leaves import is_list, is_map, leaves

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from google.protobuf.descriptor import Descriptor

    from gateway.routes import Binding
    from tests.e2e.attacks.rpcs import Request, Rpc
    from tests.e2e.attacks.tenants import Tenant
    from tests.e2e.mesh import Mesh

#: As many as one refusal names with room to spare.
_AT_ONCE = 19
_SMUGGLED = "smuggled-7c1f"
#: The answers that hold a secret, each of which is the caller's own and shown on purpose.
TOLD_ON_PURPOSE = {
    "penstock.auth.v1.Provider.client_credentials",  # whether there can be any
    "penstock.auth.v1.CreateKeyResponse.secret",
    "penstock.auth.v1.RotateKeyResponse.secret",
    "penstock.webhooks.v1.CallbackSecret.secret",
    "penstock.webhooks.v1.CreateEndpointResponse.secret",
    "penstock.webhooks.v1.EndpointSecret.secret",
}


def messages() -> list[Descriptor]:
    """Every message of the contract."""
    return [message for file in descriptors.files() for message in file.message_types_by_name.values()]


EVERY_NAME = sorted({field.json_name for message in messages() for field in message.fields})
#: Of what a browser comes back with, providers may add what they like (RFC 6749, 4.1.2).
BOUND = [(rpc, binding) for rpc in rpcs.keyed() for binding in rpc.bindings]


def foreign(message: Descriptor) -> Iterator[list[str]]:
    """The fields of all other messages, some at a time."""
    own = {name for field in message.fields for name in (field.name, field.json_name)}
    names = [name for name in EVERY_NAME if name not in own]
    yield from (names[start : start + _AT_ONCE] for start in range(0, len(names), _AT_ONCE))


def places(rpc: Rpc) -> list[tuple[tuple[Any, ...], Descriptor]]:
    """The messages that a request holds, itself the first: the fields that lead to each, and what it is."""
    found: list[tuple[tuple[Any, ...], Descriptor]] = [((), rpc.request)]
    for leaf in leaves(rpc.request):
        held = leaf.field.message_type
        if held is not None and not is_map(leaf.field) and not held.full_name.startswith("google.protobuf."):
            found.append((leaf.steps, held))
    return found


def with_fields(good: Request, steps: tuple[Any, ...], names: Sequence[str]) -> tuple[Request, set[str]]:
    """The request with these fields beside those of a message in it, and the paths that errors must name."""
    changed = json.loads(json.dumps(good))
    at, path = changed, ""
    for step in steps:
        at = at.setdefault(step.json_name, [{}, {}] if is_list(step) else {})
        at = at[1] if is_list(step) else at
        path += f"{step.json_name}[1]." if is_list(step) else f"{step.json_name}."
    at.update(dict.fromkeys(names, _SMUGGLED))
    return changed, {path + name for name in names}


@pytest.mark.parametrize(("rpc", "binding"), BOUND, ids=[binding.name for _, binding in BOUND])
def test_a_field_of_another_message_is_refused_by_its_path(
    mesh: Mesh, attacker: Tenant, rpc: Rpc, binding: Binding
) -> None:
    good = good_request(rpc.request, attacker.things, f"{mesh.far_end}/post")
    in_path = {json_name(binding.message, name) for name in binding.template.variables}
    path = path_of(binding, good)
    for steps, held in places(rpc) if binding.body else [((), rpc.request)]:
        for names in foreign(held):
            asked, paths = with_fields(good, steps, names)
            body = {name: value for name, value in asked.items() if name not in in_path}
            if not binding.body:
                answer = attacker.api.call(binding.verb, f"{path}?{urlencode(dict.fromkeys(names, _SMUGGLED))}")
            elif binding.body == "*":
                answer = attacker.api.call(binding.verb, path, body)
            elif steps:
                answer = attacker.api.call(binding.verb, path, body[binding.body])
            else:  # the body is one field of the request, and what stands beside that has no place in it
                answer = attacker.api.call(binding.verb, path, dict.fromkeys(names, _SMUGGLED))
                paths = {f"{binding.body}.{name}" for name in names}
            assert (answer.status, answer.reason) == (400, "INVALID_ARGUMENT"), (asked, answer.body)
            assert answer.fields >= paths, (paths - answer.fields, answer.body)


@pytest.mark.parametrize("rpc", rpcs.public(), ids=str)
def test_a_field_that_the_message_has_not_is_of_no_effect_over_grpc(mesh: Mesh, attacker: Tenant, rpc: Rpc) -> None:
    good = message(rpc.request, good_request(rpc.request, nobodys(), f"{mesh.far_end}/post")).SerializeToString()
    numbers = [number for number in range(1, 64) if number not in rpc.request.fields_by_number]
    smuggled = b"".join(_tag(number) + bytes([len(_SMUGGLED)]) + _SMUGGLED.encode() for number in numbers)
    plain, laden = (_sent(attacker, rpc, request) for request in (good, good + smuggled))
    assert form(laden) == form(plain)
    assert _SMUGGLED not in str(laden)


def _sent(tenant: Tenant, rpc: Rpc, request: bytes) -> Any:
    kind = tenant.channel.unary_stream if rpc.method.server_streaming else tenant.channel.unary_unary
    try:
        answer = kind(rpc.path)(request, metadata=(("x-api-key", str(tenant.api.key)),), timeout=TIMEOUT_S)
        if rpc.method.server_streaming:
            answer = next(answer)
    except grpc.RpcError as failure:
        seen = rpcs.refused(failure)
        return [seen.status, seen.reason]
    return rpcs.read(rpc, answer)


def _tag(number: int) -> bytes:
    """The tag of a field with a length (protobuf encoding, wire type 2)."""
    tag = number << 3 | 2
    return bytes([tag]) if tag < 0x80 else bytes([tag & 0x7F | 0x80, tag >> 7])


def test_no_request_has_a_field_that_only_answers_have() -> None:
    wrong = [
        f"{rpc}: {leaf}"
        for rpc in rpcs.public()
        for leaf in leaves(rpc.request)
        if "OUTPUT_ONLY" in str(leaf.field.GetOptions())
    ]
    assert wrong == []


def test_no_answer_has_a_field_for_a_secret_that_is_not_told_on_purpose() -> None:
    secret = ("secret", "digest", "hash", "pepper", "password", "credential", "sealed", "private")
    fields = {
        leaf.field.full_name
        for rpc in rpcs.public()
        for leaf in leaves(rpc.method.output_type)
        if any(word in leaf.field.name for word in secret)
    }
    assert fields <= TOLD_ON_PURPOSE, "an answer tells a secret: if it must, name it in TOLD_ON_PURPOSE"
