"""Words for what a schema finds, where the catalogue's own schemas do not come by."""

from __future__ import annotations

from typing import Any

import pytest

from services.intake.params import MAX_FAULTS, ParamsSchema
from shared.formats import formats
from tests.fakes.intake_requests import GUARD


def faults(schema: dict[str, Any], params: dict[str, Any]) -> dict[str, str]:
    judged = ParamsSchema(schema, formats=formats(GUARD)).faults(params)
    return {fault.field: fault.description for fault in judged}


def of_a(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": {"a": schema}}


@pytest.mark.parametrize(
    ("schema", "value", "found"),
    [
        ({"oneOf": [{"type": "number"}, {"minimum": 2}]}, 3, {"params.a": "has several of the forms"}),
        ({"oneOf": [{"type": "string"}, {"type": "null"}]}, 3, {"params.a": "is 3; it must be"}),
        ({"anyOf": [{"required": ["b", "c"]}, {"required": ["d"]}]}, {}, {"params.a.d": "is missing"}),
        ({"contains": {"type": "null"}}, [1], {"params.a": "does not satisfy contains of the method's schema"}),
        ({"not": {"type": "number"}}, 3, {"params.a": "does not satisfy not of the method's schema"}),
        ({"format": "date-time", "type": "string"}, "x", {"params.a": 'is "x"; it must be a well-formed date-time'}),
        ({"properties": {}, "additionalProperties": False}, {"b": 1}, {"params.a.b": "leave it out, or mend"}),
        (
            {"items": {"properties": {"b": {}}, "unevaluatedProperties": False}},
            [{"c": 1}],
            {"params.a[0].c": "not known"},
        ),
        ({"type": ["string", "null"]}, 3, {"params.a": "it must be null or a text"}),
        ({"const": {"b": 1}}, {"b": 2}, {"params.a": "is an object; it must be"}),
        ({"enum": [1]}, [1], {"params.a": "is a list; it must be one of 1"}),
    ],
)
def test_a_fault_is_told_in_words(schema: dict[str, Any], value: Any, found: dict[str, str]) -> None:
    told = faults(of_a(schema), {"a": value})
    assert told.keys() == found.keys()
    for path, description in found.items():
        assert description in told[path]


@pytest.mark.parametrize("name", ["apiKey", "access_token", "X-Signature", "password"])
def test_what_a_name_calls_secret_is_not_shown(name: str) -> None:
    schema = {"type": "object", "additionalProperties": {"type": "number"}}
    told = faults(schema, {name: "hunter2"})
    assert told == {f"params.{name}": "is of another kind; it must be a number"}


def test_not_more_faults_are_looked_for_than_anyone_reads() -> None:
    schema = {"type": "object", "additionalProperties": {"type": "number"}}
    assert len(faults(schema, {f"name {n}": "x" for n in range(5000)})) == MAX_FAULTS
    strict = {"type": "object", "additionalProperties": False}
    assert len(faults(strict, {f"name {n}": "x" for n in range(5000)})) == MAX_FAULTS


def test_names_are_shown_without_control_characters() -> None:
    told = faults({"type": "object", "additionalProperties": False}, {"a\nb\x00": 1})
    assert list(told) == ["params.a�b�"]
