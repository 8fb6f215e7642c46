"""The contract as one descriptor set, from the generated modules; Envoy's transcoder and the builder read it."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import TYPE_CHECKING

import penstock
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.rpc import error_details_pb2

if TYPE_CHECKING:
    from google.protobuf.descriptor import FileDescriptor, ServiceDescriptor


@cache
def files() -> tuple[FileDescriptor, ...]:
    """Every file of ours, by name, and the error details, which Envoy turns into JSON only if it knows their types."""
    modules = pkgutil.walk_packages(penstock.__path__, "penstock.")
    names = sorted(module.name for module in modules if module.name.endswith("_pb2"))
    return (*(importlib.import_module(name).DESCRIPTOR for name in names), error_details_pb2.DESCRIPTOR)


def services() -> list[ServiceDescriptor]:
    """Every gRPC service of ours."""
    return [service for file in files() for service in file.services_by_name.values()]


def descriptor_set() -> FileDescriptorSet:
    """Every file and all it imports, each after its imports."""
    found: dict[str, FileDescriptorProto] = {}

    def add(file: FileDescriptor) -> None:
        if file.name in found:
            return
        for dependency in file.dependencies:
            add(dependency)
        proto = FileDescriptorProto()
        file.CopyToProto(proto)
        found[file.name] = proto

    for file in files():
        add(file)
    return FileDescriptorSet(file=found.values())
