"""Schemas of messages: as proto3 JSON writes them, and a loud end where there is no such form."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from deploy.openapi.schemas import Schemas
from tests.unit.deploy.openapi import protos

if TYPE_CHECKING:
    from pathlib import Path


def test_a_message_is_as_json_writes_it(tmp_path: Path) -> None:
    contract = protos.contract(
        tmp_path,
        """
        // Thing is a thing; `made_at` says since when.
        message Thing {
          // Color is how it looks.
          enum Color {
            COLOR_UNSPECIFIED = 0;
            // As blood.
            RED = 1;
            GREEN = 2;
          }
          // What it is called.
          string name = 1 [(google.api.field_behavior) = REQUIRED];
          int64 size = 2 [(google.api.field_behavior) = OUTPUT_ONLY];
          google.protobuf.Timestamp made_at = 3;
          google.protobuf.Duration age = 4;
          map<string, int32> counts = 5;
          repeated Color colors = 6;
          Thing inside = 7;
          optional bool kept = 8;
          oneof content {
            string text = 9;
            bytes data = 10;
          }
        }
        """,
    )
    schemas = Schemas(contract, home="#/$defs/")
    assert schemas.reference(contract.message("penstock.tried.v1.Thing")) == {"$ref": "#/$defs/Thing"}
    thing = schemas.gathered["Thing"]
    assert thing["description"] == "Thing is a thing; `madeAt` says since when."
    assert thing["required"] == ["name"]
    assert thing["allOf"] == [{"not": {"required": ["text", "data"]}}]
    properties = thing["properties"]
    assert properties["name"] == {"description": "What it is called.", "type": "string"}
    assert properties["size"]["type"] == "string"
    assert properties["size"]["readOnly"] is True
    assert properties["madeAt"] == {"type": "string", "format": "date-time"}
    assert properties["age"]["pattern"] == r"^-?\d+(\.\d+)?s$"
    assert properties["counts"]["additionalProperties"] == {"type": "integer", "format": "int32"}
    assert properties["colors"]["items"] == {"$ref": "#/$defs/Thing.Color"}
    assert properties["inside"]["$ref"] == "#/$defs/Thing"
    assert properties["kept"] == {"type": "boolean"}
    assert properties["data"] == {"type": "string", "contentEncoding": "base64"}
    color = schemas.gathered["Thing.Color"]
    assert color["enum"] == ["RED", "GREEN"]
    assert color["description"] == "Color is how it looks.\n\n- `RED`: As blood."


@pytest.mark.parametrize(
    "field",
    ["uint64 wrong = 1;", "float wrong = 1;", "google.api.HttpBody wrong = 1;", "map<string, sint32> wrong = 1;"],
)
def test_what_has_no_schema_ends_it_by_its_name(tmp_path: Path, field: str) -> None:
    contract = protos.contract(tmp_path, f"message Thing {{ {field} }}")
    with pytest.raises(ValueError, match=r"penstock\.tried\.v1\.Thing\.(wrong|WrongEntry\.value) is of a "):
        Schemas(contract, home="#/").reference(contract.message("penstock.tried.v1.Thing"))
