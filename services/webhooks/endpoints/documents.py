"""Endpoints as MongoDB's documents, and back."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from services.webhooks.deliveries.domain import RetrySchedule
from services.webhooks.endpoints.domain import (
    Batching,
    DisabledReason,
    Endpoint,
    EventFilter,
    ExponentialPauses,
    Order,
    Rate,
    SigningKeys,
)

if TYPE_CHECKING:
    from shared.mongo import Document

#: What says which events reach an endpoint, and how: all but its secrets.
WITHOUT_SECRETS = {"keys": False, "sealed_headers": False}
_MILLISECOND = timedelta(milliseconds=1)


def document_of(endpoint: Endpoint) -> Document:
    """What is kept of an endpoint."""
    return {
        "_id": endpoint.id,
        "tenant": endpoint.tenant,
        "url": endpoint.url,
        "description": endpoint.description,
        "filter": _filter_document(endpoint.filter),
        "header_names": list(endpoint.header_names),
        "sealed_headers": endpoint.sealed_headers,
        "order": endpoint.order.value,
        "rate": _rate_document(endpoint.rate),
        "batching": _batching_document(endpoint.batching),
        "retry": None if endpoint.retry is None else [_milliseconds(pause) for pause in endpoint.retry.pauses],
        "exponential": _exponential_document(endpoint.exponential),
        "keys": [_keys_document(keys) for keys in endpoint.keys],
        "enabled": endpoint.enabled,
        "disabled_reason": None if endpoint.disabled_reason is None else endpoint.disabled_reason.value,
        "disabled_at": endpoint.disabled_at,
        "failing_since": endpoint.failing_since,
        "revision": endpoint.revision,
        "created_at": endpoint.created_at,
        "updated_at": endpoint.updated_at,
    }


def endpoint_of(document: Document) -> Endpoint:
    """The endpoint that a document is of; without its secrets where those were not read."""
    rate, batching, retry = document["rate"], document["batching"], document["retry"]
    reason = document["disabled_reason"]
    return Endpoint(
        id=document["_id"],
        tenant=document["tenant"],
        url=document["url"],
        description=document["description"],
        filter=_filter(document["filter"]),
        header_names=tuple(document["header_names"]),
        sealed_headers=bytes(document.get("sealed_headers", b"")),
        order=Order(document["order"]),
        rate=None if rate is None else Rate(deliveries=rate["deliveries"], period=_time(rate["period_ms"])),
        batching=None
        if batching is None
        else Batching(max_events=batching["max_events"], max_wait=_time(batching["max_wait_ms"])),
        retry=None if retry is None else RetrySchedule(tuple(_time(pause) for pause in retry)),
        exponential=_exponential(document["exponential"]),
        keys=tuple(_keys(keys) for keys in document.get("keys", ())),
        enabled=document["enabled"],
        disabled_reason=None if reason is None else DisabledReason(reason),
        disabled_at=document["disabled_at"],
        failing_since=document["failing_since"],
        revision=document["revision"],
        created_at=document["created_at"],
        updated_at=document["updated_at"],
    )


def _filter_document(filter_: EventFilter) -> Document:
    return {
        "event_types": list(filter_.event_types),
        "upstreams": list(filter_.upstreams),
        "methods": list(filter_.methods),
        # pairs, since a tenant's key may be no name of a field: it may be empty, or hold `.` and `$`
        "metadata": [[name, value] for name, value in filter_.metadata.items()],
    }


def _filter(document: Document) -> EventFilter:
    return EventFilter(
        event_types=tuple(document["event_types"]),
        upstreams=tuple(document["upstreams"]),
        methods=tuple(document["methods"]),
        metadata=dict(document["metadata"]),
    )


def _rate_document(rate: Rate | None) -> Document | None:
    return None if rate is None else {"deliveries": rate.deliveries, "period_ms": _milliseconds(rate.period)}


def _batching_document(batching: Batching | None) -> Document | None:
    if batching is None:
        return None
    return {"max_events": batching.max_events, "max_wait_ms": _milliseconds(batching.max_wait)}


def _exponential_document(pauses: ExponentialPauses | None) -> Document | None:
    if pauses is None:
        return None
    return {
        "initial_ms": _milliseconds(pauses.initial),
        "factor": pauses.factor,
        "maximum_ms": _milliseconds(pauses.maximum),
        "max_attempts": pauses.max_attempts,
    }


def _exponential(document: Document | None) -> ExponentialPauses | None:
    if document is None:
        return None
    return ExponentialPauses(
        initial=_time(document["initial_ms"]),
        factor=document["factor"],
        maximum=_time(document["maximum_ms"]),
        max_attempts=document["max_attempts"],
    )


def _keys_document(keys: SigningKeys) -> Document:
    return {
        "sealed_secret": keys.sealed_secret,
        "sealed_private_key": keys.sealed_private_key,
        "public_key": keys.public_key,
        "created_at": keys.created_at,
        "expires_at": keys.expires_at,
    }


def _keys(document: Document) -> SigningKeys:
    return SigningKeys(
        sealed_secret=bytes(document["sealed_secret"]),
        sealed_private_key=bytes(document["sealed_private_key"]),
        public_key=document["public_key"],
        created_at=document["created_at"],
        expires_at=document["expires_at"],
    )


def _milliseconds(time: timedelta) -> int:
    return time // _MILLISECOND


def _time(milliseconds: int) -> timedelta:
    return milliseconds * _MILLISECOND
