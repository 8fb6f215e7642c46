"""The route table: what the protos' HTTP rules become."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from google.api import annotations_pb2, http_pb2
from google.protobuf import descriptor_pb2, descriptor_pool

from gateway import descriptors
from gateway.routes import Page, RouteData, Template, route_table

if TYPE_CHECKING:
    from google.protobuf.descriptor import ServiceDescriptor

_DATA = RouteData(packages={"test.v1": "test"}, waiting=["test.v1.Things.Get"])


def _service(*rules: http_pb2.HttpRule | None) -> ServiceDescriptor:
    """A service with one RPC a rule: Get, Get1, Get2 ..."""
    file = descriptor_pb2.FileDescriptorProto(name="test.proto", package="test.v1", syntax="proto3")
    file.message_type.add(name="Request").field.add(name="id", number=1, type="TYPE_STRING", label="LABEL_OPTIONAL")
    service = file.service.add(name="Things")
    for index, rule in enumerate(rules):
        method = service.method.add(
            name=f"Get{index or ''}", input_type=".test.v1.Request", output_type=".test.v1.Request"
        )
        if rule is not None:
            method.options.Extensions[annotations_pb2.http].CopyFrom(rule)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool.FindServiceByName("test.v1.Things")


@pytest.mark.parametrize(
    ("text", "matches", "not_matches"),
    [
        ("/a/{id}", ["/a/1", "/a/x:y", "/a/%2F"], ["/a", "/a/", "/a/1/2", "/b/1", "/x/a/1"]),
        ("/a/{id}:do", ["/a/1:do", "/a/x:y:do"], ["/a/1", "/a/:do", "/a/1:done", "/a/1%3Ado"]),
        ("/a/{x}/b/{y=*}", ["/a/1/b/2"], ["/a/1/c/2", "/a/1/b/", "/a//b/2"]),
        ("/a.b", ["/a.b"], ["/axb"]),
        ("/a/{name=things/*}", ["/a/things/1", "/a/things/x:y"], ["/a/things", "/a/others/1", "/a/things/1/2"]),
        ("/a/{name=things/*}:do", ["/a/things/1:do"], ["/a/things/1", "/a/1:do"]),
        ("/a/{name=things}", ["/a/things"], ["/a/1", "/a/things/1"]),
    ],
)
def test_a_template_matches_its_paths_and_no_others(text: str, matches: list[str], not_matches: list[str]) -> None:
    regex = Template.parse(text).regex
    assert [path for path in matches if not re.fullmatch(regex, path)] == []
    assert [path for path in not_matches if re.fullmatch(regex, path)] == []


@pytest.mark.parametrize("text", ["/a/{name=shelves/**}", "/a/{name=}", "/a/**", "/a/{x", "/a//b", "/a/", ""])
def test_a_template_that_cannot_be_routed_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="cannot route"):
        Template.parse(text)


def test_variables_are_known_by_the_place_of_their_segment() -> None:
    assert Template.parse("/api/{version}/jobs/{job_id}:wait").variables == {"version": 2, "job_id": 4}
    several = Template.parse("/api/{name=things/*}/{x}")
    assert (several.variables, several.fields) == ({"name": 2, "x": 4}, ("", "name", "name", "x"))


def test_paths_are_tried_from_the_most_particular() -> None:
    texts = ["/{x}/jobs/{y}", "/{x}/jobs/history", "/a/{y}", "/a/b", "/a/{y}:do", "/a/b:do"]
    ordered = sorted(map(Template.parse, texts), key=lambda template: template.order)
    tried = {
        text: next(t.text for t in ordered if re.fullmatch(t.regex, text)) for text in ["/a/b", "/a/b:do", "/a/c:do"]
    }
    assert tried == {"/a/b": "/a/b", "/a/b:do": "/a/b:do", "/a/c:do": "/a/{y}:do"}
    assert next(t.text for t in ordered if re.fullmatch(t.regex, "/u/jobs/history")) == "/{x}/jobs/history"


def test_every_rule_of_an_rpc_becomes_a_binding() -> None:
    rule = http_pb2.HttpRule(post="/a/{id}", body="*", additional_bindings=[http_pb2.HttpRule(get="/b/{id}")])
    table = route_table(_DATA, {"test"}, [_service(rule, http_pb2.HttpRule(delete="/a/{id}"))])
    assert [(binding.verb, binding.template.text, binding.body, binding.rpc) for binding in table.bindings] == [
        ("POST", "/a/{id}", "*", "test.v1.Things.Get"),
        ("DELETE", "/a/{id}", "", "test.v1.Things.Get1"),
        ("GET", "/b/{id}", "", "test.v1.Things.Get"),
    ]
    assert [binding.waits for binding in table.bindings] == [True, False, True]
    assert {binding.cluster for binding in table.bindings} == {"test"}


def test_a_body_may_be_the_one_field_that_the_path_does_not_hold() -> None:
    data = RouteData.load()
    bindings = route_table(data, set(data.packages.values())).bindings
    (binding,) = [each for each in bindings if each.rpc.endswith(".SetQueueSettings")]
    assert (binding.verb, binding.body) == ("PUT", "settings")
    assert binding.body_message == "penstock.scheduler.v1.QueueSettings"


def test_an_rpc_without_a_rule_is_not_public() -> None:
    table = route_table(_DATA, {"test"}, [_service(http_pb2.HttpRule(get="/a"), None)])
    assert {name: [binding.rpc for binding in rpcs] for name, rpcs in table.services.items()} == {
        "test.v1.Things": ["test.v1.Things.Get"]
    }


def test_an_rpc_that_streams_is_known_with_or_without_a_rule() -> None:
    data = RouteData(packages={"test.v1": "test"}, waiting=[], streaming=["test.v1.Things.Get", "test.v1.Things.Get1"])
    services = [_service(http_pb2.HttpRule(get="/a"), None, http_pb2.HttpRule(get="/b"))]
    table = route_table(data, {"test"}, services)
    assert table.streams == {"test.v1.Things.Get": "test", "test.v1.Things.Get1": "test"}
    assert [binding.streams for binding in table.bindings] == [True, False]
    assert route_table(data, set(), services).streams == {}


def test_what_a_service_that_does_not_run_would_answer_is_left_out() -> None:
    table = route_table(_DATA, set(), [_service(http_pb2.HttpRule(get="/a"))])
    assert (list(table.bindings), table.services) == ([], {})


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ([http_pb2.HttpRule(get="/a"), http_pb2.HttpRule(get="/a")], "both claim GET /a"),
        ([http_pb2.HttpRule(post="/a", body="id")], "does not route"),
        ([http_pb2.HttpRule(post="/a/{id}", body="more")], "does not route"),
        ([http_pb2.HttpRule(custom=http_pb2.CustomHttpPattern(kind="X", path="/a"))], "does not route"),
    ],
)
def test_rules_that_cannot_be_kept_are_refused(rules: list[http_pb2.HttpRule], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        route_table(_DATA, {"test"}, [_service(*rules)])


def test_a_public_package_without_a_cluster_is_refused() -> None:
    with pytest.raises(ValueError, match="names no cluster"):
        route_table(RouteData(packages={}, waiting=[]), {"test"}, [_service(http_pb2.HttpRule(get="/a"))])


def test_the_contract_can_be_routed_and_its_internal_services_are_not() -> None:
    data = RouteData.load()
    table = route_table(data, set(data.packages.values()))
    assert "penstock.jobs.v1.JobService" in table.services
    assert "penstock.scheduler.v1.QueueService" in table.services
    assert "penstock.scheduler.v1.SchedulerService" not in table.services
    known = {method.full_name for service in descriptors.services() for method in service.methods}
    assert {*data.waiting, *data.streaming} <= known
    assert {page.path for page in table.pages} >= {"/healthz", "/readyz"}


@pytest.mark.parametrize("page", [{}, {"path": "/a", "prefix": "/a/"}, {"prefix": "/a"}])
def test_a_page_has_one_path_or_a_prefix_of_whole_segments(page: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="either a path or a prefix"):
        Page(**page)


def test_the_descriptor_set_has_every_file_after_its_imports() -> None:
    seen: set[str] = set()
    for file in descriptors.descriptor_set({}).file:
        assert set(file.dependency) <= seen
        seen.add(file.name)
    assert {"google/rpc/error_details.proto", "penstock/jobs/v1/jobs.proto"} <= seen


def test_rules_of_the_data_take_the_place_of_those_of_protos_that_are_not_ours() -> None:
    data = RouteData.load()
    (bindings,) = [
        rpcs
        for service, rpcs in route_table(data, set(data.packages.values())).services.items()
        if service == "google.longrunning.Operations"
    ]
    assert {(each.verb, each.template.text, each.cluster) for each in bindings} == {
        ("GET", "/api/v1/{name=operations}", "history"),
        ("GET", "/api/v1/{name=operations/*}", "history"),
        ("DELETE", "/api/v1/{name=operations/*}", "history"),
        ("POST", "/api/v1/{name=operations/*}:cancel", "history"),
        ("GET", "/api/v1/{name=operations/*}:wait", "history"),
    }
    kept = {
        f"{file.package}.{service.name}.{method.name}": method.options.Extensions[annotations_pb2.http]
        for file in descriptors.descriptor_set(data.rules).file
        for service in file.service
        for method in service.method
    }
    assert kept["google.longrunning.Operations.WaitOperation"].get == "/api/v1/{name=operations/*}:wait"
    assert not [name for name, rule in kept.items() if "/v1/" in str(rule) and "/api/v1/" not in str(rule)]
    known = {method.full_name for service in descriptors.services() for method in service.methods}
    assert data.rules.keys() <= known
