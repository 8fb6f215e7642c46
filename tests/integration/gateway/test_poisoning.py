"""A header that gRPC cannot read spoils no call but its own: the connections to services are shared by all clients.

gRPC keeps such a header in the connection's table of header fields, and fails every later request that names it
(grpc/grpc#34721): one client could have the calls of all others fail. API4:2023 of OWASP's list.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import pytest
from penstock.jobs.v1 import job_service_pb2_grpc, jobs_pb2

from tests import frames
from tests.frames import END_HEADERS, END_STREAM, HEADERS, Http2, frame
from tests.integration.gateway.stand_ins import GOOD_KEY

if TYPE_CHECKING:
    from tests.integration.gateway.envoys import Envoy
    from tests.integration.gateway.stand_ins import Services

_PATH = "/api/v1/jobs/j-1"
_RPC = "/penstock.jobs.v1.JobService/GetJob"
_KEY = ("authorization", f"Bearer {GOOD_KEY}")
#: More than the entries of a table that a spoilt one could hide behind.
_INNOCENT_CALLS = 12
UNREADABLE = [
    *(("grpc-timeout", each) for each in ("-1S", "1e9S", "S", "1", "1x", "999999999S", "1S, 9H", "", "\u00bdS", "1 S")),
    *(("grpc-encoding", each) for each in ("bogus", "gzip, gzip", "", "GZIP")),
    *(("grpc-accept-encoding", each) for each in ("bogus", "")),
    *((name, "$$$") for name in ("x-bin", "grpc-trace-bin", "grpc-tags-bin", "grpc-server-stats-bin", "lb-cost-bin")),
    *((name, "x") for name in ("grpc-status", "grpc-previous-rpc-attempts", "grpc-retry-pushback-ms", "lb-token")),
    *(("grpc-internal-encoding-request", "x"), ("grpc-message", "%zz"), ("grpclb_client_stats", "$")),
    *((name, "x") for name in ("x!y", "x+", "$", "x|y")),
    *(("x-bin", "a"), ("traceparent", "x"), ("tracestate", "\u00ff"), ("user-agent", ""), ("te", "bogus")),
]


def innocent(envoy: Envoy, name: str) -> list[object]:
    """What others get who send the same headers as they ought to be, or none of them."""
    good = {"x-bin": b"a", "grpc-trace-bin": b"a", "grpc-previous-rpc-attempts": "1", "traceparent": "00-" + "1" * 32}
    metadata = [_KEY, *([(name, good[name])] if name in good else [])]
    seen: list[object] = []
    with grpc.insecure_channel(envoy.settings.address) as channel:
        get = job_service_pb2_grpc.JobServiceStub(channel).GetJob
        for number in range(_INNOCENT_CALLS):
            compression = grpc.Compression.Gzip if number % 2 else grpc.Compression.NoCompression
            try:
                get(jobs_pb2.GetJobRequest(job_id="j-1"), metadata=metadata, timeout=20, compression=compression)
                seen.append(200)
            except grpc.RpcError as failure:
                seen.append(failure)
    return seen + [envoy.call("GET", _PATH).status for _ in range(_INNOCENT_CALLS)]


@pytest.mark.parametrize(("name", "value"), UNREADABLE)
def test_a_header_that_grpc_cannot_read_spoils_no_other_call(
    envoy: Envoy, services: Services, name: str, value: str
) -> None:
    assert envoy.call("GET", _PATH, headers={name: value.encode("latin-1").decode("latin-1")}).status == 200
    assert innocent(envoy, name) == [200] * (2 * _INNOCENT_CALLS)
    more = [("content-type", "application/grpc"), *([] if name == "te" else [("te", "trailers")])]
    block = frames.request(_RPC, _KEY, *more, (name, value.encode("latin-1")), method="POST")
    with Http2(envoy.settings.address) as connection:
        connection.send(frame(HEADERS, END_HEADERS, 1, block), frame(frames.DATA, END_STREAM, 1, bytes(5)))
        assert any(each.stream == 1 and each.ends for each in connection.until_ended(1))
    assert innocent(envoy, name) == [200] * (2 * _INNOCENT_CALLS)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "OPTIONS", "DELETE", "BREW"])
def test_a_call_by_another_verb_reaches_no_service(envoy: Envoy, services: Services, method: str) -> None:
    block = frames.request(_RPC, _KEY, ("content-type", "application/grpc"), ("te", "trailers"), method=method)
    with Http2(envoy.settings.address) as connection:
        connection.send(frame(HEADERS, END_HEADERS, 1, block), frame(frames.DATA, END_STREAM, 1, bytes(5)))
        connection.until_ended(1)
    assert services.received == []
    assert innocent(envoy, ":method") == [200] * (2 * _INNOCENT_CALLS)
