"""What protos mark as deprecated, and which marks nobody could follow."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from google.api import annotations_pb2, http_pb2
from google.protobuf import descriptor_pb2, descriptor_pool, json_format
from penstock.api.v1 import deprecation_pb2

from gateway import deprecation, descriptors
from gateway.deprecation import Deprecation
from gateway.routes import RouteData, route_table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from google.protobuf.descriptor import ServiceDescriptor

_DATA = RouteData(packages={"test.v1": "test"}, waiting=[])
_SINCE = datetime(2026, 11, 27, tzinfo=UTC)
_PATHS = ("/a/{id}/stop", "/a/{id}:stop", "/b/{x}:stop")
_INSTEAD = {"since": "2026-11-27", "instead": "/a/{id}:stop"}


def _service(*, method: Mapping[str, Any] | None = None, field: Mapping[str, Any] | None = None) -> ServiceDescriptor:
    """A service with one RPC at `_PATHS`; its request has the fields `id`, `x` and `old`, whose options are `field`."""
    file = descriptor_pb2.FileDescriptorProto(name="test.proto", package="test.v1", syntax="proto3")
    message = file.message_type.add(name="Request")
    for number, name in enumerate(("id", "x", "old"), 1):
        message.field.add(name=name, number=number, type="TYPE_STRING", label="LABEL_OPTIONAL")
    json_format.ParseDict(dict(field or {}), message.field[2].options)
    rpc = file.service.add(name="Things").method.add(
        name="Stop", input_type=".test.v1.Request", output_type=".test.v1.Request"
    )
    json_format.ParseDict(dict(method or {}), rpc.options)
    rules = [http_pb2.HttpRule(post=path, body="*") for path in _PATHS]
    rules[0].additional_bindings.extend(rules[1:])
    rpc.options.Extensions[annotations_pb2.http].CopyFrom(rules[0])
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool.FindServiceByName("test.v1.Things")


def _rpc(**mark: str) -> dict[str, Any]:
    return {"deprecated": True, "[penstock.api.v1.rpc_deprecation]": mark}


def _path(path: str = "/a/{id}/stop", **mark: str) -> dict[str, Any]:
    return {"[penstock.api.v1.deprecated_paths]": [{"path": path, "deprecation": {**_INSTEAD, **mark}}]}


def _field(**mark: str) -> dict[str, Any]:
    return {"deprecated": True, "[penstock.api.v1.field_deprecation]": {"since": "2026-11-27", **mark}}


def test_an_rpc_is_deprecated_at_all_its_paths() -> None:
    mark = _rpc(since="2026-11-27", sunset="2027-11-27", instead="test.v1.Things.Halt")
    table = route_table(_DATA, {"test"}, [_service(method=mark)])
    expected = Deprecation(since=_SINCE, sunset=datetime(2027, 11, 27, tzinfo=UTC), instead="test.v1.Things.Halt")
    assert table.deprecated == {"test.v1.Things.Stop": expected}
    assert [binding.deprecation for binding in table.bindings] == [expected] * 3


def test_a_path_is_deprecated_by_itself() -> None:
    table = route_table(_DATA, {"test"}, [_service(method=_path())])
    assert table.deprecated == {}
    assert {each.template.text: each.deprecation for each in table.bindings if each.deprecation} == {
        "/a/{id}/stop": Deprecation(since=_SINCE, sunset=None, instead="/a/{id}:stop")
    }


@pytest.mark.parametrize(
    ("marks", "words"),
    [
        ({"deprecated": True}, "give it both"),
        ({"[penstock.api.v1.rpc_deprecation]": {"since": "2026-11-27", "instead": "x"}}, "give it both"),
        (_rpc(since="today", instead="x"), "give a day such as"),
        (_rpc(since="", instead="x"), "give a day such as"),
        (_rpc(since="2026-11-27", sunset="2026-11-27", instead="x"), "is not after"),
        (_rpc(since="2026-11-27"), "does not say what to use instead"),
        (_path("/a/{id}"), "none of its paths"),
        (_path(instead="/c/{id}"), "no path to go on with"),
        (_path(instead="/a/{id}/stop"), "no path to go on with"),
        (_path(instead="/b/{x}:stop"), "lacks a variable"),
    ],
)
def test_a_mark_that_nobody_could_follow_is_refused(marks: Mapping[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        route_table(_DATA, {"test"}, [_service(method=marks)])


def test_a_field_has_another_one_of_its_message_in_its_place() -> None:
    def of(options: Mapping[str, Any]) -> Deprecation | None:
        (rpc,) = _service(field=options).methods
        return deprecation.of_field(rpc.input_type.fields_by_name["old"])

    assert of(_field(instead="id")) == Deprecation(since=_SINCE, sunset=None, instead="id")
    assert of({}) is None
    for options, words in (
        ({"deprecated": True}, "give it both"),
        (_field(instead="new"), "no field beside it"),
        (_field(instead=""), "does not say"),
    ):
        with pytest.raises(ValueError, match=words):
            of(options)


def test_the_descriptor_set_knows_the_marks() -> None:
    files = {file.name: file for file in descriptors.descriptor_set({}).file}
    extensions = {extension.name for extension in files["penstock/api/v1/deprecation.proto"].extension}
    assert extensions == {"field_deprecation", "rpc_deprecation", "deprecated_paths"}
    kept = {
        message.name: field.options.Extensions[deprecation_pb2.field_deprecation].instead
        for file in files.values()
        for message in file.message_type
        for field in message.field
        if field.name == "token_id"
    }
    assert kept == dict.fromkeys(
        ("SubmitJobRequest", "ListJobsRequest", "ExportJobsRequest", "JobFilter", "InvalidateCacheRequest"),
        "connection_id",
    )
