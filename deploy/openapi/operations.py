"""An operation for each HTTP path and verb of each public RPC."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from deploy.openapi import errors, samples, security
from deploy.openapi.answers import Answers
from deploy.openapi.examples import Examples
from deploy.openapi.parameters import Parameters

if TYPE_CHECKING:
    from collections.abc import Mapping

    from google.protobuf.descriptor import Descriptor, MethodDescriptor

    from deploy.openapi.contract import Contract
    from deploy.openapi.schemas import Schema, Schemas
    from gateway.routes import Binding

#: Where the first sentence of a comment can be cut short.
_BREAK = re.compile(r"[.;:](?:\s|$)")


class Operations:
    """Makes operations.

    Args:
        contract: The protos.
        schemas: Makes the schemas of bodies.
        failures: Makes the answers of errors.
        headers: Those that requests may have, by name.
        data: What the protos do not say (`data/operations.yaml`).
        schemes: The names of the security schemes.
    """

    def __init__(
        self,
        contract: Contract,
        *,
        schemas: Schemas,
        failures: errors.Answers,
        headers: Mapping[str, Schema],
        data: Mapping[str, Any],
        schemes: Mapping[str, Schema],
    ) -> None:
        self._contract = contract
        self._methods = contract.methods
        self._schemas = schemas
        self._failures = failures
        self._examples = Examples.read(contract)
        self._parameters = Parameters(contract, schemas, headers, data["parameters"])
        self._answers = Answers(contract, schemas, data["answers"], self._examples)
        self._schemes = list(schemes)
        self._sampled = set(data["samples"])
        self._numbers: dict[str, int] = {}
        self._bodies: dict[str, dict[str, tuple[str, ...]]] = {}
        self.bodies: dict[str, Schema] = {}

    def operation(self, binding: Binding) -> Schema:
        """The operation of a binding; those of one RPC come in the order of its rules.

        Raises:
            ValueError: The RPC has what no operation can be made of.
        """
        method = self._methods[binding.rpc]
        permission = security.permission_of(binding.rpc)
        number = self._numbers[binding.rpc] = self._numbers.get(binding.rpc, 0) + 1
        name = f"{method.containing_service.name}_{method.name}"
        comment = errors.without_errors(self._contract.comment(method.full_name))
        failures = errors.of_binding(self._contract, binding, method, anonymous=permission.anonymous)
        operation: Schema = {
            "operationId": name if number == 1 else f"{name}_{number}",
            "tags": [method.containing_service.name],
            "summary": _summary(comment),
            "description": _described(comment, binding, security.scopes(permission)),
            "security": security.requirements(permission, self._schemes),
            "parameters": self._parameters.of(binding, method),
        }
        if binding.body:
            operation["requestBody"] = self._body(binding, method)
        operation["responses"] = {**self._answers.of(binding, method), **self._failures.answers(failures)}
        if binding.deprecation is not None:
            operation["deprecated"] = True
        if binding.rpc in self._sampled and number == 1:
            operation["x-codeSamples"] = samples.samples(binding, self._examples)
        return operation

    def _body(self, binding: Binding, method: MethodDescriptor) -> Schema:
        message = self._contract.message(binding.body_message)
        by_path = {field.json_name for field in method.input_type.fields if field.name in binding.template.variables}
        schema = self._body_schema(message, tuple(sorted(by_path)) if binding.body == "*" else ())
        content: Schema = {"schema": {"$ref": schema["$ref"]}}
        if (example := self._examples.body(binding)) is not None:
            content["example"] = example
        return {
            "description": self._contract.comment(message.full_name),
            "required": binding.body != "*" or bool(schema.pop("x-required")),
            "content": {"application/json": content},
        }

    def _body_schema(self, message: Descriptor, by_path: tuple[str, ...]) -> Schema:
        """A reference to the message without what the path says: under its own name, or one for each such set."""
        variants = self._bodies.setdefault(message.full_name, {})
        for name, without in variants.items():
            if without == by_path:
                return {"$ref": f"#/components/schemas/{name}", "x-required": self.bodies[name].get("required")}
        schema = self._schemas.message(message, without=by_path) | {"additionalProperties": False}
        name = message.name if not by_path else f"{message.name}.without.{'.'.join(by_path)}"
        variants[name] = by_path
        self.bodies[name] = schema
        return {"$ref": f"#/components/schemas/{name}", "x-required": schema.get("required")}


def _summary(comment: str) -> str:
    """What an RPC does, in short and without marks: a summary is plain text."""
    return _BREAK.split(comment, maxsplit=1)[0].replace("`", "")


def _described(comment: str, binding: Binding, scopes: list[str]) -> str:
    parts = [comment]
    if scopes:
        parts.append("Takes a key with the scope " + " or ".join(f"`{scope}`" for scope in scopes) + ".")
    if (mark := binding.deprecation) is not None:
        parts.append(f"Deprecated since {mark.since:%Y-%m-%d}: use `{mark.instead}`.")
    return "\n\n".join(parts)
