"""A tenant that makes endpoints and looks at its deliveries, by the API alone."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from penstock.webhooks.v1 import deliveries_pb2, deliveries_pb2_grpc, endpoints_pb2, endpoints_pb2_grpc

from tests.service import channel
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence
    from datetime import timedelta

    from penstock.webhooks.v1.deliveries_pb2 import Delivery
    from penstock.webhooks.v1.endpoints_pb2 import Endpoint

    from shared.lifecycle import Process
    from tests.identities import Identities

_TIMEOUT_S = 20.0
_PAGE = 500
State = deliveries_pb2.Delivery.State


@dataclass(frozen=True, slots=True)
class Tenant:
    """One tenant.

    Args:
        name: Of it.
        endpoints: A stub of EndpointService.
        delivering: A stub of DeliveryService.
    """

    name: str
    endpoints: Any
    delivering: Any

    async def endpoint(self, url: str, *, pauses: Sequence[timedelta] = (), **fields: Any) -> str:
        """Makes an endpoint, and answers with its id."""
        request = endpoints_pb2.CreateEndpointRequest(url=url, **fields)
        for pause in pauses:
            request.retry.pauses.add().FromTimedelta(pause)
        return (await self.endpoints.CreateEndpoint(request, timeout=_TIMEOUT_S)).endpoint.id

    async def seen(self, endpoint_id: str) -> Endpoint:
        """An endpoint as it is."""
        request = endpoints_pb2.GetEndpointRequest(endpoint_id=endpoint_id)
        return await self.endpoints.GetEndpoint(request, timeout=_TIMEOUT_S)

    async def disabled(self, endpoint_id: str) -> Endpoint:
        """Waits until an endpoint is disabled."""

        async def is_disabled() -> Endpoint | None:
            endpoint = await self.seen(endpoint_id)
            return None if endpoint.enabled else endpoint

        return cast("Endpoint", await eventually(is_disabled, what=f"{endpoint_id} disabled"))

    async def enable(self, endpoint_id: str, *, replay_skipped: bool = False) -> endpoints_pb2.EnableEndpointResponse:
        """Enables an endpoint."""
        request = endpoints_pb2.EnableEndpointRequest(endpoint_id=endpoint_id, replay_skipped=replay_skipped)
        return await self.endpoints.EnableEndpoint(request, timeout=_TIMEOUT_S)

    async def deliveries(self, endpoint_id: str = "", *, about: str = "") -> list[Delivery]:
        """Deliveries as they are listed, the oldest first."""
        found: list[Delivery] = []
        token = ""
        while True:
            request = deliveries_pb2.ListDeliveriesRequest(
                endpoint_id=endpoint_id, about=about, page_size=_PAGE, page_token=token
            )
            page = await self.delivering.ListDeliveries(request, timeout=_TIMEOUT_S)
            found += page.deliveries
            token = page.next_page_token
            if not token:
                return found[::-1]

    async def delivery(self, endpoint_id: str, about: str) -> Delivery | None:
        """What an endpoint is told of something, with its attempts; None where it is told nothing yet."""
        found = await self.deliveries(endpoint_id, about=about)
        if not found:
            return None
        request = deliveries_pb2.GetDeliveryRequest(delivery_id=found[0].id)
        return await self.delivering.GetDelivery(request, timeout=_TIMEOUT_S)

    async def settled(
        self,
        endpoint_id: str,
        about: str,
        fits: Callable[[Delivery], bool] = lambda delivery: delivery.state != State.PENDING,
        *,
        within: float = 60.0,
    ) -> Delivery:
        """Waits until a delivery is as it should be: ended, unless told otherwise."""

        async def is_settled() -> Delivery | None:
            delivery = await self.delivery(endpoint_id, about)
            assert delivery is not None, "it is not stored"
            assert fits(delivery), delivery
            return delivery

        return cast("Delivery", await eventually(is_settled, within=within, what=f"the delivery of {about}"))

    async def all_ended(self, endpoint_id: str, count: int, *, within: float = 60.0) -> list[Delivery]:
        """Waits until an endpoint has so many deliveries, and all have ended."""

        async def have_ended() -> list[Delivery]:
            deliveries = await self.deliveries(endpoint_id)
            assert len(deliveries) == count, f"{len(deliveries)} deliveries"
            pending = [each for each in deliveries if each.state == State.PENDING]
            assert not pending, f"{len(pending)} are pending; the first: {pending[0]}"
            return deliveries

        return await eventually(have_ended, within=within, what=f"the ends of {count} deliveries")


@asynccontextmanager
async def tenant_at(process: Process, identities: Identities, name: str = "acme") -> AsyncGenerator[Tenant]:
    """A tenant that calls a replica."""
    async with channel(f"127.0.0.1:{process.port}", identities.mint(name)) as connection:
        yield Tenant(
            name,
            cast("Any", endpoints_pb2_grpc.EndpointServiceStub(connection)),
            cast("Any", deliveries_pb2_grpc.DeliveryServiceStub(connection)),
        )
