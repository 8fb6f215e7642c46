"""What operations answer with when all goes well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from google.longrunning import operations_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from google.protobuf.descriptor import Descriptor, MethodDescriptor

    from deploy.openapi.contract import Contract
    from deploy.openapi.examples import Examples
    from deploy.openapi.schemas import Schema, Schemas
    from gateway.routes import Binding

_BYTES = "google.api.HttpBody"
_EMPTY = "google.protobuf.Empty"
_HEADERS = ("X-Request-Id", "API-Version", "RateLimit", "RateLimit-Policy")
_DEPRECATION_HEADERS = ("Deprecation", "Sunset", "Link")


class Answers:
    """Makes the answers of operations.

    Args:
        contract: The protos.
        schemas: Makes their schemas.
        of_bytes: By RPC what is answered by those that answer with bytes, by status (`data/operations.yaml`).
        examples: Of answers.
    """

    def __init__(
        self, contract: Contract, schemas: Schemas, of_bytes: Mapping[str, Mapping[str, Any]], examples: Examples
    ) -> None:
        self._contract = contract
        self._schemas = schemas
        self._of_bytes = of_bytes
        self._examples = examples

    def of(self, binding: Binding, method: MethodDescriptor) -> dict[str, Schema]:
        """The answers of a binding, by HTTP status.

        Raises:
            ValueError: The RPC answers in a way that has no form over HTTP, or of which too little is known.
        """
        deprecated = binding.deprecation is not None or has_deprecated_field(method.input_type)
        headers = [*_HEADERS, *(_DEPRECATION_HEADERS if deprecated else ())]
        if method.output_type.full_name == _BYTES:
            return self._byte_answers(method, headers)
        if method.server_streaming or method.client_streaming:
            raise ValueError(
                f"{method.full_name} streams messages, which has no form over HTTP; let it stream {_BYTES}"
            )
        content: Schema = {"schema": self._schema(method)}
        if (example := self._examples.answer(method.full_name)) is not None:
            content["example"] = example
        described = self._contract.comment(method.output_type.full_name)
        if method.output_type.full_name == _EMPTY:
            described = "It is done; there is nothing to tell."
        return {
            "200": {"description": described, "headers": _referred(headers), "content": {"application/json": content}}
        }

    def _byte_answers(self, method: MethodDescriptor, headers: list[str]) -> dict[str, Schema]:
        if method.full_name not in self._of_bytes:
            raise ValueError(f"{method.full_name} answers with bytes; data/operations.yaml is to say with which")
        found: dict[str, Schema] = {}
        for status, said in self._of_bytes[method.full_name].items():
            all_headers = [*headers, *said.get("headers", ())]
            answer: Schema = {"description": said["description"], "headers": _referred(all_headers)}
            if media := said.get("content"):
                content: Schema = {"schema": {} if media == "*/*" else {"type": "string"}}
                if example := said.get("example"):
                    content["example"] = example
                answer["content"] = {media: content}
            found[status] = answer
        return found

    def _schema(self, method: MethodDescriptor) -> Schema:
        """That of the answer's message; an operation's holds what its RPC says of it."""
        schema = self._schemas.reference(method.output_type)
        options = method.GetOptions()
        if not options.HasExtension(operations_pb2.operation_info):  # pyright: ignore[reportArgumentType]  the stubs know no extension's type
            return schema
        told: Any = options.Extensions[operations_pb2.operation_info]  # pyright: ignore[reportArgumentType]  as above
        metadata = self._message_beside(method, told.metadata_type)
        response = self._message_beside(method, told.response_type)
        return {"allOf": [schema], "properties": {"metadata": self._any(metadata), "response": self._any(response)}}

    def _message_beside(self, method: MethodDescriptor, name: str) -> Descriptor:
        """The message of a name that is full, or one in the RPC's own package."""
        return self._contract.message(name if "." in name else f"{method.containing_service.file.package}.{name}")

    def _any(self, message: Descriptor) -> Schema:
        """A message as an `Any` holds it."""
        kind = {"description": "What it is.", "const": f"type.googleapis.com/{message.full_name}"}
        return {**self._schemas.reference(message), "properties": {"@type": kind}}


def has_deprecated_field(message: Descriptor, seen: frozenset[str] = frozenset()) -> bool:
    """Whether a message, or one that it holds, has a field that is deprecated."""
    if message.full_name in seen:
        return False
    inside = seen | {message.full_name}
    return any(
        field.GetOptions().deprecated
        or (field.message_type is not None and has_deprecated_field(field.message_type, inside))
        for field in message.fields
    )


def _referred(headers: Iterable[str]) -> Schema:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in headers}
