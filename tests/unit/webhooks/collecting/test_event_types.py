"""The catalogue of event types: its examples are what its schemas say, and what the protos do."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema_rs
import pytest
import yaml
from google.protobuf import json_format, symbol_database

from deploy import event_types as follows
from services.webhooks.collecting.event_types.catalogue import BATCH, DATA, EventTypes

if TYPE_CHECKING:
    from google.protobuf.message import Message

TYPES = EventTypes.shipped()
EVERY_TYPE = pytest.mark.parametrize("name", TYPES.names())


def message_of(name: str) -> Message:
    """An empty message of what a type's `data` is."""
    written = yaml.safe_load((DATA / f"{name}.yaml").read_text(encoding="utf-8"))
    for module in ("penstock.events.v1.notices_pb2", "penstock.jobs.v1.batches_pb2"):
        importlib.import_module(module)
    descriptor = symbol_database.Default().pool.FindMessageTypeByName(written["message"])
    return symbol_database.Default().GetMessages([descriptor.file.name])[written["message"]]()


def faults(schema: Any, body: Any) -> list[str]:
    validator = jsonschema_rs.Draft202012Validator(schema, validate_formats=True, offline=True)
    return [error.message for error in validator.iter_errors(body)]


@EVERY_TYPE
def test_an_example_is_as_its_schema_says(name: str) -> None:
    assert faults(TYPES.schema(name), TYPES.example(name)) == []
    assert TYPES.example(name)["type"] == TYPES.schema(name)["title"] == name


@EVERY_TYPE
def test_an_example_is_what_the_contract_makes_of_it(name: str) -> None:
    data = TYPES.example(name)["data"]
    message = json_format.ParseDict(data, message_of(name))
    assert json_format.MessageToDict(message) == data


@EVERY_TYPE
def test_a_schema_refuses_what_is_another_type_or_lacks_what_is_always_there(name: str) -> None:
    example = TYPES.example(name)
    assert jsonschema_rs.meta.is_valid(TYPES.schema(name))
    assert faults(TYPES.schema(name), {**example, "type": "job.unknown"})
    for field in TYPES.schema(name)["properties"]["data"]["required"]:
        without = {key: value for key, value in example["data"].items() if key != field}
        assert faults(TYPES.schema(name), {**example, "data": without}), field


def test_a_body_of_several_events_is_beside_the_types_and_holds_such_events() -> None:
    assert BATCH not in TYPES.names()
    assert not TYPES.known(BATCH)
    assert faults(TYPES.batch.schema, TYPES.batch.example) == []
    for event in TYPES.batch.example["data"]["events"]:
        assert faults(TYPES.schema(event["type"]), event) == []


def test_schemas_and_the_page_are_what_follows_from_the_protos_and_the_data() -> None:
    outputs = dict(follows.outputs())
    assert {path: path.read_text(encoding="utf-8") for path in outputs} == outputs
    assert set(DATA.glob("*.json")) == {path for path in outputs if path.parent == DATA}


def test_the_page_shows_each_type_and_its_example() -> None:
    page = follows.PAGE.read_text(encoding="utf-8")
    for each in (*TYPES.types(), TYPES.batch):
        section = page.split(f"\n## {each.name}\n")[1].split("\n## ")[0]
        assert each.description in section
        assert json.loads(section.split("```json")[1].split("```")[0]) == each.example


def test_fields_are_described_as_the_protos_do() -> None:
    schema = TYPES.schema("endpoint.disabled")
    assert schema["$defs"]["EndpointDisabled"]["properties"]["url"]["description"] == (
        "Its scheme, host and port; the rest of it may be a secret."
    )
    assert schema["$defs"]["EndpointDisabled"]["properties"]["revision"]["type"] == "string"


@pytest.mark.parametrize("pattern", ["job.succeeded", "job.*", "connection.*", "endpoint.disabled"])
def test_a_filter_may_name_types_and_what_they_begin_with(pattern: str) -> None:
    assert TYPES.known(pattern)


@pytest.mark.parametrize("pattern", ["", "*", ".*", "job", "job.", "job*", "jobs.*", "job.succeeded.*", "JOB.*"])
def test_what_stands_for_no_type_is_not_known(pattern: str) -> None:
    assert not TYPES.known(pattern)


def test_they_are_listed_in_the_order_of_their_names() -> None:
    assert list(TYPES.names()) == sorted(TYPES.names()) == [each.name for each in TYPES.types()]
    assert len(TYPES.names()) == len({Path(name) for name in TYPES.names()}) == 12


def test_a_sample_is_the_example_as_it_is_sent() -> None:
    assert json.loads(TYPES.sample("job.failed")) == TYPES.example("job.failed")
    assert b": " not in TYPES.sample("connection.deleted")


def test_an_unknown_type_has_neither() -> None:
    for ask in (TYPES.example, TYPES.schema, TYPES.sample):
        with pytest.raises(KeyError):
            ask("job.unknown")
