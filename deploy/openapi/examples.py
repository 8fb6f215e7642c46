"""Examples of requests and answers (`data/examples/`), each of which is read as its message: none can go stale."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from google.protobuf import json_format
from google.protobuf.message_factory import GetMessageClass

from deploy.openapi.parameters import path_of, variables

if TYPE_CHECKING:
    from collections.abc import Mapping

    from google.protobuf.descriptor import Descriptor

    from deploy.openapi.contract import Contract
    from gateway.routes import Binding

_FOLDER = Path(__file__).parent / "data" / "examples"


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """Those that there are, by the RPC's full name, in the form in which JSON is written."""

    requests: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    answers: Mapping[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def read(cls, contract: Contract, folder: Path = _FOLDER) -> Examples:
        """Reads them.

        Raises:
            ValueError: One is of no RPC, or is not what its message takes.
        """
        requests: dict[str, dict[str, Any]] = {}
        answers: dict[str, dict[str, Any]] = {}
        for path in sorted(folder.glob("*.yaml")):
            for rpc, said in yaml.safe_load(path.read_text(encoding="utf-8")).items():
                if rpc not in contract.methods:
                    raise ValueError(f"{path.name} has an example of {rpc}, which is no RPC")
                method = contract.methods[rpc]
                if "request" in said:
                    requests[rpc] = _written(contract, method.input_type, said["request"], where=f"{path.name}: {rpc}")
                if "answer" in said:
                    answers[rpc] = _written(contract, method.output_type, said["answer"], where=f"{path.name}: {rpc}")
        return cls(requests=requests, answers=answers)

    def body(self, binding: Binding) -> dict[str, Any] | None:
        """The example of a binding's body, or None."""
        request = self.requests.get(binding.rpc)
        if request is None or not binding.body:
            return None
        if binding.body != "*":
            return request.get(binding.body)
        return {name: value for name, value in request.items() if name not in _in_path(binding)}

    def address(self, binding: Binding) -> tuple[str, dict[str, Any]]:
        """The path of a binding's example, and its query.

        Raises:
            KeyError: There is no example, or it lacks what stands in the path.
        """
        request = self.requests[binding.rpc]
        path, by_path = path_of(binding), _in_path(binding)
        for position, name in variables(binding).items():
            value = request[_json_name(binding.template.fields[position])]
            path = path.replace(f"{{{name}}}", value.rpartition("/")[2])
        query = {} if binding.body else {name: value for name, value in request.items() if name not in by_path}
        return path, query

    def answer(self, rpc: str) -> dict[str, Any] | None:
        """The example of an RPC's answer, or None."""
        return self.answers.get(rpc)


def _in_path(binding: Binding) -> set[str]:
    return {_json_name(name) for name in binding.template.fields if name}


def _json_name(name: str) -> str:
    """As protoc makes it of a field's name."""
    first, *others = name.split("_")
    return first + "".join(other.capitalize() for other in others)


def _written(contract: Contract, message: Descriptor, said: Mapping[str, Any], *, where: str) -> dict[str, Any]:
    """What is said, as it is written when it was read as the message."""
    parsed = GetMessageClass(message)()
    try:
        json_format.ParseDict(dict(said), parsed, descriptor_pool=contract.pool)
    except json_format.ParseError as error:
        raise ValueError(f"{where}: {error}") from error
    return json_format.MessageToDict(parsed, descriptor_pool=contract.pool)
