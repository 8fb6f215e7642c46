"""How deliveries are changed where somebody asks for it: each is one step in MongoDB."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.webhooks.deliveries.documents import AS_OF_NOW
from services.webhooks.deliveries.domain import State

if TYPE_CHECKING:
    from datetime import datetime

    from shared.mongo import Document

#: So many replays are kept of a delivery, the newest: by which one that is taken up again knows what it has done.
_REPLAYS_KEPT = 10


def not_at_work(now: datetime) -> Document:
    """A delivery that no attempt is being made of, and that is no part of others' that are not delivered yet.

    What goes together goes as it is, every time: nothing may be taken out of it.
    """
    return {
        "$nor": [
            {"state": State.PENDING, "claim": {"$gt": ""}, "next_attempt_at": {"$gt": now}},
            {"state": State.PENDING, "batch_id": {"$gt": ""}},
        ]
    }


def put_back(now: datetime, *, by: str = "") -> list[Document]:
    """Has a delivery be made again from its first attempt on.

    Args:
        now: When it is due.
        by: The replay, where it is one of many.
    """
    changes: Document = {
        **AS_OF_NOW,
        "state": State.PENDING,
        "attempts": 0,
        "replays": {"$add": [{"$ifNull": ["$replays", 0]}, 1]},
        "batch_id": "",
        "next_attempt_at": now,
        "claim": "",
        "last_reason": "",
        "last_status": 0,
        "finished_at": None,
    }
    if by:
        known = {"$ifNull": ["$replayed_by", []]}
        changes["replayed_by"] = {"$slice": [{"$concatArrays": [known, [by]]}, -_REPLAYS_KEPT]}
    return [{"$set": changes}]
