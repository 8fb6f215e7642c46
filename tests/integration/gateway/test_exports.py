"""Exports on their way through the gateway: lines as they come, and what a client is told of their end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import pytest
from google.api.httpbody_pb2 import HttpBody
from penstock.history.v1 import history_pb2, history_pb2_grpc

from shared import errors
from tests.integration.gateway.stand_ins import GOOD_KEY

if TYPE_CHECKING:
    from tests.integration.gateway.envoys import Envoy
    from tests.integration.gateway.stand_ins import Services

PATH = "/api/v1/jobs:export"
NDJSON = "application/x-ndjson"
OPENING = HttpBody(content_type=NDJSON)
LINES = [HttpBody(content_type=NDJSON, data=b'{"id":"%d"}\n' % number * 500) for number in range(20)]
AWAY = errors.Unavailable("MongoDB does not answer; the call may be repeated")


def test_lines_arrive_as_they_are_sent_and_an_export_of_nothing_has_its_type(envoy: Envoy, services: Services) -> None:
    services.export = [OPENING, *LINES]
    answer = envoy.call("GET", f"{PATH}?state=FAILED&orderBy=createdAt&afterJobId=http-1")
    assert (answer.status, answer.headers["content-type"]) == (200, NDJSON)
    assert answer.body == b"".join(message.data for message in LINES)
    asked = services.received[0].request
    assert (asked.order_by, asked.after_job_id, len(asked.state)) == ("createdAt", "http-1", 1)
    services.export = [OPENING]
    answer = envoy.call("GET", PATH)
    assert (answer.status, answer.headers["content-type"], answer.body) == (200, NDJSON, b"")


def test_what_is_away_from_the_beginning_is_told_as_by_any_call(envoy: Envoy, services: Services) -> None:
    services.export = [AWAY]
    answer = envoy.call("GET", PATH)
    assert (answer.status, answer.headers["content-type"]) == (503, "application/json")


def test_an_export_that_is_broken_off_has_whole_lines_so_far(envoy: Envoy, services: Services) -> None:
    services.export = [OPENING, *LINES[:3], AWAY]
    answer = envoy.call("GET", PATH)
    assert answer.status == 200
    assert answer.body == b"".join(message.data for message in LINES[:3])


async def test_a_grpc_client_is_told_why_it_was_broken_off(envoy: Envoy, services: Services) -> None:
    services.export = [OPENING, *LINES[:3], AWAY]
    async with grpc.aio.insecure_channel(envoy.settings.address) as channel:
        stub = history_pb2_grpc.HistoryServiceStub(channel)
        call = stub.ExportJobs(history_pb2.ExportJobsRequest(), metadata=[("authorization", f"Bearer {GOOD_KEY}")])
        got = [(await call.read()).data for _ in range(4)]
        with pytest.raises(grpc.aio.AioRpcError) as broken:
            await call.read()
    assert b"".join(got) == b"".join(message.data for message in LINES[:3])
    assert (broken.value.code(), broken.value.details()) == (grpc.StatusCode.UNAVAILABLE, AWAY.message)
