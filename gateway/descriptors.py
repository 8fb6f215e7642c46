"""The contract as one descriptor set, from the generated modules; Envoy's transcoder and the builder read it."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

import penstock
from google.api import annotations_pb2, http_pb2
from google.longrunning import operations_pb2
from google.protobuf import json_format
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.rpc import error_details_pb2

if TYPE_CHECKING:
    from google.protobuf.descriptor import FileDescriptor, MethodDescriptor, ServiceDescriptor

#: HTTP rules by the RPC's name, as JSON has `google.api.HttpRule`; they take the place of what a proto says.
Rules: TypeAlias = Mapping[str, Mapping[str, Any]]


@cache
def files() -> tuple[FileDescriptor, ...]:
    """Every file of ours, by name, Google's of operations, and the error details.

    Envoy turns what an `Any` holds into JSON only if it knows its type.
    """
    modules = pkgutil.walk_packages(penstock.__path__, "penstock.")
    names = sorted(module.name for module in modules if module.name.endswith("_pb2"))
    ours = (importlib.import_module(name).DESCRIPTOR for name in names)
    return (*ours, operations_pb2.DESCRIPTOR, error_details_pb2.DESCRIPTOR)


def services() -> list[ServiceDescriptor]:
    """Every gRPC service that the contract has: ours, and `google.longrunning.Operations`, which history serves."""
    return [service for file in files() for service in file.services_by_name.values()]


def rule_of(method: MethodDescriptor, rules: Rules) -> http_pb2.HttpRule:
    """The HTTP rule of an RPC, empty where it has none.

    Args:
        method: The RPC.
        rules: Those that take the place of what the proto says.
    """
    if method.full_name in rules:
        return json_format.ParseDict(dict(rules[method.full_name]), http_pb2.HttpRule())
    return method.GetOptions().Extensions[annotations_pb2.http]  # pyright: ignore[reportArgumentType]  the stubs know no extension's type


def descriptor_set(rules: Rules) -> FileDescriptorSet:
    """Every file and all it imports, each after its imports.

    Args:
        rules: Those that take the place of what the protos say.
    """
    found: dict[str, FileDescriptorProto] = {}

    def add(file: FileDescriptor) -> None:
        if file.name in found:
            return
        for dependency in file.dependencies:
            add(dependency)
        proto = FileDescriptorProto()
        file.CopyToProto(proto)
        for service, kept in zip(file.services_by_name.values(), proto.service, strict=True):
            for method, option in zip(service.methods, kept.method, strict=True):
                if method.full_name in rules:
                    rule = option.options.Extensions[annotations_pb2.http]  # pyright: ignore[reportArgumentType]  as above
                    rule.CopyFrom(rule_of(method, rules))
        found[file.name] = proto

    for file in files():
        add(file)
    return FileDescriptorSet(file=found.values())
