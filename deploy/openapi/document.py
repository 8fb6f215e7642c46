"""The whole document."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from deploy import event_types
from deploy.local.layout import ROOT
from deploy.openapi import errors, webhooks
from deploy.openapi.contract import Contract
from deploy.openapi.operations import Operations
from deploy.openapi.parameters import path_of
from deploy.openapi.schemas import Schemas
from gateway import descriptors
from gateway.routes import RouteData, route_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from google.protobuf.descriptor import MethodDescriptor

    from deploy.openapi.schemas import Schema
    from gateway.routes import Binding

PATH = ROOT / "gateway" / "site" / "openapi.json"
_DATA = Path(__file__).parent / "data"
_HOME = "#/components/schemas/"


def outputs() -> Iterator[tuple[Path, str]]:
    """The file that the document is in, with what it is to say."""
    yield PATH, json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


def document() -> Schema:
    """The document, as the protos have it now.

    Raises:
        ValueError: The protos have what cannot be said in it; the message names it.
    """
    contract = Contract.read(read("comments"))
    info, headers, data = read("info"), read("headers"), read("operations")
    schemas = Schemas(contract, home=_HOME)
    failures = errors.Answers(contract, schemas)
    operations = Operations(
        contract,
        schemas=schemas,
        failures=failures,
        headers=headers["requests"],
        data=data,
        schemes=info["security"],
    )
    paths: dict[str, Schema] = {}
    for binding in bindings(contract, data["services"]):
        paths.setdefault(path_of(binding), {})[binding.verb.lower()] = operations.operation(binding)
    hooks = webhooks.webhooks(event_types.bodies(contract, schemas))
    gathered = {**schemas.gathered, **operations.bodies, "Error": failures.error}
    return {
        "openapi": "3.1.0",
        "info": _info(info),
        "servers": [{"url": "/", "description": "Where this document was read."}],
        "externalDocs": info["externalDocs"],
        "tags": [*_tags(contract, data["services"]), webhooks.TAG],
        "security": [{scheme: []} for scheme in info["security"]],
        "paths": paths,
        "webhooks": hooks,
        "components": {
            "schemas": dict(sorted(gathered.items())),
            "responses": dict(sorted(failures.responses.items())),
            "parameters": {name: {"name": name, "in": "header", **said} for name, said in headers["requests"].items()},
            "examples": dict(sorted(failures.examples.items())),
            "headers": headers["answers"],
            "securitySchemes": info["security"],
        },
    }


def bindings(contract: Contract, services: Sequence[str]) -> list[Binding]:
    """Every public binding, by its service in the order of these, and then as the protos have them.

    Raises:
        ValueError: A service that is public is not among these, or one of these is not.
    """
    data = RouteData.load()
    table = route_table(data, frozenset(data.packages.values()), list(contract.services))
    by_rpc: dict[str, list[Binding]] = {}
    for binding in table.bindings:
        by_rpc.setdefault(binding.rpc, []).append(binding)
    if missing := set(services) ^ set(table.services):
        raise ValueError(f"data/operations.yaml and the public services differ by {', '.join(sorted(missing))}")
    known = {service.full_name: service for service in contract.services}
    found: list[Binding] = []
    for service in services:
        for method in known[service].methods:
            places = {rule: place for place, rule in enumerate(_rules(method, data))}
            found += sorted(by_rpc.get(method.full_name, ()), key=lambda each: places[each.verb, each.template.text])
    return found


def _rules(method: MethodDescriptor, data: RouteData) -> Iterator[tuple[str, str]]:
    """The verb and path of each HTTP rule of an RPC, in the order in which they are written."""
    rule = descriptors.rule_of(method, data.rules)
    for each in (rule, *rule.additional_bindings):
        if pattern := each.WhichOneof("pattern"):
            yield pattern.upper(), getattr(each, pattern)


def read(name: str) -> Any:
    """What a file of `data` says."""
    return yaml.safe_load((_DATA / f"{name}.yaml").read_text(encoding="utf-8"))


def _info(info: Mapping[str, Any]) -> Schema:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return {
        "title": info["title"],
        "summary": project["description"],
        "description": info["description"],
        "version": project["version"],
        "license": {"name": project["license"], "identifier": project["license"]},
    }


def _tags(contract: Contract, services: Sequence[str]) -> Iterator[Schema]:
    for service in services:
        yield {"name": service.rpartition(".")[2], "description": contract.comment(service)}
