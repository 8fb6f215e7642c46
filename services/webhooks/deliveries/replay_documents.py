"""How replays are written down."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.webhooks.deliveries.domain import State
from services.webhooks.deliveries.filters import DeliveryFilter
from services.webhooks.deliveries.replay import Hand, Replay, ReplayState
from shared.paging import Position

if TYPE_CHECKING:
    from shared.mongo import Document


def document_of(replay: Replay) -> Document:
    """A replay, as it is kept."""
    return {
        "_id": replay.id,
        "tenant": replay.tenant,
        "filter": _filter_document(replay.wanted),
        "max_per_second": replay.max_per_second,
        "total": replay.total,
        "created_at": replay.created_at,
        "state": replay.state,
        "replayed": replay.replayed,
        "passed_over": replay.passed_over,
        "finished_at": replay.finished_at,
        "position": position_document(replay.position) if replay.position is not None else None,
        "hand": hand_document(replay.hand) if replay.hand is not None else None,
    }


def replay_of(document: Document) -> Replay:
    """A replay, as it is kept."""
    position, hand = document["position"], document["hand"]
    return Replay(
        id=document["_id"],
        tenant=document["tenant"],
        wanted=_filter(document["filter"]),
        max_per_second=document["max_per_second"],
        total=document["total"],
        created_at=document["created_at"],
        state=ReplayState(document["state"]),
        replayed=document["replayed"],
        passed_over=document["passed_over"],
        finished_at=document["finished_at"],
        position=Position(**position) if position is not None else None,
        hand=_hand(hand) if hand is not None else None,
    )


def position_document(position: Position) -> Document:
    """Where a replay is, as it is kept."""
    return {"created_at": position.created_at, "id": position.id}


def hand_document(hand: Hand) -> Document:
    """What a replay has in hand, as it is kept."""
    return {"delivery_ids": list(hand.delivery_ids), "receivers": list(hand.receivers), "seen": hand.seen}


def _hand(document: Document) -> Hand:
    return Hand(
        delivery_ids=tuple(document["delivery_ids"]), receivers=tuple(document["receivers"]), seen=document["seen"]
    )


def _filter(document: Document) -> DeliveryFilter:
    return DeliveryFilter(
        endpoint_id=document["endpoint_id"],
        states=tuple(State(each) for each in document["states"]),
        event_type=document["event_type"],
        about=document["about"],
        created_after=document["created_after"],
        created_before=document["created_before"],
    )


def _filter_document(wanted: DeliveryFilter) -> Document:
    return {
        "endpoint_id": wanted.endpoint_id,
        "states": list(wanted.states),
        "event_type": wanted.event_type,
        "about": wanted.about,
        "created_after": wanted.created_after,
        "created_before": wanted.created_before,
    }
