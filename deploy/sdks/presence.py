"""The fields that the protos tell from zero when they are not given, which the document does not say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf.descriptor import FieldDescriptor

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from google.protobuf.descriptor import Descriptor, MethodDescriptor

#: How protobuf names the oneof that it makes of an `optional` field.
_SYNTHETIC = "_"


def optional_fields(methods: Iterable[MethodDescriptor]) -> frozenset[str]:
    """Every `optional` scalar that is asked or answered, as `BudgetUse.remaining`.

    Args:
        methods: The RPCs.
    """
    pending = [message for method in methods for message in (method.input_type, method.output_type)]
    seen: dict[str, Descriptor] = {}
    while pending:
        message = pending.pop()
        if message.full_name not in seen:
            seen[message.full_name] = message
            pending += [field.message_type for field in message.fields if field.message_type is not None]
    return frozenset(name for message in seen.values() for name in _optional(message))


def _optional(message: Descriptor) -> Iterator[str]:
    package = f"{message.file.package}."
    for field in message.fields:
        oneof = field.containing_oneof
        if oneof is not None and oneof.name.startswith(_SYNTHETIC) and field.type != FieldDescriptor.TYPE_MESSAGE:
            yield f"{message.full_name.removeprefix(package)}.{field.json_name}"
