"""The document: valid, and of what is public, and nothing else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from deploy.openapi.document import PATH
from deploy.openapi.parameters import path_of
from gateway.routes import RouteData, route_table
from services.webhooks.collecting.event_types.catalogue import BATCH, EventTypes

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def document() -> Any:
    return json.loads(PATH.read_text(encoding="utf-8"))


def _operations(document: Any) -> Iterator[tuple[str, str, Any]]:
    for path, item in document["paths"].items():
        for verb, operation in item.items():
            yield verb.upper(), path, operation


@pytest.mark.usefixtures("uncounted")  # the validator makes millions of calls
def test_it_is_valid_openapi(document: Any) -> None:
    assert document["openapi"] == "3.1.0"
    assert [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()] == []


def test_each_public_binding_is_in_it_and_nothing_else(document: Any) -> None:
    data = RouteData.load()
    routed = {
        (binding.verb, path_of(binding)): binding.rpc.rsplit(".", 2)[1:]
        for binding in route_table(data, frozenset(data.packages.values())).bindings
    }
    told = {(verb, path): operation["operationId"].split("_")[:2] for verb, path, operation in _operations(document)}
    assert told == routed


def test_no_two_operations_have_one_name(document: Any) -> None:
    names = [operation["operationId"] for _, _, operation in _operations(document)]
    assert len(names) == len(set(names))


def test_everything_that_a_reader_meets_is_described(document: Any) -> None:
    components = document["components"]
    silent = [
        f"{name}.{field}"
        for name, schema in components["schemas"].items()
        for field, said in schema.get("properties", {}).items()
        if not said.get("description")
    ]
    for verb, path, operation in _operations(document):
        silent += [f"{verb} {path}" for part in ("summary", "description") if not operation[part]]
        silent += [
            f"{verb} {path} {parameter['name']}"
            for parameter in operation["parameters"]
            if "$ref" not in parameter and not parameter["description"]
        ]
    silent += [tag["name"] for tag in document["tags"] if not tag["description"]]
    assert silent == []


def test_errors_are_those_of_the_rpc_and_those_that_any_call_may_get(document: Any) -> None:
    responses = document["paths"]["/api/v1/jobs/{job_id}:cancel"]["post"]["responses"]
    assert set(responses) == {"200", "400", "401", "403", "404", "413", "415", "429", "500", "503", "504"}
    assert _reasons(document, responses["404"]) == {"JOB_NOT_FOUND", "ROUTE_NOT_FOUND"}
    assert {"JOB_RUNNING", "JOB_FINISHED", "INVALID_ARGUMENT"} <= _reasons(document, responses["400"])
    assert _reasons(document, responses["401"]) == {"UNAUTHENTICATED"}


def test_what_is_deprecated_says_so(document: Any) -> None:
    deprecated = {path for _, path, operation in _operations(document) if operation.get("deprecated")}
    assert "/api/v1/jobs/{job_id}/cancel" in deprecated
    assert "/api/v1/jobs/{job_id}:cancel" not in deprecated
    token_id = document["components"]["schemas"]["SubmitJobRequest"]["properties"]["tokenId"]
    assert token_id["deprecated"] is True
    assert "use `connectionId`" in token_id["description"]
    assert "Deprecation" in document["paths"]["/api/v1/jobs/{job_id}/cancel"]["post"]["responses"]["200"]["headers"]


def test_a_body_has_no_field_that_the_path_says(document: Any) -> None:
    body = document["paths"]["/api/v1/{upstream}/jobs"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    schema = document["components"]["schemas"][body["$ref"].rpartition("/")[2]]
    assert "upstream" not in schema["properties"]
    assert schema["required"] == ["method"]
    assert schema["additionalProperties"] is False


def test_who_may_call_is_told(document: Any) -> None:
    assert document["paths"]["/api/v1/connections/callback"]["get"]["security"] == []
    assert document["paths"]["/api/v1/jobs"]["post"]["security"] == [
        {"bearer": ["jobs:write"]},
        {"apiKey": ["jobs:write"]},
        {"signature": ["jobs:write"]},
    ]


def test_each_event_type_is_a_webhook(document: Any) -> None:
    assert set(document["webhooks"]) == {*EventTypes.shipped().names(), BATCH}


def _reasons(document: Any, response: Any) -> set[str]:
    if "$ref" in response:
        response = document["components"]["responses"][response["$ref"].rpartition("/")[2]]
    return set(response["content"]["application/json"]["examples"])
