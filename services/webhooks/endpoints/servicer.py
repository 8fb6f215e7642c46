"""EndpointService: protos to the domain and back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from penstock.webhooks.v1 import endpoints_pb2, endpoints_pb2_grpc

from services.webhooks.endpoints import messages
from shared.errors import InvalidArgument
from shared.paging import Position, page_size
from shared.rpc.call import current_principal, current_tenant

if TYPE_CHECKING:
    import grpc

    from services.webhooks.endpoints.endpoints import Endpoints
    from services.webhooks.endpoints.surroundings import EndpointStatistics, EventTypes, Replays
    from services.webhooks.endpoints.trials import Trials
    from shared.clock import Clock
    from shared.paging import PageTokens

    Context = grpc.aio.ServicerContext[Any, Any]

_DEFAULT_PERIOD = timedelta(hours=24)
_HOUR = timedelta(hours=1)
_MAX_PERIOD = timedelta(days=30)
#: The list of event types: it is the same for all, in the order of names, and of no time.
_EVENT_TYPES = "event types"
_ALWAYS = datetime(1970, 1, 1, tzinfo=UTC)


class EndpointServicer(endpoints_pb2_grpc.EndpointServiceServicer):
    """Answers tenants about their endpoints.

    Args:
        endpoints: The endpoints.
        trials: Sends examples to them.
        statistics: How they fare.
        replays: Has what they have missed made again.
        event_types: What there is.
        page_tokens: What pages are asked for by.
        clock: The time.
    """

    def __init__(
        self,
        *,
        endpoints: Endpoints,
        trials: Trials,
        statistics: EndpointStatistics,
        replays: Replays,
        event_types: EventTypes,
        page_tokens: PageTokens,
        clock: Clock,
    ) -> None:
        self._endpoints = endpoints
        self._trials = trials
        self._statistics = statistics
        self._replays = replays
        self._event_types = event_types
        self._page_tokens = page_tokens
        self._clock = clock

    async def CreateEndpoint(  # noqa: N802  gRPC's name
        self, request: endpoints_pb2.CreateEndpointRequest, context: Context
    ) -> endpoints_pb2.CreateEndpointResponse:
        """Makes an endpoint, and shows its secret."""
        del context
        made = await self._endpoints.create(messages.endpoint_order(request), maker=current_principal())
        now = self._clock.now()
        return endpoints_pb2.CreateEndpointResponse(
            endpoint=messages.endpoint_message(made, now),
            secret=messages.secret_message(made, self._endpoints.secret(made), now),
        )

    async def ListEndpoints(  # noqa: N802  gRPC's name
        self, request: endpoints_pb2.ListEndpointsRequest, context: Context
    ) -> endpoints_pb2.ListEndpointsResponse:
        """Answers with a page of endpoints, newest first."""
        del context
        tenant, size = current_tenant(), page_size(request.page_size)
        enabled = request.enabled if request.HasField("enabled") else None
        list_ = f"endpoints {tenant} {enabled}"
        found = await self._endpoints.endpoints(
            tenant,
            limit=size + 1,  # one more tells whether there are more
            after=self._page_tokens.read(request.page_token, bound_to=list_),
            enabled=enabled,
        )
        page, token, now = found[:size], "", self._clock.now()
        if len(found) > size:
            last = Position(created_at=page[-1].created_at, id=page[-1].id)
            token = self._page_tokens.make(last, bound_to=list_)
        return endpoints_pb2.ListEndpointsResponse(
            endpoints=[messages.endpoint_message(each, now) for each in page], next_page_token=token
        )

    async def GetEndpoint(  # noqa: N802  gRPC's name
        self, request: endpoints_pb2.GetEndpointRequest, context: Context
    ) -> endpoints_pb2.Endpoint:
        """Answers with one endpoint."""
        del context
        found = await self._endpoints.endpoint(current_tenant(), request.endpoint_id)
        return messages.endpoint_message(found, self._clock.now())

    async def UpdateEndpoint(  # noqa: N802  gRPC's name
        self, request: endpoints_pb2.UpdateEndpointRequest, context: Context
    ) -> endpoints_pb2.Endpoint:
        """Changes what is given of one endpoint."""
        del context
        order = messages.change_order(request)
        changed = await self._endpoints.change(request.endpoint_id, order, by=current_principal())
        return messages.endpoint_message(changed, self._clock.now())

    async def DeleteEndpoint(  # noqa: N802  gRPC's name
        self, request: endpoints_pb2.DeleteEndpointRequest, context: Context
    ) -> endpoints_pb2.Endpoint:
        """Deletes one endpoint, and its secrets."""
        del context
        deleted = await self._endpoints.delete(request.endpoint_id, by=current_principal())
        return messages.endpoint_message(deleted, self._clock.now())

    async def EnableEndpoint(  # noqa: N802  gRPC's name
        self, request: endpoints_pb2.EnableEndpointRequest, context: Context
    ) -> endpoints_pb2.EnableEndpointResponse:
        """Enables one endpoint; replays what was skipped, if asked to."""
        del context
        enabled = await self._endpoints.enable(request.endpoint_id, by=current_principal())
        skipped = await self._statistics.skipped(enabled.tenant, enabled.id)
        return endpoints_pb2.EnableEndpointResponse(
            endpoint=messages.endpoint_message(enabled, self._clock.now()),
            skipped_deliveries=skipped,
            replay=await self._replays.begin_skipped(enabled.tenant, enabled.id)
            if request.replay_skipped and skipped
            else None,
        )

    async def RotateEndpointSecret(  # noqa: N802  gRPC's name
        self, request: endpoints_pb2.RotateEndpointSecretRequest, context: Context
    ) -> endpoints_pb2.EndpointSecret:
        """Gives one endpoint another secret and key pair."""
        del context
        rotated = await self._endpoints.rotate(
            request.endpoint_id,
            grace=messages.time_span(request.grace, "grace") if request.HasField("grace") else None,
            secret=request.secret,
            by=current_principal(),
        )
        return messages.secret_message(rotated, self._endpoints.secret(rotated), self._clock.now())

    async def GetEndpointSecret(  # noqa: N802  gRPC's name
        self, request: endpoints_pb2.GetEndpointSecretRequest, context: Context
    ) -> endpoints_pb2.EndpointSecret:
        """Shows one endpoint's newest secret."""
        del context
        found = await self._endpoints.endpoint(current_tenant(), request.endpoint_id)
        return messages.secret_message(found, self._endpoints.secret(found), self._clock.now())

    async def TestEndpoint(  # noqa: N802  gRPC's name
        self, request: endpoints_pb2.TestEndpointRequest, context: Context
    ) -> endpoints_pb2.TestEndpointResponse:
        """Sends an example to one endpoint."""
        del context
        found = await self._endpoints.endpoint(current_tenant(), request.endpoint_id)
        webhook_id, attempt = await self._trials.make(found, request.event_type)
        return endpoints_pb2.TestEndpointResponse(webhook_id=webhook_id, attempt=messages.attempt_message(attempt))

    async def GetEndpointStats(  # noqa: N802  gRPC's name
        self, request: endpoints_pb2.GetEndpointStatsRequest, context: Context
    ) -> endpoints_pb2.EndpointStats:
        """Answers with how one endpoint has fared."""
        del context
        period = messages.time_span(request.period, "period") if request.HasField("period") else _DEFAULT_PERIOD
        if not _HOUR <= period <= _MAX_PERIOD or period % _HOUR:
            raise InvalidArgument.field(
                "period",
                f"is {period.total_seconds():.9g}s; it takes whole hours, 3600s to {_MAX_PERIOD.total_seconds():g}s",
            )
        found = await self._endpoints.endpoint(current_tenant(), request.endpoint_id)
        figures = await self._statistics.figures(found.tenant, found.id, period=period)
        return messages.stats_message(found.id, figures)

    async def ListEventTypes(  # noqa: N802  gRPC's name
        self, request: endpoints_pb2.ListEventTypesRequest, context: Context
    ) -> endpoints_pb2.ListEventTypesResponse:
        """Answers with a page of the types of events, in the order of their names."""
        del context
        size = page_size(request.page_size)
        after = self._page_tokens.read(request.page_token, bound_to=_EVENT_TYPES)
        rest = [each for each in self._event_types.types() if after is None or each.name > after.id]
        page, token = rest[:size], ""
        if len(rest) > size:
            token = self._page_tokens.make(Position(created_at=_ALWAYS, id=page[-1].name), bound_to=_EVENT_TYPES)
        return endpoints_pb2.ListEventTypesResponse(
            event_types=[messages.event_type_message(each) for each in page], next_page_token=token
        )
