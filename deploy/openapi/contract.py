"""The protos with their comments: what everything that follows from them is made of."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool

from deploy.proto_image import image

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.protobuf.descriptor import Descriptor, MethodDescriptor, ServiceDescriptor
    from google.protobuf.descriptor_pb2 import DescriptorProto, EnumDescriptorProto, FileDescriptorProto

#: What protos that are not ours would say if they were, by full name.
Comments: TypeAlias = Mapping[str, str]
#: A field as protos spell it, where a comment names it.
_FIELD = re.compile(r"`([a-z][a-z0-9]*(?:_[a-z0-9]+)+)`")
# The numbers of fields in descriptor.proto, of which the paths of comments are made.
_MESSAGES, _ENUMS, _SERVICES = 4, 5, 6
_FIELDS, _NESTED_MESSAGES, _NESTED_ENUMS, _ONEOFS = 2, 3, 4, 8
_VALUES, _METHODS = 2, 2


class Contract:
    """Every proto and all that it imports.

    Args:
        descriptors: Of all of them, with their comments, each file after those that it imports.
        comments: Of what is not ours, in the place of what is said there.
    """

    def __init__(self, descriptors: FileDescriptorSet, comments: Comments | None = None) -> None:
        self.pool = DescriptorPool()
        self._files = [file.name for file in descriptors.file]
        self._comments: dict[str, str] = {}
        for file in descriptors.file:
            self.pool.AddSerializedFile(file.SerializeToString())
            self._comments |= _comments(file)
        self._comments |= comments or {}

    @classmethod
    def read(cls, comments: Comments | None = None) -> Contract:
        """Reads the protos as they are now.

        Args:
            comments: Of what is not ours, in the place of what is said there.
        """
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "image.binpb")
            image(path)
            return cls(FileDescriptorSet.FromString(path.read_bytes()), comments)

    @property
    def services(self) -> Iterator[ServiceDescriptor]:
        """Every gRPC service, in the order of the files."""
        for name in self._files:
            yield from self.pool.FindFileByName(name).services_by_name.values()

    @property
    def methods(self) -> dict[str, MethodDescriptor]:
        """Every RPC by its full name."""
        return {method.full_name: method for service in self.services for method in service.methods}

    def message(self, name: str) -> Descriptor:
        """The message of a full name.

        Raises:
            KeyError: There is none.
        """
        return self.pool.FindMessageTypeByName(name)

    def raw_comment(self, name: str) -> str:
        """What is said of the thing of a full name, as it stands there; a value's name follows that of its enum."""
        return self._comments.get(name, "")

    def comment(self, name: str) -> str:
        """The same for who reads JSON: in paragraphs, with fields named as JSON names them."""
        paragraphs = re.split(r"\n\s*\n", self.raw_comment(name))
        text = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs).strip()
        return _FIELD.sub(lambda match: f"`{self._json_names.get(match[1], match[1])}`", text)

    @cached_property
    def _json_names(self) -> dict[str, str]:
        """What JSON calls each field that any message has."""
        names: dict[str, str] = {}
        pending = [
            message
            for name in self._files
            if name.startswith("penstock/")
            for message in self.pool.FindFileByName(name).message_types_by_name.values()
        ]
        while pending:
            message = pending.pop()
            pending += message.nested_types
            names |= {field.name: field.json_name for field in message.fields}
        return names


def _comments(file: FileDescriptorProto) -> dict[str, str]:
    """What stands before each thing in a file, by the thing's full name."""
    at = {tuple(each.path): each.leading_comments for each in file.source_code_info.location}
    prefix = f"{file.package}." if file.package else ""
    found: dict[str, str] = {}
    for index, message in enumerate(file.message_type):
        found |= _of_message(f"{prefix}{message.name}", message, (_MESSAGES, index), at)
    for index, enum in enumerate(file.enum_type):
        found |= _of_enum(f"{prefix}{enum.name}", enum, (_ENUMS, index), at)
    for index, service in enumerate(file.service):
        name = f"{prefix}{service.name}"
        found[name] = at.get((_SERVICES, index), "")
        for place, method in enumerate(service.method):
            found[f"{name}.{method.name}"] = at.get((_SERVICES, index, _METHODS, place), "")
    return found


def _of_message(
    name: str, message: DescriptorProto, path: tuple[int, ...], at: Mapping[tuple[int, ...], str]
) -> dict[str, str]:
    found = {name: at.get(path, "")}
    for index, field in enumerate(message.field):
        found[f"{name}.{field.name}"] = at.get((*path, _FIELDS, index), "")
    for index, oneof in enumerate(message.oneof_decl):
        found[f"{name}.{oneof.name}"] = at.get((*path, _ONEOFS, index), "")
    for index, nested in enumerate(message.nested_type):
        found |= _of_message(f"{name}.{nested.name}", nested, (*path, _NESTED_MESSAGES, index), at)
    for index, enum in enumerate(message.enum_type):
        found |= _of_enum(f"{name}.{enum.name}", enum, (*path, _NESTED_ENUMS, index), at)
    return found


def _of_enum(
    name: str, enum: EnumDescriptorProto, path: tuple[int, ...], at: Mapping[tuple[int, ...], str]
) -> dict[str, str]:
    values = {f"{name}.{value.name}": at.get((*path, _VALUES, index), "") for index, value in enumerate(enum.value)}
    return {name: at.get(path, ""), **values}
