"""What stands before all else: how many requests an address may make, smaller answers, and the admin interface."""

from __future__ import annotations

import gzip
import urllib.error
import urllib.request
from dataclasses import replace
from typing import TYPE_CHECKING

import grpc
import pytest
from google.api.httpbody_pb2 import HttpBody
from penstock.jobs.v1 import job_service_pb2_grpc, jobs_pb2

from deploy.local import layout
from gateway import GatewayError, build
from tests.integration.gateway import envoys
from tests.integration.gateway.conftest import settings_for
from tests.integration.gateway.stand_ins import GOOD_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.gateway.envoys import Envoy
    from tests.integration.gateway.stand_ins import Services

_PATH = "/api/v1/jobs/j-1"
_CODED = {"accept-encoding": "gzip"}


@pytest.fixture(scope="module")
def limited(all_services: Services, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Envoy]:
    """An Envoy behind a proxy, which takes three requests of an address and then one a second."""
    settings = settings_for(
        all_services.address,
        trusted_hops=1,
        address_rate=1,
        address_burst=3,
        metrics_address=layout.on_free_ports(layout.ROOT, {"metrics": 0}).address("metrics"),
    )
    with envoys.running(settings, tmp_path_factory.mktemp("limited")) as envoy:
        yield envoy


def statuses(envoy: Envoy, *addresses: str) -> list[int]:
    return [envoy.call("GET", _PATH, headers={"x-forwarded-for": address}).status for address in addresses]


def test_an_address_that_asks_too_much_is_refused_before_auth_and_no_other(limited: Envoy, services: Services) -> None:
    assert statuses(limited, *["198.51.100.7"] * 3) == [200] * 3
    checks = services.checks
    refused = [limited.call("GET", _PATH, headers={"x-forwarded-for": "198.51.100.7"}) for _ in range(6)]
    answer = next(each for each in refused if each.status == 429)
    assert (answer.error["status"], answer.info["reason"]) == ("RESOURCE_EXHAUSTED", "RATE_LIMITED")
    assert (answer.info["metadata"], answer.headers["retry-after"]) == ({"scope": "address"}, "1")
    assert not [name for name in answer.headers if name.startswith(("x-envoy-", "grpc-"))]
    assert services.checks - checks == len([each for each in refused if each.status == 200])
    assert statuses(limited, "198.51.100.8") == [200]


def test_a_network_of_ipv6_is_one_address(limited: Envoy, services: Services) -> None:
    assert 429 in statuses(limited, *(f"2001:db8:0:1::{number}" for number in range(1, 9)))
    assert statuses(limited, "2001:db8:0:2::1") == [200]


def test_a_grpc_client_is_told_with_details(limited: Envoy, services: Services) -> None:
    def call(stub: job_service_pb2_grpc.JobServiceStub) -> None:
        metadata = (("authorization", f"Bearer {GOOD_KEY}"), ("x-forwarded-for", "198.51.100.9"))
        for _ in range(9):
            stub.GetJob(jobs_pb2.GetJobRequest(job_id="j-1"), metadata=metadata)

    with grpc.insecure_channel(limited.settings.address) as channel, pytest.raises(grpc.RpcError) as failure:
        call(job_service_pb2_grpc.JobServiceStub(channel))
    assert failure.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert b"RATE_LIMITED" in dict(failure.value.trailing_metadata())["grpc-status-details-bin"]


def test_figures_are_shown_and_nothing_else_of_the_admin_interface(limited: Envoy) -> None:
    url = f"http://{limited.settings.metrics_address}"
    with urllib.request.urlopen(f"{url}/stats/prometheus", timeout=60) as answer:
        assert b"envoy_http_downstream_rq_total" in answer.read()
    for path in ("/config_dump", "/certs", "/stats", "/quitquitquit"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{url}{path}", timeout=60)


@pytest.mark.parametrize("address", ["0.0.0.0:18001", "10.0.0.1:18001", "[::]:18001", "localhost:18001"])
def test_an_admin_interface_that_others_reach_is_refused(tmp_path: Path, address: str) -> None:
    settings = replace(settings_for("127.0.0.1:1"), admin_address=address)
    with pytest.raises(GatewayError, match=r"ADMIN_ADDRESS is .* loopback"):
        build(settings, tmp_path)


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
def test_a_large_answer_is_made_smaller_as_its_client_takes_it(envoy: Envoy, services: Services, coding: str) -> None:
    async def large(request: object) -> jobs_pb2.Job:
        return jobs_pb2.Job(id="j-1", upstream="u" * 5000)

    services.answer = large
    plain = envoy.call("GET", _PATH)
    answer = envoy.call("GET", _PATH, headers={"accept-encoding": coding})
    assert (answer.status, answer.headers["content-encoding"]) == (200, coding)
    assert len(answer.body) < len(plain.body) / 4
    assert "content-encoding" not in plain.headers
    assert "accept-encoding" in plain.headers["vary"].lower()
    assert "accept-encoding" in answer.headers["vary"].lower()
    if coding == "gzip":
        assert gzip.decompress(answer.body) == plain.body


def test_a_small_answer_is_left_as_it_is(envoy: Envoy, services: Services) -> None:
    answer = envoy.call("GET", _PATH, headers=_CODED)
    assert answer.json["id"] == "j-1"
    assert "content-encoding" not in answer.headers


@pytest.mark.parametrize("content_type", ["application/json", "text/html", "text/plain"])
def test_a_results_bytes_are_left_as_they_are(envoy: Envoy, services: Services, content_type: str) -> None:
    data = b"{}" * 5000
    services.result = (("etag", '"e3b0"'),), HttpBody(content_type=content_type, data=data)
    answer = envoy.call("GET", f"{_PATH}/result", headers=_CODED)
    assert (answer.body, answer.headers["etag"], answer.headers["content-length"]) == (data, '"e3b0"', str(len(data)))
    assert "content-encoding" not in answer.headers


def test_lines_of_an_export_are_left_as_they_are(envoy: Envoy, services: Services) -> None:
    services.export = [HttpBody(content_type="application/x-ndjson", data=b'{"id":1}\n' * 500)] * 3
    answer = envoy.call("GET", "/api/v1/jobs:export", headers=_CODED)
    assert answer.body == b'{"id":1}\n' * 1500
    assert "content-encoding" not in answer.headers
