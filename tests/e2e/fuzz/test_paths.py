"""Whatever stands in the path, the query or the body of a request for something that is there: never a 5xx."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st
from penstock.jobs.v1 import jobs_pb2

from gateway import descriptors
from gateway.routes import Binding, RouteData, route_table
from shared import ids
from tests.e2e.fuzz.leaves import Leaf, leaves
from tests.e2e.fuzz.line import REFUSALS, Line, fuzzed, is_json
from tests.e2e.fuzz.values import IN_URLS, values, written

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor

    from tests.e2e.mesh import Mesh

#: RPCs that read or change one job, and those that list; what changes keys or queues is left alone.
SERVICES = (
    *("penstock.jobs.v1.JobService", "penstock.jobs.v1.UploadService"),
    *("penstock.history.v1.HistoryService", "penstock.upstream.v1.UpstreamService"),
)
#: What such a request may be refused as, beside a wrong field.
OTHER_REASONS = {
    *("ROUTE_NOT_FOUND", "METHOD_NOT_ALLOWED", "BAD_REQUEST", "UNSUPPORTED_MEDIA_TYPE"),
    *("JOB_NOT_FOUND", "JOB_FINISHED", "BATCH_NOT_FOUND", "RESULT_NOT_FOUND", "UPSTREAM_NOT_FOUND", "UPLOAD_NOT_FOUND"),
}


def bindings() -> list[Binding]:
    """Every path of those services with its verb, but for submits."""
    data = RouteData.load()
    found = route_table(data, clusters=set(data.packages.values())).bindings
    return [binding for binding in found if binding.rpc.rpartition(".")[0] in SERVICES and not is_making(binding)]


def is_making(binding: Binding) -> bool:
    """Whether it makes something new: `test_fields` has those."""
    return binding.verb == "POST" and not binding.template.action and "/cancel" not in binding.template.text


def message_of(binding: Binding) -> Descriptor:
    """The request's message."""
    return descriptors.files()[0].pool.FindMessageTypeByName(binding.message)


@pytest.fixture(scope="module")
def ended(line: Line, mesh: Mesh) -> str:
    """A job that has ended, so that nothing waits for it."""
    body = {"upstream": "http", "method": "http.get", "params": {"url": f"{mesh.far_end}/get"}}
    job = json_format.ParseDict(line.call("POST", "/api/v1/jobs", written(body)).json, jobs_pb2.Job())
    line.accepted(job, jobs_pb2.SubmitJobRequest())
    assert line.call("GET", f"/api/v1/jobs/{job.id}:wait?timeout=30s").json["state"] == "SUCCEEDED"
    return job.id


@pytest.mark.parametrize("binding", bindings(), ids=lambda binding: binding.name.partition(" ")[2])
def test_a_path_its_query_and_its_body(line: Line, ended: str, binding: Binding) -> None:
    good = {"job_id": ended, "upstream": "http", "batch_id": ids.new_batch_id(), "upload_id": ids.new_upload_id()}
    places = binding.template.variables
    others = [leaf for leaf in leaves(message_of(binding)) if leaf.steps[0].name not in places]

    @fuzzed
    @given(data=st.data())
    def check(data: st.DataObject) -> None:
        path, query, body = binding.template.text, "", {}
        wrong = data.draw(st.sampled_from([*places, *others, "unheard"]))
        for name in places:
            path = path.replace(f"{{{name}}}", data.draw(IN_URLS) if name == wrong else good.get(name, "x"))
        if isinstance(wrong, Leaf) and binding.body:
            body = wrong.put({}, data.draw(values(wrong.field)))
        elif wrong not in places:
            query = f"?{getattr(wrong, 'path', wrong)}={data.draw(IN_URLS)}"
        sent = written(body) if binding.body else None
        told = (path[:2000], query[:2000], sent)
        answer = line.call(binding.verb, path + query, sent)
        if answer.status < 300:
            assert wrong != "unheard", told
            return
        assert answer.status < 500, (answer, told)
        assert answer.reason == REFUSALS.get(answer.status) or answer.reason in OTHER_REASONS, (answer, told)
        if answer.reason == "INVALID_ARGUMENT" and is_json(sent or b"{}"):
            assert answer.fields, (answer, told)

    check()
