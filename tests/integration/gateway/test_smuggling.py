"""However a client writes it, no service is told anything that only the gateway may say.

API2:2023 of OWASP's list, where the identity is what the gateway says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import pytest
from penstock.jobs.v1 import job_service_pb2_grpc, jobs_pb2

from shared.identity import CLIENT_ADDRESS_HEADER, IDENTITY_HEADER
from tests import frames
from tests.frames import END_HEADERS, END_STREAM, HEADERS, Http2, frame
from tests.integration.gateway.stand_ins import GOOD_KEY, TENANT

if TYPE_CHECKING:
    from tests.identities import Identities
    from tests.integration.gateway.envoys import Envoy
    from tests.integration.gateway.stand_ins import Services

_PATH = "/api/v1/jobs/j-1"
_KEY = f"authorization: Bearer {GOOD_KEY}\r\n"
_FORGED = "forged-0b4e"
#: Names that the gateway alone may use, and what might be taken for one of them.
INTERNAL = (IDENTITY_HEADER, CLIENT_ADDRESS_HEADER, "x-penstock-http-status", "x-penstock-anything")
#: What Envoy takes as orders, or as facts of its own (its documentation, "HTTP header manipulation" and "Router").
ORDERS = (
    *("x-envoy-attempt-count", "x-envoy-decorator-operation", "x-envoy-downstream-service-cluster"),
    *("x-envoy-downstream-service-node", "x-envoy-expected-rq-timeout-ms", "x-envoy-external-address"),
    *("x-envoy-force-trace", "x-envoy-hedge-on-per-try-timeout", "x-envoy-internal", "x-envoy-ip-tags"),
    *("x-envoy-is-timeout-retry", "x-envoy-max-retries", "x-envoy-original-dst-host", "x-envoy-original-host"),
    *("x-envoy-original-method", "x-envoy-original-path", "x-envoy-peer-metadata", "x-envoy-retriable-header-names"),
    *("x-envoy-retriable-status-codes", "x-envoy-retry-grpc-on", "x-envoy-retry-on"),
    *("x-envoy-stream-duration-ms", "x-envoy-upstream-alt-stat-name", "x-envoy-upstream-rq-per-try-timeout-ms"),
    *("x-envoy-upstream-rq-timeout-alt-response", "x-envoy-upstream-rq-timeout-ms", "x-envoy-auth-partial-body"),
)


def spellings(name: str) -> list[str]:
    """One name as different parsers may read it."""
    return [name, name.upper(), name.title(), name.swapcase(), name.replace("-", "_"), f"{name}-bin"]


def told(services: Services) -> str:
    """All that services were told beside their requests."""
    return str([received.metadata for received in services.received])


@pytest.mark.parametrize("name", [*INTERNAL, *ORDERS])
def test_no_spelling_of_an_internal_header_reaches_a_service_as_that_header(
    envoy: Envoy, services: Services, name: str
) -> None:
    for spelling in spellings(name):
        services.reset()
        answer = envoy.call("GET", _PATH, headers={spelling: _FORGED})
        assert answer.status == 200, (spelling, answer)
        (received,) = services.received
        assert received.tenant == TENANT
        assert _FORGED not in received.metadata.get(name, ""), spelling
        if "_" not in spelling:  # that one is another header, which nobody reads
            assert _FORGED not in told(services), spelling


@pytest.mark.parametrize(
    "lines",
    [
        "{name}: {token}\r\n{name}: {token}\r\n",
        "{name}: {token}\r\n{NAME}: \r\n",
        "{name}:{token}\r\n",
        "{name}:  \t {token} \t\r\n",
        "x: a\r\n{NAME}: {token}\r\n",
        "connection: {name}\r\n{name}: {token}\r\n",
        "connection: close, {name}, authorization\r\n{name}: {token}\r\n",
        "connection: keep-alive, x-penstock-client-address\r\n{name}: {token}\r\n",
        "te: trailers, {name}\r\n{name}: {token}\r\n",
        "{name} : {token}\r\n",
        " {name}: {token}\r\n",
        "x: a\r\n {name}: {token}\r\n",
        "x: a\r\n\t{name}: {token}\r\n",
        "{name}\r\n: {token}\r\n",
        "{name}\0: {token}\r\n",
        "{name}: {token}\0\r\n",
        "x: a\n{name}: {token}\r\n",
        "x: a\r{name}: {token}\r\n",
        "x-penstock-\tidentity: {token}\r\n",
        "x: a%0d%0a{name}: {token}\r\n",
    ],
)
def test_no_trick_of_a_line_passes_an_identity_on(
    envoy: Envoy, services: Services, identities: Identities, lines: str
) -> None:
    token = identities.mint("victim")
    written = lines.format(name=IDENTITY_HEADER, NAME=IDENTITY_HEADER.upper(), token=token)
    for key in (_KEY, ""):
        services.reset()
        answer = envoy.raw(
            f"GET {_PATH} HTTP/1.1\r\nconnection: close\r\nhost: a\r\n{key}{written}\r\n".encode("latin-1")
        )
        assert answer.startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 400 ", b"HTTP/1.1 401 ")), answer
        assert not answer.startswith(b"HTTP/1.1 200 ") or key
        assert {received.tenant for received in services.received} <= {TENANT}
        assert all(received.metadata[IDENTITY_HEADER] != token for received in services.received)


def test_no_trailer_passes_an_identity_on(envoy: Envoy, services: Services, identities: Identities) -> None:
    token = identities.mint("victim")
    request = (
        f"POST /api/v1/jobs HTTP/1.1\r\nhost: a\r\n{_KEY}content-type: application/json\r\nconnection: close\r\n"
        f"trailer: {IDENTITY_HEADER}\r\ntransfer-encoding: chunked\r\n\r\n"
        f"2\r\n{{}}\r\n0\r\n{IDENTITY_HEADER}: {token}\r\n\r\n"
    )
    assert envoy.raw(request.encode()).startswith(b"HTTP/1.1 200 ")
    assert services.received[0].tenant == TENANT
    assert token not in told(services)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (IDENTITY_HEADER.upper(), None),
        ("X-Penstock-Identity", None),
        (f"{IDENTITY_HEADER} ", None),
        (f" {IDENTITY_HEADER}", None),
        (f"{IDENTITY_HEADER}\r\n", None),
        (f"{IDENTITY_HEADER}: x\r\ny", None),
        ("x", "a\r\n{name}: {token}"),
        ("x", "a\n{name}: {token}"),
        ("x", "a\0{name}: {token}"),
        ("connection", IDENTITY_HEADER),
        ("transfer-encoding", "chunked"),
        (":x-penstock-identity", None),
        (":path", "/api/v1/keys"),
    ],
)
def test_no_trick_of_a_frame_passes_an_identity_on(
    envoy: Envoy, services: Services, identities: Identities, name: str, value: str | None
) -> None:
    token = identities.mint("victim")
    sent = token if value is None else value.format(name=IDENTITY_HEADER, token=token)
    block = frames.request(_PATH, ("authorization", f"Bearer {GOOD_KEY}"), (name, sent))
    with Http2(envoy.settings.address) as connection:
        connection.send(frame(HEADERS, END_STREAM | END_HEADERS, 1, block))
        got = connection.until_ended(1)
    assert not any(each.answers for each in got), got  # such a message is malformed (RFC 9113, 8.2)
    assert services.received == []


def test_a_frame_without_tricks_is_answered(envoy: Envoy, services: Services, identities: Identities) -> None:
    block = frames.request(_PATH, ("authorization", f"Bearer {GOOD_KEY}"), (IDENTITY_HEADER, identities.mint("victim")))
    with Http2(envoy.settings.address) as connection:
        connection.send(frame(HEADERS, END_STREAM | END_HEADERS, 1, block))
        assert any(each.answers for each in connection.until_ended(1))
    assert services.received[0].tenant == TENANT


@pytest.mark.parametrize("name", [*INTERNAL, "x-penstock-identity-bin"])
def test_no_metadata_of_a_grpc_client_is_taken_for_the_gateways(
    envoy: Envoy, services: Services, identities: Identities, name: str
) -> None:
    forged = identities.mint("victim")
    value = forged.encode() if name.endswith("-bin") else forged
    metadata = (("authorization", f"Bearer {GOOD_KEY}"), (name, value), (name, value))
    with grpc.insecure_channel(envoy.settings.address) as channel:
        job_service_pb2_grpc.JobServiceStub(channel).GetJob(jobs_pb2.GetJobRequest(job_id="j-1"), metadata=metadata)
    assert services.received[0].tenant == TENANT
    assert forged not in told(services)


@pytest.mark.parametrize("timeout", ["99999999H", "-1S", "S", "1S, 9H"])
def test_no_deadline_of_a_client_outlasts_the_gateways(envoy: Envoy, services: Services, timeout: str) -> None:
    assert envoy.call("GET", _PATH, headers={"grpc-timeout": timeout}).status == 200
    (received,) = services.received
    assert received.remaining_s is not None
    assert received.remaining_s <= envoy.settings.call_timeout.total_seconds()
