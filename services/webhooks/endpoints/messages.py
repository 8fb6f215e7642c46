"""Endpoints as messages of EndpointService, and what callers send as orders. No endpoint's message holds a secret."""

from __future__ import annotations

from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, overload

from google.protobuf import json_format
from google.protobuf.duration_pb2 import Duration
from penstock.webhooks.v1 import deliveries_pb2, endpoints_pb2

from services.webhooks.endpoints.domain import Batching, DisabledReason, EventFilter, ExponentialPauses, Order, Rate
from services.webhooks.endpoints.orders import ChangeOrder, EndpointOrder, Given, RetryOrder
from shared.errors import InvalidArgument
from shared.times import timestamp

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from services.webhooks.deliveries.domain import AttemptRecord
    from services.webhooks.deliveries.stats import Figures
    from services.webhooks.endpoints.domain import Endpoint
    from services.webhooks.endpoints.surroundings import EventType

_Message = endpoints_pb2.Endpoint
_ORDERS = MappingProxyType({Order.NONE: _Message.NONE, Order.BY_CONNECTION: _Message.BY_CONNECTION})
_REASONS = MappingProxyType(
    {
        DisabledReason.ASKED: _Message.ASKED,
        DisabledReason.GONE: _Message.GONE,
        DisabledReason.FAILING: _Message.FAILING,
    }
)
_MILLISECOND = timedelta(milliseconds=1)
_DEFAULT_FACTOR = 2.0
_DEFAULT_PERIOD = timedelta(seconds=1)
_DEFAULT_WAIT = timedelta(seconds=1)
_DEFAULT_MAXIMUM = timedelta(hours=24)


def endpoint_message(endpoint: Endpoint, now: datetime) -> endpoints_pb2.Endpoint:
    """An endpoint, as answers have it; of its keys those that sign now."""
    message = endpoints_pb2.Endpoint(
        id=endpoint.id,
        url=endpoint.url,
        description=endpoint.description,
        enabled=endpoint.enabled,
        disabled_at=timestamp(endpoint.disabled_at),
        filter=_filter_message(endpoint.filter),
        header_names=endpoint.header_names,
        order=_ORDERS[endpoint.order],
        retry=_retry_message(endpoint),
        public_keys=[keys.public_key for keys in endpoint.signing_keys(now)],
        created_at=timestamp(endpoint.created_at),
        updated_at=timestamp(endpoint.updated_at),
        failing_since=timestamp(endpoint.failing_since),
    )
    if endpoint.disabled_reason is not None:
        message.disabled_reason = _REASONS[endpoint.disabled_reason]
    if endpoint.rate is not None:
        message.rate_limit.deliveries = endpoint.rate.deliveries
        message.rate_limit.period.FromTimedelta(endpoint.rate.period)
    if endpoint.batching is not None:
        message.batching.max_events = endpoint.batching.max_events
        message.batching.max_wait.FromTimedelta(endpoint.batching.max_wait)
    return message


def secret_message(endpoint: Endpoint, secret: str, now: datetime) -> endpoints_pb2.EndpointSecret:
    """What signs for an endpoint.

    Args:
        endpoint: The endpoint.
        secret: Its newest.
        now: The time.
    """
    newest, *older = endpoint.signing_keys(now)
    return endpoints_pb2.EndpointSecret(
        secret=secret,
        public_key=newest.public_key,
        created_at=timestamp(newest.created_at),
        previous_expires_at=timestamp(older[0].expires_at) if older else None,
    )


def attempt_message(attempt: AttemptRecord) -> deliveries_pb2.DeliveryAttempt:
    """An attempt that has come out."""
    message = deliveries_pb2.DeliveryAttempt(number=attempt.number, started_at=timestamp(attempt.started_at))
    if attempt.duration is None or attempt.outcome is None:
        return message
    message.duration.FromTimedelta(attempt.duration)
    message.reason, message.status = attempt.outcome.reason, attempt.outcome.status
    message.detail = attempt.outcome.detail
    if attempt.outcome.response is not None:
        message.response_headers.update(attempt.outcome.response.headers)
        message.response_body = attempt.outcome.response.body
        message.response_truncated = attempt.outcome.response.truncated
    return message


def stats_message(endpoint_id: str, figures: Figures) -> endpoints_pb2.EndpointStats:
    """How an endpoint has fared."""
    counts = figures.counts
    return endpoints_pb2.EndpointStats(
        endpoint_id=endpoint_id,
        from_time=timestamp(figures.since),
        to_time=timestamp(figures.until),
        attempts=counts.attempts,
        successful_attempts=counts.successes,
        success_ratio=counts.successes / counts.attempts if counts.attempts else None,
        latency_p50=_duration(counts.percentile(0.5)),
        latency_p95=_duration(counts.percentile(0.95)),
        latency_p99=_duration(counts.percentile(0.99)),
        pending_deliveries=figures.pending,
        failed_deliveries=figures.failed,
        skipped_deliveries=figures.skipped,
        oldest_pending_at=timestamp(figures.oldest_pending_at),
    )


def event_type_message(event_type: EventType) -> endpoints_pb2.EventType:
    """A type of events, as it is listed."""
    message = endpoints_pb2.EventType(name=event_type.name, description=event_type.description)
    json_format.ParseDict(dict(event_type.schema), message.schema)
    json_format.ParseDict(dict(event_type.example), message.example)
    return message


def endpoint_order(request: endpoints_pb2.CreateEndpointRequest) -> EndpointOrder:
    """The endpoint that a caller orders.

    Raises:
        InvalidArgument: A field holds what cannot be read.
    """
    return EndpointOrder(
        url=request.url,
        description=request.description,
        filter=_filter(request.filter),
        headers=dict(request.headers.values),
        order=_order(request.order) or Order.NONE,
        rate=_rate(request.rate_limit) if request.HasField("rate_limit") else None,
        batching=_batching(request.batching) if request.batching.max_events else None,
        retry=_retry(request.retry),
        enabled=request.enabled if request.HasField("enabled") else True,
        secret=request.secret,
    )


def change_order(request: endpoints_pb2.UpdateEndpointRequest) -> ChangeOrder:
    """The change that a caller orders.

    Raises:
        InvalidArgument: A field holds what cannot be read.
    """
    rate = batching = None
    if request.HasField("rate_limit"):
        rate = Given(_rate(request.rate_limit) if request.rate_limit.deliveries else None)
    if request.HasField("batching"):
        batching = Given(_batching(request.batching) if request.batching.max_events else None)
    return ChangeOrder(
        url=request.url or None,
        description=request.description if request.HasField("description") else None,
        filter=_filter(request.filter) if request.HasField("filter") else None,
        headers=dict(request.headers.values) if request.HasField("headers") else None,
        order=_order(request.order),
        rate=rate,
        batching=batching,
        retry=_retry(request.retry) if request.HasField("retry") else None,
        enabled=request.enabled if request.HasField("enabled") else None,
    )


def time_span(message: Duration, field: str) -> timedelta:
    """The time span that a caller's field holds, cut to whole milliseconds, as it is kept.

    Raises:
        InvalidArgument: It holds none.
    """
    try:
        return message.ToTimedelta() // _MILLISECOND * _MILLISECOND
    except (ValueError, OverflowError):
        raise InvalidArgument.field(field, "is no time span; write it in seconds, as in 3600s") from None


def _order(order: int) -> Order | None:
    """None where none is given."""
    if order == _Message.ORDER_UNSPECIFIED:
        return None
    for found, message in _ORDERS.items():
        if message == order:
            return found
    raise InvalidArgument.field("order", f"is {order}; there are {', '.join(Order)}")


def _filter(message: endpoints_pb2.EventFilter) -> EventFilter:
    return EventFilter(
        event_types=_each_once(message.event_types),
        upstreams=_each_once(message.upstreams),
        methods=_each_once(message.methods),
        metadata=dict(message.metadata),
    )


def _rate(message: endpoints_pb2.DeliveryRate) -> Rate:
    period = time_span(message.period, "rateLimit.period") if message.HasField("period") else _DEFAULT_PERIOD
    return Rate(deliveries=message.deliveries, period=period)


def _batching(message: endpoints_pb2.Batching) -> Batching:
    max_wait = time_span(message.max_wait, "batching.maxWait") if message.HasField("max_wait") else _DEFAULT_WAIT
    return Batching(max_events=message.max_events, max_wait=max_wait)


def _retry(message: endpoints_pb2.DeliveryRetry) -> RetryOrder:
    pauses = (time_span(pause, f"retry.pauses[{index}]") for index, pause in enumerate(message.pauses))
    exponential = _exponential(message.exponential) if message.HasField("exponential") else None
    return RetryOrder(pauses=tuple(pauses), exponential=exponential)


def _exponential(message: endpoints_pb2.ExponentialPauses) -> ExponentialPauses:
    path = "retry.exponential"
    maximum = time_span(message.maximum, f"{path}.maximum") if message.HasField("maximum") else _DEFAULT_MAXIMUM
    return ExponentialPauses(
        initial=time_span(message.initial, f"{path}.initial"),
        factor=message.factor or _DEFAULT_FACTOR,
        maximum=maximum,
        max_attempts=message.max_attempts,
    )


def _filter_message(filter_: EventFilter) -> endpoints_pb2.EventFilter:
    return endpoints_pb2.EventFilter(
        event_types=filter_.event_types,
        upstreams=filter_.upstreams,
        methods=filter_.methods,
        metadata=filter_.metadata,
    )


def _retry_message(endpoint: Endpoint) -> endpoints_pb2.DeliveryRetry | None:
    """As it was given; None where the mesh's own schedule holds."""
    if endpoint.exponential is not None:
        exponential = endpoints_pb2.ExponentialPauses(
            initial=_duration(endpoint.exponential.initial),
            factor=endpoint.exponential.factor,
            maximum=_duration(endpoint.exponential.maximum),
            max_attempts=endpoint.exponential.max_attempts,
        )
        return endpoints_pb2.DeliveryRetry(exponential=exponential)
    if endpoint.retry is None:
        return None
    return endpoints_pb2.DeliveryRetry(pauses=[_duration(pause) for pause in endpoint.retry.pauses])


def _each_once(texts: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))


@overload
def _duration(time: timedelta) -> Duration: ...
@overload
def _duration(time: timedelta | None) -> Duration | None: ...
def _duration(time: timedelta | None) -> Duration | None:
    if time is None:
        return None
    message = Duration()
    message.FromTimedelta(time)
    return message
