"""DeliveryService: protos to the domain and back."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from penstock.webhooks.v1 import deliveries_pb2, deliveries_pb2_grpc

from services.webhooks.deliveries.domain import State, to_milliseconds
from services.webhooks.deliveries.filters import DeliveryFilter
from services.webhooks.deliveries.messages import delivery_message, filter_of, rate_of, replay_message
from services.webhooks.deliveries.replay import DEFAULT_PER_SECOND
from services.webhooks.errors import ReplayNotFound
from shared.errors import shown
from shared.paging import Position, page_size
from shared.rpc.call import current_tenant

if TYPE_CHECKING:
    from collections.abc import Collection

    import grpc

    from services.webhooks.deliveries.deliveries import Deliveries
    from services.webhooks.deliveries.replay import Replay
    from services.webhooks.deliveries.replay_store import ReplayStore
    from services.webhooks.deliveries.replays import Replays
    from shared.clock import Clock
    from shared.paging import PageTokens

    Context = grpc.aio.ServicerContext[Any, Any]

#: What a replay is for that names no state.
_UNDELIVERED = (State.FAILED, State.SKIPPED)


class DeliveryServicer(deliveries_pb2_grpc.DeliveryServiceServicer):
    """Answers tenants about their deliveries.

    Args:
        deliveries: The deliveries.
        replays: Those that were begun.
        event_types: The names of those that there are.
        page_tokens: What pages are asked for by.
        clock: The time.
    """

    def __init__(
        self,
        *,
        deliveries: Deliveries,
        replays: ReplayStore,
        event_types: Collection[str],
        page_tokens: PageTokens,
        clock: Clock,
    ) -> None:
        self._deliveries = deliveries
        self._replays = replays
        self._event_types = event_types
        self._page_tokens = page_tokens
        self._clock = clock

    async def ListDeliveries(  # noqa: N802  gRPC's name
        self, request: deliveries_pb2.ListDeliveriesRequest, context: Context
    ) -> deliveries_pb2.ListDeliveriesResponse:
        """Answers with a page of deliveries, newest first."""
        del context
        tenant, size = current_tenant(), page_size(request.page_size)
        wanted = filter_of(request, event_types=self._event_types)
        list_ = f"deliveries {tenant} {hashlib.sha256(repr(wanted).encode()).hexdigest()}"
        found = await self._deliveries.page(
            tenant,
            wanted,
            limit=size + 1,  # one more tells whether there are more
            after=self._page_tokens.read(request.page_token, bound_to=list_),
        )
        page = found[:size]
        token = ""
        if len(found) > size:
            last = page[-1].delivery
            token = self._page_tokens.make(Position(created_at=last.created_at, id=last.id), bound_to=list_)
        return deliveries_pb2.ListDeliveriesResponse(
            deliveries=[delivery_message(each) for each in page], next_page_token=token
        )

    async def GetDelivery(  # noqa: N802  gRPC's name
        self, request: deliveries_pb2.GetDeliveryRequest, context: Context
    ) -> deliveries_pb2.Delivery:
        """Answers with one delivery, its body and its attempts."""
        del context
        found = await self._deliveries.delivery(current_tenant(), request.delivery_id)
        return delivery_message(found, whole=True)

    async def ReplayDelivery(  # noqa: N802  gRPC's name
        self, request: deliveries_pb2.ReplayDeliveryRequest, context: Context
    ) -> deliveries_pb2.Delivery:
        """Has one delivery made again."""
        del context
        return delivery_message(await self._deliveries.replay(current_tenant(), request.delivery_id))

    async def ReplayDeliveries(  # noqa: N802  gRPC's name
        self, request: deliveries_pb2.ReplayDeliveriesRequest, context: Context
    ) -> deliveries_pb2.Replay:
        """Begins to have many deliveries made again."""
        del context
        wanted = filter_of(request.filter, event_types=self._event_types, within="filter.")
        rate = rate_of(request)
        begun = await self._deliveries.begin_replay(
            current_tenant(), replace(wanted, states=wanted.states or _UNDELIVERED), max_per_second=rate
        )
        return replay_message(begun)

    async def ListReplays(  # noqa: N802  gRPC's name
        self, request: deliveries_pb2.ListReplaysRequest, context: Context
    ) -> deliveries_pb2.ListReplaysResponse:
        """Answers with a page of replays, newest first."""
        del context
        tenant, size = current_tenant(), page_size(request.page_size)
        list_ = f"replays {tenant}"
        after = self._page_tokens.read(request.page_token, bound_to=list_)
        found = await self._replays.replays(tenant, limit=size + 1, after=after)
        page = found[:size]
        token = ""
        if len(found) > size:
            last = Position(created_at=page[-1].created_at, id=page[-1].id)
            token = self._page_tokens.make(last, bound_to=list_)
        return deliveries_pb2.ListReplaysResponse(
            replays=[replay_message(each) for each in page], next_page_token=token
        )

    async def GetReplay(  # noqa: N802  gRPC's name
        self, request: deliveries_pb2.GetReplayRequest, context: Context
    ) -> deliveries_pb2.Replay:
        """Answers with one replay."""
        del context
        found = await self._replays.replay(current_tenant(), request.replay_id)
        return replay_message(_there(found, request.replay_id))

    async def CancelReplay(  # noqa: N802  gRPC's name
        self, request: deliveries_pb2.CancelReplayRequest, context: Context
    ) -> deliveries_pb2.Replay:
        """Ends one replay; one that has ended stays as it is."""
        del context
        now = to_milliseconds(self._clock.now())
        found = await self._replays.cancel(current_tenant(), request.replay_id, now=now)
        return replay_message(_there(found, request.replay_id))


class SkippedReplays:
    """Has what was skipped while an endpoint was disabled made again; EndpointService asks for it.

    Args:
        replays: Begins them.
    """

    def __init__(self, replays: Replays) -> None:
        self._replays = replays

    async def begin_skipped(self, tenant: str, endpoint_id: str) -> deliveries_pb2.Replay:
        """Begins to have those made again that were skipped of an endpoint.

        Raises:
            RateLimited: As many of the tenant's replays run as may.
            Unavailable: MongoDB is away.
        """
        wanted = DeliveryFilter(endpoint_id=endpoint_id, states=(State.SKIPPED,))
        return replay_message(await self._replays.begin(tenant, wanted, max_per_second=DEFAULT_PER_SECOND))


def _there(replay: Replay | None, replay_id: str) -> Replay:
    if replay is None:
        raise ReplayNotFound(
            f"there is no replay {shown(replay_id)}; it may have ended longer ago than replays are kept",
            metadata={"replay": replay_id},
        )
    return replay
