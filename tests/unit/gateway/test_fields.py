"""The field table that Lua checks bodies by."""

from __future__ import annotations

from typing import Any, cast

import pytest

from gateway import fields
from gateway.routes import RouteData, route_table


def _submit() -> dict[str, Any]:
    tables = fields.message_tables({"penstock.jobs.v1.SubmitJobRequest"})
    assert set(tables) == {"penstock.jobs.v1.SubmitJobRequest", "penstock.jobs.v1.RetryPolicy"}
    return cast("dict[str, Any]", tables["penstock.jobs.v1.SubmitJobRequest"])


def test_a_field_stands_under_both_of_its_names() -> None:
    submit = _submit()
    assert (
        submit["notBefore"]
        == submit["not_before"]
        == {
            "name": "notBefore",
            "kind": "timestamp",
            "message": "google.protobuf.Timestamp",
        }
    )


def test_each_kind_of_field_is_told() -> None:
    submit = _submit()
    assert submit["upstream"] == {"name": "upstream", "kind": "string"}
    assert submit["params"]["kind"] == "struct"
    assert submit["retry"] == {"name": "retry", "kind": "message", "message": "penstock.jobs.v1.RetryPolicy"}
    assert submit["metadata"] == {"name": "metadata", "map": True, "kind": "string"}
    assert submit["connectionId"]["oneof"] == submit["tokenId"]["oneof"] == "connection"


def test_an_enum_has_its_names_and_numbers() -> None:
    priority = _submit()["priority"]
    assert set(priority["values"]) == {"PRIORITY_UNSPECIFIED", "HIGH", "NORMAL", "LOW", "0", "1", "2", "3"}
    assert priority["names"] == "HIGH, NORMAL, LOW"


def test_a_repeated_field_is_told() -> None:
    table = cast("dict[str, Any]", fields.message_tables({"penstock.auth.v1.CreateKeyRequest"}))
    assert table["penstock.auth.v1.CreateKeyRequest"]["scopes"] == {
        "name": "scopes",
        "repeated": True,
        "kind": "string",
    }


def test_every_request_of_the_contract_can_be_checked() -> None:
    data = RouteData.load()
    table = route_table(data, set(data.packages.values()))
    fields.message_tables({binding.message for binding in table.bindings})


def test_a_message_that_cannot_be_checked_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot check"):
        fields.message_tables({"google.rpc.Status"})  # holds Any


def test_lua_is_written_as_lua_reads_it() -> None:
    assert fields.to_lua({"a": 'x"\\', 3: True, "n": 1, "t": {}}) == (
        '{["a"] = "x\\"\\\\", [3] = true, ["n"] = 1, ["t"] = {}}'
    )
    with pytest.raises(ValueError, match="plain"):
        fields.to_lua("line\nbreak")
