"""One trace follows a job through Envoy, gRPC, JetStream and the upstream call."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING

from tests.e2e.api import Api
from tests.waiting import eventually

if TYPE_CHECKING:
    from tests.e2e.mesh import Mesh


async def test_one_trace_runs_from_the_caller_to_the_upstream(mesh: Mesh) -> None:
    trace_id, caller_span = secrets.token_hex(16), secrets.token_hex(8)
    api = Api(mesh.url, mesh.key)
    answer = api.call(
        "POST",
        "/api/v1/jobs",
        {"upstream": "http", "method": "http.get", "params": {"url": f"{mesh.far_end}/headers"}},
        headers={"traceparent": f"00-{trace_id}-{caller_span}-01"},
    )
    assert answer.json["traceId"] == trace_id
    ended = api.wait(answer.json["id"])

    headers = {name.lower(): value for name, value in json.loads(ended["result"]["inline"]["text"])["headers"].items()}
    assert headers["traceparent"].split("-")[1] == trace_id

    await eventually(
        lambda: (
            {"gateway", "intake", "scheduler", "upstream"} <= {span.service for span in mesh.collector.spans(trace_id)}
        ),
        what="spans of every service on the way",
    )

    def orphans() -> list[str]:
        spans = mesh.collector.spans(trace_id)
        known = {span.span_id for span in spans} | {caller_span}
        return [f"{span.service}: {span.name}" for span in spans if span.parent_id not in known]

    await eventually(lambda: not orphans(), what="every span's parent")  # each process sends its own in its own time
    spans = mesh.collector.spans(trace_id)
    calls = [span for span in spans if span.span_id == headers["traceparent"].split("-")[2]]
    assert [span.service for span in calls] == ["upstream"], "the upstream was told the span of the call"


async def test_a_caller_without_a_trace_is_given_one(mesh: Mesh) -> None:
    job = Api(mesh.url, mesh.key).submit("http.get", {"url": f"{mesh.far_end}/get"})
    assert len(job["traceId"]) == 32
    await eventually(lambda: mesh.collector.spans(job["traceId"]))
