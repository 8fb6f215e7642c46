"""Deliveries and replays as messages of DeliveryService, and which of them callers ask for."""

from __future__ import annotations

from datetime import UTC, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING

from penstock.webhooks.v1 import deliveries_pb2

from services.webhooks.deliveries.domain import State, to_milliseconds
from services.webhooks.deliveries.filters import DeliveryFilter
from services.webhooks.deliveries.replay import DEFAULT_PER_SECOND, MAX_PER_SECOND, ReplayState
from services.webhooks.endpoints.messages import attempt_message
from shared import ids
from shared.errors import FieldViolation, InvalidArgument, shown
from shared.times import timestamp

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from datetime import datetime

    from google.protobuf.message import Message

    from services.webhooks.deliveries.deliveries import Shown
    from services.webhooks.deliveries.replay import Replay

    Asked = deliveries_pb2.ListDeliveriesRequest | deliveries_pb2.DeliveryFilter

_STATES = MappingProxyType({state: deliveries_pb2.Delivery.State.Value(state) for state in State})
_REPLAY_STATES = MappingProxyType({state: deliveries_pb2.Replay.State.Value(state) for state in ReplayState})
_BY_NUMBER = MappingProxyType({number: state for state, number in _STATES.items()})
#: A time between two milliseconds bounds as the later one does: deliveries have whole ones.
_BELOW_A_MILLISECOND = timedelta(microseconds=999)
#: Longer than any id.
_MAX_CHARACTERS = 200


def delivery_message(shown_: Shown, *, whole: bool = False) -> deliveries_pb2.Delivery:
    """A delivery, as answers have it.

    Args:
        shown_: The delivery.
        whole: With its body and its attempts.
    """
    delivery = shown_.delivery
    message = deliveries_pb2.Delivery(
        id=delivery.id,
        webhook_id=delivery.webhook_id,
        endpoint_id=delivery.endpoint_id,
        url=shown_.url,
        event_type=delivery.event_type,
        event_time=timestamp(delivery.event_time),
        about=delivery.about,
        state=_STATES[delivery.state],
        attempts=delivery.attempts,
        max_attempts=shown_.max_attempts,
        replays=delivery.replays,
        last_reason=delivery.last_reason,
        last_status=delivery.last_status,
        batch_id=delivery.batch_id,
        created_at=timestamp(delivery.created_at),
        finished_at=timestamp(delivery.finished_at),
    )
    if delivery.state is State.PENDING:
        message.next_attempt_at.FromDatetime(delivery.next_attempt_at)
    if whole:
        message.payload = delivery.payload.decode(errors="replace")
        message.attempt_log.extend(attempt_message(each) for each in delivery.log)
    return message


def replay_message(replay: Replay) -> deliveries_pb2.Replay:
    """A replay, as answers have it."""
    wanted = replay.wanted
    return deliveries_pb2.Replay(
        id=replay.id,
        state=_REPLAY_STATES[replay.state],
        filter=deliveries_pb2.DeliveryFilter(
            endpoint_id=wanted.endpoint_id,
            state=[_STATES[each] for each in wanted.states],
            event_type=wanted.event_type,
            about=wanted.about,
            created_after=timestamp(wanted.created_after),
            created_before=timestamp(wanted.created_before),
        ),
        max_per_second=replay.max_per_second,
        total=replay.total,
        replayed=replay.replayed,
        passed_over=replay.passed_over,
        created_at=timestamp(replay.created_at),
        finished_at=timestamp(replay.finished_at),
    )


def filter_of(asked: Asked, *, event_types: Collection[str], within: str = "") -> DeliveryFilter:
    """Which deliveries a caller asks for.

    Args:
        asked: The request.
        event_types: The names of those that there are.
        within: What the paths of its fields begin with.

    Raises:
        InvalidArgument: A field holds what no delivery can have; every such field is named.
    """
    violations = [*_violations(asked, event_types, within)]
    times: dict[str, datetime | None] = {}
    for name, json_name in (("created_after", "createdAfter"), ("created_before", "createdBefore")):
        times[name] = None
        if _has(asked, name):
            try:
                times[name] = to_milliseconds(getattr(asked, name).ToDatetime(tzinfo=UTC) + _BELOW_A_MILLISECOND)
            except (ValueError, OverflowError):
                path, hint = f"{within}{json_name}", "is no time between the years 1 and 9999"
                violations.append(FieldViolation(path, f"{hint}; write it as in 2027-01-31T12:00:00Z"))
    after, before = times["created_after"], times["created_before"]
    if after is not None and before is not None and before <= after:
        violations.append(
            FieldViolation(f"{within}createdBefore", "is not later than createdAfter; nothing lies between")
        )
    if violations:
        raise InvalidArgument.of(violations)
    return DeliveryFilter(
        endpoint_id=asked.endpoint_id,
        states=tuple(sorted({_BY_NUMBER[each] for each in asked.state})),
        event_type=asked.event_type,
        about=asked.about,
        created_after=after,
        created_before=before,
    )


def rate_of(request: deliveries_pb2.ReplayDeliveriesRequest) -> int:
    """How many deliveries a caller wants to be put back in a second.

    Raises:
        InvalidArgument: It is out of bounds.
    """
    rate = request.max_per_second
    if not 0 <= rate <= MAX_PER_SECOND:
        raise InvalidArgument.field(
            "maxPerSecond", f"is {rate}; it takes 1 to {MAX_PER_SECOND}, or 0 for {DEFAULT_PER_SECOND}"
        )
    return rate or DEFAULT_PER_SECOND


def _violations(asked: Asked, event_types: Collection[str], within: str) -> Iterator[FieldViolation]:
    if asked.endpoint_id and not ids.is_endpoint_id(asked.endpoint_id):
        yield FieldViolation(
            f"{within}endpointId", f"is {shown(asked.endpoint_id)}, which is no endpoint's id; one begins with ep_"
        )
    for index, state in enumerate(asked.state):
        if state not in _BY_NUMBER:
            yield FieldViolation(f"{within}state[{index}]", f"is {state}; it takes {', '.join(State)}")
    if asked.event_type and asked.event_type not in event_types:
        yield FieldViolation(
            f"{within}eventType",
            f"is {shown(asked.event_type)}, which is no event type; GET /api/v1/event-types lists them",
        )
    if len(asked.about) > _MAX_CHARACTERS:
        yield FieldViolation(
            f"{within}about", f"has {len(asked.about)} characters, and no id has; give the id of what they tell of"
        )


def _has(message: Message, name: str) -> bool:
    return message.HasField(name)
