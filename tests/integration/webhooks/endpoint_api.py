"""EndpointService, as tenants call it, and its refusals."""

from __future__ import annotations

import base64
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from penstock.webhooks.v1 import endpoints_pb2, endpoints_pb2_grpc

from services.webhooks.errors import EndpointNotFound
from shared import errors
from shared.rpc import status
from tests.service import channel

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable
    from datetime import timedelta

    from shared.lifecycle import Process
    from tests.identities import Identities

Endpoint = endpoints_pb2.Endpoint
Filter = endpoints_pb2.EventFilter
Headers = endpoints_pb2.CustomHeaders
CANARY = "canary-9d3e42b8-canary"
URL = "https://client.example/hook"
SECRET = "whsec_" + base64.b64encode(CANARY.encode() * 2).decode()
TIMEOUT_S = 20.0


class Api:
    """EndpointService, as one tenant calls it."""

    def __init__(self, connection: grpc.aio.Channel) -> None:
        self.stub = cast("Any", endpoints_pb2_grpc.EndpointServiceStub(connection))

    async def create(self, url: str = URL, **fields: Any) -> endpoints_pb2.CreateEndpointResponse:
        request = endpoints_pb2.CreateEndpointRequest(url=url, **fields)
        return await self.stub.CreateEndpoint(request, timeout=TIMEOUT_S)

    async def get(self, endpoint_id: str) -> Endpoint:
        request = endpoints_pb2.GetEndpointRequest(endpoint_id=endpoint_id)
        return await self.stub.GetEndpoint(request, timeout=TIMEOUT_S)

    async def update(self, endpoint_id: str, **fields: Any) -> Endpoint:
        request = endpoints_pb2.UpdateEndpointRequest(endpoint_id=endpoint_id, **fields)
        return await self.stub.UpdateEndpoint(request, timeout=TIMEOUT_S)

    async def delete(self, endpoint_id: str) -> Endpoint:
        request = endpoints_pb2.DeleteEndpointRequest(endpoint_id=endpoint_id)
        return await self.stub.DeleteEndpoint(request, timeout=TIMEOUT_S)

    async def enable(self, endpoint_id: str, **fields: Any) -> endpoints_pb2.EnableEndpointResponse:
        request = endpoints_pb2.EnableEndpointRequest(endpoint_id=endpoint_id, **fields)
        return await self.stub.EnableEndpoint(request, timeout=TIMEOUT_S)

    async def rotate(
        self, endpoint_id: str, *, grace: timedelta | None = None, secret: str = ""
    ) -> endpoints_pb2.EndpointSecret:
        request = endpoints_pb2.RotateEndpointSecretRequest(endpoint_id=endpoint_id, secret=secret)
        if grace is not None:
            request.grace.FromTimedelta(grace)
        return await self.stub.RotateEndpointSecret(request, timeout=TIMEOUT_S)

    async def secret(self, endpoint_id: str) -> endpoints_pb2.EndpointSecret:
        request = endpoints_pb2.GetEndpointSecretRequest(endpoint_id=endpoint_id)
        return await self.stub.GetEndpointSecret(request, timeout=TIMEOUT_S)

    async def test(self, endpoint_id: str, event_type: str = "") -> endpoints_pb2.TestEndpointResponse:
        request = endpoints_pb2.TestEndpointRequest(endpoint_id=endpoint_id, event_type=event_type)
        return await self.stub.TestEndpoint(request, timeout=TIMEOUT_S)

    async def stats(self, endpoint_id: str, period: timedelta | None = None) -> endpoints_pb2.EndpointStats:
        request = endpoints_pb2.GetEndpointStatsRequest(endpoint_id=endpoint_id)
        if period is not None:
            request.period.FromTimedelta(period)
        return await self.stub.GetEndpointStats(request, timeout=TIMEOUT_S)

    async def listed(self, **wanted: Any) -> list[str]:
        """The ids of all endpoints, page by page."""
        request = endpoints_pb2.ListEndpointsRequest(**{"page_size": 1} | wanted)
        found: list[str] = []
        while True:
            page = await self.stub.ListEndpoints(request, timeout=TIMEOUT_S)
            found += [each.id for each in page.endpoints]
            request.page_token = page.next_page_token
            if not page.next_page_token:
                return found

    async def event_types(self, page_size: int = 4) -> list[endpoints_pb2.EventType]:
        request = endpoints_pb2.ListEventTypesRequest(page_size=page_size)
        found: list[endpoints_pb2.EventType] = []
        while True:
            page = await self.stub.ListEventTypes(request, timeout=TIMEOUT_S)
            found += page.event_types
            request.page_token = page.next_page_token
            if not page.next_page_token:
                return found


@asynccontextmanager
async def api_at(process: Process, identities: Identities, tenant: str = "acme") -> AsyncGenerator[Api]:
    async with channel(f"127.0.0.1:{process.port}", identities.mint(tenant)) as connection:
        yield Api(connection)


async def refused(call: Awaitable[object]) -> errors.PenstockError:
    """The error of a call that is refused."""
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await call
    return status.from_rpc_error(failure.value)


def reason(failure: grpc.aio.AioRpcError) -> str:
    """The reason that a refusal names, of those too that this service alone has."""
    details = rpc_status.from_call(cast("Any", failure))
    assert details is not None
    info = error_details_pb2.ErrorInfo()
    assert details.details[0].Unpack(info)
    return info.reason


async def is_unknown(call: Awaitable[object], endpoint_id: str) -> None:
    """Sees that a call is told that there is no such endpoint."""
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await call
    assert reason(failure.value) == EndpointNotFound.reason
    error = status.from_rpc_error(failure.value)
    assert (error.message, error.metadata) == (
        f"there is no endpoint {endpoint_id}; list them, or make one",
        {"endpoint": endpoint_id},
    )


def paths(error: errors.PenstockError) -> list[str]:
    assert isinstance(error, errors.InvalidArgument), error
    return [violation.field for violation in error.violations]
