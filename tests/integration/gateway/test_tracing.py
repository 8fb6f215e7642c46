"""Spans: the gateway's own, in the client's trace, before the service's."""

from __future__ import annotations

from concurrent import futures
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

from tests.integration.gateway import envoys
from tests.integration.gateway.conftest import settings_for
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.gateway.stand_ins import Services

_TRACE = "0af7651916cd43dd8448eb211c80319c"
_PARENT = "b7ad6b7169203331"


class _Collector(trace_service_pb2_grpc.TraceServiceServicer):
    def __init__(self) -> None:
        self.received: list[Any] = []

    def Export(self, request: Any, context: Any) -> Any:
        self.received.append(request)
        return trace_service_pb2.ExportTraceServiceResponse()

    def spans(self) -> list[tuple[str, Any]]:
        """Each with the name of its service."""
        return [
            (attribute.value.string_value, span)
            for request in self.received
            for resource in request.resource_spans
            for attribute in resource.resource.attributes
            if attribute.key == "service.name"
            for scope in resource.scope_spans
            for span in scope.spans
        ]


@pytest.fixture
def collector() -> Iterator[tuple[_Collector, str]]:
    servicer = _Collector()
    server = grpc.server(futures.ThreadPoolExecutor(1))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield servicer, f"127.0.0.1:{port}"
    server.stop(None).wait(5)


async def test_the_gateways_span_stands_between_client_and_service(
    collector: tuple[_Collector, str], all_services: Services, services: Services, tmp_path: Path
) -> None:
    servicer, address = collector
    with envoys.running(settings_for(all_services.address, otlp_address=address), tmp_path) as envoy:
        traceparent = f"00-{_TRACE}-{_PARENT}-01"
        assert envoy.call("GET", "/api/v1/jobs/j-1", headers={"traceparent": traceparent}).status == 200
        assert envoy.call("GET", "/api/v1/jobs/j-1").status == 200
        handed_on, fresh = (received.metadata["traceparent"].split("-") for received in services.received)
        assert handed_on[1] == _TRACE
        assert fresh[1] != _TRACE

        def ours() -> Any:
            spans = [(name, span) for name, span in servicer.spans() if span.trace_id.hex() == _TRACE]
            return next((pair for pair in spans if pair[1].parent_span_id.hex() == _PARENT), None)

        name, span = await eventually(ours, what="the span")
        assert name == "gateway"
        assert span.span_id.hex() == handed_on[2]
