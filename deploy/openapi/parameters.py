"""The parameters of an operation: what stands in its path, in its query, and in headers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deploy.openapi.schemas import is_required
from gateway import deprecation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor

    from deploy.openapi.contract import Contract
    from deploy.openapi.schemas import Schema, Schemas
    from gateway.routes import Binding

#: Headers that every request may have.
_EVERYWHERE = ("X-Request-Id", "API-Version", "traceparent")


class Parameters:
    """Makes the parameters of operations.

    Args:
        contract: The protos.
        schemas: Makes their schemas.
        headers: Those that requests may have, by name.
        of_rpcs: Which of them an RPC takes beside those that all take.

    Raises:
        ValueError: An RPC takes a header that is not described, or is no RPC.
    """

    def __init__(
        self,
        contract: Contract,
        schemas: Schemas,
        headers: Mapping[str, Schema],
        of_rpcs: Mapping[str, Sequence[str]],
    ) -> None:
        for rpc, names in of_rpcs.items():
            if rpc not in contract.methods or not set(names) <= headers.keys():
                raise ValueError(
                    f"data/operations.yaml gives {rpc} the headers {', '.join(names)}: one of these is not known"
                )
        self._contract = contract
        self._schemas = schemas
        self._of_rpcs = of_rpcs

    def of(self, binding: Binding, method: MethodDescriptor) -> list[Schema]:
        """The parameters of a binding.

        Raises:
            ValueError: A field that would stand in the query has no form there.
        """
        fields = method.input_type.fields_by_name
        in_path = [
            self._path_parameter(name, fields[binding.template.fields[position]])
            for position, name in variables(binding).items()
        ]
        in_query: list[Schema] = []
        if not binding.body:
            bound = set(binding.template.fields)
            in_query = [self._query_parameter(field) for field in method.input_type.fields if field.name not in bound]
        headers = (*self._of_rpcs.get(method.full_name, ()), *_EVERYWHERE)
        return [*in_path, *in_query, *({"$ref": f"#/components/parameters/{name}"} for name in headers)]

    def _path_parameter(self, name: str, field: FieldDescriptor) -> Schema:
        described = self._schemas.description(field)
        if name != field.name:  # its value stands behind a part of the path that says what it is
            described = described.replace(f"{name.removesuffix('_id')}s/", "")
        schema: Schema = {"type": "string", "pattern": "^[^/]+$"}
        return {"name": name, "in": "path", "required": True, "description": described, "schema": schema}

    def _query_parameter(self, field: FieldDescriptor) -> Schema:
        if field.message_type is not None and not field.message_type.full_name.startswith("google.protobuf."):
            raise ValueError(f"{field.full_name} is a message, which has no form in a query")
        parameter: Schema = {"name": field.json_name, "in": "query", "description": self._schemas.description(field)}
        if is_required(field):
            parameter["required"] = True
        if deprecation.of_field(field) is not None:
            parameter["deprecated"] = True
        return parameter | {"schema": self._schemas.value(field)}


def variables(binding: Binding) -> dict[int, str]:
    """What each variable segment of a path is called, by its place.

    A segment that is all of a field has the field's name; one that stands behind others is named for the last of these,
    as `operation_id` in `/api/v1/operations/{operation_id}`.
    """
    segments, fields = binding.template.segments, binding.template.fields
    found: dict[int, str] = {}
    for position, segment in enumerate(segments):
        if not segment.startswith("{"):
            continue
        whole = fields.count(fields[position]) == 1
        found[position] = fields[position] if whole else f"{segments[position - 1].removesuffix('s')}_id"
    return found


def path_of(binding: Binding) -> str:
    """The path of a binding, as the document has it."""
    named = variables(binding)
    segments = (
        f"{{{named[position]}}}" if position in named else segment
        for position, segment in enumerate(binding.template.segments)
    )
    return "/" + "/".join(segments) + (f":{binding.template.action}" if binding.template.action else "")
