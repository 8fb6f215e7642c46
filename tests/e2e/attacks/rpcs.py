"""Every RPC that the gateway offers, as the descriptor set has it: what is new is attacked without a word here."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import grpc
from google.protobuf import json_format, message_factory

from gateway import descriptors
from gateway.fields import json_name
from gateway.routes import RouteData, route_table
from shared.permissions import PERMISSIONS
from shared.rpc.status import HTTP_BY_CODE, from_rpc_error
from tests.e2e.api import TIMEOUT_S, Api

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from google.protobuf.descriptor import Descriptor, MethodDescriptor
    from google.protobuf.message import Message

    from gateway.routes import Binding

#: What stands in a path for a field that the request leaves open.
_OPEN = {"upstream": "http"}
#: What a client asks for: the request as JSON has it, fields of the path and the query included.
Request = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a caller was answered with.

    Args:
        status: By HTTP, or what HTTP would have said.
        reason: Of a refusal; empty for an answer.
        body: The answer, or the refusal's message and what it tells programs.
        everything: All that came back, headers too, to look for what must not be there.
    """

    status: int
    reason: str
    body: Any
    everything: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rpc:
    """One public RPC.

    Args:
        method: As the contract has it.
        bindings: Its HTTP paths; none for a stream that gRPC alone offers.
    """

    method: MethodDescriptor
    bindings: tuple[Binding, ...]

    @property
    def path(self) -> str:
        """As gRPC spells it."""
        return f"/{self.method.containing_service.full_name}/{self.method.name}"

    @property
    def request(self) -> Descriptor:
        """The request's message."""
        return self.method.input_type

    def ways(self, api: Api, channel: grpc.Channel) -> dict[str, Callable[[Request], Seen]]:
        """How to make the call as this caller: by each of its HTTP paths, and by gRPC."""
        ways = {binding.name: _by_http(api, binding) for binding in self.bindings}
        return {**ways, self.path: _by_grpc(channel, self, api.key)}

    def __str__(self) -> str:
        return f"{self.method.containing_service.name}.{self.method.name}"


def public() -> list[Rpc]:
    """Every RPC with a route."""
    data = RouteData.load()
    table = route_table(data, clusters=set(data.packages.values()))
    bindings: dict[str, list[Binding]] = {}
    for binding in table.bindings:
        bindings.setdefault(binding.rpc, []).append(binding)
    return [
        Rpc(method=method, bindings=tuple(bindings.get(method.full_name, ())))
        for service in descriptors.services()
        for method in service.methods
        if method.full_name in bindings or method.full_name in table.streams
    ]


def keyed() -> list[Rpc]:
    """Those of them that ask for a key: all but the one that browsers come by."""
    return [rpc for rpc in public() if not PERMISSIONS[rpc.path].anonymous]


def internal() -> list[str]:
    """Every RPC of ours that the gateway must not offer, as gRPC spells it."""
    offered = {rpc.path for rpc in public()}
    names = [f"/{service.full_name}/{method.name}" for service in descriptors.services() for method in service.methods]
    return [name for name in names if name not in offered]


def message(descriptor: Descriptor, fields: Mapping[str, Any]) -> Message:
    """The message that the JSON is."""
    return json_format.ParseDict(dict(fields), message_factory.GetMessageClass(descriptor)())


def form(value: Any) -> Any:
    """An answer's fields with their types in place of what they say, and without those that come and go."""
    if isinstance(value, dict):
        return {name: form(each) for name, each in value.items() if name not in {"depth", "pausedAt", "pauses"}}
    if isinstance(value, list):
        return [form(each) for each in value]
    return type(value).__name__


def read(rpc: Rpc, answer: bytes) -> Any:
    """An answer over gRPC, as JSON has it."""
    return json_format.MessageToDict(message_factory.GetMessageClass(rpc.method.output_type).FromString(answer))


def path_of(binding: Binding, fields: Mapping[str, Any]) -> str:
    """The binding's path with the fields in their places."""
    known = {**_OPEN, **fields}

    def part(variable: re.Match[str]) -> str:
        name, over_several = variable["name"], "/" in variable[0]
        if "=" in variable[0] and "*" not in variable[0]:
            return variable[0].rpartition("=")[2].rstrip("}")
        return quote(str(known[json_name(binding.message, name)]), safe="/" if over_several else "")

    return re.sub(r"\{(?P<name>[a-z_.]+)(=[^}]*)?\}", part, binding.template.text)


def _by_http(api: Api, binding: Binding) -> Callable[[Request], Seen]:
    in_path = {json_name(binding.message, name) for name in binding.template.variables}

    def call(request: Request) -> Seen:
        rest = {name: value for name, value in request.items() if name not in in_path}
        path, body = path_of(binding, request), None
        if binding.body:
            body = rest if binding.body == "*" else rest[json_name(binding.message, binding.body)]
        elif rest:
            path = f"{path}?{urlencode(rest)}"
        answer = api.call(binding.verb, path, body)
        everything = f"{answer.headers}\n{answer.body.decode(errors='replace')}"
        if answer.status >= 400:
            return Seen(status=answer.status, reason=answer.reason, body=answer.error, everything=everything)
        is_json = answer.headers.get("content-type") == "application/json"
        body = answer.json if is_json else answer.body.decode(errors="replace")
        return Seen(status=answer.status, reason="", body=body, everything=everything)

    return call


def _by_grpc(channel: grpc.Channel, rpc: Rpc, key: str | None) -> Callable[[Request], Seen]:
    kind = channel.unary_stream if rpc.method.server_streaming else channel.unary_unary
    answers = message_factory.GetMessageClass(rpc.method.output_type)
    send = kind(rpc.path, request_serializer=None, response_deserializer=answers.FromString)
    metadata = (("x-api-key", key),) if key is not None else ()

    def call(request: Request) -> Seen:
        sent = message(rpc.request, request).SerializeToString()
        try:
            answer = send(sent, metadata=metadata, timeout=TIMEOUT_S)
            if rpc.method.server_streaming:
                stream, answer = answer, next(answer, answers())
                stream.cancel()
        except grpc.RpcError as failure:
            return refused(failure)
        shown = json_format.MessageToDict(answer)
        return Seen(status=200, reason="", body=shown, everything=json.dumps(shown, ensure_ascii=False))

    return call


def refused(failure: Any) -> Seen:
    """What a call over gRPC was refused with."""
    error = from_rpc_error(failure)
    metadata = [*(failure.initial_metadata() or ()), *(failure.trailing_metadata() or ())]
    told = [error.message, dict(error.metadata), *map(str, getattr(error, "violations", ()))]
    return Seen(
        status=error.http_status or HTTP_BY_CODE[error.code],
        reason=error.reason,
        body=told,
        everything=f"{metadata}\n{told}",
    )
